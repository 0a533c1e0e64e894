"""Commands of ``flask`` for operators."""

from flask import Flask

from vigilry_ingest.cli.admin import admin_group
from vigilry_ingest.cli.admin_keys import admin_keys_group
from vigilry_ingest.cli.audit import audit_group
from vigilry_ingest.cli.db import db_group
from vigilry_ingest.cli.doctor import doctor_command
from vigilry_ingest.cli.events import events_group
from vigilry_ingest.cli.keys import keys_group
from vigilry_ingest.cli.projects import projects_group
from vigilry_ingest.cli.secrets import secrets_group
from vigilry_ingest.cli.sources import sources_group
from vigilry_ingest.cli.worker import worker_command


def register_commands(app: Flask) -> None:
    """Register the commands of an application."""
    for command in (
        keys_group,
        projects_group,
        sources_group,
        secrets_group,
        db_group,
        events_group,
        audit_group,
        admin_keys_group,
        admin_group,
        worker_command,
        doctor_command,
    ):
        app.cli.add_command(command)
