"""The room of Python's tracebacks: chained ones, SyntaxError's extra line, and exception groups."""

from __future__ import annotations

import re
from collections.abc import Iterator

from vigilry_ingest.api.schemas.stack.frames import Draft, Frame, ParsedException, assemble, to_int

_TRACEBACK = "Traceback (most recent call last):"
_GROUP = f"+ Exception Group {_TRACEBACK}"
_CONNECTORS = {
    "The above exception was the direct cause of the following exception:",
    "During handling of the above exception, another exception occurred:",
}
_FILE = re.compile(r'\s*File "(.*?)", line ([0-9]+)(?:, in (.*))?')
_TYPED = re.compile(r"(?P<type>[^\W\d][\w.<>]*+)(?::(?: (?P<value>.*))?)?")


def parse_python(lines: list[str]) -> ParsedException | None:
    """Parse a traceback, or return None when the text has neither a traceback's first line nor a `File` line.

    The last exception is the main one. The members of a group are not causes, and are passed over.
    """
    blocks = _split_at_connectors(_outer_lines(_dedent(lines)))
    starts = [_find_start(block) for block in blocks]
    if all(start is None for start in starts):
        return None
    drafts = [
        draft
        for block, start in zip(blocks, starts, strict=True)
        if (draft := _bare_exception(block) if start is None else _read_traceback(block[start:]))
    ]
    return assemble(reversed(drafts), _TYPED, _TYPED) if drafts else None


def _dedent(lines: list[str]) -> list[str]:
    """Take away the indentation that a log has put before every line."""
    first = next((line for line in lines if line.strip() in (_TRACEBACK, _GROUP)), _TRACEBACK)
    # A group's own first line stands two columns in.
    prefix = first[: max(first.index("+") - 2, 0)] if _GROUP in first else first[: first.index("T")]
    return [line.removeprefix(prefix) for line in lines] if prefix else lines


def _outer_lines(lines: list[str]) -> Iterator[str]:
    """Yield the lines outside of groups, and a group's own without their margin, but not its members'."""
    margin = ""
    for line in lines:
        if not margin and line.strip() == _GROUP:
            margin = line[: line.index("+")] + "|"
            yield _TRACEBACK
        elif not margin:
            yield line
        elif line.startswith(margin):
            yield line[len(margin) + 1 :]
        elif line in _CONNECTORS:
            margin = ""
            yield line


def _split_at_connectors(lines: Iterator[str]) -> list[list[str]]:
    blocks: list[list[str]] = [[]]
    for line in lines:
        if line.strip() in _CONNECTORS:
            blocks.append([])
        else:
            blocks[-1].append(line)
    return blocks


def _find_start(block: list[str]) -> int | None:
    """Find the traceback's first line, or the `File` line that a SyntaxError in a script begins with."""
    for number, line in enumerate(block):
        if line.startswith(_TRACEBACK) or _FILE.fullmatch(line):
            return number
    return None


def _bare_exception(block: list[str]) -> Draft | None:
    """Read a cause that was never raised, of which Python prints no traceback."""
    first = next((number for number, line in enumerate(block) if line.strip()), None)
    if first is None or not _TYPED.fullmatch(block[first]):
        return None
    return Draft(head=block[first:])


def _read_traceback(block: list[str]) -> Draft | None:
    draft = Draft()
    for line in block:
        if draft.head:
            # A message may hold anything, even another traceback, so only the end of the block ends it.
            draft.head.append(line)
        elif found := _FILE.fullmatch(line):
            draft.frames.append(Frame(found[3] or None, found[1] or None, to_int(found[2])))
        elif line and not line[0].isspace() and not line.startswith(_TRACEBACK):
            draft.head.append(line)
    return draft if draft.head or draft.frames else None
