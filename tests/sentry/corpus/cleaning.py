"""Take what belongs to a machine out of recorded requests: paths, host names, ports and the key."""

import platform
import re
import socket
import sys
from pathlib import Path

from tests.fixtures.servers.gunicorn import ROOT
from tests.sentry.corpus import Recorded, items_of

_PORT = re.compile(rb"(127\.0\.0\.1|localhost):\d{4,5}")
_LENGTH = re.compile(rb'("length": ?)\d+')
# Bytes of a recording's images and the like say nothing and do not compress.
_MAX_BODY_BYTES = 40_000


def cleaned(request: Recorded, folder: Path) -> Recorded | None:
    """Return a request without what belongs to this machine, or None if it is too large to keep."""
    if len(request.body) > _MAX_BODY_BYTES:
        return None
    replace = _Replacements(folder)
    if request.form == "store":
        return request._replace(body=replace(request.body))
    return request._replace(body=_cleaned_envelope(request.body, replace))


class _Replacements:
    """Replaces paths and names in bytes, the longest first."""

    def __init__(self, folder: Path) -> None:
        pairs = {
            str(folder): "/app",
            str(ROOT): "/app",
            sys.base_prefix: "/usr/local",
            sys.prefix: "/app/.venv",
            platform.release(): "6.1.0",
            str(Path.home()): "/home/app",
            f'"{socket.gethostname()}"': '"web-1"',
        }
        self._pairs = sorted(
            ((old.encode(), new.encode()) for old, new in pairs.items()), key=lambda pair: -len(pair[0])
        )

    def __call__(self, text: bytes) -> bytes:
        for old, new in self._pairs:
            text = text.replace(old, new)
        return _PORT.sub(rb"\1:4100", text)


def _cleaned_envelope(body: bytes, replace: _Replacements) -> bytes:
    """Replace in an envelope's header and payloads, and correct the lengths of its items."""
    lines = [replace(body.partition(b"\n")[0])]
    for line, payload in items_of(body):
        text = replace(payload)
        lines += [_LENGTH.sub(rb"\g<1>%d" % len(text), line), text]
    return b"\n".join(lines) + b"\n"
