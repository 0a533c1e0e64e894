"""The tables: projects and their keys, and the events that the default worker stores."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, ForeignKey, Index, LargeBinary, MetaData, String, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import TypeDecorator


class UTCDateTime(TypeDecorator[datetime]):
    """A moment in UTC: SQLite forgets the zone, and PostgreSQL answers in the session's."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002  SQLAlchemy's signature
        """Give the moment in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """All tables, with names for their constraints, so that a migration can name them too."""

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
    """One sender's application; its events stay in order on one stream.

    ``rate_per_second`` and ``burst`` are its quota, both or neither; an archived project's keys open nothing.
    """

    __tablename__ = "projects"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    created_at: Mapped[datetime]
    archived_at: Mapped[datetime | None]
    rate_per_second: Mapped[int | None]
    burst: Mapped[int | None]


class ApiKey(Base):
    """A key of a project, as its SHA-256 digest; ``hint`` is its visible beginning, and finds the row."""

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
    # To within a few minutes.
    last_used_at: Mapped[datetime | None]

    project: Mapped[Project] = relationship(lazy="joined", innerjoin=True)


class StoredEvent(Base):
    """One processed event; ``correlation`` and ``payload`` are JSON text, as the sender wrote it.

    They are text and no JSON type, because PostgreSQL's jsonb writes numbers anew and refuses ``\\u0000``.
    ``job_number`` is the jobId without its ``bull-``.
    """

    __tablename__ = "events"
    __table_args__ = (
        # What a support engineer asks: a project's events by time, narrowed by type or by severity.
        Index("ix_events_project_time", "project_id", "received_at"),
        Index("ix_events_project_type_time", "project_id", "type", "received_at"),
        Index("ix_events_project_severity_time", "project_id", "severity", "received_at"),
        # And across projects: the newest, and a job's, which is also the order of a replay.
        Index("ix_events_time", "received_at", "id"),
        Index("ix_events_job", "job_number", "id"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    job_number: Mapped[int] = mapped_column(BigInteger)
    # No foreign key: what was accepted is stored, whatever has become of the project meanwhile.
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


class EventCorrelation(Base):
    """One key of an event's correlation, so that events can be found by it."""

    __tablename__ = "event_correlations"
    __table_args__ = (Index("ix_event_correlations_lookup", "name", "value", "project_id"),)

    event_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    project_id: Mapped[str] = mapped_column(String(40))
    value: Mapped[str] = mapped_column(String(200))
