"""Tracebacks of Python, including chained exceptions, SyntaxError and exception groups."""

from __future__ import annotations

import re

from vigilry_ingest.api.schemas.stack.frames import (
    MAX_DEPTH,
    MAX_INNER,
    Draft,
    Frame,
    ParsedException,
    assemble,
    head_reader,
    to_int,
)
from vigilry_ingest.api.schemas.stack.python_groups import GROUP, TRACEBACK, Block, read_blocks

_FILE = re.compile(r'\s*File "(.*?)", line ([0-9]+)(?:, in (.*))?')
_TYPED = re.compile(r"(?P<type>[^\W\d][\w.<>]*+)(?::(?: (?P<value>.*))?)?")
_HEAD = head_reader(_TYPED, _TYPED)


def parse_python(lines: list[str]) -> ParsedException | None:
    """Parse a traceback, or return None if the text has neither its first line nor a `File` line.

    The last exception is the main one.
    """
    blocks = read_blocks(_dedent(lines))
    if all(_find_start(block.lines) is None for block in blocks):
        return None
    drafts = _drafts(blocks, 0)
    return assemble(drafts, _HEAD) if drafts else None


def _drafts(blocks: list[Block], depth: int) -> list[Draft]:
    """Return the exceptions of a chain, the last one first, with the members of groups in them."""
    drafts = []
    for block in blocks:
        start = _find_start(block.lines)
        draft = _bare_exception(block.lines) if start is None else _read_traceback(block.lines[start:])
        if draft:
            if depth < MAX_DEPTH:
                members = (_drafts(member, depth + 1) for member in block.members[:MAX_INNER])
                draft.inner = [chain for chain in members if chain]
            drafts.append(draft)
    return drafts[::-1]


def _dedent(lines: list[str]) -> list[str]:
    """Remove the indentation that a log put before every line."""
    first = next((line for line in lines if line.strip() in (TRACEBACK, GROUP)), TRACEBACK)
    # The first line of a group is indented by two columns.
    prefix = first[: max(first.index("+") - 2, 0)] if GROUP in first else first[: first.index("T")]
    return [line.removeprefix(prefix) for line in lines] if prefix else lines


def _find_start(block: list[str]) -> int | None:
    """Return the index of the first line of the traceback, or of the `File` line of a SyntaxError."""
    for number, line in enumerate(block):
        if line.startswith(TRACEBACK) or _FILE.fullmatch(line):
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
        elif line and not line[0].isspace() and not line.startswith(TRACEBACK):
            draft.head.append(line)
    return draft if draft.head or draft.frames else None
