"""Handlers for ``flask worker --handler tests.handlers:…``, which do as told and note what they did."""

import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from vigilry_ingest.handler import Delivered, TryLater

# The environment variable that names the folder of the notes, and of the files that tell what to do.
FOLDER = "HANDLER_FOLDER"
# While the file of this name exists, the handler's own means are down.
DOWN = "down"
# What an event whose message begins with "wait" waits for.
GO = "go"


def obey(events: Sequence[Delivered]) -> None:
    """Note that events came, do what their messages say, and note that they were handled."""
    folder = Path(os.environ[FOLDER])
    _note(folder, "called", events)
    if (folder / DOWN).exists():
        raise TryLater("it is down")
    for event in events:
        _obey(event.message.partition(" ")[0], event, folder)
    _note(folder, "handled", events)


def _obey(order: str, event: Delivered, folder: Path) -> None:
    if order == "raise":
        raise ValueError(event.message)
    if order == "exit":
        os._exit(9)
    if order == "hang":
        _wait_for(lambda: False)
    if order == "wait":
        _wait_for((folder / GO).exists)


def _wait_for(predicate: Callable[[], bool]) -> None:
    while not predicate():
        time.sleep(0.01)


def _note(folder: Path, step: str, events: Sequence[Delivered]) -> None:
    told = [
        {"project": each.project_id, "message": each.message, "job": each.job_id, "attempts": each.attempts}
        for each in events
    ]
    line = json.dumps({"step": step, "pid": os.getpid(), "events": told}) + "\n"
    # One write of a file opened to append is not mixed with another worker's.
    note = os.open(folder / "notes", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(note, line.encode())
    finally:
        os.close(note)


def read_notes(folder: Path, step: str) -> list[dict[str, Any]]:
    """Read the events of all calls at a step, "called" or "handled", in order, with the worker's pid."""
    notes = folder / "notes"
    lines = [json.loads(line) for line in notes.read_text().splitlines()] if notes.exists() else []
    return [each | {"pid": line["pid"]} for line in lines if line["step"] == step for each in line["events"]]
