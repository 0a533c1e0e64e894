"""Panics of Rust, in the old and the new form, and errors with a backtrace, such as those of anyhow."""

from __future__ import annotations

import re

from vigilry_ingest.api.schemas.stack.frames import Draft, Frame, ParsedException, assemble, to_int

_PANIC = re.compile(r"thread '.*' (?:\([0-9]+\) )?panicked at (?P<rest>.*)")
_LOCATION = re.compile(r"(?P<file>.+):(?P<line>[0-9]+):(?P<column>[0-9]+)")
_OLD_END = re.compile(r"(?P<value>.*)', (?P<file>[^']+):(?P<line>[0-9]+):(?P<column>[0-9]+)")
_FUNCTION = re.compile(r"\s*[0-9]+: +(?:0x[0-9a-f]+ - )?(?P<name>\S.*)")
_AT = re.compile(r"\s+at (?P<file>.+?)(?::(?P<line>[0-9]+))?(?::(?P<column>[0-9]+))?")
_HASH = re.compile(r"::h[0-9a-f]{16}$|\[[0-9a-f]{15,16}\]")
_CAUSE = re.compile(r"\s+(?:[0-9]+: )?(?P<value>\S.*)")
_BACKTRACE = {"stack backtrace:", "Stack backtrace:"}


def parse_rust(lines: list[str]) -> ParsedException | None:
    """Parse the first panic, or an error with a backtrace; return None if the text has neither."""
    backtrace = next((number for number, line in enumerate(lines) if line.strip() in _BACKTRACE), None)
    for number, line in enumerate(lines[:backtrace]):
        if found := _PANIC.fullmatch(line.strip()):
            return _parse_panic(found["rest"], lines[number + 1 :])
    return None if backtrace is None else _parse_error(lines, backtrace)


def _parse_panic(rest: str, lines: list[str]) -> ParsedException | None:
    text = [rest[1:], *lines] if rest.startswith("'") else lines
    found = None if rest.startswith("'") else _LOCATION.fullmatch(rest.removesuffix(":"))
    draft, end = Draft(type="panic"), len(text)
    for number, line in enumerate(text):
        if rest.startswith("'"):
            if found := _OLD_END.fullmatch(line):
                draft.head.append(found["value"])
                end = number + 1
                break
        elif line.strip() in _BACKTRACE or line.startswith("note: ") or _PANIC.fullmatch(line):
            end = number
            break
        draft.head.append(line)
    if found is None:
        return None
    if end < len(text) and text[end].strip() in _BACKTRACE:
        draft.frames = _read_frames(text, end + 1)
    if not draft.frames:
        draft.frames = [Frame(None, found["file"], to_int(found["line"]), to_int(found["column"]))]
    return assemble([draft])


def _parse_error(lines: list[str], backtrace: int) -> ParsedException | None:
    frames = _read_frames(lines, backtrace + 1)
    first = next((number for number, line in enumerate(lines) if line.startswith("Error: ")), backtrace)
    if not frames or first >= backtrace:
        return None
    drafts = [Draft([lines[first].removeprefix("Error: ")], frames, type="Error")]
    causes = False
    for line in lines[first + 1 : backtrace]:
        if line == "Caused by:":
            causes = True
        elif not causes:
            drafts[0].head.append(line)
        elif found := _CAUSE.fullmatch(line):
            drafts.append(Draft([found["value"]]))
    return assemble(drafts)


def _read_frames(lines: list[str], start: int) -> list[Frame]:
    frames: list[Frame] = []
    for line in lines[start:]:
        if found := _FUNCTION.fullmatch(line):
            # The hashes change with every build.
            frames.append(Frame(_HASH.sub("", found["name"])))
        elif frames and (found := _AT.fullmatch(line)):
            place = found["file"], to_int(found["line"] or ""), to_int(found["column"] or "")
            frames[-1] = Frame(frames[-1].function, *place)
        else:
            break
    return frames
