"""The handler room: what a worker's handler is given, and what it may raise."""

from collections.abc import Callable, Mapping, Sequence

from vigilry_ingest.domain.event import Event, entry_values


class Delivered(Event, frozen=True, kw_only=True):
    """An event as a worker's handler gets it: with its jobId, and the number of times it was delivered."""

    job_id: str
    attempts: int

    @classmethod
    def from_delivery(cls, entry: Mapping[bytes, bytes], job_id: str, attempts: int) -> "Delivered":
        """Read a stream entry that was delivered to a worker.

        Raises InvalidEntry.
        """
        return cls(**entry_values(entry), job_id=job_id, attempts=attempts)


Handler = Callable[[Sequence[Delivered]], None]


class TryLater(Exception):
    """Raised by a handler whose own means are down: none of the events is at fault, and none is counted."""
