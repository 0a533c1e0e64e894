"""Database calls with a deadline, when no thread can be started for them."""

import threading

import pytest

from tests.fixtures.threads import no_new_threads
from vigilry_ingest.storage.deadlines import run_with_deadline
from vigilry_ingest.storage.engine import DatabaseError


def test_threads_that_cannot_be_started_use_up_no_slots() -> None:
    with no_new_threads():
        for _ in range(20):
            with pytest.raises(DatabaseError, match="can't start new thread"):
                run_with_deadline(lambda: 1, 0.1)
    assert run_with_deadline(lambda: 1, 1) == 1


def test_an_exception_of_the_call_uses_up_no_slot() -> None:
    def fail() -> int:
        raise KeyboardInterrupt

    for _ in range(20):
        with pytest.raises(KeyboardInterrupt):
            run_with_deadline(fail, 1)
    assert run_with_deadline(threading.active_count, 1)
