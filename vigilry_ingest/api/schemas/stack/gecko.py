"""Stacks of Firefox and Safari: `function@file:line:column`."""

from __future__ import annotations

import re

from vigilry_ingest.api.schemas.stack.frames import (
    Draft,
    Frame,
    ParsedException,
    assemble,
    head_reader,
    to_int,
)
from vigilry_ingest.api.schemas.stack.javascript import TYPED

_HEAD = head_reader(TYPED, TYPED)
_FUNCTION = re.compile(r"(?:(?:global|eval|module) code|(?:(?:async|get|set|promise callback)[* ])?[^\s:]*)")
_EVAL = re.compile(r" line [0-9]+ > .*")
_NATIVE = "[native code]"


def parse_gecko(lines: list[str]) -> ParsedException | None:
    """Parse a stack, or return None if no line is a frame."""
    draft = Draft()
    for line in lines:
        text = line.strip()
        if frame := _read_frame(text):
            draft.frames.append(frame)
        elif not draft.frames:
            draft.head.append(line)
        elif text:
            break
    return assemble([draft], _HEAD) if draft.frames else None


def _read_frame(text: str) -> Frame | None:
    function, at, place = text.partition("@")
    if not at or not _FUNCTION.fullmatch(function):
        return None
    if place == _NATIVE:
        return Frame(function) if function else None
    file, _, column = place.rpartition(":")
    file, _, line = file.rpartition(":")
    if not file or to_int(line) is None or to_int(column) is None:
        return None
    if origin := _EVAL.search(file):
        # The numbers are those within the evaluated code; its place in a file is that of `eval`.
        number = origin[0].removeprefix(" line ").partition(" ")[0]
        return Frame(function or None, file[: origin.start()], to_int(number))
    return Frame(function or None, file, to_int(line), to_int(column)) if "/" in file else None
