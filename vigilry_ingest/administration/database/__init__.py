"""Administration on the database."""
