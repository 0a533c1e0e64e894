"""The product seen from outside, as its callers and operators see it: nothing of the package is imported."""
