"""The settings of a project; those that are changed together have an action of their own in the audit log."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from vigilry_ingest.storage.audit_log import recorded
from vigilry_ingest.storage.models import Project

Settings = Mapping[str, Any]
"""Settings by name; one that is absent stays as it is."""


class _Group(NamedTuple):
    """Settings that are changed together: if one of them is given, the others have their defaults.

    ``action`` returns the name of the change in the audit log.
    """

    names: tuple[str, ...]
    action: Callable[[Settings], str]
    apply: Callable[[Project, Settings], None]


def apply_settings(
    session: Session, project: Project, settings: Settings, *, only_if_changed: bool = False
) -> None:
    """Apply settings to a project, and append each change to the audit log.

    The session is one of ``changes_on``. With ``only_if_changed`` what stays the same is not appended.
    """
    for group in _GROUPS:
        if any(name in settings for name in group.names):
            with recorded(session, group.action(settings), project, only_if_changed=only_if_changed):
                group.apply(project, settings)


def _set_name(project: Project, settings: Settings) -> None:
    project.name = settings["name"]


def _set_archived(project: Project, settings: Settings) -> None:
    project.archived_at = (project.archived_at or datetime.now(UTC)) if settings["archived"] else None


def _set_limits(project: Project, settings: Settings) -> None:
    project.rate_per_second = settings.get("per_second") or None
    project.burst = project.rate_per_second and (settings.get("burst") or project.rate_per_second)
    project.bytes_per_second = settings.get("bytes_per_second") or None


def _set_retention(project: Project, settings: Settings) -> None:
    project.retention_days = settings["retention_days"]


def _set_scrubbing(project: Project, settings: Settings) -> None:
    project.scrubbing = settings["scrubbing"]


_GROUPS = (
    _Group(("name",), lambda _: "project.rename", _set_name),
    _Group(("per_second", "burst", "bytes_per_second"), lambda _: "project.limit", _set_limits),
    _Group(("retention_days",), lambda _: "project.retain", _set_retention),
    _Group(("scrubbing",), lambda _: "project.scrub", _set_scrubbing),
    _Group(
        ("archived",),
        lambda settings: "project.archive" if settings["archived"] else "project.unarchive",
        _set_archived,
    ),
)
