"""Sentry SDKs as clients."""
