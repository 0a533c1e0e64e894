"""Where the web workers keep their counts: one folder for the service, in it a slot for each worker alive."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple


class Slot(NamedTuple):
    """A worker's place: its number, and the folder that it shares with the others."""

    folder: Path
    number: int


_folder: Path | None = None
_mine: Slot | None = None


def free_slot(taken: Iterable[Slot]) -> Slot:
    """Give the lowest place that no living worker has; called in gunicorn's master, which owns the folder.

    A worker goes on with the counts of the dead one whose place it gets, so that no count is lost over
    restarts and there are never more files than workers were alive at once.
    """
    numbers = {slot.number for slot in taken}
    return Slot(_shared_folder(), min(set(range(len(numbers) + 1)) - numbers))


def take(slot: Slot) -> None:
    """Take a place, in the worker."""
    global _mine
    _mine = slot


def my_slot() -> Slot | None:
    """Give this process's place; None outside gunicorn's workers."""
    return _mine


def _shared_folder() -> Path:
    global _folder
    if _folder is None:
        # In memory where there is such a place: each count is a write.
        memory = Path("/dev/shm")  # noqa: S108  mkdtemp makes a folder that nobody else may enter
        _folder = Path(
            tempfile.mkdtemp(
                prefix="vigilry-metrics-", dir=memory if os.access(memory, os.W_OK | os.X_OK) else None
            )
        )
        atexit.register(_remove, _folder, os.getpid())
    return _folder


def _remove(folder: Path, owner: int) -> None:
    # A fork inherits what is registered.
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)
