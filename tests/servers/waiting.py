"""Small helps of the test servers: wait for something, find a port, make a folder, do without a binary."""

import os
import random
import socket
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import pytest

_LOG_TAIL_LINES = 25
# A unix socket's whole path fits 104 bytes on macOS and 108 on Linux, and the names in it take up to 20.
_LONGEST_BASE = 60

Errors = tuple[type[Exception], ...]

# Hypothesis seeds the shared generator, and then every pytest-xdist worker would draw the same ports.
_random = random.SystemRandom()
_ports_given: set[int] = set()


def require(reason: str) -> NoReturn:
    """Give up a test for want of a binary: skip it on a laptop, fail it where CI is "true"."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on and that was not returned before.

    It lies below the range for outgoing connections, so that a server that is down for a moment does not
    lose its port to one of those.
    """
    while True:
        port = _random.randrange(10_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if port not in _ports_given:
                _ports_given.add(port)
                return port


def short_folder() -> Path:
    """Make a temporary folder whose path leaves room for the name of a unix socket."""
    base = tempfile.gettempdir()
    if len(base) > _LONGEST_BASE:
        base = "/tmp"  # noqa: S108  # mkdtemp makes a private folder with a name nobody can guess
    return Path(tempfile.mkdtemp(prefix="vg", dir=base))


def wait_until(
    predicate: Callable[[], object],
    timeout_s: float,
    what: str,
    *,
    ignoring: Errors = (),
    log: Callable[[], str] = str,
) -> None:
    """Return once `predicate` is true; its errors of the types `ignoring` mean "not yet".

    Raises AssertionError after `timeout_s` seconds, with `what` was waited for, the last error ignored and
    the end of `log()`.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        error: Exception | None = None
        try:
            if predicate():
                return
        except ignoring as caught:
            error = caught
        if time.monotonic() >= deadline:
            break
        time.sleep(0.01)
    because = f": {error!r}" if error else ""
    tail = "\n".join(log().splitlines()[-_LOG_TAIL_LINES:])
    raise AssertionError(f"waited {timeout_s:g} s in vain until {what}{because}\n{tail}".rstrip())
