"""What gunicorn's master does here before it starts, reloads and stops; it opens no connection itself."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from vigilry_ingest.draining import begin_draining

# gunicorn's own handlers, to which a signal is passed on.
_gunicorns: dict[int, Any] = {}


def refusal_to_start(server: Any) -> str:
    """Say why the broker cannot give the durability that is set, or nothing when it can or is not there."""
    return _fault_found_by(_doctor(), server)


def guard_signals(server: Any, drain_s: int) -> None:
    """Stand before gunicorn's handlers of TERM and HUP in its master, the arbiter `server`.

    TERM first makes the service unready, for `drain_s` seconds in which it goes on; a second TERM stops it at
    once. HUP is passed on only when new workers would start: gunicorn itself replaces the workers in any
    case, and ends with the first that cannot start.
    """
    master = os.getpid()

    def drain(number: int, frame: object) -> None:
        # A worker that is just being born has this handler too.
        if os.getpid() == master:
            begin_draining()
            signal.signal(signal.SIGTERM, _gunicorns[signal.SIGTERM])
            if drain_s:
                server.log.info("Draining for %s s, then stopping.", drain_s)
                signal.signal(signal.SIGALRM, lambda *_: _gunicorns[signal.SIGTERM](number, frame))
                signal.alarm(drain_s)
                return
        _gunicorns[signal.SIGTERM](number, frame)

    def reload(number: int, frame: object) -> None:
        if os.getpid() == master and (fault := _refusal_to_reload(server)):
            server.log.error("Not reloaded; the workers go on as they are. %s", fault)
            return
        _gunicorns[signal.SIGHUP](number, frame)

    _stand_before(signal.SIGTERM, drain)
    _stand_before(signal.SIGHUP, reload)


def _stand_before(number: signal.Signals, handler: Callable[[int, object], None]) -> None:
    # After a reload this is called again, and what stands there then is ours.
    _gunicorns.setdefault(number, signal.getsignal(number))
    signal.signal(number, handler)


def _refusal_to_reload(server: Any) -> str:
    # The same command once more, which loads the settings and the application, and ends.
    checks = [_start(*sys.orig_argv[1:], "--check-config"), _doctor()]
    faults = [_fault_found_by(check, server) for check in checks]
    return next(filter(None, faults), "")


def _doctor() -> "subprocess.Popen[str]":
    return _start("-m", "flask", "doctor", "--before-start")


def _start(*words: str) -> "subprocess.Popen[str]":
    # In a process of its own: what redis-py imports must not be imported here before gevent's workers have
    # patched it.
    return subprocess.Popen(
        [sys.executable, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def _fault_found_by(check: "subprocess.Popen[str]", server: Any) -> str:
    said, fault = (text.strip() for text in check.communicate())
    if said:
        server.log.warning("%s", said)
    return (fault or f"exit code {check.returncode}") if check.returncode else ""
