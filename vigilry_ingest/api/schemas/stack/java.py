"""Stack traces of the JVM: Java, Kotlin, Scala and others."""

from __future__ import annotations

import re

from vigilry_ingest.api.schemas.stack.frames import (
    Draft,
    Frame,
    ParsedException,
    assemble,
    indent,
    is_number,
    to_int,
)

_THREAD = r'(?:Exception in thread ".*" )?'
_VALUE = r"(?::(?: (?P<value>.*))?)?"
_TYPED = re.compile(_THREAD + r"(?P<type>[^\W\d][\w$.]*+)" + _VALUE)
_LATER = re.compile(_THREAD + r"(?P<type>[^\W\d][\w$]*+\.[\w$.]++)" + _VALUE)
_OMITTED = re.compile(r"\.\.\. [0-9]+ (?:more|common frames omitted)")

_CAUSED_BY = "Caused by: "
_SUPPRESSED = "Suppressed: "
_CIRCULAR = "[CIRCULAR REFERENCE"

# The JVM writes these instead of a file name.
_NO_FILE = {"Native Method", "Unknown Source", "<generated>"}


def parse_java(lines: list[str]) -> ParsedException | None:
    """Parse a JVM stack trace, or return None if no line is a frame.

    The first exception is the main one. Suppressed exceptions are not causes, and are skipped with their own
    causes.
    """
    drafts = [Draft()]
    ended = found = False
    suppressed: int | None = None
    for line in lines:
        text = line.strip()
        if text.startswith(_SUPPRESSED) and suppressed is None:
            suppressed = indent(line)
        # If a log stripped the indentation, the cause is ambiguous, and most likely the main exception's.
        elif text.startswith(_CAUSED_BY) and (not suppressed or indent(line) < suppressed):
            suppressed = None
            ended = text.startswith(_CAUSED_BY + _CIRCULAR)
            if not ended:
                drafts.append(Draft(head=[text.removeprefix(_CAUSED_BY)]))
        elif frame := _read_frame(text):
            found = True
            if suppressed is None:
                drafts[-1].frames.append(frame)
        elif suppressed is None and not ended and not drafts[-1].frames:
            ended = _OMITTED.fullmatch(text) is not None
            drafts[-1].head.extend([] if ended else [line])
    return assemble(drafts, _TYPED, _LATER) if found else None


def _read_frame(text: str) -> Frame | None:
    if not text.startswith("at "):
        return None
    # Logback appends the jar to the frame: `~[app.jar:1.0]`.
    call, closing, jar = text[3:].rpartition(")")
    name, opening, source = call.rpartition("(")
    if not closing or not opening or "." not in name or name.endswith(" "):
        return None
    if jar and not (jar.startswith((" [", " ~[")) and jar.endswith("]")):
        return None
    location = _read_source(source)
    return None if location is None else Frame(_function_name(name), *location)


def _read_source(source: str) -> tuple[str | None, int | None] | None:
    file, _, number = source.rpartition(":")
    if not is_number(number.removeprefix("-")):
        file, number = source, ""
    if file in _NO_FILE:
        return None, to_int(number)
    if not file or ":" in file or " " in file:
        return None
    return file, to_int(number)


def _function_name(name: str) -> str:
    """Strip the class loader and the module, whose version would make equal frames differ.

    The name of a hidden class contains a slash and a number: `Main$$Lambda$14/0x0000000800c0.run`.
    """
    *before, last = name.rsplit("/", 2)
    return f"{before[-1]}/{last}" if before and last[:1].isdigit() else last
