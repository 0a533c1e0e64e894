"""Tracebacks of Python, including chained exceptions, SyntaxError and exception groups."""

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
    """Parse a traceback, or return None if the text has neither its first line nor a `File` line.

    The last exception is the main one. The members of a group are not causes, and are skipped.
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
    """Remove the indentation that a log put before every line."""
    first = next((line for line in lines if line.strip() in (_TRACEBACK, _GROUP)), _TRACEBACK)
    # The first line of a group is indented by two columns.
    prefix = first[: max(first.index("+") - 2, 0)] if _GROUP in first else first[: first.index("T")]
    return [line.removeprefix(prefix) for line in lines] if prefix else lines


def _outer_lines(lines: list[str]) -> Iterator[str]:
    """Yield all lines except those of group members; a group's own lines lose their margin."""
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
    """Return the index of the first line of the traceback, or of the `File` line of a SyntaxError."""
    for number, line in enumerate(block):
        if line.startswith(_TRACEBACK) or _FILE.fullmatch(line):
            return number
    return None


def _bare_exception(block: list[str]) -> Draft | None:
    """Parse a cause that was never raised, which Python prints without a traceback."""
    first = next((number for number, line in enumerate(block) if line.strip()), None)
    if first is None or not _TYPED.fullmatch(block[first]):
        return None
    return Draft(head=block[first:])


def _read_traceback(block: list[str]) -> Draft | None:
    draft = Draft()
    for line in block:
        if draft.head:
            # A message can contain anything, even another traceback; it ends with the block.
            draft.head.append(line)
        elif found := _FILE.fullmatch(line):
            draft.frames.append(Frame(found[3] or None, found[1] or None, to_int(found[2])))
        elif line and not line[0].isspace() and not line.startswith(_TRACEBACK):
            draft.head.append(line)
    return draft if draft.head or draft.frames else None
