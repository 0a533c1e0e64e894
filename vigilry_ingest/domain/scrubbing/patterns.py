r"""Patterns of secrets and personal data in texts.

RE2 searches for all patterns at once, in a time that is linear in the text. It has no look-around assertions,
so a function checks what a candidate must be beyond its form. No candidate contains a NUL. All have a
bounded length, because a search goes on until nothing that begins earlier can match; functions read the rest.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv6Address
from typing import NamedTuple

from stdnum import luhn, numdb
from stdnum.iso7064 import mod_97_10

# Of a text and the span of a candidate: where the value ends that starts with the candidate, or None.
Check = Callable[[bytes, int, int], int | None]


class Pattern(NamedTuple):
    """What a value of some kind looks like.

    Parameters:
        candidate: a regular expression in RE2's syntax, without groups that capture
        check: whether it is one, and where it ends
    """

    candidate: bytes
    check: Check


# Visa, Mastercard, American Express, Diners Club and JCB, Discover and UnionPay.
_ISSUERS = re.compile(rb"4|5[1-5]|2[2-7]|3[04-9]|6[0245]")
_CONTINUATIONS = frozenset(bytes([byte]) for byte in range(0x80, 0xC0))
_DECIMAL = re.compile(rb"[0-9][.]")
_SEPARATORS = b" -"


def _end_of_card(text: bytes, start: int, end: int) -> int | None:
    """Check the issuer and the check digit (ISO/IEC 7812)."""
    if _DECIMAL.fullmatch(text, max(start - 2, 0), start):
        return None
    candidate = text[start:end]
    digits = candidate.translate(None, _SEPARATORS).decode()
    if not _ISSUERS.match(candidate):
        return None
    if luhn.is_valid(digits):
        return end
    # Three digits after four groups may be the end of a number of 19 digits, or something else.
    has_more = candidate[-4] in _SEPARATORS and luhn.is_valid(digits[:-3])
    return end - 4 if has_more else None


def _end_of_card_as_number(text: bytes, start: int, end: int) -> int | None:
    is_part = text[start - 1 : start] in (b".", b"-", b"+") or text[end : end + 1] == b"."
    return None if is_part else _end_of_card(text, start, end)


_AT = re.compile(rb"@|%40")
_DOMAIN = re.compile(rb"(?:[^.]{1,63}\.)+[^.0-9][^.]{1,62}")


def _end_of_email(text: bytes, start: int, end: int) -> int | None:
    """Check that the domain has a top level, without what ends the sentence."""
    at = _AT.search(text, start, end)
    if at is None or _is_within_character(text, start):
        return None
    end = start + len(text[start:end].rstrip(b".-"))
    domain = _DOMAIN.match(text, at.end(), end)
    if domain is None:
        return None
    end = domain.end()
    while _is_within_character(text, end):
        end += 1
    return end


def _is_within_character(text: bytes, position: int) -> bool:
    """Return whether a character of several bytes begins before a position and goes on there."""
    return text[position : position + 1] in _CONTINUATIONS


def _end_of_iban(text: bytes, start: int, _end: int) -> int | None:
    """Check the length and the check digits (ISO 13616)."""
    missing = _iban_characters(text[start : start + 2].decode())
    for position in range(start, min(start + 2 * missing, len(text))):
        missing -= text[position] not in _SEPARATORS
        if missing == 0:
            number = text[start : position + 1].translate(None, _SEPARATORS).decode("latin-1")
            return position + 1 if mod_97_10.is_valid(number[4:] + number[:4]) else None
    return None


@lru_cache
def _iban_characters(country: str) -> int:
    """Return how many characters the IBANs of a country have, or 0 if it has none."""
    _, properties = numdb.get("iban").info(country)[0]
    lengths = re.findall(r"\d+", properties.get("bban", ""))
    return 4 + sum(map(int, lengths)) if lengths else 0


def _end_of_ipv4(text: bytes, start: int, end: int) -> int | None:
    """Check that it is not part of a longer number with dots."""
    octets = text[start:end].split(b".")
    goes_on = text[end : end + 1] == b"." and text[end + 1 : end + 2].isdigit()
    is_part = goes_on or text[start - 1 : start] == b"."
    return None if is_part or any(int(octet) > 255 for octet in octets) else end


_DIGIT = re.compile(rb"[0-9]")
_IPV6_TAIL = re.compile(rb"[0-9.]*")


def _end_of_ipv6(text: bytes, start: int, end: int) -> int | None:
    """Check that it is not a name such as std::vector or Ace::Fade."""
    tail = _IPV6_TAIL.match(text, end)
    end = tail.end() if tail else end
    before, after = text[start - 1 : start], text[end : end + 1]
    if not _DIGIT.search(text, start, end):
        return None
    if before.isalnum() or after.isalnum() or before in (b":", b"_") or after in (b":", b"_"):
        return None
    try:
        IPv6Address(text[start:end].decode())
    except ValueError:
        return None
    return end


# RFC 7519: a header, which is a JSON object in base64url, a payload and a signature; five parts if encrypted.
_REST_OF_JWT = re.compile(rb"[\w-]{0,4000}\.[\w-]+(?:\.[\w-]*){0,3}")
_REST_OF_KEY = re.compile(rb"[\w+/=-]*")
_REST_OF_PRIVATE_KEY = re.compile(rb"[\w+/=\s:,.\\-]*")
_LAST_LINE = re.compile(rb"-----END [A-Z ]+-----")


def _end_of_jwt(text: bytes, _start: int, end: int) -> int | None:
    rest = _REST_OF_JWT.match(text, end)
    return rest and rest.end()


def _end_of_key(text: bytes, _start: int, end: int) -> int | None:
    rest = _REST_OF_KEY.match(text, end)
    return rest and rest.end()


def _end_of_private_key(text: bytes, _start: int, end: int) -> int | None:
    rest = _REST_OF_PRIVATE_KEY.match(text, end)
    if rest is None:
        return None
    start_of_last = text.find(b"-----END ", end, rest.end())
    last_line = _LAST_LINE.match(text, start_of_last) if start_of_last != -1 else None
    return last_line.end() if last_line else rest.end()


_CARD = (
    rb"\b[2-6](?:[0-9]{12,18}"
    rb"|[0-9]{3} (?:[0-9]{6} [0-9]{4,5}|[0-9]{4} [0-9]{4} [0-9]{4}(?: [0-9]{3})?)"
    rb"|[0-9]{3}-(?:[0-9]{6}-[0-9]{4,5}|[0-9]{4}-[0-9]{4}-[0-9]{4}(?:-[0-9]{3})?))\b"
)
_EMAIL = rb"[\w.+%'\x80-\xff-]{1,64}(?:@|%40)[A-Za-z0-9.\x80-\xff-]{4,255}"
_GROUP = rb"[0-9A-Fa-f]{1,4}"
_IPV6 = (
    rb"\b" + _GROUP + rb"(?::" + _GROUP + rb"){7}"
    rb"|(?:\b" + _GROUP + rb"(?::" + _GROUP + rb"){0,6})?::(?:" + _GROUP + rb"(?::" + _GROUP + rb"){0,6})?"
)
_SECRET_KEY = (
    rb"vig_(?:live|test|admin)_[0-9A-Za-z]{36}"
    rb"|[spr]k_(?:live|test)_[0-9A-Za-z]{10}"
    rb"|whsec_[0-9A-Za-z+/=]{16}"
    rb"|gh[pousr]_[0-9A-Za-z]{36}|github_pat_\w{22}|glpat-[\w-]{20}"
    rb"|xox[a-z]-[\w-]{10}|xapp-[\w-]{10}"
    rb"|A(?:KI|SI)A[0-9A-Z]{16}|AIza[\w-]{35}"
    rb"|\bsk-[\w-]{20}|\bSG\.[\w-]{16,64}\.[\w-]{16}|npm_[0-9A-Za-z]{36}|pypi-AgE[\w-]{16}"
)

# Where two patterns have a candidate at the same place, the first is taken.
PATTERNS: Mapping[str, Sequence[Pattern]] = {
    "card-number": [Pattern(_CARD, _end_of_card)],
    "email": [Pattern(_EMAIL, _end_of_email)],
    "iban": [Pattern(rb"\b[A-Z]{2}[0-9]{2}", _end_of_iban)],
    "ip": [Pattern(rb"\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b", _end_of_ipv4), Pattern(_IPV6, _end_of_ipv6)],
    "jwt": [Pattern(rb"\beyJ[\w-]{8}", _end_of_jwt)],
    "api-key": [
        Pattern(_SECRET_KEY, _end_of_key),
        Pattern(rb"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----", _end_of_private_key),
    ],
}
"""The patterns by name."""

NUMBERS: Mapping[str, Sequence[Pattern]] = {
    "card-number": [Pattern(rb"\b[2-6][0-9]{12,18}\b", _end_of_card_as_number)],
}
"""The patterns that numbers may have, which are texts without quotation marks."""
