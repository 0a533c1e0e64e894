"""Parser of stack traces: V8 (JavaScript), Python and the JVM."""

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
    """Parse a stack trace, or return None if the text has none of the three formats. Never raises.

    Time and memory are linear in the length of the text. Reads at most MAX_LINES lines, and keeps at most
    MAX_FRAMES frames per exception and MAX_CHAINED causes. Line and column numbers over 63 bits are omitted.
    """
    lines = split_lines(stack)
    for parse in _parsers_for(next((line.strip() for line in lines if line.strip()), "")):
        parsed = parse(lines)
        if parsed is not None:
            return parsed
    return None


def _parsers_for(first: str) -> tuple[Callable[[list[str]], ParsedException | None], ...]:
    """Return the parsers in the order to try them, because a message can quote a trace of another format.

    Spark's Java exceptions quote Python tracebacks, its Python exceptions quote Java traces, and errors of
    failed commands in Node quote either. The first line shows which format the outer trace has.
    """
    if _JAVA_FIRST.match(first):
        return parse_java, parse_javascript, parse_python
    if _JAVASCRIPT_FIRST.match(first):
        return parse_javascript, parse_java, parse_python
    return parse_python, parse_javascript, parse_java
