"""Stack traces of PHP: of uncaught errors, of exceptions as strings, and of Monolog."""

from __future__ import annotations

import re

from vigilry_ingest.api.schemas.stack.frames import Draft, Frame, ParsedException, assemble, to_int

_UNCAUGHT = r"(?:.*?(?:PHP )?(?:Recoverable |Catchable )?[Ff]atal error: +)?(?:Uncaught )?(?:Next )?"
_TYPED = re.compile(_UNCAUGHT + r"(?P<type>[A-Za-z_\\][\w\\]*+)(?P<colon>: )?(?P<value>.*)")
_WHERE = re.compile(r"(?P<file>\S.*):(?P<line>[0-9]+)")
_MONOLOG = re.compile(
    r".*\[object\] \((?P<type>[\w\\]+)\(code: -?[0-9]+\): (?P<value>.*) at (?P<file>.*?):(?P<line>[0-9]+)\)"
)
_FRAME = re.compile(r"#[0-9]+ (?:\[internal function\]|(?P<file>.+?)\((?P<line>[0-9]+)\)): (?P<call>.*)")
_MAIN = re.compile(r"#[0-9]+ \{main\}.*")
_CLOSURE_END = re.compile(r"\{closure[^}]*\}")
# Its pattern takes the square of the length.
_MAX_MONOLOG_LENGTH = 4096
_BEFORE_FRAMES = {"Stack trace:", "[stacktrace]"}


def parse_php(lines: list[str]) -> ParsedException | None:
    """Parse a stack trace, or return None if the text has no frame.

    PHP writes the first cause first, and the main exception behind the last `Next`.
    """
    drafts = [Draft()]
    found = in_frames = ended = False
    for line in lines:
        if frame := _read_frame(line):
            found = in_frames = True
            if not ended:
                drafts[-1].frames.append(frame)
        elif _MAIN.fullmatch(line):
            found = found or bool(drafts[-1].head)
            in_frames = ended = True
        elif in_frames and line.startswith("Next "):
            drafts.append(Draft([line.removeprefix("Next ")]))
            in_frames = ended = False
        elif in_frames:
            ended = ended or bool(line.strip())
        elif line.strip() not in _BEFORE_FRAMES and (drafts[-1].head or line.strip()):
            drafts[-1].head.append(line)
    if not found:
        return None
    for draft in drafts:
        _read_head(draft)
    return assemble(reversed(drafts))


def _read_head(draft: Draft) -> None:
    """Set type, message and the frame of the `throw`, which the numbered frames do not contain."""
    text = "\n".join(draft.head).rstrip()
    *before, last = text.split("\n")
    if len(last) <= _MAX_MONOLOG_LENGTH and (monolog := _MONOLOG.fullmatch(last)):
        draft.type, draft.head = monolog["type"], [monolog["value"]]
        draft.frames.insert(0, Frame(None, monolog["file"], to_int(monolog["line"])))
        return
    message, _, where = f" {last}".rpartition(" in ")
    if thrown := _WHERE.fullmatch(where):
        before.append(message[1:])
        draft.frames.insert(0, Frame(None, thrown["file"], to_int(thrown["line"])))
    else:
        before.append(last)
    typed = _TYPED.fullmatch(before[0].strip())
    if typed and (typed["colon"] or not typed["value"]):
        draft.type, before[0] = typed["type"], typed["value"]
    draft.head = before


def _read_frame(line: str) -> Frame | None:
    if not line.startswith("#"):
        return None
    found = _FRAME.fullmatch(line)
    if found is None:
        return None
    return Frame(_function(found["call"]) or None, found["file"], to_int(found["line"] or ""))


def _function(call: str) -> str:
    """Return the name without the arguments; that of a closure can itself contain parentheses."""
    closure = _CLOSURE_END.search(call)
    start = call.find("(", closure.end() if closure and "(" not in call[: closure.start()] else 0)
    return call if start < 0 else call[:start]
