"""Waiting for the database only so long: a driver that waits for a frozen server cannot be interrupted."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from vigilry_ingest.storage.engine import DatabaseError

Result = TypeVar("Result")

# The name of the threads that wait for the database.
ERRAND = "database errand"

# So many ask at once in a process; when all of them hang, no more are sent after them.
_places = threading.BoundedSemaphore(8)


class Errand(Generic[Result]):
    """One question to the database, in a thread of its own that ends whenever the database lets it.

    It waits ``place_s`` seconds for its turn when many ask at once.
    """

    def __init__(self, ask: Callable[[], Result], *, place_s: float = 0.0) -> None:
        self._ask = ask
        self._done = threading.Event()
        self._result: Result | None = None
        self._error: BaseException | None = None
        if _places.acquire(timeout=place_s):
            threading.Thread(target=self._run, name=ERRAND, daemon=True).start()
        else:
            self._error = DatabaseError("The database answers nothing, and too many wait for it.")
            self._done.set()

    def result(self, seconds: float) -> Result:
        """Return the answer, or raise the error, that comes within so many seconds.

        Raises DatabaseError when none does.
        """
        if not self._done.wait(seconds):
            raise DatabaseError("The database has not answered in time.")
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]  # it is what the question returned

    def _run(self) -> None:
        try:
            self._result = self._ask()
        except BaseException as error:
            self._error = error
        finally:
            _places.release()
            self._done.set()


def ask(question: Callable[[], Result], seconds: float) -> Result:
    """Ask the database, and wait so long in all: for a place, and then for the answer.

    Raises DatabaseError when there is none, and what the question raises.
    """
    deadline = time.monotonic() + seconds
    errand = Errand(question, place_s=max(seconds, 0))
    return errand.result(max(deadline - time.monotonic(), 0.01))
