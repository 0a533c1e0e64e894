r"""How a text gives a field its value, and where that ends: name=value, name: value, "name": ["a value"].

The expressions are possessive, so that none goes back over a long text. No value contains a NUL.
"""

import re

from vigilry_ingest.domain.scrubbing.tally import Tally

ASSIGNED = rb"""[\w.\x80-\xff-]{0,60}(?:["'\]\\]|%5[Dd]){0,8}[ \t]*(?:={1,3}>?|:=?|%3[AaDd])"""
"""What follows the first word of a field, as in a query, a header, source code, or JSON, in RE2's syntax."""

_AFTER_NAMES = b"=>: \t\"']\\"
_IN_NAMES = bytes(byte for byte in range(256) if byte >= 0x80 or chr(byte).isalnum() or byte in b"_.-")
_MAX_NAME_START = 60

# As in a stack trace: auth.py:12, Token.cs:line 12, auth.jar:1.2.
_PLACE_IN_FILE = re.compile(
    rb"\.(?:c|cc|cfg|cjs|clj|cpp|cs|dart|ex|exs|fs|go|h|hpp|hs|html|ini|jar|java|json|jsx?|kt|lua|mjs|mm?|php"
    rb"|pl|pyx?|rb|rs|scala|sh|sql|svelte|swift|toml|tsx?|vb|vue|xml|ya?ml):(?:line )?[0-9]"
)


def _quoted(mark: bytes) -> bytes:
    """Return the expression for what is in quotation marks, which may have escapes; it ends with its line.

    In JSON within JSON, a mark has 1, 3 or 7 backslashes, and one that is escaped has more.
    """
    group = b"double" if mark == b'"' else b"single"
    end = rb"(?:(?P=%s)(?P=%s)\\\\)*+(?P=%s)%s" % (group, group, group, mark)
    content = rb"(?:[^\n\0\\%s]++|\\++(?!%s)|(?!%s)\\*+%s)*+" % (mark, mark, end, mark)
    return rb"(?P<%s>\\{0,7})%s(%s)(?:%s|(?=[\n\0])|\Z)" % (group, mark, content, end)


# The authentication schemes that IANA registers, and others that are common.
_SCHEMES = (
    rb"(?i:api-?key|aws4-hmac-sha256|basic|bearer|bot|digest|dpop|hmac|hoba|key|mutual|negotiate|ntlm|oauth"
    rb"|privatetoken|scram-sha-1|scram-sha-256|token|vapid)"
)
_WORD = rb"""[^\s\0&;,"'<>)}\]\\]"""
_PAIR = rb"""[^\s\0&;,"'<>()\[\]{}\\=]++=(?:"[^"\n\0]*+"|%s*+)""" % _WORD
_COOKIES = rb"""[^\s\0&;,"'<>()\[\]{}\\=]++=[^\s\0;"'\\]*+(?:;[ ]?[^\s\0;"'\\]++)++"""
_VALUE = re.compile(
    rb"""[ \t]*+(?:%s[ ]++)?(?:%s|%s|(\[\w+\]|(?=[\[{])|%s|%s(?:[;,][ ]*+%s)*+|%s++))"""
    % (_SCHEMES, _quoted(b'"'), _quoted(b"'"), _COOKIES, _PAIR, _PAIR, _WORD)
)
_NEXT_PART = re.compile(
    rb"""(?:[^"'\[\]{}\0\\]++|\\++(?!["']))*+(?:%s|%s|(?P<bracket>[\[\]{}])|\0|\Z)"""
    % (_quoted(b'"'), _quoted(b"'"))
)
_LINE = re.compile(rb"[^\n\0]*+")


def name_in(text: bytes, start: int, end: int) -> bytes:
    """Return the name in the span of an assignment, and what it begins with before that."""
    before = text[max(start - _MAX_NAME_START, 0) : start]
    others = before.rstrip(_IN_NAMES)
    # In user%5Btoken, the name is token.
    name_start = len(others) + (2 if others.endswith(b"%") else 0)
    return before[name_start:] + text[start:end].rstrip(_AFTER_NAMES)


def span_of_value(text: bytes, start: int, end: int, tally: Tally) -> tuple[int, int]:
    """Return the span of the value after an assignment, which is empty if there is none.

    Raises TooComplex.
    """
    # A namespace, as in auth::Token.
    if text[end - 1 : end + 1] == b"::" or _PLACE_IN_FILE.search(text, start, end + 6):
        return end, end
    value = _VALUE.match(text, end)
    if value is None or value.lastindex is None:
        return end, end
    value_start, value_end = value.span(value.lastindex)
    if value_start == value_end and text[value_start : value_start + 1] in (b"[", b"{"):
        value_end = _end_of_container(text, value_start, tally)
    return value_start, value_end


def _end_of_container(text: bytes, start: int, tally: Tally) -> int:
    """Return where an object or an array ends, or its first line if it does not."""
    depth, position = 0, start
    while (part := _NEXT_PART.match(text, position)) is not None:
        tally.check()
        position = part.end()
        bracket = part["bracket"]
        if bracket is not None:
            depth += 1 if bracket in b"[{" else -1
            if depth == 0:
                return position
        elif position == len(text) or text[position - 1 : position] == b"\0":
            break
    line = _LINE.match(text, start)
    return line.end() if line else start
