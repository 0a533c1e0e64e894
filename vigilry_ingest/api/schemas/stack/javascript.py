"""Stack traces of V8, Hermes, Deno and Bun, including what Node prints around an error, such as `[cause]`."""

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

_UNCAUGHT = (
    r"(?i:(?:error: (?=Uncaught ))?"
    r"(?:Uncaught (?:exception:? )?(?:\(in promise\):? )?|Unhandled (?:promise )?rejection:? )?)"
)
# Node appends the error's code, or the class that it extends, to the name.
_REST = r"(?: \[[^\]]*\])?(?::(?: (?P<value>.*))?)?"

# Without a colon only a capitalised word is a type; otherwise every one-word message would be one. A name of
# several words is a type only if each is capitalised, as in React's "Invariant Violation".
_NAME = r"(?=[A-Z]|[^:]*:)(?P<type>[^\W\d][\w$.\-]*+(?: [A-Z][\w$.\-]*+){0,2})"
TYPED = re.compile(_UNCAUGHT + _NAME + _REST)
_LATER = re.compile(_UNCAUGHT + r"(?P<type>[\w$.\-]*+(?:(?<=Error)|(?<=Exception)))" + _REST)
_CAUSE = re.compile(r"\s*(?:\[cause\]|cause|caused by): (.*)", re.IGNORECASE)

_CARET = re.compile(r" *\^+")

# V8 writes these instead of a file name.
_NO_FILE = {"<anonymous>", "native", "native code", "unknown", "unknown location"}

# Node abbreviates values that are not errors to these.
_NOT_ERRORS = {"Object", "Array", "Function", "Circular"}

# The line before an "at" line of a Rust backtrace.
_RUST_FUNCTION = re.compile(r"\s*[0-9]++: ")

_MAX_LOCATION_LENGTH = 4096
_MAX_PARENTHESES = 8

_Location = tuple[str | None, int | None, int | None]


def parse_javascript(lines: list[str]) -> ParsedException | None:
    """Parse a V8 stack trace, or return None if no line is a frame.

    Function names include `new` and `[as alias]`, but not `async`. The members of an AggregateError are not
    causes, and are skipped.
    """
    reader = _Reader()
    for line in lines:
        reader.take(line)
    return assemble(reader.drafts, head_reader(TYPED, _LATER)) if reader.found else None


class _Reader:
    """Assigns each line to the exception that it belongs to."""

    def __init__(self) -> None:
        self.drafts = [Draft()]
        self.found = False
        # The exception that the next line belongs to; None within properties that Node prints after one.
        self.open: Draft | None = self.drafts[0]
        # The indentation of these properties, or None until the first of them is read.
        self.depth: int | None = 0
        # Whether the head of the open exception begins with a type.
        self.named = False
        self.previous = ""
        self.ended = False

    def take(self, line: str) -> None:
        text = line.lstrip()
        if self.depth is None and text:
            self.depth = len(line) - len(text)
        if text.startswith("at ") and (frame := self._frame(line)):
            self._take_frame(line.rstrip(), frame)
        elif not self._take_cause(line) and self.open is not None:
            if not self.open.frames:
                self._take_head(line, self.open)
            elif text and not text.startswith("..."):
                # Frames behind a line that is unknown can be those of another exception.
                self.open = self.depth = None
                self.ended = True
        self.previous = line

    def _frame(self, line: str) -> Frame | None:
        if frame := _read_frame(line):
            return None if _RUST_FUNCTION.match(self.previous) else frame
        text = line.strip()[3:]
        return Frame(text) if text and self.open is not None and self.open.frames else None

    def _take_frame(self, line: str, frame: Frame) -> None:
        self.found = True
        if self.open is None:
            return
        self.open.frames.append(frame)
        if line.endswith(" {"):
            self.open, self.depth = None, None
        elif line.endswith(",") and len(self.drafts) > 1:
            self.open = None

    def _take_cause(self, line: str) -> bool:
        cause = None if self.ended else _CAUSE.fullmatch(line)
        if cause is None:
            return False
        # Before the first frame the line is part of the message; a deeper one belongs to another property.
        is_cause = indent(line) == self.depth if self.open is None else bool(self.open.frames)
        error = TYPED.fullmatch(_unwrap(cause[1]) or cause[1])
        if not is_cause or error is None or error["type"] in _NOT_ERRORS:
            return False
        self.drafts.append(Draft())
        self.open = self.drafts[-1]
        self._take_head(cause[1], self.open)
        return True

    def _take_head(self, line: str, draft: Draft) -> None:
        bare, block = _unwrap(line), line.endswith(" {")
        if not draft.head:
            self.named = TYPED.fullmatch(line.strip()) is not None
        elif self.named or not block:
            # Such a line is the head only after the source code that a crash prints; otherwise it is message.
            bare = None
        if bare is not None:
            draft.head[:] = [bare]
            if block:
                self.depth = None
            if block or len(self.drafts) > 1:
                self.open = None
        elif draft.head and _CARET.fullmatch(line) and draft.head[0].startswith("error: Uncaught "):
            # Deno prints the line of source code between the message and the frames.
            draft.head[1:] = draft.head[1:-1]
        elif draft.head or line.strip():
            draft.head.append(_without_indent(line, self.depth or 0))


