"""The examples, run as a newcomer runs them, against the real service."""
