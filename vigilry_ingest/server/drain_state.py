"""Whether the service is about to stop: one byte that gunicorn's arbiter shares with its workers."""

import mmap

# Anonymous memory, which forks share: a worker that was started before the signal sees it too.
_flag = mmap.mmap(-1, 1)


def begin_draining() -> None:
    """Make every process of this service unready."""
    _flag[0] = 1


def is_draining() -> bool:
    """Return whether the service is about to stop."""
    return _flag[0] == 1
