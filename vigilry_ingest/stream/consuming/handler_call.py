"""Calls of the handler: timed, counted, and without keeping the memory of those that failed."""

import time
import traceback
from collections.abc import Iterator, Sequence

from vigilry_ingest.domain.handler import Delivered, Handler, TryLater
from vigilry_ingest.observability.metrics import handler_seconds_by, worker_batch_events_by, worker_events_by


class HandlerCall:
    """Calls a handler, and knows how long the current call has taken.

    ``succeeded_at`` is when a call last succeeded, on the monotonic clock.
    """

    def __init__(self, handler: Handler, group: str) -> None:
        self._handler = handler
        self._group = group
        self._began_at: float | None = None
        self.succeeded_at = 0.0

    def busy_s(self) -> float:
        """Return the duration of the current call in seconds, or 0."""
        began_at = self._began_at
        return 0.0 if began_at is None else time.monotonic() - began_at

    def __call__(self, events: Sequence[Delivered]) -> Exception | None:
        """Call the handler once, and return the exception that it raised, if any."""
        self._began_at = time.monotonic()
        try:
            with handler_seconds_by(self._group).time():
                self._handler(events)
        except TryLater as error:
            _clear_frames(error)
            # A new one, without causes and their tracebacks.
            return TryLater(str(error))
        except Exception as error:
            _clear_frames(error)
            return error
        finally:
            self._began_at = None
        self.succeeded_at = time.monotonic()
        worker_batch_events_by(self._group).observe(len(events))
        worker_events_by(self._group, "handled").inc(len(events))
        return None


def forget_tracebacks(failure: BaseException | None) -> None:
    """Drop the tracebacks of an exception and its causes, whose frames may refer back to the exception."""
    for each in _chain(failure):
        each.__traceback__ = None


def _clear_frames(failure: BaseException) -> None:
    """Free the local variables of the frames that failed; without it they live until a garbage collection.

    Drivers and SQLAlchemy keep exceptions in variables of frames that are part of their own tracebacks.
    """
    for each in _chain(failure):
        traceback.clear_frames(each.__traceback__)


def _chain(failure: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while failure is not None and id(failure) not in seen:
        yield failure
        seen.add(id(failure))
        failure = failure.__cause__ or failure.__context__
