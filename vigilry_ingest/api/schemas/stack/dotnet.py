"""Stack traces of .NET and Mono."""

from __future__ import annotations

import re

from vigilry_ingest.api.schemas.stack.frames import Draft, Frame, ParsedException, assemble, to_int

_FRAME = re.compile(
    r"at (?P<function>[^\s(](?:[^(]*[^\s(])?) ?\((?P<arguments>[^)]*+(?:\)(?! in |$| \[)[^)]*+)*+)\)"
    r"(?: \[0x[0-9a-f]+\])?(?: in (?P<file>.+):(?:line )?(?P<line>[0-9]+))?"
)
_TYPE = r"[A-Za-z_][\w+`]*+(?:\.[\w+`]++)*+"
_INNER = re.compile(rf" ?---> (?={_TYPE}(?:\[[^\]]*\])?(?:: |$| \())")
_MEMBER = re.compile(r"\s*---> \(Inner Exception #[0-9]+\) (.*)")
_TYPED = re.compile(rf"(?P<type>{_TYPE}(?:\[[^\]]*\])?)(?: \([^)]*\))?(?::(?: (?P<value>.*))?)?")
_UNHANDLED = re.compile(r"^(?:\[ERROR\] FATAL )?(?i:unhandled exception)[.:] *")
_END_OF_INNER = "--- End of inner exception stack trace ---"


def parse_dotnet(lines: list[str]) -> ParsedException | None:
    """Parse a stack trace, or return None if no line is a frame.

    .NET writes the frames of the innermost exception first, below the heads of all.
    """
    reader = _Reader()
    for line in lines:
        reader.take(line.rstrip())
    return assemble(reader.main, _read_head) if reader.found else None


class _Reader:
    """Assigns each line to the exception that it belongs to."""

    def __init__(self) -> None:
        self.main = self.chain = [Draft()]
        self.found = self.ended = False
        # The exception of the chain that the next frame belongs to.
        self.current = 0

    def take(self, line: str) -> None:
        text = line.strip()
        closed = text.endswith("<---")
        text = text.removesuffix("<---").rstrip()
        if member := _MEMBER.fullmatch(text):
            self._open_member(member[1])
        elif text == _END_OF_INNER:
            self.current = max(self.current - 1, 0)
        elif text.startswith("at ") and "(" in text and (frame := self._frame(text)):
            if not self.ended:
                self.chain[self.current].frames.append(frame)
        elif text.startswith("--- End of stack trace from previous location"):
            pass
        elif not self.chain[self.current].frames and not self.ended:
            self._take_head(line if not closed else text)
        elif text:
            self.ended = True
        if closed:
            self.ended = True

    def _frame(self, text: str) -> Frame | None:
        found = _FRAME.fullmatch(text)
        if found and ("." in found["function"]):
            self.found = True
            file = found["file"]
            if file is None or (file.startswith("<") and file.endswith(">")):
                return Frame(found["function"])
            return Frame(found["function"], file, to_int(found["line"]))
        return Frame(text[3:]) if self.chain[self.current].frames and text[3:] else None

    def _take_head(self, line: str) -> None:
        first, *inner = _INNER.split(_UNHANDLED.sub("", line))
        if first.strip() or not inner:
            self.chain[self.current].head.append(first)
        for head in inner:
            self.chain.append(Draft([head]))
        self.current = len(self.chain) - 1

    def _open_member(self, head: str) -> None:
        self.chain = [Draft()]
        self.main[0].inner.append(self.chain)
        self.current, self.ended = 0, False
        self._take_head(head)


def _read_head(draft: Draft) -> tuple[str | None, str | None]:
    """Parse type and message; the head begins at the first line that begins with a qualified name."""
    for number, line in enumerate(draft.head):
        found = _TYPED.fullmatch(line.strip())
        if found and ("." in found["type"] or found["type"].endswith(("Exception", "Error"))):
            return found["type"], "\n".join([found["value"] or "", *draft.head[number + 1 :]]).strip() or None
    return None, "\n".join(draft.head).strip() or None
