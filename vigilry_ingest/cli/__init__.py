"""The command room: what an operator types after ``flask``."""

from flask import Flask

from vigilry_ingest.cli.db import db_group
from vigilry_ingest.cli.events import events_group
from vigilry_ingest.cli.keys import keys_group


def register_commands(app: Flask) -> None:
    """Give an application its commands."""
    for group in (keys_group, db_group, events_group):
        app.cli.add_command(group)
