"""Database models: projects, API keys, admin keys, sources of webhooks, the audit log, and stored events."""

import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, ForeignKey, Index, LargeBinary, MetaData, String, Text, text
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import TypeDecorator


class UTCDateTime(TypeDecorator[datetime]):
    """A time in UTC; SQLite drops the time zone, and PostgreSQL returns that of the session."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002  SQLAlchemy's signature
        """Return the time in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class JsonText(TypeDecorator[dict[str, Any]]):
    """A JSON object, stored as text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: dict[str, Any] | None, dialect: Dialect) -> str | None:  # noqa: ARG002  SQLAlchemy's signature
        """Return the text."""
        return None if value is None else json.dumps(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> dict[str, Any] | None:  # noqa: ARG002  SQLAlchemy's signature
        """Return the object."""
        return None if value is None else json.loads(value)


class Base(DeclarativeBase):
    """Base of all models; names the constraints, so that migrations can refer to them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: Any = {datetime: UTCDateTime}  # noqa: RUF012  SQLAlchemy reads it off the class


class Project(Base):
    """A sending application; its events stay in order on one stream.

    ``rate_per_second`` and ``burst``, which are set together, and ``bytes_per_second`` are its quota. The
    keys of an archived project are rejected. Events are kept for ``retention_days``: 0 is for ever, and None
    as long as VIGILRY_RETENTION_DAYS says. ``scrubbing`` is what is replaced in them, None for nothing.
    """

    __tablename__ = "projects"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    created_at: Mapped[datetime]
    archived_at: Mapped[datetime | None]
    rate_per_second: Mapped[int | None]
    burst: Mapped[int | None]
    bytes_per_second: Mapped[int | None] = mapped_column(BigInteger)
    retention_days: Mapped[int | None]
    scrubbing: Mapped[dict[str, Any] | None] = mapped_column(JsonText)


