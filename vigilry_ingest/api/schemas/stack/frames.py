"""The room of what every form of stack shares: the frame, the exception, the bounds, and the head."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

MAX_FRAMES = 250
"""Frames kept per exception: half from each end, since one end is where it failed and the other who asked."""

MAX_CHAINED = 10
"""Causes kept below the main exception, the nearest ones."""

MAX_LINES = 20_000
"""Lines read of one text, half from each end, so that a million line ends cost no more than one long line."""

_MAX_INT = 2**63 - 1
_MAX_DIGITS = len(str(_MAX_INT))


class Frame(msgspec.Struct, frozen=True, omit_defaults=True):
    """Name one call of a stack; what the text does not say is absent."""

    function: str | None = None
    file: str | None = None
    line: int | None = None
    column: int | None = None


class ParsedException(msgspec.Struct, frozen=True, omit_defaults=True):
    """Hold one exception with its frames in the order of the text, and its causes, the nearest first."""

    type: str | None
    value: str | None
    frames: list[Frame]
    chained: list[ParsedException] = msgspec.field(default_factory=list)


@dataclass(slots=True)
class Draft:
    """Gather the lines of one exception: the head is its type and message, as text."""

    head: list[str] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)


def split_lines(stack: str) -> list[str]:
    """Split a text at its LF or CRLF ends into at most MAX_LINES lines that can be encoded as UTF-8.

    `str.splitlines` is not used, because it also splits at form feeds and U+2028, which messages contain.
    """
    try:
        stack.encode()
    except UnicodeEncodeError:
        # A lone surrogate can come out of a JSON escape, but cannot go into JSON again.
        stack = stack.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    half = MAX_LINES // 2
    lines = stack.split("\n", half)
    if len(lines) > half:
        lines[half:] = lines[half].rsplit("\n", half)[-half:]
    return [line.removesuffix("\r") for line in lines]


def is_number(text: str) -> bool:
    """Tell whether a text is ASCII digits only, of any length."""
    return text.isascii() and text.isdigit()


def to_int(text: str) -> int | None:
    """Read a number of at most 63 bits, or None: longer digits would break JSON readers, or `int` itself."""
    if not is_number(text) or len(text) > _MAX_DIGITS:
        return None
    number = int(text)
    return number if number <= _MAX_INT else None


def indent(line: str) -> int:
    """Count the characters of white space that a line begins with."""
    return len(line) - len(line.lstrip())


def read_head(
    lines: list[str], typed: re.Pattern[str], later: re.Pattern[str]
) -> tuple[str | None, str | None]:
    """Read type and message out of a head's lines; both patterns have a group `type` and a group `value`.

    The first line that is not blank begins the head when it fits `typed`; otherwise it is a log line or a
    piece of source code, and the first line that fits `later` begins it. When none fits, all is message.
    """
    start = next((number for number, line in enumerate(lines) if line.strip()), len(lines))
    found = typed.fullmatch(lines[start].strip()) if start < len(lines) else None
    if found is None:
        for number in range(start, len(lines)):
            if found := later.fullmatch(lines[number].strip()):
                start = number
                break
    if found is None:
        return None, "\n".join(lines).strip() or None
    message = "\n".join([found["value"] or "", *lines[start + 1 :]])
    return found["type"], message.strip() or None


def assemble(drafts: Iterable[Draft], typed: re.Pattern[str], later: re.Pattern[str]) -> ParsedException:
    """Build the exception from its drafts: the main one first, then its causes, the nearest first."""
    main, *causes = (
        ParsedException(*read_head(draft.head, typed, later), frames=_both_ends(draft.frames))
        for draft in list(drafts)[: MAX_CHAINED + 1]
    )
    return ParsedException(main.type, main.value, main.frames, causes)


def _both_ends(frames: list[Frame]) -> list[Frame]:
    if len(frames) <= MAX_FRAMES:
        return frames
    half = MAX_FRAMES // 2
    return frames[:half] + frames[-half:]
