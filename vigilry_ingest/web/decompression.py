"""Decompression of request bodies, with a bound on the output."""

import sys
import zlib
from collections.abc import Callable, Collection
from typing import Protocol

if sys.version_info >= (3, 14):
    from compression import zstd as zstd
else:
    from backports import zstd as zstd

# The supported values of Content-Encoding; x-gzip is an alias of gzip (RFC 9110, section 8.4.1.3).
CODINGS = ("gzip", "zstd")
# Each part copies the rest of the body, so many tiny parts would take quadratic time.
_MAX_PARTS = 100
_GZIP_WINDOW_BITS = 16 + zlib.MAX_WBITS
# 8 MiB, the largest window that a receiver has to support (RFC 9659); it is allocated before any output.
_ZSTD_WINDOW_BITS = 23


class UnknownCoding(ValueError):
    """The Content-Encoding is not one of CODINGS."""


class CorruptBody(ValueError):
    """The body cannot be decompressed; the message is the reason."""


class OutputTooLarge(ValueError):
    """The decompressed body exceeds the limit."""


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


def decompress(body: bytes, coding: str, max_bytes: int, codings: Collection[str] = CODINGS) -> bytes:
    """Decompress a body of one or more gzip members, zstd frames or zlib streams (RFC 1952, 8878, 1950).

    ``codings`` are allowed; "deflate", which is none of CODINGS, is another.

    Memory use is bounded by `max_bytes`, whatever sizes the body declares. Raises UnknownCoding, CorruptBody
    and OutputTooLarge.
    """
    name = _ALIASES.get(coding, coding)
    if name not in codings:
        raise UnknownCoding(coding)
    make_decompressor = _DECOMPRESSORS[name]
    parts: list[bytes] = []
    remaining = max_bytes
    for _ in range(_MAX_PARTS):
        part, body = _decompress_part(make_decompressor(), body, remaining)
        parts.append(part)
        remaining -= len(part)
        if not body:
            return b"".join(parts)
    raise CorruptBody(f"The compressed body has more than {_MAX_PARTS} parts.")


def decompress_start(body: bytes, coding: str, max_bytes: int) -> bytes:
    """Return the first bytes of a decompressed body, whatever follows them; an unknown coding is ignored.

    Raises CorruptBody.
    """
    make_decompressor = _DECOMPRESSORS.get(_ALIASES.get(coding, coding))
    if make_decompressor is None:
        return body[:max_bytes]
    try:
        return make_decompressor().decompress(body, max_bytes)
    except (zlib.error, zstd.ZstdError) as error:
        raise CorruptBody(f"The body cannot be decompressed: {error}.") from error


def _decompress_part(decompressor: _Decompressor, body: bytes, max_bytes: int) -> tuple[bytes, bytes]:
    try:
        # One byte more than the limit is enough to detect a body that exceeds it.
        part = decompressor.decompress(body, max_bytes + 1)
    except (zlib.error, zstd.ZstdError) as error:
        raise CorruptBody(f"The body cannot be decompressed: {error}.") from error
    if len(part) > max_bytes:
        raise OutputTooLarge
    if not decompressor.eof:
        raise CorruptBody("The compressed body ends too early.")
    return part, decompressor.unused_data


def _zstd() -> _Decompressor:
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_BITS})


def _gzip() -> _Decompressor:
    return zlib.decompressobj(_GZIP_WINDOW_BITS)


_ALIASES = {"x-gzip": "gzip"}
_DECOMPRESSORS: dict[str, Callable[[], _Decompressor]] = {
    "gzip": _gzip,
    "zstd": _zstd,
    "deflate": zlib.decompressobj,
}
