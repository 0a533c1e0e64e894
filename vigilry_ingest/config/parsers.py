"""How the text of a setting is read: each raises ValueError, which says what is allowed and not the name."""

import re
from collections.abc import Callable
from urllib.parse import urlsplit

REDIS_SCHEMES = (
    "redis",
    "rediss",
    "unix",
    "redis+sentinel",
    "rediss+sentinel",
    "redis+cluster",
    "rediss+cluster",
)

_MAX_DIGITS = 30
_HIGHEST_PORT = 65_535
_LONGEST_SHOWN = 60
_ORIGIN = re.compile(
    r"(?P<scheme>https?)://([a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:]+\])"
    r"(:(?P<port>[1-9][0-9]{0,4}))?",
    re.ASCII,
)


def whole_number(low: int, high: int) -> Callable[[str], int]:
    """Make the parser of a whole number within two bounds."""

    def parse(text: str) -> int:
        # Python refuses to read thousands of digits, so what is too long is not read.
        is_short = text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS
        if not is_short or not low <= int(text) <= high:
            raise ValueError(f"must be a whole number from {low:,} to {high:,}, not {_shown(text)}")
        return int(text)

    return parse


def one_of(*choices: str) -> Callable[[str], str]:
    """Make the parser of a choice."""

    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}, not {_shown(text)}")
        return text

    return parse


def matching(pattern: str, form: str) -> Callable[[str], str]:
    """Make the parser of what has a form, which is said in words."""

    def parse(text: str) -> str:
        if re.fullmatch(pattern, text, re.ASCII) is None:
            raise ValueError(f"must be {form}, not {_shown(text)}")
        return text

    return parse


def bind(text: str) -> str:
    """Take an address to listen on: ``host:port``, ``[::1]:port``, or ``unix:`` and a path."""
    found = re.fullmatch(r"unix:(?!//$).+|(?:\[[0-9A-Fa-f:.]+\]|[\w.-]+):([0-9]{1,5})", text, re.ASCII)
    if found is None or int(found[1] or 0) > _HIGHEST_PORT:
        form = f"host:port, [::1]:port or unix:path, with a port up to {_HIGHEST_PORT}"
        raise ValueError(f"must be {form}, not {_shown(text)}")
    return text


def redis_url(text: str) -> str:
    """Take a URL of a broker."""
    try:
        scheme = urlsplit(text).scheme
    except ValueError:
        raise ValueError("must be a URL") from None
    if scheme not in REDIS_SCHEMES:
        raise ValueError(f"must begin with one of {', '.join(f'{scheme}://' for scheme in REDIS_SCHEMES)}")
    return text


def origins(text: str) -> str:
    """Take origins, separated by commas; blanks around them are dropped."""
    given = [each.strip() for each in text.split(",") if each.strip()]
    for origin in given:
        if origin != "*" and not _is_origin(origin):
            raise ValueError(f"must be *, or origins such as https://app.example.com, not {origin!r}")
    return ",".join(given)


def origin_or_none(text: str) -> str:
    """Take one origin, or nothing; a slash at its end is dropped."""
    origin = text.removesuffix("/")
    if text and not _is_origin(origin):
        raise ValueError("must be empty, or an origin such as https://ingest.example.com")
    return origin


def _is_origin(text: str) -> bool:
    """Tell whether a browser would write an origin so: in lower case, and without the scheme's own port."""
    match = _ORIGIN.fullmatch(text)
    if match is None:
        return False
    port = int(match["port"] or 0)
    return port <= _HIGHEST_PORT and port != {"http": 80, "https": 443}[match["scheme"]]


def not_empty(text: str) -> str:
    """Take any text but none."""
    if not text:
        raise ValueError("must not be empty")
    return text


def _shown(text: str) -> str:
    return repr(text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…")
