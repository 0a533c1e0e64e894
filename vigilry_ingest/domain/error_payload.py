"""The parts of an error's payload that identify the error, read at a bounded cost."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from vigilry_ingest.domain.bounded_array import bounded_array, present
from vigilry_ingest.domain.json_object import replace_lone_surrogates
from vigilry_ingest.domain.lenient_json import ABSENT, read


class ReportedFrame(NamedTuple):
    """A frame of a stack; absent texts are empty."""

    module: str
    function: str
    file: str
    in_app: bool | None


class ErrorPayload(NamedTuple):
    """What identifies an error in the payload of a server error or a Sentry SDK; absent parts are empty.

    ``fingerprint`` is the SDK's own; ``message`` is the exception's value, or the template of a log message.
    """

    fingerprint: Sequence[str]
    type: str
    message: str
    frames: Sequence[ReportedFrame]

    @classmethod
    def parse(cls, payload: bytes) -> "ErrorPayload":
        """Parse a JSON object; parts that are not as they should be are absent. Never raises."""
        members, exception = _read(replace_lone_surrogates(payload))
        error = read(exception, _Exception, _Exception())
        frames = error.frames if error.stacktrace is None else error.stacktrace.frames
        entry = read(members.logentry, _LogEntry, _LogEntry())
        messages = (error.value, entry.message, entry.formatted, members.message)
        return cls(
            [_text(raw) or bytes(raw).decode() for raw in present(read(members.fingerprint, _Parts, None))],
            _text(error.type),
            next(filter(None, map(_text, messages)), ""),
            [_frame(raw) for raw in present(frames)],
        )


_ExceptionList, _FrameList, _Parts = bounded_array(50), bounded_array(250), bounded_array(50)


class _Members(msgspec.Struct):
    fingerprint: msgspec.Raw = ABSENT
    exception: msgspec.Raw = ABSENT
    logentry: msgspec.Raw = ABSENT
    message: msgspec.Raw = ABSENT


class _Exceptions(msgspec.Struct):
    values: _ExceptionList | None = None  # type: ignore[valid-type]  # made above


class _SdkMembers(_Members):
    exception: _Exceptions | None = None  # type: ignore[assignment]  # in the form of the SDKs


class _Stack(msgspec.Struct):
    frames: _FrameList | None = None  # type: ignore[valid-type]  # made above


class _Exception(msgspec.Struct):
    type: msgspec.Raw = ABSENT
    value: msgspec.Raw = ABSENT
    stacktrace: _Stack | None = None
    frames: _FrameList | None = None  # type: ignore[valid-type]  # made above


class _LogEntry(msgspec.Struct):
    message: msgspec.Raw = ABSENT
    formatted: msgspec.Raw = ABSENT


class _Frame(msgspec.Struct):
    module: msgspec.Raw = ABSENT
    function: msgspec.Raw = ABSENT
    filename: msgspec.Raw = ABSENT
    abs_path: msgspec.Raw = ABSENT
    file: msgspec.Raw = ABSENT
    in_app: msgspec.Raw = ABSENT


def _read(payload: bytes) -> tuple[_Members, msgspec.Raw]:
    """Return the members, and the exception that was not handled: the last one, which the others caused."""
    usual = read(payload, _SdkMembers, _SdkMembers())
    # Most are of this form, and this way a long list is passed over once less.
    if usual.exception is not None and (values := present(usual.exception.values)):
        return usual, values[-1]
    members = read(payload, _Members, _Members())
    values = present(read(members.exception, _ExceptionList, None))
    return members, (values or [members.exception])[-1]


def _frame(raw: msgspec.Raw) -> ReportedFrame:
    frame = read(raw, _Frame, _Frame())
    file = _text(frame.filename) or _text(frame.abs_path) or _text(frame.file)
    in_app = {b"true": True, b"false": False}.get(bytes(frame.in_app))
    return ReportedFrame(_text(frame.module), _text(frame.function), file, in_app)


def _text(raw: msgspec.Raw) -> str:
    return read(raw, str, "")
