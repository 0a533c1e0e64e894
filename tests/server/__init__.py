"""gunicorn's workers and the arbiter's hooks."""
