"""Queries of the admin API."""

from vigilry_ingest.administration.admin_schema import AdminSchema
from vigilry_ingest.administration.request_fields import Choice, Moment, Number, Text

MAX_PAGE = 1000
_DEFAULT_PAGE = 100
_MAX_ID_LENGTH = 200


class PageQuery(AdminSchema):
    """Which part of a list."""

    after = Text(max_length=_MAX_ID_LENGTH, load_default="")
    limit = Number(1, MAX_PAGE, is_text=True, load_default=_DEFAULT_PAGE)


class ProjectPageQuery(PageQuery):
    """Which part of a list, and of which project."""

    project = Text(max_length=_MAX_ID_LENGTH, load_default=None)


class DeletionQuery(AdminSchema):
    """The name of the project to delete, or a dry run."""

    confirm = Text(max_length=_MAX_ID_LENGTH, load_default=None)
    dry_run = Choice(("true", "false"), load_default="false")


class AuditQuery(AdminSchema):
    """Which changes."""

    project = Text(max_length=_MAX_ID_LENGTH, load_default=None)
    action = Text(max_length=_MAX_ID_LENGTH, load_default=None)
    actor = Text(max_length=_MAX_ID_LENGTH, load_default=None)
    since = Moment(load_default=None)
    until = Moment(load_default=None)
    after = Number(1, 2**63 - 1, is_text=True, load_default=None)
    limit = Number(1, MAX_PAGE, is_text=True, load_default=_DEFAULT_PAGE)


class VerificationQuery(AdminSchema):
    """The digest that a row must have."""

    expect_head = Text(max_length=64, load_default=None)


class NoQuery(AdminSchema):
    """Nothing: any parameter is unknown."""
