"""Panics, fatal errors and goroutine dumps of Go."""

from __future__ import annotations

import re

from vigilry_ingest.api.schemas.stack.frames import Draft, Frame, ParsedException, assemble, to_int

_GOROUTINE = re.compile(r"goroutine [0-9]+ (?:gp=\S+ m=\S+ (?:mp=\S+ )?)?\[[^\]]*\]:")
_HEAD = re.compile(
    r".*http: (?P<served>panic) serving \S+: (?P<text>.*)|(?P<type>panic|fatal error): (?P<value>.*)"
)
_LATER_PANIC = "\tpanic: "
_RECOVERED = re.compile(r" \[recovered(?:, repanicked)?\]$")
_PLACE = re.compile(r"\s+(?P<file>\S.*?):(?P<line>[0-9]+)(?: \+0x[0-9a-f]+.*)?")
_CREATOR = re.compile(r"(?:created by )(.*?)(?: in goroutine [0-9]+)?")


def parse_go(lines: list[str]) -> ParsedException | None:
    """Parse the first goroutine of a panic or dump, or return None if there is none with a frame.

    Of the panics of deferred calls, the last one is the main exception.
    """
    start = next((number for number, line in enumerate(lines) if _GOROUTINE.fullmatch(line.strip())), None)
    if start is None:
        return None
    frames = _read_frames(lines, start + 1)
    if not frames:
        return None
    drafts = _read_head(lines[:start])
    drafts[-1].frames = frames
    return assemble(reversed(drafts))


def _read_head(lines: list[str]) -> list[Draft]:
    drafts: list[Draft] = []
    for line in lines:
        if drafts and line.startswith("[signal "):
            break
        if drafts and line.startswith(_LATER_PANIC):
            drafts.append(Draft([line.removeprefix(_LATER_PANIC)], type="panic"))
        elif drafts:
            drafts[-1].head.append(line.removeprefix("\t"))
        elif found := _HEAD.fullmatch(line.strip()):
            head = found["value"] if found["type"] else found["text"]
            drafts.append(Draft([head], type=found["type"] or found["served"]))
    for draft in drafts:
        text = "\n".join(draft.head).rstrip()
        draft.head = [_RECOVERED.sub("", text)]
    return drafts or [Draft()]


def _read_frames(lines: list[str], start: int) -> list[Frame]:
    frames = []
    name: str | None = None
    for line in lines[start:]:
        if name is None:
            if not line.startswith("...") and not line.startswith("[originating "):
                name = line.strip()
                if not name:
                    break
        elif found := _PLACE.fullmatch(line):
            frames.append(Frame(_function(name), found["file"], to_int(found["line"])))
            name = None
        else:
            break
    return frames


def _function(text: str) -> str:
    """Return the name without the arguments, which make equal frames differ."""
    if text.startswith("created by ") and (created := _CREATOR.fullmatch(text)):
        return created[1]
    name, opening, _ = text.rpartition("(") if text.endswith(")") else (text, "", "")
    return name if opening and name else text
