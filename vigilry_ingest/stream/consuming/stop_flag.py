"""A flag that ends a loop, settable from a thread or a signal handler."""

from queue import Empty, SimpleQueue


class StopFlag:
    """Like a threading.Event that is never cleared, but safe to set from a signal that interrupts ``wait``.

    An Event's lock is not reentrant, so a signal handler would deadlock; SimpleQueue.put is reentrant:
    https://docs.python.org/3/library/queue.html#simplequeue-objects.
    """

    def __init__(self) -> None:
        self._is_set = False
        self._queue: SimpleQueue[None] = SimpleQueue()

    def set(self) -> None:
        """Set the flag and end all current and future waits."""
        self._is_set = True
        self._queue.put(None)

    def is_set(self) -> bool:
        """Return whether the flag is set."""
        return self._is_set

    def wait(self, seconds: float) -> bool:
        """Wait until the flag is set or the time is over, and return whether it is set."""
        if not self._is_set and seconds > 0:
            try:
                self._queue.get(timeout=seconds)
                # Wake the next waiting thread.
                self._queue.put(None)
            except Empty:
                pass
        return self._is_set
