"""The database room: tables, engine and migrations, on SQLite and PostgreSQL alike."""
