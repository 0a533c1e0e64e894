"""``make run``: readable logs on a terminal and JSON elsewhere, and files that only their owner can read."""

import fcntl
import json
import os
import pty
import re
import shutil
import signal
import stat
import struct
import subprocess
import termios
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # psutil ships no types
import pytest

from tests.fixtures.servers.gunicorn import ROOT
from tests.fixtures.servers.waiting import require, short_folder, wait_until

# What the recipe needs of the repository; the rest of it is made under var/.
NEEDED = (
    "Makefile", "Procfile", "wsgi.py", "gunicorn.conf.py", "vigilry_ingest", ".venv", "requirements.lock",
    "setup.cfg", "pyproject.toml",
)  # fmt: skip
COLUMNS = 100
STARTED = ("Worker ready", "worker started")
ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
PREFIX = re.compile(r"\d\d:\d\d:\d\d (web|worker)\.1 +\| ")
STOP_TIMEOUT_S = 30.0


@pytest.fixture(scope="module")
def checkout() -> Iterator[Path]:
    """Return a folder that looks like the repository, with the var/ of an earlier version."""
    if not (ROOT / ".venv/.installed").exists() or not shutil.which("make"):
        require("make setup was not run")
    folder = short_folder()
    for name in NEEDED:
        (folder / name).symlink_to(ROOT / name)
    var = folder / "var"
    (var / "appendonlydir").mkdir(parents=True)
    (var / "appendonlydir/old.aof").touch()
    for path in (var, *var.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    yield folder
    shutil.rmtree(folder)


def run(folder: Path, *, on_terminal: bool, **variables: str) -> str:
    """Run ``make run`` until everything has started, end it as Ctrl-C does, and return its output."""
    ours, theirs = pty.openpty() if on_terminal else os.pipe()
    if on_terminal:
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
    names = ("FORCE_COLOR", "NO_COLOR", "COLUMNS")
    own = {name: text for name, text in os.environ.items() if name not in names}
    settings = {"VIGILRY_BIND": "unix:var/web.sock", "VIGILRY_WORKERS": "1", "TERM": "xterm-256color"}
    make = subprocess.Popen(
        ["make", "run"],
        cwd=folder,
        env=own | settings | variables,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        umask=0o022,
        # A process group of its own, to which Ctrl-C can be sent.
        start_new_session=True,
    )
    os.close(theirs)
    output = bytearray()

    def read() -> None:
        # A terminal whose other side is closed ends with an error.
        with suppress(OSError):
            while some := os.read(ours, 4096):
                output.extend(some)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        wait_until(
            lambda: all(text.encode() in output for text in STARTED), 30, "all has started", log=output.decode
        )
    finally:
        # honcho's processes are not in its group.
        started = psutil.Process(make.pid).children(recursive=True)
        os.killpg(make.pid, signal.SIGINT)
        make.wait(STOP_TIMEOUT_S)
        for process in psutil.wait_procs(started, 1)[1]:
            process.kill()
        reader.join(STOP_TIMEOUT_S)
        os.close(ours)
    return output.decode()


def log_lines(output: str) -> list[str]:
    """Return the log lines of the service and the worker, without honcho's prefix."""
    lines = [ESCAPE.sub("", line) for line in output.splitlines()]
    return [PREFIX.sub("", line) for line in lines if PREFIX.match(line)]


def test_on_a_terminal_the_log_is_readable_coloured_and_as_wide_as_the_terminal(checkout: Path) -> None:
    output = run(checkout, on_terminal=True)
    lines = log_lines(output)
    assert not any(line.startswith("{") for line in lines), output
    # A time that repeats is left out.
    started = re.compile(r"(\d\d:\d\d:\d\d| {8}) INFO +worker started  group=store *")
    assert any(map(started.fullmatch, lines)), output
    coloured = next(line for line in output.splitlines() if "worker started" in line)
    assert re.search(r"\x1b\[[0-9;]*m", coloured.partition("|")[2]), coloured
    assert max(map(len, lines)) == COLUMNS - len("12:00:00 worker.1 | ")


def test_with_no_color_the_log_is_readable_without_colours(checkout: Path) -> None:
    output = run(checkout, on_terminal=True, NO_COLOR="1")
    assert "\x1b" not in output
    assert any("INFO     worker started" in line for line in log_lines(output)), output


@pytest.fixture(scope="module")
def piped(checkout: Path) -> str:
    """Return the output of ``make run`` in a pipe."""
    return run(checkout, on_terminal=False)


def test_in_a_pipe_the_log_is_json(piped: str) -> None:
    messages = [json.loads(line)["message"] for line in log_lines(piped)]
    assert "worker started" in messages
    assert "\x1b" not in piped


@pytest.mark.usefixtures("piped")
def test_whatever_holds_events_or_keys_is_private_to_its_owner(checkout: Path) -> None:
    var = checkout / "var"
    made = {each.name for each in var.rglob("*")}
    assert {"vigilry.db", "first-key.txt", "appendonlydir", "old.aof"} < made
    assert any(name.startswith("appendonly.aof") for name in made), made
    readable = {
        str(each): oct(each.stat().st_mode)
        for each in (var, *var.rglob("*"))
        if stat.S_IMODE(each.stat().st_mode) & 0o077 and not each.is_socket()
    }
    assert readable == {}
