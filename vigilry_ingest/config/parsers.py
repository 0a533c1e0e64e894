"""Parsers of settings. They raise ValueError with what is allowed; the caller adds the setting's name."""

import re
from collections.abc import Callable
from ipaddress import IPv6Address
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

# The items of Sentry envelopes, besides events, whose payload is a JSON object.
SENTRY_ITEMS = (
    "check_in", "client_report", "feedback", "log", "profile", "session", "sessions", "span", "trace_metric",
    "transaction", "user_report",
)  # fmt: skip

_MAX_DIGITS = 30
_MAX_PORT = 65_535
_MAX_SHOWN_LENGTH = 60
_ORIGIN = re.compile(
    r"(?P<scheme>https?)://([a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[(?P<ipv6>[0-9a-f:]+)\])"
    r"(:(?P<port>[1-9][0-9]{0,4}))?",
    re.ASCII,
)


def whole_number(low: int, high: int) -> Callable[[str], int]:
    """Make a parser of integers from ``low`` to ``high``, both inclusive."""

    def parse(text: str) -> int:
        # int() refuses thousands of digits with an error of its own.
        is_short = text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS
        if not is_short or not low <= int(text) <= high:
            raise ValueError(f"must be a whole number from {low:,} to {high:,}, not {_shown(text)}")
        return int(text)

    return parse


def one_of(*choices: str) -> Callable[[str], str]:
    """Make a parser that accepts one of several texts."""

    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}, not {_shown(text)}")
        return text

    return parse


def some_of(*choices: str) -> Callable[[str], str]:
    """Make a parser of comma-separated texts, none or several of a choice; it strips white space."""

    def parse(text: str) -> str:
        parsed = [each.strip() for each in text.split(",") if each.strip()]
        for each in parsed:
            if each not in choices:
                raise ValueError(f"must be empty, or some of {', '.join(choices)}, not {_shown(each)}")
        return ",".join(dict.fromkeys(parsed))

    return parse


def matching(pattern: str, form: str, *, shows_text: bool = True) -> Callable[[str], str]:
    """Make a parser that accepts a pattern; ``form`` describes the pattern in error messages."""

    def parse(text: str) -> str:
        if re.fullmatch(pattern, text, re.ASCII) is None:
            raise ValueError(f"must be {form}, not {_shown(text)}" if shows_text else f"must be {form}")
        return text

    return parse


def bind(text: str) -> str:
    """Check an address to listen on: ``host:port``, ``[::1]:port``, or ``unix:`` and a path."""
    found = re.fullmatch(r"unix:(?!//$).+|(?:\[[0-9A-Fa-f:.]+\]|[\w.-]+):([0-9]{1,5})", text, re.ASCII)
    if found is None or int(found[1] or 0) > _MAX_PORT:
        form = f"host:port, [::1]:port or unix:path, with a port up to {_MAX_PORT}"
        raise ValueError(f"must be {form}, not {_shown(text)}")
    return text


def bind_or_none(text: str) -> str:
    """Check an address to listen on, or an empty text."""
    return bind(text) if text else text


def server_or_none(text: str) -> str:
    """Check the URL of an admin API: an origin, ``unix:`` and a path, or an empty text."""
    if text.startswith("unix:") and len(text) > len("unix:"):
        return text
    url = text.removesuffix("/")
    if text and not _is_origin(url):
        form = "an origin such as https://admin.example.com or http://127.0.0.1:4101, or unix:path"
        raise ValueError(f"must be empty, or {form}")
    return url


def redis_url(text: str) -> str:
    """Check the scheme of a broker URL."""
    try:
        scheme = urlsplit(text).scheme
    except ValueError:
        raise ValueError("must be a URL") from None
    if scheme not in REDIS_SCHEMES:
        raise ValueError(f"must begin with one of {', '.join(f'{scheme}://' for scheme in REDIS_SCHEMES)}")
    return text


def origins(text: str) -> str:
    """Parse comma-separated origins, and strip white space around them."""
    parsed = [each.strip() for each in text.split(",") if each.strip()]
    for origin in parsed:
        if origin != "*" and not _is_origin(origin):
            raise ValueError(f"must be *, or origins such as https://app.example.com, not {origin!r}")
    return ",".join(parsed)


def origin_or_none(text: str) -> str:
    """Parse an origin or an empty text, and strip a trailing slash."""
    origin = text.removesuffix("/")
    if text and not _is_origin(origin):
        raise ValueError("must be empty, or an origin such as https://ingest.example.com")
    return origin


def _is_origin(text: str) -> bool:
    """Return whether an origin is in a browser's form: lowercase, and without the scheme's default port.

    An IPv6 address has its shortest form (RFC 5952).
    """
    match = _ORIGIN.fullmatch(text)
    if match is None or (match["ipv6"] and not _is_shortest(match["ipv6"])):
        return False
    port = int(match["port"] or 0)
    return port <= _MAX_PORT and port != {"http": 80, "https": 443}[match["scheme"]]


def _is_shortest(address: str) -> bool:
    try:
        return IPv6Address(address).compressed == address
    except ValueError:
        return False


def not_empty(text: str) -> str:
    """Check that a text is not empty."""
    if not text:
        raise ValueError("must not be empty")
    return text


def _shown(text: str) -> str:
    return repr(text if len(text) <= _MAX_SHOWN_LENGTH else f"{text[:_MAX_SHOWN_LENGTH]}…")
