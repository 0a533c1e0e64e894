"""The exceptions of a Sentry event, of which the last is the outermost."""

import msgspec

from vigilry_ingest.api.schemas.faults import Fault, InvalidEvent
from vigilry_ingest.domain.bounded_array import bounded_array
from vigilry_ingest.domain.lenient_json import ABSENT

_MAX_EXCEPTIONS = 128


class ReportedException(msgspec.Struct):
    """The members of an exception that are read, as JSON."""

    type: msgspec.Raw = ABSENT
    value: msgspec.Raw = ABSENT


_Exceptions = bounded_array(_MAX_EXCEPTIONS, element=ReportedException | None, absent=None, refuses_more=True)
_Wrapped = msgspec.defstruct("_Wrapped", [("values", _Exceptions | None, None)], bases=(ReportedException,))
_decode_exceptions = msgspec.json.Decoder(_Exceptions).decode
_decode_wrapped = msgspec.json.Decoder(_Wrapped).decode


def last_exception(raw: msgspec.Raw) -> ReportedException | None:
    """Return the last exception of ``{"values": […]}`` or of a list, or a single one.

    Raises InvalidEvent.
    """
    first = bytes(memoryview(raw)[:1])
    if first not in (b"{", b"["):
        return None
    try:
        if first == b"{":
            type_, value, exceptions = msgspec.structs.astuple(_decode_wrapped(raw))
            if exceptions is None:
                return ReportedException(type_, value)
        else:
            exceptions = _decode_exceptions(raw)
    except msgspec.ValidationError:
        detail = f"Must be at most {_MAX_EXCEPTIONS} exceptions, each of them an object."
        raise InvalidEvent([Fault("/exception", "invalid", detail)]) from None
    given = [each for each in msgspec.structs.astuple(exceptions) if each is not None]
    return given[-1] if given else None
