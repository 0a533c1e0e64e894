"""The systemd units of deploy/, run without systemd: their commands, their settings, and their socket."""

import socket
import sys
from collections.abc import Mapping
from configparser import ConfigParser
from pathlib import Path

from tests.servers.gunicorn import ROOT, Service
from tests.workers import Worker

UNITS = ROOT / "deploy" / "systemd"
_INSTALLED = "/opt/vigilry/.venv/bin"
# What systemd does for a service that has a socket, by sd_listen_fds(3).
_HAND_OVER = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.execve(sys.argv[2], sys.argv[2:], os.environ | {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())})
"""


def render(unit: str) -> str:
    """Return a unit's text for an installation in this checkout, with the Python that runs the tests."""
    text = (UNITS / unit).read_text()
    assert _INSTALLED in text or unit.endswith(".socket"), f"{unit} starts nothing of ours"
    return text.replace(_INSTALLED, str(Path(sys.executable).parent))


def command_of(unit: str) -> list[str]:
    """Return what a unit starts."""
    # A unit may give a name several times, as ExecReload= and SystemCallFilter= do; the last one stands here.
    parser = ConfigParser(strict=False, interpolation=None)
    parser.read_string(render(unit))
    return parser["Service"]["ExecStart"].split()


def settings_file(folder: Path, changes: Mapping[str, str]) -> Path:
    """Write deploy/vigilry.env into `folder`, with other values for some of its settings."""
    lines = (ROOT / "deploy" / "vigilry.env").read_text().splitlines()
    kept = [line for line in lines if line.partition("=")[0] not in changes]
    assert len(lines) - len(kept) == len(changes), "deploy/vigilry.env lacks one of these settings"
    path = folder / "vigilry.env"
    path.write_text("\n".join([*kept, *(f"{name}={value}" for name, value in changes.items())]))
    return path


class WebUnit(Service):
    """Run vigilry-web.service on its socket, which stays open while the service stops and starts again.

    `port` is for a socket on 127.0.0.1 instead of a unix socket.
    """

    def __init__(
        self, settings: Mapping[str, str | int], *, workers: int = 2, port: int | None = None
    ) -> None:
        super().__init__(settings, workers=workers, bind=f"127.0.0.1:{port}" if port else "unix")
        self._socket = socket.socket(socket.AF_INET if port else socket.AF_UNIX)
        self._socket.bind(("127.0.0.1", port) if port else self.bind.removeprefix("unix:"))
        self._socket.listen(4096)
        # gunicorn is told of the socket only by systemd's protocol.
        self.env = {name: text for name, text in (self.env or {}).items() if name != "VIGILRY_BIND"}
        self.pass_fds = (self._socket.fileno(),)
        hand_over = [sys.executable, "-c", _HAND_OVER, str(self._socket.fileno())]
        self.command = hand_over + command_of("vigilry-web.service")

    def close(self) -> None:
        """Stop the service, and close its socket."""
        super().close()
        self._socket.close()


class WorkerUnit(Worker):
    """Run vigilry-worker@.service."""

    def __init__(self, settings: Mapping[str, str | int]) -> None:
        super().__init__(settings)
        self.command = command_of("vigilry-worker@.service")
