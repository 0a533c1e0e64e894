"""Whether this service is about to stop: one byte that gunicorn's master shares with all its workers."""

import mmap

# Memory without a file, which a fork shares: a worker that was born before the signal sees it as well.
_flag = mmap.mmap(-1, 1)


def begin_draining() -> None:
    """Tell every process of this service that it is about to stop."""
    _flag[0] = 1


def is_draining() -> bool:
    """Tell whether the service is about to stop."""
    return _flag[0] == 1
