"""Months are dropped and tables are partitioned while events are taken in: none is lost or doubled."""

import pytest

from benchmarks import conversion, partitions
from tests.fixtures.servers.postgres import Postgres

pytestmark = pytest.mark.alone


def test_months_are_dropped_under_load_within_a_second_each(postgres: Postgres) -> None:
    result = partitions.measure(postgres.new_database(), 20_000, phase_s=4)
    assert (result.lost, result.doubled, result.refused) == (0, 0, 0)
    assert result.accepted > 100
    # The median, because a machine that is busy can stop any for a while.
    assert sorted(result.drops)[len(result.drops) // 2] < 1
    assert 10_000 < result.dropped < 20_000


def test_a_table_is_partitioned_under_load_in_spite_of_kills(postgres: Postgres) -> None:
    result = conversion.measure(postgres.new_database(), 50_000, kills=5, max_kill_s=1)
    assert (result.lost, result.doubled, result.refused) == (0, 0, 0)
    assert result.accepted > 100
