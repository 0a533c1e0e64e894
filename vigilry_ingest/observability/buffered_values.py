"""Metric values that a process adds up in memory, and writes to the files that all workers share."""

import _thread
import threading
import time
from typing import Any

from prometheus_client import values

# A killed worker's counts lag by no more than this.
_FLUSH_EVERY_S = 0.25

# The interpreter's own lock: under gevent nothing switches while it is held, and gevent's costs more.
_lock = _thread.allocate_lock()
_changed: "set[_BufferedValue]" = set()


class _BufferedValue:
    """A value as prometheus_client's metrics use it; ``stored`` is the one in a file."""

    _multiprocess = True

    def __init__(self, stored: Any) -> None:
        self._stored = stored
        self._value: float = stored.get()

    def inc(self, amount: float) -> None:
        """Add an amount."""
        with _lock:
            self._value += amount
            _changed.add(self)

    def set(self, value: float, timestamp: float | None = None) -> None:  # noqa: ARG002  prometheus_client's signature
        """Replace the value."""
        with _lock:
            self._value = value
            _changed.add(self)

    def get(self) -> float:
        """Return the value."""
        return self._value

    def set_exemplar(self, exemplar: object) -> None:
        """Ignore an exemplar, as values in files do."""

    def get_exemplar(self) -> None:
        """Return no exemplar."""

    def write(self) -> None:
        """Write the value to its file."""
        self._stored.set(self._value)


def buffer_values(slot_number: int) -> None:
    """Let the metrics made from now on keep their values in the files of a slot, buffered."""
    stored_value = values.MultiProcessValue(lambda: slot_number)  # type: ignore[no-untyped-call]
    values.ValueClass = lambda *arguments, **options: _BufferedValue(stored_value(*arguments, **options))
    threading.Thread(target=_flush_regularly, name="metrics", daemon=True).start()


def flush() -> None:
    """Write every value that has changed since the last time."""
    with _lock:
        changed = list(_changed)
        _changed.clear()
    for value in changed:
        value.write()


def _flush_regularly() -> None:
    while True:
        time.sleep(_FLUSH_EVERY_S)
        flush()
