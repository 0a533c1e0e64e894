"""What ``flask doctor`` says about partitions."""

from collections.abc import Iterator
from datetime import UTC, datetime

from sqlalchemy import Engine

from vigilry_ingest.storage.partitions.bounds import left_bounds
from vigilry_ingest.storage.partitions.layout import layouts
from vigilry_ingest.storage.partitions.making import rows_in_default
from vigilry_ingest.stream.finding import Finding

_SUBJECT = "partitions"


def partition_findings(engine: Engine) -> Iterator[Finding]:
    """Yield a finding for each thing that an operator should know.

    Raises DatabaseError.
    """
    now = datetime.now(UTC)
    for name, found in layouts(engine).items():
        if found.kind == "foreign":
            text = f"{name} is partitioned by someone else, so its partitions are left alone."
            yield Finding("ok", _SUBJECT, text)
        elif found.kind == "own" and all(each.end is None or each.end <= now for each in found.ranges):
            text = f"{name} has no partition for events of today: run `flask db partition` as its owner."
            yield Finding("warning", _SUBJECT, text)
    for name in left_bounds(engine):
        text = f"{name} is being partitioned, or that was interrupted: run `flask db partition` again."
        yield Finding("warning", _SUBJECT, text)
    for name in rows_in_default(engine):
        text = f"{name} has rows, of a time that had no partition: check the clocks, and that workers run."
        yield Finding("warning", _SUBJECT, text)
