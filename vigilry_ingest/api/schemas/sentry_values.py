"""JSON values of Sentry's SDKs, which differ in what they send where a string is expected."""

import msgspec

from vigilry_ingest.domain.lenient_json import read

# Of a value that is not a string but stands where one is expected.
_MAX_TEXT_BYTES = 8192


def text_of(raw: msgspec.Raw) -> str:
    """Return a string, the JSON text of another short value, or an empty text for any other."""
    if not len(raw):
        return ""
    text = bytes(raw)
    if text.startswith(b'"'):
        return read(raw, str, "")
    return "" if text == b"null" or len(text) > _MAX_TEXT_BYTES else text.decode()


def is_scalar(raw: msgspec.Raw) -> bool:
    """Return whether a value is a string that is not empty, a number or a boolean."""
    first = bytes(memoryview(raw)[:2])
    return first[:1] not in (b"", b"{", b"[", b"n") and first != b'""'
