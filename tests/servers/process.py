"""One server process of the tests: started by its handle, frozen, killed, restarted and stopped."""

import shutil
import signal
import subprocess
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Self

import psutil  # type: ignore[import-untyped]  # psutil ships no types

from tests.servers.waiting import Errors, short_folder, wait_until

_GONE = (psutil.NoSuchProcess, psutil.ZombieProcess)


class Process:
    """Run one server as a context manager, in a temporary folder that goes when it is closed.

    A subclass sets `command` and overrides `wait_ready`. What is done to the process is done to the
    children that it has started as well.
    """

    stop_signal: signal.Signals = signal.SIGTERM
    ready_timeout_s: float = 20.0
    stop_timeout_s: float = 15.0

    def __init__(
        self, command: Sequence[str] = (), *, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> None:
        self.folder = short_folder()
        self.command = list(command)
        self.env = env
        self.cwd = cwd or self.folder
        # (uid, gid) to run as, for a server that refuses to run as root.
        self.run_as: tuple[int, int] | None = None
        # File descriptors that the server inherits, at their own numbers.
        self.pass_fds: tuple[int, ...] = ()
        self.frozen = False
        self._log = self.folder / "server.log"
        self._popen: subprocess.Popen[bytes] | None = None
        self._remove_folder = weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def start(self) -> None:
        """Start the server and wait until it is ready; end it again when it does not get so far."""
        assert not self.alive, f"{self.command[0]} runs already"
        uid, gid = self.run_as or (None, None)
        with self._log.open("ab") as log:
            self._popen = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.cwd,
                env=self.env,
                user=uid,
                group=gid,
                extra_groups=[] if self.run_as else None,
                pass_fds=self.pass_fds,
            )
        try:
            self.wait_ready()
        except BaseException:
            self.kill()
            raise

    def wait_ready(self) -> None:
        """Wait until the server answers; a plain process is ready at once."""

    def stop(self) -> None:
        """Ask the process to end, and kill what still runs after `stop_timeout_s`; thaw it first."""
        if self._popen is None or not self.alive:
            return
        self.thaw()
        tree = self._tree()
        self._popen.send_signal(self.stop_signal)
        with suppress(subprocess.TimeoutExpired):
            self._popen.wait(self.stop_timeout_s)
        self._end(tree)

    def kill(self) -> None:
        """End the process and its children as a power cut would (kill -9), and wait until they are gone."""
        if self._popen is None or not self.alive:
            return
        # Frozen first, so that no child is born between the count and the blow.
        self.freeze()
        self._end(self._tree())

    def restart(self) -> None:
        """Start the server again on the same address and data, after stopping it when it runs."""
        self.stop()
        self.start()

    def close(self) -> None:
        """Stop the server for good and remove its folder."""
        self.stop()
        self._remove_folder()

    def freeze(self) -> None:
        """Halt the process and its children where they are (SIGSTOP): sockets stay open, nobody answers."""
        self.frozen = True
        # The parent first, so that no child is born unseen.
        for process in (self._root(), *self._root().children(recursive=True)):
            self._halt(process)

    def thaw(self) -> None:
        """Let a frozen process and its children go on (SIGCONT)."""
        self.frozen = False
        if not self.alive:
            return
        for process in reversed(self._tree()):
            with suppress(*_GONE):
                process.resume()

    @property
    def pid(self) -> int:
        """Return the process id."""
        assert self._popen is not None, "the server was never started"
        return self._popen.pid

    @property
    def alive(self) -> bool:
        """Tell whether the process was started and has not ended; a frozen one is alive."""
        return self._popen is not None and self._popen.poll() is None

    def children(self) -> list[int]:
        """Return the process ids of what the process has started itself, such as a master's workers."""
        return [child.pid for child in self._root().children()]

    def log_text(self) -> str:
        """Return all that the server has written to its output so far, restarts included."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def wait_for(self, predicate: Callable[[], object], what: str, *, ignoring: Errors = ()) -> None:
        """Wait for `predicate` as wait_until does, and fail at once when the process ends meanwhile."""

        def holds() -> object:
            if not self.alive:
                raise AssertionError(f"{self.command[0]} ended before {what}\n{self.log_text()[-4000:]}")
            return predicate()

        wait_until(holds, self.ready_timeout_s, what, ignoring=ignoring, log=self.log_text)

    def _root(self) -> psutil.Process:
        return psutil.Process(self.pid)

    def _tree(self) -> list[psutil.Process]:
        return [self._root(), *self._root().children(recursive=True)]

    def _halt(self, process: psutil.Process) -> None:
        # A signal is delivered a moment after it is sent.
        with suppress(*_GONE):
            process.suspend()
            wait_until(
                lambda: process.status() in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE),
                self.stop_timeout_s,
                f"process {process.pid} is frozen",
            )

    def _end(self, tree: Sequence[psutil.Process]) -> None:
        assert self._popen is not None
        for process in tree:
            with suppress(*_GONE):
                process.kill()
        self._popen.wait(self.stop_timeout_s)
        self.frozen = False
        # Orphans belong to init now, and an idle init may leave them as zombies: those are gone too.
        for process in tree[1:]:
            wait_until(partial(_is_gone, process), self.stop_timeout_s, f"process {process.pid} is gone")


def _is_gone(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or bool(process.status() == psutil.STATUS_ZOMBIE)
    except _GONE:
        return True