def _without_indent(line: str, depth: int) -> str:
    """Remove an indentation of spaces, if the line has it; takes no longer than the line is."""
    return line[depth:] if len(line) >= depth and not line[:depth].strip(" ") else line


def _unwrap(line: str) -> str | None:
    """Return the text in the brackets that Node prints around an error without frames, or None."""
    text = line.strip().removesuffix(",").removesuffix(" {")
    return text[1:-1] if text.startswith("[") and text.endswith("]") else None


def _read_frame(line: str) -> Frame | None:
    text = line.strip()[3:].removesuffix(" {").removesuffix(",").strip().removeprefix("async ")
    if text == "<anonymous>":
        return Frame(function=text)
    if not text.endswith(")"):
        location = _read_location(text)
        return None if location is None or location[0] is None else Frame(None, *location)
    if "(" not in text:
        return None
    # The first position is for paths with balanced parentheses, the second for paths with a single one.
    for start in (_last_opening(text), text.find(" (") + 1):
        if start > 1 and text[start - 1] == " ":
            location = _read_location(text[start + 1 : -1])
            if location is not None:
                return Frame(text[: start - 1], *location)
    return None


def _last_opening(text: str) -> int:
    """Return the position of the parenthesis that the last one closes, or -1 if it is too far away."""
    depth = 0
    start, end = max(len(text) - _MAX_LOCATION_LENGTH, 0), len(text)
    for _ in range(_MAX_PARENTHESES):
        position = max(text.rfind("(", start, end), text.rfind(")", start, end))
        if position < 0:
            break
        depth += 1 if text[position] == ")" else -1
        if depth == 0:
            return position
        end = position
    return -1


def _read_location(text: str) -> _Location | None:
    """Parse file, line and column, or return None if the text is no location, such as a time of day."""
    if text in _NO_FILE or (text.startswith("index ") and is_number(text[6:])):
        return None, None, None
    if text.startswith("eval at "):
        text = _eval_origin(text)
    file, wasm, _ = text.partition(":wasm-function[")
    if wasm:
        return file or None, None, None
    file, _, numbers = text.removeprefix("address at ").rpartition(":")
    file, _, line = file.rpartition(":")
    if not file or not is_number(line) or not is_number(numbers):
        return None
    if file[0].isdigit() and "/" not in file and "\\" not in file:
        return None
    return file, to_int(line), to_int(numbers)


def _eval_origin(text: str) -> str:
    """Return the location of evaluated code: its own if it has a name, else that of the outer `eval`."""
    own = text[text.rfind(", ") + 2 :]
    if not own.startswith("<anonymous>"):
        return own
    start = text.find(" (", text.rfind("eval at ")) + 2
    end = text.find("), ", start)
    return text[start:end] if start > 1 and end > start else own
