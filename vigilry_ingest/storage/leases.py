"""Leases: what one process at a time does, of all that share the database."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, delete, or_, update
from sqlalchemy.exc import IntegrityError

from vigilry_ingest.storage.engine import session_on
from vigilry_ingest.storage.models import Lease


def take_lease(engine: Engine, name: str, holder: str, seconds: float) -> bool:
    """Take or renew a lease, and return whether the holder has it.

    The clocks are those of the holders: two that differ by more than the lease can both have it, so it is
    for work that is safe to do twice. Raises DatabaseError.
    """
    now = datetime.now(UTC)
    values = {"holder": holder, "expires_at": now + timedelta(seconds=seconds)}
    is_free = or_(Lease.holder == holder, Lease.expires_at < now)
    with session_on(engine) as session:
        query = update(Lease).where(Lease.name == name, is_free).values(values)
        if session.connection().execute(query).rowcount:
            return True
        if session.get(Lease, name) is not None:
            return False
    try:
        with session_on(engine) as session:
            session.add(Lease(name=name, **values))
    except IntegrityError:
        return False
    return True


def drop_lease(engine: Engine, name: str, holder: str) -> None:
    """Release a lease, so that others need not wait until it expires.

    Raises DatabaseError.
    """
    with session_on(engine) as session:
        session.execute(delete(Lease).where(Lease.name == name, Lease.holder == holder))
