"""Alternatives that do the same work, and minimal applications on the same server."""
