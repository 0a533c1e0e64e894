"""Frames, exceptions, limits and head parsing that all stack trace formats share."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import msgspec

MAX_FRAMES = 250
"""Maximum number of frames per exception: half from each end, to keep both the failure and its origin."""

MAX_CHAINED = 10
"""Maximum number of causes of the main exception; the nearest ones are kept."""

MAX_INNER = 50
"""Maximum number of exceptions that are kept of one group, or of those suppressed by one exception."""

MAX_DEPTH = 10
"""Maximum nesting of groups within groups."""

MAX_LINES = 4_000
"""Maximum number of lines that are read, half from each end, to bound the cost of many short lines."""

MAX_LENGTH = 512 * 1024
"""Maximum number of characters of a trace; a longer one is not parsed, because no runtime writes it."""

_MAX_INT = 2**63 - 1
_MAX_DIGITS = len(str(_MAX_INT))


class Frame(msgspec.Struct, frozen=True, omit_defaults=True):
    """One call of a stack; what the text does not contain is omitted."""

    function: str | None = None
    file: str | None = None
    line: int | None = None
    column: int | None = None


class ParsedException(msgspec.Struct, frozen=True, omit_defaults=True):
    """An exception with its frames in the order of the text, and its causes, nearest first.

    `inner` has the members of a group, or the exceptions that this one suppressed, each with its own causes.
    """

    type: str | None
    value: str | None
    frames: list[Frame]
    chained: list[ParsedException] = msgspec.field(default_factory=list)
    inner: list[ParsedException] = msgspec.field(default_factory=list)


@dataclass(slots=True)
class Draft:
    """An exception while it is parsed; the head is the text of its type and message.

    Each item of `inner` is an exception followed by its causes.
    """

    head: list[str] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    inner: list[list[Draft]] = field(default_factory=list)
    type: str | None = None


Read = Callable[[Draft], tuple[str | None, str | None]]


def split_lines(stack: str) -> list[str]:
    """Split a text at LF or CRLF into at most MAX_LINES lines.

    Does not use `str.splitlines`, which also splits at form feeds and U+2028: messages contain these.
    """
    half = MAX_LINES // 2
    lines = stack.split("\n", half)
    if len(lines) > half:
        lines[half:] = lines[half].rsplit("\n", half)[-half:]
    return [line.removesuffix("\r") for line in lines]


def is_number(text: str) -> bool:
    """Return whether a text consists of ASCII digits."""
    return text.isascii() and text.isdigit()


def to_int(text: str) -> int | None:
    """Parse a number of at most 63 bits, or return None: larger ones break JSON readers, or `int` itself."""
    if not is_number(text) or len(text) > _MAX_DIGITS:
        return None
    number = int(text)
    return number if number <= _MAX_INT else None


def indent(line: str) -> int:
    """Return the number of leading white space characters."""
    return len(line) - len(line.lstrip())


def head_reader(typed: re.Pattern[str], later: re.Pattern[str]) -> Read:
    """Return the reader of heads that `read_head` parses with these patterns."""
    return lambda draft: read_head(draft.head, typed, later)


def read_head(
    lines: list[str], typed: re.Pattern[str], later: re.Pattern[str]
) -> tuple[str | None, str | None]:
    """Parse type and message from the lines of a head; both patterns have groups `type` and `value`.

    The head begins at the first non-blank line if that matches `typed`. Otherwise that line is a log line or
    source code, and the head begins at the first line that matches `later`. Without a match, all lines are
    the message.
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


def typed_head(draft: Draft) -> tuple[str | None, str | None]:
    """Return the type that a parser has set, and the lines of the head as the message."""
    return draft.type, "\n".join(draft.head).strip() or None


def assemble(drafts: Iterable[Draft], read: Read = typed_head, depth: int = 0) -> ParsedException:
    """Build the exception from drafts: the main exception first, then its causes, nearest first."""
    main, *causes = (
        ParsedException(
            *read(draft),
            frames=_both_ends(draft.frames),
            inner=[
                assemble(chain, read, depth + 1) for chain in draft.inner[:MAX_INNER] if depth < MAX_DEPTH
            ],
        )
        for draft in list(drafts)[: MAX_CHAINED + 1]
    )
    return ParsedException(main.type, main.value, main.frames, causes, main.inner)


def _both_ends(frames: list[Frame]) -> list[Frame]:
    if len(frames) <= MAX_FRAMES:
        return frames
    half = MAX_FRAMES // 2
    return frames[:half] + frames[-half:]
