"""The admin API, its keys, and the commands that use it."""
