"""gunicorn: workers, arbiter hooks, preflight and drain state."""
