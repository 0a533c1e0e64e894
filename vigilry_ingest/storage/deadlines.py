"""Database calls with a deadline; a driver that waits for a frozen server cannot be interrupted."""

import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TypeVar

from vigilry_ingest.storage.engine import DatabaseError, DatabaseTimeout

Result = TypeVar("Result")

# The name of the threads that wait for the database.
THREAD_NAME = "database call"

# Maximum number of concurrent calls in a process; when all of them hang, further calls are not started.
_slots = threading.BoundedSemaphore(8)


def run_with_deadline(call: Callable[[], Result], seconds: float) -> Result:
    """Run a database call and return its result.

    Raises DatabaseTimeout when there is none within ``seconds``, and any exception of the call.
    """
    return start_with_deadline(call, seconds)()


def start_with_deadline(call: Callable[[], Result], seconds: float) -> Callable[[], Result]:
    """Start a database call in a thread of its own, and return a function that waits for its result.

    The thread ends when the driver returns, which may be long after the deadline. Both functions raise as
    ``run_with_deadline`` does.
    """
    deadline = time.monotonic() + seconds
    if not _slots.acquire(timeout=max(seconds, 0)):
        raise DatabaseError("The database does not respond, and too many calls are waiting for it.")
    outcomes: SimpleQueue[tuple[Result | None, BaseException | None]] = SimpleQueue()

    def run() -> None:
        try:
            outcomes.put((call(), None))
        except BaseException as error:
            outcomes.put((None, error))
        finally:
            _slots.release()

    def result() -> Result:
        try:
            value, error = outcomes.get(timeout=max(deadline - time.monotonic(), 0.01))
        except Empty:
            raise DatabaseTimeout("The database has not responded in time.") from None
        if error is None:
            return value  # type: ignore[return-value]  # None only beside an error
        try:
            raise error
        finally:
            # The traceback refers to this frame, which must not refer to the error: the memory of a batch
            # would then stay until the next garbage collection.
            del error

    try:
        threading.Thread(target=run, name=THREAD_NAME, daemon=True).start()
    except Exception as error:
        # Only a thread that runs releases its slot.
        _slots.release()
        raise DatabaseError(f"The database cannot be queried: {error}.") from error
    return result
