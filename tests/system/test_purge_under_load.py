"""Old events are purged while new ones are taken in: none of those is lost or doubled."""

from pathlib import Path

import pytest

from benchmarks.retention import measure
from tests.fixtures.databases import new_database

pytestmark = pytest.mark.alone


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_events_are_purged_under_load_and_none_of_the_others(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    result = measure(new_database(kind, request, tmp_path), 5_000, before_s=1)
    assert (result.lost, result.doubled, result.refused) == (0, 0, 0)
    assert result.accepted > 100
    if kind == "sqlite":
        assert result.bytes_after < result.bytes_before / 2
