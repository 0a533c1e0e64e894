"""The tree of exceptions in a Python traceback: chains, and the members of exception groups."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

TRACEBACK = "Traceback (most recent call last):"
GROUP = f"+ Exception Group {TRACEBACK}"
_CONNECTORS = {
    "The above exception was the direct cause of the following exception:",
    "During handling of the above exception, another exception occurred:",
}
_FIRST_MEMBER = re.compile(r"\+-\+-+ \S+ -+")
_NEXT_MEMBER = re.compile(r"\+-+ \S+ -+")


@dataclass(slots=True)
class Block:
    """The lines of one exception, without their margin, and the chains of blocks of its members."""

    lines: list[str] = field(default_factory=list)
    members: list[list[Block]] = field(default_factory=list)


@dataclass(slots=True)
class _Chain:
    """An open chain of exceptions; the column is that of its margin, or None without one."""

    column: int | None
    blocks: list[Block] = field(default_factory=lambda: [Block()])


def read_blocks(lines: Iterable[str]) -> list[Block]:
    """Split the lines of a traceback into the exceptions of its chain, in the order of the text."""
    outer = _Chain(None)
    open_chains = [outer]
    for line in lines:
        text = line.lstrip(" ")
        column = len(line) - len(text)
        if outer.column is None:
            if text.rstrip() == GROUP:
                outer.column, text = column, TRACEBACK
            _add(outer, text if text == TRACEBACK else line)
        elif text[:1] in {"|", "+"} and column >= outer.column:
            _take(open_chains, text, column)
        elif line in _CONNECTORS:
            del open_chains[1:]
            outer.column = None
            _add(outer, line)
        else:
            # Python writes no margin before the further lines of a message.
            _add(open_chains[-1], line)
    return outer.blocks


def _take(open_chains: list[_Chain], text: str, column: int) -> None:
    while len(open_chains) > 1 and column < (open_chains[-1].column or 0):
        open_chains.pop()
    chain = open_chains[-1]
    if text[0] == "|":
        content = text[2:]
        _add(chain, TRACEBACK if content.strip() == GROUP[2:] else content)
    elif column == chain.column and _FIRST_MEMBER.fullmatch(text):
        _open_member(open_chains, chain, column + 2)
    elif column == chain.column and len(open_chains) > 1 and _NEXT_MEMBER.fullmatch(text):
        open_chains.pop()
        _open_member(open_chains, open_chains[-1], column)


def _open_member(open_chains: list[_Chain], group: _Chain, column: int) -> None:
    member = _Chain(column)
    group.blocks[-1].members.append(member.blocks)
    open_chains.append(member)


def _add(chain: _Chain, line: str) -> None:
    if line.strip() in _CONNECTORS:
        chain.blocks.append(Block())
    else:
        chain.blocks[-1].lines.append(line)