class ApiKey(Base):
    """A key of a project, stored as its SHA-256 digest; rows are found by ``hint``, its visible start."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), index=True)
    environment: Mapped[str] = mapped_column(String(20))
    name: Mapped[str | None] = mapped_column(String(200))
    hint: Mapped[str] = mapped_column(String(40), index=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    # Comma-separated; None for all scopes, and for no origins.
    scopes: Mapped[str | None] = mapped_column(String(40))
    origins: Mapped[str | None] = mapped_column(Text)
    # Accurate to a few minutes.
    last_used_at: Mapped[datetime | None]

    project: Mapped[Project] = relationship(lazy="joined", innerjoin=True)


class AdminKey(Base):
    """A key of an administrator for the admin API, stored as its SHA-256 digest."""

    __tablename__ = "admin_keys"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(60))
    hint: Mapped[str] = mapped_column(String(40))
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    # Comma-separated.
    scopes: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class Source(Base):
    """A source of webhooks: a provider that sends to a URL of its own, for a project and an environment.

    ``options`` is what the source says about its provider, ``severities`` the severities of events by name.
    """

    __tablename__ = "sources"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), index=True)
    environment: Mapped[str] = mapped_column(String(20))
    provider: Mapped[str] = mapped_column(String(40))
    name: Mapped[str | None] = mapped_column(String(200))
    options: Mapped[dict[str, Any]] = mapped_column(JsonText)
    severities: Mapped[dict[str, str]] = mapped_column(JsonText)
    created_at: Mapped[datetime]
    disabled_at: Mapped[datetime | None]

    project: Mapped[Project] = relationship(lazy="joined", innerjoin=True)
    secrets: Mapped[list["SourceSecret"]] = relationship(
        lazy="selectin", order_by="SourceSecret.created_at.desc()", cascade="all, delete-orphan"
    )


class SourceSecret(Base):
    """A secret of a source, encrypted; it is valid until ``expires_at``, which is set when it is rotated."""

    __tablename__ = "source_secrets"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    source_id: Mapped[str] = mapped_column(ForeignKey("sources.id", ondelete="CASCADE"), index=True)
    ciphertext: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]

    def is_valid(self, now: datetime) -> bool:
        """Return whether the secret has not expired."""
        return self.expires_at is None or self.expires_at > now


class Lease(Base):
    """Which process does something that one does at a time, and until when."""

    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    holder: Mapped[str] = mapped_column(String(100))
    expires_at: Mapped[datetime]


class AuditEntry(Base):
    """A row of the audit log: a change, by whom, and a digest chained over that of the row before.

    Ids have no gaps. ``before`` and ``after`` are JSON in the canonical form that the digest is of.
    """

    __tablename__ = "audit_log"
    __table_args__ = (Index("ix_audit_log_project", "project_id", "id"),)

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column(index=True)
    actor: Mapped[str] = mapped_column(String(200))
    action: Mapped[str] = mapped_column(String(60))
    # No foreign keys: what is deleted remains on record.
    target_id: Mapped[str] = mapped_column(Text)
    project_id: Mapped[str | None] = mapped_column(String(40))
    before: Mapped[str | None] = mapped_column(Text)
    after: Mapped[str | None] = mapped_column(Text)
    digest: Mapped[str] = mapped_column(String(64))


class StoredEvent(Base):
    """A processed event; ``correlation`` and ``payload`` are JSON text exactly as sent.

    They are not of a JSON type, as PostgreSQL's jsonb normalizes numbers and rejects ``\\u0000``.
    ``job_number`` is the jobId without ``bull-``.
    """

    __tablename__ = "events"
    __table_args__ = (
        # A project's events by time, optionally of one type or severity.
        Index("ix_events_project_time", "project_id", "received_at"),
        Index("ix_events_project_type_time", "project_id", "type", "received_at"),
        Index("ix_events_project_severity_time", "project_id", "severity", "received_at"),
        # Across projects: the newest events, and those of a job, which is also the order of a replay.
        Index("ix_events_time", "received_at", "id"),
        Index("ix_events_job", "job_number", "id"),
        # Groups with their counts and times, and the events of one, are read from this index alone.
        Index(
            "ix_events_group",
            "event_group",
            "received_at",
            "project_id",
            "kind",
            sqlite_where=text("event_group IS NOT NULL"),
            postgresql_where=text("event_group IS NOT NULL"),
        ),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    job_number: Mapped[int] = mapped_column(BigInteger)
    # No foreign key: an accepted event is stored even if its project is gone.
    project_id: Mapped[str] = mapped_column(String(40))
    environment: Mapped[str] = mapped_column(String(20))
    kind: Mapped[str] = mapped_column(String(20))
    type: Mapped[str] = mapped_column(Text)
    severity: Mapped[str] = mapped_column(String(10))
    source: Mapped[str | None] = mapped_column(Text)
    message: Mapped[str] = mapped_column(Text)
    correlation: Mapped[str | None] = mapped_column(Text)
    payload: Mapped[str | None] = mapped_column(Text)
    received_at: Mapped[datetime]
    processed_at: Mapped[datetime]
    idempotency_key: Mapped[str | None] = mapped_column(Text)
    traceparent: Mapped[str | None] = mapped_column(String(60))
    request_id: Mapped[str] = mapped_column(String(140))
    # The group of errors, see domain.fingerprint.
    event_group: Mapped[str | None] = mapped_column(String(24))


class EventCorrelation(Base):
    """A key of an event's correlation, by which the event can be found.

    ``received_at`` is that of the event, and 1970 in rows from before there was such a column. A partitioned
    table has it in its key, so it can have the same row with both times.
    """

    __tablename__ = "event_correlations"
    __table_args__ = (Index("ix_event_correlations_lookup", "name", "value", "project_id"),)

    event_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    project_id: Mapped[str] = mapped_column(String(40))
    value: Mapped[str] = mapped_column(String(200))
    # The previous version does not set it.
    received_at: Mapped[datetime] = mapped_column(nullable=True)
