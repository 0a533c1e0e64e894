"""Parser of stack traces; each module has one language or family of runtimes."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from vigilry_ingest.api.schemas.stack.dotnet import parse_dotnet
from vigilry_ingest.api.schemas.stack.elixir import parse_elixir
from vigilry_ingest.api.schemas.stack.frames import (
    MAX_CHAINED,
    MAX_DEPTH,
    MAX_FRAMES,
    MAX_INNER,
    MAX_LENGTH,
    MAX_LINES,
    Frame,
    ParsedException,
    split_lines,
)
from vigilry_ingest.api.schemas.stack.gecko import parse_gecko
from vigilry_ingest.api.schemas.stack.go import parse_go
from vigilry_ingest.api.schemas.stack.java import parse_java
from vigilry_ingest.api.schemas.stack.javascript import parse_javascript
from vigilry_ingest.api.schemas.stack.php import parse_php
from vigilry_ingest.api.schemas.stack.python import parse_python
from vigilry_ingest.api.schemas.stack.ruby import parse_ruby
from vigilry_ingest.api.schemas.stack.rust import parse_rust

__all__ = [
    "MAX_CHAINED",
    "MAX_DEPTH",
    "MAX_FRAMES",
    "MAX_INNER",
    "MAX_LENGTH",
    "MAX_LINES",
    "Frame",
    "ParsedException",
    "parse_stack",
]


class _Format(NamedTuple):
    """A parser, what one line of its traces contains, and what the first line of most of them matches."""

    parse: Callable[[list[str]], ParsedException | None]
    marks: tuple[str, ...]
    first: re.Pattern[str]


_FORMATS = (
    _Format(parse_go, ("goroutine ",), re.compile(r"panic: |fatal error: |goroutine [0-9]")),
    _Format(parse_rust, (" panicked at ", "tack backtrace:"), re.compile(r"thread '")),
    _Format(parse_elixir, ("** (",), re.compile(r"\*\* \(")),
    _Format(
        parse_ruby,
        (":in `", ":in '"),
        re.compile(r"[^\s:]+:[0-9]+:in [`']|Traceback \(most recent call last\):"),
    ),
    _Format(parse_php, ("#0 ",), re.compile(r"(?:PHP )?Fatal error: |#0 ")),
    _Format(parse_python, ("File ", "Traceback "), re.compile(r"Traceback |\+ Exception Group |File ")),
    _Format(
        parse_javascript,
        ("at ",),
        re.compile(r"(?:error: )?Uncaught |\[?[\w$.]*(?:Error|Exception)(?: \[[^\]]*\])?(?::|$)"),
    ),
    _Format(parse_java, ("at ",), re.compile(r'Exception in thread "|[^\W\d][\w$]*+\.[\w$.]++(?::|$)')),
    _Format(parse_dotnet, ("at ",), re.compile(r"(?i:unhandled exception)|[^\W\d]\w*+\.[\w.`+]++(?::|$)")),
    _Format(parse_gecko, ("@",), re.compile(r"[^\s@]*@")),
)


def parse_stack(stack: str) -> ParsedException | None:
    """Parse a stack trace, or return None if it has none of the formats or is over MAX_LENGTH. Never raises.

    Time and memory are linear in the length of the text. Reads at most MAX_LINES lines, and keeps at most
    MAX_FRAMES frames per exception, MAX_CHAINED causes and MAX_INNER members of a group. Line and column
    numbers over 63 bits are omitted.
    """
    if len(stack) > MAX_LENGTH:
        return None
    lines = split_lines(stack)
    first = next((line.strip() for line in lines if line.strip()), "")
    for parse in _parsers_for(stack, first):
        parsed = parse(lines)
        if parsed is not None:
            return parsed
    return None


def _parsers_for(stack: str, first: str) -> list[Callable[[list[str]], ParsedException | None]]:
    """Return the parsers in the order to try them, because a message can quote a trace of another format.

    Spark's Java exceptions quote Python tracebacks, its Python exceptions quote Java traces, and errors of
    failed commands in Node quote either. The first line shows which format the outer trace has.
    """
    possible = [each for each in _FORMATS if any(mark in stack for mark in each.marks)]
    return [each.parse for each in sorted(possible, key=lambda each: each.first.match(first) is None)]
