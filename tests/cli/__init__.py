"""The commands, run as an operator runs them: the real ``flask`` in the repository's root."""

import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import threading
from contextlib import closing, suppress
from pathlib import Path
from queue import Empty, Queue
from typing import IO, Self

import click

from tests.cli import forked
from vigilry_ingest.app import create_app
from vigilry_ingest.config.settings import Config
from vigilry_ingest.storage.engine import make_engine
from vigilry_ingest.storage.migrate import upgrade

ROOT = Path(__file__).parents[2]
_FOREIGN = ("VIGILRY_", "FLASK_")
_TIMEOUT_S = 30.0

Words = str | bytes


def environment(**settings: str) -> dict[str, str]:
    """Return this process's environment with these VIGILRY_* settings and no others."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    return own | {f"VIGILRY_{name}": value for name, value in settings.items()}


def command(*words: Words) -> list[Words]:
    """Return the command line of ``flask`` and its words."""
    return [sys.executable, "-m", "flask", *words]


def flask(*words: Words, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run ``flask`` with the settings, named without VIGILRY_, to its end."""
    return forked.run([os.fsdecode(word) for word in words], environment(**settings), ROOT, _TIMEOUT_S)


def flask_well(*words: Words, **settings: str) -> str:
    """Run ``flask``, check that it ends well and complains of nothing, and return its output."""
    done = flask(*words, **settings)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def failure_of(*words: Words, **settings: str) -> str:
    """Run ``flask``, check that it ends with exit code 1 and one clear line, and return the line."""
    done = flask(*words, **settings)
    return the_one_line(done.returncode, done.stdout, done.stderr)


def the_one_line(returncode: int, stdout: str, stderr: str) -> str:
    """Check that a command failed with exit code 1 and one clear line, and return the line."""
    assert_no_traceback(stderr)
    assert (returncode, stdout) == (1, ""), stderr
    assert stderr.startswith("Error: ")
    assert stderr.endswith("\n")
    assert not stderr.endswith("..\n")
    assert stderr.count("\n") == 1, stderr
    return stderr


def assert_no_traceback(stderr: str) -> None:
    """Check that a command told of a failure in words for people."""
    assert "Traceback" not in stderr, "a traceback that ends in: " + stderr.splitlines()[-1]


def assert_misuse(*words: Words, **settings: str) -> str:
    """Run ``flask``, check that it refuses the words themselves (exit code 2), and return why."""
    done = flask(*words, **settings)
    assert_no_traceback(done.stderr)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Usage: " in done.stderr
    return done.stderr


def assert_readable_help(group: click.Group) -> None:
    """Check the help of a group and of each of its commands."""
    assert group.name
    runner = create_app(Config()).test_cli_runner()
    page = flask_well(group.name, "--help")
    _assert_page(page, group)
    for name, each in group.commands.items():
        line = next(line for line in page.splitlines() if line.split()[:1] == [name])
        assert len(line.split()) > 2, f"nothing is said of {name}"
        assert not line.endswith("..."), f"what is said of {name} is cut off: {line}"
        # Within this process, because a process for each page would take seconds.
        shown = runner.invoke(args=[group.name, name, "--help"])
        assert shown.exit_code == 0, shown.output
        _assert_page(shown.output, each)


def _assert_page(page: str, described: click.Command) -> None:
    assert page.startswith("Usage: ")
    assert max(len(line) for line in page.splitlines()) <= 80
    assert described.help
    for parameter in described.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"nothing is said of {parameter.opts}"
            assert all(option in page for option in parameter.opts)
        else:
            assert parameter.make_metavar(click.Context(described)) in page


def migrate(database_url: str) -> None:
    """Bring a database to this version, faster than by the command."""
    engine = make_engine(database_url)
    upgrade(engine)
    engine.dispose()


def on_terminal(*words: Words, **settings: str) -> tuple[int, str]:
    """Run ``flask`` on a terminal of 80 columns; return its exit code and all that the terminal got."""
    return on_terminal_of(80, {}, *words, **settings)


def on_terminal_of(
    columns: int, variables: dict[str, str], *words: Words, **settings: str
) -> tuple[int, str]:
    """Do as ``on_terminal``, on one of another width and with further variables by their whole names."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    running = subprocess.Popen(
        command(*words),
        cwd=ROOT,
        env=environment(**settings) | {"TERM": "xterm"} | variables,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    with closing(os.fdopen(ours, "rb", buffering=0)) as terminal, suppress(OSError):
        # A terminal whose other side is closed ends with an error.
        while some := terminal.read(4096):
            shown += some
    return running.wait(20), shown.decode(errors="surrogateescape")


class Running:
    """A command that goes on until it is told to end; its lines can be waited for."""

    def __init__(self, *words: Words, **settings: str) -> None:
        self._popen = subprocess.Popen(
            command(*words),
            cwd=ROOT,
            env=environment(**settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._lines: Queue[str] = Queue()
        assert self._popen.stdout
        self._reader = threading.Thread(target=self._read, args=(self._popen.stdout,), daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._popen.kill()
        self._popen.wait(_TIMEOUT_S)
        self._reader.join(_TIMEOUT_S)
        for stream in (self._popen.stdout, self._popen.stderr):
            if stream:
                stream.close()

    def _read(self, stdout: IO[bytes]) -> None:
        # As bytes, because nothing but a line feed ends a line.
        for line in stdout:
            self._lines.put(line.decode())

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._popen.pid

    def line(self, timeout_s: float = 10.0) -> str:
        """Return the next line, without its end."""
        line = self._lines.get(timeout=timeout_s)
        assert line.endswith("\n")
        return line[:-1]

    def is_silent(self, seconds: float) -> bool:
        """Tell whether no line comes for a time."""
        try:
            self.line(seconds)
        except Empty:
            return True
        return False

    def interrupt(self) -> None:
        """Do what Ctrl-C does."""
        self._popen.send_signal(signal.SIGINT)

    def wait(self, timeout_s: float = _TIMEOUT_S) -> tuple[int, str, str]:
        """Wait for the end; return the exit code, what of the output was not yet read, and the errors."""
        assert self._popen.stderr
        returncode = self._popen.wait(timeout_s)
        errors = self._popen.stderr.read().decode()
        self._reader.join(timeout_s)
        rest = [self._lines.get() for _ in range(self._lines.qsize())]
        return returncode, "".join(rest), errors
