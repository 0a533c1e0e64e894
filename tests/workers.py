"""The worker, run as an operator runs it: ``flask worker`` in a process of its own."""

import os
import sys
from collections.abc import Mapping

from tests.servers.gunicorn import ROOT
from tests.servers.process import Process
from tests.servers.waiting import wait_until

_FOREIGN = ("VIGILRY_", "FLASK_")
_BEGINS = "worker begins"


class Worker(Process):
    """Run ``flask worker`` in the repository's root.

    `settings` are whole names of environment variables, such as VIGILRY_REDIS_URL; `options` are the
    command's own.
    """

    stop_timeout_s = 20.0

    def __init__(self, settings: Mapping[str, str | int], *options: str) -> None:
        super().__init__(cwd=ROOT)
        own = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
        self.env = own | {name: str(value) for name, value in settings.items()}
        self.command = [sys.executable, "-m", "flask", "worker", *options]
        self._logged = 0

    def start(self) -> None:
        """Start the worker and wait until it says that it begins."""
        self._logged = len(self.log_text())
        super().start()

    def wait_ready(self) -> None:
        """Wait until the worker says that it begins; the log keeps what it said before it was restarted."""
        wait_until(self._has_begun, self.ready_timeout_s, "the worker begins", log=self.log_text)

    def _has_begun(self) -> bool:
        has_ended = not self.alive
        # It may have begun and met its end since the last look.
        if _BEGINS in self.log_text()[self._logged :]:
            return True
        assert not has_ended, f"the worker ended before it began\n{self.log_text()}"
        return False

    def wait_ended(self) -> int:
        """Wait until the worker has ended by itself, or as it was asked to, and return its exit code."""
        assert self._popen is not None, "the worker was never started"
        return self._popen.wait(self.stop_timeout_s)

    def terminate(self) -> int:
        """Ask the worker to end, as an operator does (TERM), and return its exit code; kill -9 gives -9."""
        assert self._popen is not None, "the worker was never started"
        self.stop()
        return self._popen.returncode
