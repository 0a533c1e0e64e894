"""A consumer that works in a thread of the tests' own process, and what its handler notes."""

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Self

from tests.servers.valkey import NOT_READY, connect
from tests.servers.waiting import wait_until
from vigilry_ingest.handler import Delivered, Handler
from vigilry_ingest.stream.consuming.consumer import Consumer, Limits
from vigilry_ingest.stream.names import DEFAULT_GROUP


class Running:
    """A consumer that works in a thread of this process until the block ends."""

    def __init__(
        self, url: str, handler: Handler, *, group: str = DEFAULT_GROUP, partitions: int = 1, **limits: Any
    ) -> None:
        self._url = url
        self.consumer = Consumer(url, handler, group=group, partitions=partitions, limits=Limits(**limits))
        self._thread = threading.Thread(target=self.consumer.run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    @property
    def is_alive(self) -> bool:
        """Tell whether the consumer still works."""
        return self._thread.is_alive()

    def stop(self, within_s: float = 10.0) -> float:
        """Stop the consumer, check that it ends in time, and return how long it took."""
        begun = time.monotonic()
        self.consumer.stop()
        self._wake()
        self._thread.join(within_s)
        assert not self._thread.is_alive(), f"the consumer does not end within {within_s:g} s"
        return time.monotonic() - begun

    def _wake(self) -> None:
        # Ends a read that waits for entries, which spares each test the half second until it ends by itself.
        if self._url.startswith("redis+cluster:"):
            return
        with suppress(*NOT_READY), connect(self._url) as client:
            clients: Any = client.client_list()
            for each in clients:
                if "b" in each["flags"]:
                    client.client_unblock(each["id"])


class Notebook:
    """Notes what a handler is given; its `handle` does what a function told it says first."""

    def __init__(self, act: Handler | None = None) -> None:
        self._act = act or do_nothing
        self.called: list[list[Delivered]] = []
        self.handled: list[Delivered] = []

    def handle(self, events: Sequence[Delivered]) -> None:
        """Note the call, act, and note that it was handled."""
        self.called.append(list(events))
        self._act(events)
        self.handled += events

    @property
    def messages(self) -> list[str]:
        """Return the messages of what was handled, in order."""
        return [event.message for event in self.handled]

    def wait_handled(self, count: int, within_s: float = 15.0) -> None:
        """Wait until so many events were handled."""
        wait_until(
            lambda: len(self.handled) >= count,
            within_s,
            f"{count} are handled",
            log=lambda: str(self.messages),
        )


def do_nothing(_events: Sequence[Delivered]) -> None:
    """Handle events by doing nothing."""


def raise_for(*messages: str) -> Handler:
    """Make a handler that cannot handle some events."""

    def handle(events: Sequence[Delivered]) -> None:
        for event in events:
            if event.message in messages:
                raise ValueError(f"no {event.message} here")

    return handle


def wait_on(go: threading.Event) -> Handler:
    """Make a handler that waits until it may go on."""

    def handle(_events: Sequence[Delivered]) -> None:
        assert go.wait(10.0)

    return handle
