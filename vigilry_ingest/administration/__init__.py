"""What administrators do, for the commands and the admin API: on the database, or through the admin API."""
