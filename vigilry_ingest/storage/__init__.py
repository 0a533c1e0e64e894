"""SQL storage on SQLite and PostgreSQL: models, migrations, engine, event writer and queries."""
