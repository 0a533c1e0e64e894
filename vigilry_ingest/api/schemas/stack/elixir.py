"""Exceptions and exits of Elixir."""

from __future__ import annotations

import re

from vigilry_ingest.api.schemas.stack.frames import Draft, Frame, ParsedException, assemble, indent, to_int

_HEAD = re.compile(r"\*\* \((?P<type>[^\s()]+)(?: from #PID<[^>]*>)?\) ?(?P<value>.*)")
_FRAME = re.compile(r"(?:\([^()]*\) )?(?P<file>[^\s:()][^:()]*):(?P<line>[0-9]+): (?P<function>\S.*)")
_BUILT_IN = re.compile(
    r"(?:\([^()]*\) )?(?P<function>:[a-z]\w*\.\S.*|[A-Z][\w.]*\.\S+/[0-9]+|anonymous fn/[0-9].*)"
)


def parse_elixir(lines: list[str]) -> ParsedException | None:
    """Parse an exception, or return None if no line below a head is a frame.

    The exception of a process that ended another one is indented below that one's, and becomes its cause.
    """
    drafts: list[tuple[int, Draft]] = []
    ended = False
    for line in lines:
        depth, text = indent(line), line.strip()
        if text.startswith("** (") and (found := _HEAD.fullmatch(text)):
            if drafts and depth <= drafts[0][0]:
                break
            drafts.append((depth, Draft([found["value"]], type=found["type"])))
        elif not drafts:
            continue
        elif frame := _read_frame(text):
            owner = next((draft for level, draft in reversed(drafts) if level < depth), None)
            if owner is not None and not ended:
                owner.frames.append(frame)
        elif any(draft.frames for _, draft in drafts[-1:]):
            ended = ended or bool(text)
        else:
            drafts[-1][1].head.append(line)
    if not any(draft.frames for _, draft in drafts):
        return None
    return assemble(draft for _, draft in drafts)


def _read_frame(text: str) -> Frame | None:
    if found := _FRAME.fullmatch(text):
        return Frame(found["function"], found["file"], to_int(found["line"]))
    found = _BUILT_IN.fullmatch(text)
    return Frame(found["function"]) if found else None
