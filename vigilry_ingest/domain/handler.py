"""The interface of a worker's handler: the events that it receives, and the exception that it may raise."""

from collections.abc import Callable, Mapping, Sequence

from vigilry_ingest.domain.event import Event, entry_values


class Delivered(Event, frozen=True, kw_only=True):
    """An event as passed to a handler, with its jobId and the number of deliveries so far."""

    job_id: str
    attempts: int

    @classmethod
    def from_delivery(cls, entry: Mapping[bytes, bytes], job_id: str, attempts: int) -> "Delivered":
        """Parse a stream entry that was delivered to a worker.

        Raises InvalidEntry.
        """
        return cls(**entry_values(entry), job_id=job_id, attempts=attempts)


Handler = Callable[[Sequence[Delivered]], None]


class TryLater(Exception):
    """Raised by a handler if a dependency is unavailable; the delivery is not counted as an attempt."""
