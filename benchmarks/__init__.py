"""Measurements of the product, as users meet it: real servers, real processes, real faults."""
