"""What gunicorn's master does here before it starts, reloads and stops; it opens no connection itself."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from vigilry_ingest.server.drain_state import begin_draining, is_draining

_Handler = Callable[[int, object], None]

# gunicorn's own handlers, to which a signal is passed on.
_gunicorns: dict[int, Any] = {}


def refusal_to_start(server: Any) -> str:
    """Say why the settings cannot be used, or the broker not give the durability; nothing when all is well.

    A broker that is away is no reason.
    """
    return _fault_found_by(_look_before_start(), server)


def guard_signals(server: Any, drain_s: int) -> None:
    """Stand before gunicorn's handlers of TERM, INT, QUIT and HUP in its master, the arbiter `server`.

    TERM first makes the service unready, for `drain_s` seconds in which it goes on; a second TERM stops it at
    once, as INT and QUIT do. HUP is passed on only when new workers would start: gunicorn itself replaces the
    workers in any case, and ends with the first that cannot start.
    """

    def drain(number: int, frame: object) -> None:
        is_first = not is_draining()
        begin_draining()
        if is_first and drain_s:
            server.log.info("Draining for %s s, then stopping.", drain_s)
            signal.signal(signal.SIGALRM, lambda *_: _gunicorns[signal.SIGTERM](number, frame))
            signal.alarm(drain_s)
        else:
            _gunicorns[signal.SIGTERM](number, frame)

    def reload(number: int, frame: object) -> None:
        if fault := _refusal_to_reload(server):
            server.log.error("Not reloaded; the workers go on as they are. %s", fault)
        else:
            _gunicorns[signal.SIGHUP](number, frame)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        # After a reload this is called again, and what stands there then is ours.
        _gunicorns.setdefault(number, signal.getsignal(number))
    _handle(signal.SIGTERM, drain)
    _handle(signal.SIGINT, _gunicorns[signal.SIGINT])
    _handle(signal.SIGQUIT, _gunicorns[signal.SIGQUIT])
    _handle(signal.SIGHUP, reload)


def _handle(number: signal.Signals, handler: _Handler) -> None:
    master = os.getpid()

    def in_master(number: int, frame: object) -> None:
        if os.getpid() == master:
            handler(number, frame)
        elif number != signal.SIGHUP:
            # A worker has the master's handlers until it has set its own. With gunicorn's it would forget
            # that it is to stop, and be killed after `graceful_timeout` with the requests then in hand.
            os._exit(0)

    signal.signal(number, in_master)


def _refusal_to_reload(server: Any) -> str:
    # The same command once more, which loads the settings and the application, and ends.
    checks = [_start(*sys.orig_argv[1:], "--check-config"), _look_before_start()]
    faults = [_fault_found_by(check, server) for check in checks]
    return next(filter(None, faults), "")


def _look_before_start() -> "subprocess.Popen[str]":
    return _start("-m", "vigilry_ingest.server.preflight")


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
