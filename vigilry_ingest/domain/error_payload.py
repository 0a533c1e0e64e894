"""The parts of an error's payload that identify the error, read at a bounded cost."""

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec

from vigilry_ingest.domain.json_object import replace_lone_surrogates

_NOTHING = msgspec.Raw()

Value = TypeVar("Value")


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
        error = _decode(exception, _Exception) or _Exception()
        frames = error.frames if error.stacktrace is None else error.stacktrace.frames
        entry = _decode(members.logentry, _LogEntry) or _LogEntry()
        messages = (error.value, entry.message, entry.formatted, members.message)
        return cls(
            [_text(raw) or bytes(raw).decode() for raw in _present(_decode(members.fingerprint, _Parts))],
            _text(error.type),
            next(filter(None, map(_text, messages)), ""),
            [_frame(raw) for raw in _present(frames)],
        )


# A list would be decoded whole; a struct skips what is beyond its last field.
def _array(limit: int) -> Any:  # the type is made here
    fields = [(f"element_{index}", msgspec.Raw, _NOTHING) for index in range(limit)]
    return msgspec.defstruct("Array", fields, array_like=True)


_ExceptionList, _FrameList, _Parts = _array(50), _array(250), _array(50)


class _Members(msgspec.Struct):
    fingerprint: msgspec.Raw = _NOTHING
    exception: msgspec.Raw = _NOTHING
    logentry: msgspec.Raw = _NOTHING
    message: msgspec.Raw = _NOTHING


class _Exceptions(msgspec.Struct):
    values: _ExceptionList | None = None  # type: ignore[valid-type]  # made above


class _SdkMembers(_Members):
    exception: _Exceptions | None = None  # type: ignore[assignment]  # in the form of the SDKs


class _Stack(msgspec.Struct):
    frames: _FrameList | None = None  # type: ignore[valid-type]  # made above


class _Exception(msgspec.Struct):
    type: msgspec.Raw = _NOTHING
    value: msgspec.Raw = _NOTHING
    stacktrace: _Stack | None = None
    frames: _FrameList | None = None  # type: ignore[valid-type]  # made above


class _LogEntry(msgspec.Struct):
    message: msgspec.Raw = _NOTHING
    formatted: msgspec.Raw = _NOTHING


class _Frame(msgspec.Struct):
    module: msgspec.Raw = _NOTHING
    function: msgspec.Raw = _NOTHING
    filename: msgspec.Raw = _NOTHING
    abs_path: msgspec.Raw = _NOTHING
    file: msgspec.Raw = _NOTHING
    in_app: msgspec.Raw = _NOTHING


def _read(payload: bytes) -> tuple[_Members, msgspec.Raw]:
    """Return the members, and the exception that was not handled: the last one, which the others caused."""
    usual = _decode(payload, _SdkMembers)
    # Most are of this form, and this way a long list is passed over once less.
    if usual is not None and usual.exception is not None and (values := _present(usual.exception.values)):
        return usual, values[-1]
    members = _decode(payload, _Members) or _Members()
    values = _present(_decode(members.exception, _ExceptionList))
    return members, (values or [members.exception])[-1]


def _frame(raw: msgspec.Raw) -> ReportedFrame:
    frame = _decode(raw, _Frame) or _Frame()
    file = _text(frame.filename) or _text(frame.abs_path) or _text(frame.file)
    in_app = {b"true": True, b"false": False}.get(bytes(frame.in_app))
    return ReportedFrame(_text(frame.module), _text(frame.function), file, in_app)


def _present(array: Any) -> list[msgspec.Raw]:
    """Return the elements of an array struct."""
    return [] if array is None else list(filter(len, msgspec.structs.astuple(array)))


def _decode(raw: msgspec.Raw | bytes, type_: type[Value]) -> Value | None:
    try:
        return msgspec.json.decode(raw, type=type_)
    except (msgspec.DecodeError, RecursionError):
        return None


def _text(raw: msgspec.Raw) -> str:
    return _decode(raw, str) or ""
