"""Bodies of the type application/x-www-form-urlencoded (https://url.spec.whatwg.org/#urlencoded-parsing)."""

import re

CONTENT_TYPE = "application/x-www-form-urlencoded"

_MAX_FIELDS = 256
# Far above what a provider sends as a form.
_MAX_BYTES = 1024 * 1024
_INVALID_ESCAPE = re.compile(rb"%(?![0-9a-fA-F]{2})")


class InvalidForm(ValueError):
    """A form is too large, is not valid UTF-8, or has an invalid escape; the message says which."""


def parse_form(body: bytes) -> list[tuple[str, str]]:
    """Return the names and values of a form's fields.

    The standard library's parser makes an object of each escape, so it takes far longer than reading a body.
    Raises InvalidForm.
    """
    if len(body) > _MAX_BYTES:
        raise InvalidForm(f"A form may have at most {_MAX_BYTES:,} bytes.")
    if body.count(b"&") >= _MAX_FIELDS:
        raise InvalidForm(f"A form may have at most {_MAX_FIELDS} fields.")
    if _INVALID_ESCAPE.search(body):
        raise InvalidForm("The form has a % that is not followed by two hexadecimal digits.")
    try:
        fields = [field.partition(b"=") for field in body.split(b"&") if field]
        return [(_decode(name), _decode(value)) for name, _, value in fields]
    except UnicodeDecodeError:
        raise InvalidForm("The form is not valid UTF-8.") from None


def _decode(text: bytes) -> str:
    text = text.replace(b"+", b" ")
    if b"%" in text:
        # Percent-encoding becomes the escapes of a codec that is written in C.
        text = text.replace(b"\\", b"%5C").replace(b"%", b"\\x").decode("unicode_escape").encode("latin-1")
    return text.decode()
