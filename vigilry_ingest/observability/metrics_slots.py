"""Files of the web workers' metrics: a folder for the service, with a slot for each live worker."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple


class Slot(NamedTuple):
    """A worker's slot number, and the folder that all workers share."""

    folder: Path
    number: int


_folder: Path | None = None
_mine: Slot | None = None


def free_slot(taken: Iterable[Slot]) -> Slot:
    """Return the lowest slot that no live worker has; called in gunicorn's master, which owns the folder.

    A new worker continues the counts of the worker that had the slot before, so no count is lost on restarts,
    and there are never more files than there were workers at once.
    """
    numbers = {slot.number for slot in taken}
    return Slot(_shared_folder(), min(set(range(len(numbers) + 1)) - numbers))


def take(slot: Slot) -> None:
    """Set the slot of this process; called in the worker."""
    global _mine
    _mine = slot


def my_slot() -> Slot | None:
    """Return the slot of this process; None outside gunicorn's workers."""
    return _mine


def _shared_folder() -> Path:
    global _folder
    if _folder is None:
        # In memory if possible, as each count is a write.
        memory = Path("/dev/shm")  # noqa: S108  mkdtemp makes a folder that only its owner may enter
        _folder = Path(
            tempfile.mkdtemp(
                prefix="vigilry-metrics-", dir=memory if os.access(memory, os.W_OK | os.X_OK) else None
            )
        )
        atexit.register(_remove, _folder, os.getpid())
    return _folder


def _remove(folder: Path, owner: int) -> None:
    # Forked workers inherit the exit handler.
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)
