"""What the requests of the admin API share."""

from dataclasses import dataclass
from typing import Self

from flask import Flask, current_app

from vigilry_ingest.administration.database.audit import DatabaseAuditTrail
from vigilry_ingest.administration.database.keys import DatabaseKeys
from vigilry_ingest.administration.database.projects import DatabaseProjects
from vigilry_ingest.administration.database.sources import DatabaseSources
from vigilry_ingest.api_keys.admin_lookup import AdminKeyLookup
from vigilry_ingest.api_keys.refusal_log import RefusalLog
from vigilry_ingest.services import Services

_EXTENSION = "vigilry-admin"


@dataclass(frozen=True, slots=True)
class AdminParts:
    """The parts of an admin application."""

    lookup: AdminKeyLookup
    refusals: RefusalLog
    projects: DatabaseProjects
    keys: DatabaseKeys
    sources: DatabaseSources
    audit: DatabaseAuditTrail

    @classmethod
    def of(cls, services: Services) -> Self:
        """Make the parts from services."""
        engine, config = services.engine, services.config
        return cls(
            lookup=AdminKeyLookup(engine),
            refusals=RefusalLog(engine),
            projects=DatabaseProjects(engine, config),
            keys=DatabaseKeys(engine, config),
            sources=DatabaseSources(engine, services.secrets, config),
            audit=DatabaseAuditTrail(engine),
        )


def attach_parts(app: Flask, services: Services) -> None:
    """Attach the parts of an admin application."""
    app.extensions[_EXTENSION] = AdminParts.of(services)


def parts() -> AdminParts:
    """Return the parts of the current application."""
    attached: AdminParts = current_app.extensions[_EXTENSION]
    return attached
