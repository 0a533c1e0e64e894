"""Waiting for the database only so long: a driver that waits for a frozen server cannot be interrupted."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from vigilry_ingest.db.session import DatabaseError

Result = TypeVar("Result")

# So many may hang at once in a process; then no more are sent after them.
_places = threading.BoundedSemaphore(8)


class _Errand(Generic[Result]):
    """One question, asked in a thread of its own that ends whenever the database lets it."""

    def __init__(self, ask: Callable[[], Result]) -> None:
        self._ask = ask
        self._done = threading.Event()
        self._result: Result | None = None
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._result = self._ask()
        except BaseException as error:
            self._error = error
        finally:
            _places.release()
            self._done.set()

    def result(self, seconds: float) -> Result:
        if not self._done.wait(seconds):
            raise DatabaseError(f"The database has not answered within {seconds:g} s.")
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]  # it is what ``ask`` returned


def within(seconds: float, ask: Callable[[], Result]) -> Result:
    """Ask the database something, and return the answer or raise the error that comes in time.

    Raises DatabaseError when none does.
    """
    if not _places.acquire(timeout=seconds):
        raise DatabaseError("The database answers nothing.")
    errand = _Errand(ask)
    threading.Thread(target=errand.run, daemon=True).start()
    return errand.result(seconds)
