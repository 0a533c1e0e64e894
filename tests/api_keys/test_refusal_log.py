"""The record of refused admin keys, while the database cannot be written to."""

from pathlib import Path

import pytest

from tests.fixtures.databases import dispose, migrate
from vigilry_ingest.api_keys import refusal_log
from vigilry_ingest.api_keys.refusal_log import RefusalLog
from vigilry_ingest.storage.audit_queries import AuditFilter, newest_entries
from vigilry_ingest.storage.engine import make_engine

pytestmark = pytest.mark.one_database


def test_a_refusal_that_could_not_be_recorded_is_counted_in_the_next_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusal_log, "_INTERVAL_S", 0.0)
    url = f"sqlite:///{tmp_path}/audit.db"
    engine = make_engine(url)
    refusals = RefusalLog(engine)
    # Without tables.
    for _ in range(2):
        refusals.note("unknown", None, method="GET")
    migrate(url)
    refusals.note("unknown", None, method="GET")
    (row,) = newest_entries(engine, AuditFilter(action=refusal_log.ACTION), 2)
    assert row.after == '{"method":"GET","not_recorded":2,"reason":"unknown"}'
    dispose(engine)
