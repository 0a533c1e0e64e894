"""Stack traces of the JVM: Java, Kotlin, Scala and others."""

from __future__ import annotations

import re

from vigilry_ingest.api.schemas.stack.frames import (
    Draft,
    Frame,
    ParsedException,
    assemble,
    head_reader,
    indent,
    is_number,
    to_int,
)

_THREAD = r'(?:Exception in thread ".*" )?'
_VALUE = r"(?::(?: (?P<value>.*))?)?"
_TYPED = re.compile(_THREAD + r"(?P<type>[^\W\d][\w$.]*+)" + _VALUE)
_LATER = re.compile(_THREAD + r"(?P<type>[^\W\d][\w$]*+\.[\w$.]++)" + _VALUE)
_OMITTED = re.compile(r"\.\.\. [0-9]+ (?:more|common frames omitted)$")

_HEAD = head_reader(_TYPED, _LATER)

_SUPPRESSED = "Suppressed"
_WRAPPED_BY = "Wrapped by"
_HEADERS = ("Caused by: ", "Suppressed: ", "Wrapped by: ")
_CIRCULAR = "[CIRCULAR REFERENCE"

# The JVM writes these instead of a file name.
_NO_FILE = {"Native Method", "Unknown Source", "<generated>"}


def parse_java(lines: list[str]) -> ParsedException | None:
    """Parse a JVM stack trace, or return None if no line is a frame.

    The first exception is the main one, or in a trace with the root cause first, the last one.
    """
    reader = _Reader(next((indent(line) for line in lines if line.strip()), 0))
    for line in lines:
        reader.take(line)
    if not reader.found:
        return None
    return assemble(reversed(reader.main) if reader.wrapped else reader.main, _HEAD)


class _Reader:
    """Assigns each line to the exception that it belongs to."""

    def __init__(self, base: int) -> None:
        self.main = [Draft()]
        self.found = self.wrapped = False
        # The open chains with their indentation: that of the main exception, and of suppressed ones in it.
        self.chains = [(base, self.main)]
        # The exception that the next line belongs to, or None behind its last frame.
        self.open: Draft | None = self.main[0]

    def take(self, line: str) -> None:
        text = line.strip()
        if text.startswith(_HEADERS):
            self._take_header(text, indent(line))
        elif frame := self._frame(line, text):
            self.found = self.found or "." in (frame.function or "")
            if self.open is not None:
                self.open.frames.append(frame)
        elif _OMITTED.match(text):
            # Only the head of a cause whose frames are all omitted ends here.
            if self.open is not None and not self.open.frames:
                self.open = None
        elif self.open is not None:
            if not self.open.frames:
                self.open.head.append(line)
            elif text:
                self.open = None

    def _frame(self, line: str, text: str) -> Frame | None:
        if not text.startswith("at "):
            return None
        # The JVM indents frames with a tab, which messages rarely do.
        unknown = line.startswith("\t") or (self.open is not None and bool(self.open.frames))
        return read_frame(text) or (Frame(text[3:]) if unknown and text[3:] else None)

    def _take_header(self, text: str, depth: int) -> None:
        kind, _, head = text.partition(": ")
        draft = Draft(head=[head])
        # If a log stripped the indentation, the cause is ambiguous, and most likely the main exception's.
        flat = depth <= self.chains[0][0]
        while len(self.chains) > 1 and (
            flat or self.chains[-1][0] > depth or (kind == _SUPPRESSED and self.chains[-1][0] == depth)
        ):
            self.chains.pop()
        self.open = draft
        if kind == _SUPPRESSED:
            chain = [draft]
            self.chains[-1][1][-1].inner.append(chain)
            self.chains.append((depth, chain))
        elif head.startswith(_CIRCULAR):
            self.open = None
        else:
            self.wrapped = self.wrapped or kind == _WRAPPED_BY
            self.chains[-1][1].append(draft)


def read_frame(text: str) -> Frame | None:
    """Parse a frame, which starts with `at `, or return None if it has another form."""
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
