"""Migrations, one file each, applied in order of their numbers."""
