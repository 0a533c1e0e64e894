"""Backtraces of Ruby: with the error first or last, with both kinds of quotes, and as loggers join them."""

from __future__ import annotations

import re

from vigilry_ingest.api.schemas.stack.frames import Draft, Frame, ParsedException, assemble, to_int

TRACEBACK = "Traceback (most recent call last):"

_PLACE = r"(?P<file>[^\s:](?:[^:]|:(?![0-9]))*+):(?P<line>[0-9]+)(?::in [`'](?P<function>[^']*)')?"
_FROM = re.compile(rf"\s+(?:[0-9]+: )?from {_PLACE}")
_FRAME = re.compile(rf"\s*{_PLACE}")
_HEAD = re.compile(rf"{_PLACE}: (?P<text>.*)")
_CLASS = re.compile(r"(?:(?P<value>.*) )?\((?P<type>[A-Z]\w*+(?:::[A-Z]\w*+)*+)\)")
_LOGGED = re.compile(r"(?P<type>[A-Z]\w*+(?:::[A-Z]\w*+)*+)(?:: (?P<value>.*)| \((?P<rails>.*)\):?)?")


def parse_ruby(lines: list[str]) -> ParsedException | None:
    """Parse a backtrace, or return None if the text has no line with a file, a number and a method."""
    filled = [number for number, line in enumerate(lines) if line.strip()]
    for order, number in enumerate(filled[:-1]):
        following = lines[filled[order + 1]]
        if lines[number].strip() == TRACEBACK:
            return _parse_error_last(lines[number + 1 :]) if _FROM.fullmatch(following) else None
        if found := _read_error(lines[number]):
            return _parse_error_first(lines[number:]) if found.type else None
        if _is_named(following):
            return _parse_logged(lines, number)
    return _parse_error_first(lines[filled[0] :]) if filled else None


def _parse_error_first(lines: list[str]) -> ParsedException | None:
    drafts: list[Draft] = []
    ended = False
    for line in lines:
        if frame := _read_frame(_FROM, line):
            if drafts and not ended:
                drafts[-1].frames.append(frame)
        elif draft := _read_error(line):
            drafts.append(draft)
            ended = False
        elif drafts and len(drafts[-1].frames) == 1:
            drafts[-1].head.append(line)
        elif line.strip() and not line.lstrip().startswith("..."):
            ended = True
    return assemble(drafts) if drafts and drafts[0].type else None


def _parse_error_last(lines: list[str]) -> ParsedException | None:
    drafts: list[Draft] = []
    frames: list[Frame] = []
    for line in lines:
        if frame := _read_frame(_FROM, line):
            frames.append(frame)
        elif draft := _read_error(line):
            draft.frames = frames + draft.frames
            drafts.append(draft)
            frames = []
        elif drafts and not frames:
            drafts[-1].head.append(line)
    return assemble(reversed(drafts)) if drafts else None


def _parse_logged(lines: list[str], last: int) -> ParsedException | None:
    """Parse a head such as `Class: message` or Rails's `Class (message):`, and the frames below it."""
    draft = Draft()
    for line in lines[: last + 1]:
        if draft.type:
            draft.head.append(line)
        elif found := _LOGGED.fullmatch(line.strip()):
            draft.type = found["type"]
            draft.head = [found["value"] or found["rails"] or ""]
    for line in lines[last + 1 :]:
        if frame := _read_frame(_FRAME, line):
            draft.frames.append(frame)
        elif line.strip():
            break
    return assemble([draft]) if draft.type and draft.frames else None


def _read_error(line: str) -> Draft | None:
    found = _HEAD.fullmatch(line)
    if found is None:
        return None
    place = Frame(found["function"], found["file"], to_int(found["line"]))
    if named := _CLASS.fullmatch(found["text"]):
        return Draft([named["value"] or ""], [place], type=named["type"])
    return (
        Draft([found["text"]], [place], type="RuntimeError")
        if found["text"] == "unhandled exception"
        else None
    )


def _read_frame(form: re.Pattern[str], line: str) -> Frame | None:
    found = form.fullmatch(line)
    return Frame(found["function"], found["file"], to_int(found["line"])) if found else None


def _is_named(line: str) -> bool:
    found = _FRAME.fullmatch(line)
    return found is not None and found["function"] is not None
