"""The decompression room: a Content-Encoding undone, with a bound on what comes out of it."""

import sys
import zlib
from collections.abc import Callable
from typing import Any

if sys.version_info >= (3, 14):
    from compression import zstd as zstd
else:
    from backports import zstd as zstd

# What a sender may name in Content-Encoding; x-gzip is gzip (RFC 9110, section 8.4.1.3).
CODINGS = ("gzip", "zstd")
# A body of a few bytes a part would be copied once for each of them.
_MAX_PARTS = 100
_GZIP_WINDOW_BITS = 16 + zlib.MAX_WBITS
# 8 MiB: no more may be asked of a receiver (RFC 9659), and a frame that asks claims it as memory here.
_ZSTD_WINDOW_BITS = 23


class UnknownCoding(ValueError):
    """A Content-Encoding is not one of CODINGS."""


class CorruptBody(ValueError):
    """A compressed body cannot be decompressed; says why."""


class OutputTooLarge(ValueError):
    """A body has more bytes, decompressed, than it may."""


def decompress(text: bytes, coding: str, most: int) -> bytes:
    """Decompress a body into at most so many bytes; it may be several gzip members or zstd frames in a row.

    No more memory than that is used, whatever the body claims. Follows RFC 1952 and RFC 8878. Raises
    UnknownCoding, CorruptBody and OutputTooLarge.
    """
    make = _DECOMPRESSORS.get(coding)
    if make is None:
        raise UnknownCoding(coding)
    parts: list[bytes] = []
    left = most
    for _ in range(_MAX_PARTS):
        part, text = _decompress_part(make(), text, left)
        parts.append(part)
        left -= len(part)
        if not text:
            return b"".join(parts)
    raise CorruptBody(f"The compressed body has more than {_MAX_PARTS} parts.")


def _decompress_part(decompressor: Any, text: bytes, most: int) -> tuple[bytes, bytes]:
    try:
        # One byte past the bound tells what is too large without decompressing all of it.
        part: bytes = decompressor.decompress(text, most + 1)
    except (zlib.error, zstd.ZstdError) as error:
        raise CorruptBody(f"The body cannot be decompressed: {error}.") from error
    if len(part) > most:
        raise OutputTooLarge
    if not decompressor.eof:
        raise CorruptBody("The compressed body ends too early.")
    return part, decompressor.unused_data


def _zstd() -> Any:
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_BITS})


def _gzip() -> Any:
    return zlib.decompressobj(_GZIP_WINDOW_BITS)


_DECOMPRESSORS: dict[str, Callable[[], Any]] = {"gzip": _gzip, "x-gzip": _gzip, "zstd": _zstd}
