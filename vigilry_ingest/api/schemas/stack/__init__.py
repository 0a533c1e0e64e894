"""The room where the raw text of an error's stack trace becomes frames: V8/JavaScript, Python and Java."""

from __future__ import annotations

import re
from collections.abc import Callable

from vigilry_ingest.api.schemas.stack.frames import (
    MAX_CHAINED,
    MAX_FRAMES,
    MAX_LINES,
    Frame,
    ParsedException,
    split_lines,
)
from vigilry_ingest.api.schemas.stack.java import parse_java
from vigilry_ingest.api.schemas.stack.javascript import parse_javascript
from vigilry_ingest.api.schemas.stack.python import parse_python

__all__ = ["MAX_CHAINED", "MAX_FRAMES", "MAX_LINES", "Frame", "ParsedException", "parse_stack"]

_JAVA_FIRST = re.compile(r'Exception in thread "|[^\W\d][\w$]*+\.[\w$.]++(?::|$)')
_JAVASCRIPT_FIRST = re.compile(r"Uncaught |\[?[\w$.]*(?:Error|Exception)(?: \[[^\]]*\])?(?::|$)")


def parse_stack(stack: str) -> ParsedException | None:
    """Parse the text of a stack trace, or return None when it is none of the three forms; never raises.

    Time and memory are linear in the text. At most MAX_LINES lines are read, and MAX_FRAMES frames per
    exception and MAX_CHAINED causes are kept. Line and column numbers over 63 bits are absent.
    """
    lines = split_lines(stack)
    for parse in _order(next((line.strip() for line in lines if line.strip()), "")):
        parsed = parse(lines)
        if parsed is not None:
            return parsed
    return None


def _order(first: str) -> tuple[Callable[[list[str]], ParsedException | None], ...]:
    """Choose which form to try first: the message of one form often quotes a trace of another.

    Spark's Java exceptions quote Python tracebacks and its Python exceptions quote Java traces; Node's failed
    commands quote either. The first line tells whose message it is.
    """
    if _JAVA_FIRST.match(first):
        return parse_java, parse_javascript, parse_python
    if _JAVASCRIPT_FIRST.match(first):
        return parse_javascript, parse_java, parse_python
    return parse_python, parse_javascript, parse_java
