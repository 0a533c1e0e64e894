"""Telling a loop to end, from a thread or from a signal handler."""

from queue import Empty, SimpleQueue


class StopFlag:
    """Like a threading.Event that is set once, but may be set by a signal that interrupts its own ``wait``.

    An Event's lock is not reentrant, so there the two would wait for one another; SimpleQueue.put is made for
    this: https://docs.python.org/3/library/queue.html#simplequeue-objects.
    """

    def __init__(self) -> None:
        self._is_set = False
        self._queue: SimpleQueue[None] = SimpleQueue()

    def set(self) -> None:
        """End every wait, now and later."""
        self._is_set = True
        self._queue.put(None)

    def is_set(self) -> bool:
        """Tell whether it was set."""
        return self._is_set

    def wait(self, seconds: float) -> bool:
        """Wait for at most so many seconds, and tell whether it was set."""
        if not self._is_set and seconds > 0:
            try:
                self._queue.get(timeout=seconds)
                # For the others that wait.
                self._queue.put(None)
            except Empty:
                pass
        return self._is_set
