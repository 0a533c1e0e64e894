"""The room of V8's stacks: Node, Chrome, and what Node prints around an error, such as `[cause]` blocks."""

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

_UNCAUGHT = r"(?i:Uncaught (?:exception:? )?(?:\(in promise\):? )?|Unhandled (?:promise )?rejection:? )?"
# Node puts the error's code, or the class that it extends, behind the name.
_REST = r"(?: \[[^\]]*\])?(?::(?: (?P<value>.*))?)?"

# Without a colon only a capitalised word is a type, or every one-word message would be; and a name of several
# words is a type only when each is capitalised, as in React's "Invariant Violation".
_NAME = r"(?=[A-Z]|[^:]*:)(?P<type>[^\W\d][\w$.\-]*+(?: [A-Z][\w$.\-]*+){0,2})"
_TYPED = re.compile(_UNCAUGHT + _NAME + _REST)
_LATER = re.compile(_UNCAUGHT + r"(?P<type>[\w$.\-]*(?:Error|Exception))" + _REST)
_CAUSE = re.compile(r"\s*(?:\[cause\]|cause|caused by): (.*)", re.IGNORECASE)

# V8 writes these in the place of a file when there is none.
_NOWHERE = {"<anonymous>", "native", "native code", "unknown location"}

# Node shortens values that are no errors to these.
_NO_ERRORS = {"Object", "Array", "Function", "Circular"}

_Place = tuple[str | None, int | None, int | None]


def parse_javascript(lines: list[str]) -> ParsedException | None:
    """Parse a V8 stack, or return None when no line is one of its frames.

    `async` is not part of a function's name, `new` and `[as alias]` are. The members of an AggregateError are
    not causes, and are passed over.
    """
    reader = _Reader()
    for line in lines:
        reader.take(line)
    return assemble(reader.drafts, _TYPED, _LATER) if reader.found else None


class _Reader:
    """Give each line to the exception that it belongs to."""

    def __init__(self) -> None:
        self.drafts = [Draft()]
        self.found = False
        # The exception that takes the next line, or None among the properties that Node prints behind one.
        self.open: Draft | None = self.drafts[0]
        # How far those properties are indented, or None until the first of them tells.
        self.depth: int | None = 0
        # Whether the first line of the open exception's head names a type.
        self.named = False

    def take(self, line: str) -> None:
        if self.depth is None and line.strip():
            self.depth = indent(line)
        if frame := _read_frame(line):
            self._take_frame(line.rstrip(), frame)
        elif not self._take_cause(line) and self.open is not None and not self.open.frames:
            self._take_head(line, self.open)

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
        cause = _CAUSE.fullmatch(line)
        if cause is None:
            return False
        # Before the first frame such a line is message; a deeper one is the cause of another property.
        ours = indent(line) == self.depth if self.open is None else bool(self.open.frames)
        error = _TYPED.fullmatch(_unwrap(cause[1]) or cause[1])
        if not ours or error is None or error["type"] in _NO_ERRORS:
            return False
        self.drafts.append(Draft())
        self.open = self.drafts[-1]
        self._take_head(cause[1], self.open)
        return True

    def _take_head(self, line: str, draft: Draft) -> None:
        bare, block = _unwrap(line), line.endswith(" {")
        if not draft.head:
            self.named = _TYPED.fullmatch(line.strip()) is not None
        elif self.named or not block:
            # Only behind the source that a crash quotes is such a line the head; else it is message.
            bare = None
        if bare is not None:
            draft.head[:] = [bare]
            if block:
                self.depth = None
            if block or len(self.drafts) > 1:
                self.open = None
        elif draft.head or line.strip():
            draft.head.append(line.removeprefix(" " * (self.depth or 0)))


def _unwrap(line: str) -> str | None:
    """Take off the brackets that Node prints around an error without frames, behind which is no message."""
    text = line.strip().removesuffix(",").removesuffix(" {")
    return text[1:-1] if text.startswith("[") and text.endswith("]") else None


def _read_frame(line: str) -> Frame | None:
    text = line.strip()
    if not text.startswith("at "):
        return None
    text = text[3:].removesuffix(" {").removesuffix(",").strip().removeprefix("async ")
    if text == "<anonymous>":
        return Frame(function=text)
    if not text.endswith(")"):
        place = _read_place(text)
        return None if place is None or place[0] is None else Frame(None, *place)
    # The first try stands for paths with a pair of parentheses, the second for paths with a single one.
    for start in (_last_opening(text), text.find(" (") + 1):
        if start > 1 and text[start - 1] == " ":
            place = _read_place(text[start + 1 : -1])
            if place is not None:
                return Frame(text[: start - 1], *place)
    return None


def _last_opening(text: str) -> int:
    """Find the parenthesis that the one at the end closes."""
    depth = 0
    for position in range(len(text) - 1, -1, -1):
        if text[position] == ")":
            depth += 1
        elif text[position] == "(":
            depth -= 1
            if depth == 0:
                return position
    return -1


def _read_place(text: str) -> _Place | None:
    """Read file, line and column; a text that is no place at all, such as a time of day, gives None."""
    if text in _NOWHERE or (text.startswith("index ") and is_number(text[6:])):
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
    """Choose the place of evaluated code: its own if it has a name, else that of the outermost `eval`."""
    own = text[text.rfind(", ") + 2 :]
    if not own.startswith("<anonymous>"):
        return own
    start = text.find(" (", text.rfind("eval at ")) + 2
    end = text.find("), ", start)
    return text[start:end] if start > 1 and end > start else own
