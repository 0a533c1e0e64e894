"""When a key was last used: written seldom, and never waited for."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, update

from vigilry_ingest.db.models import ApiKey
from vigilry_ingest.db.patience import Errand
from vigilry_ingest.db.session import session_on

_EVERY = timedelta(minutes=5)


def note_use(engine: Engine, key: ApiKey) -> None:
    """Write down that a key is in use, unless that was done within the last minutes.

    It is called where the key was looked up. In a thread of its own whose end nobody awaits: a database that
    cannot be written to keeps no sender waiting, and the next look-up tries again.
    """
    now = datetime.now(UTC)
    if key.last_used_at is None or now - key.last_used_at > _EVERY:
        Errand(lambda: _write(engine, key.id, now))


def _write(engine: Engine, key_id: str, now: datetime) -> None:
    with session_on(engine) as session:
        session.execute(update(ApiKey).where(ApiKey.id == key_id).values(last_used_at=now))
