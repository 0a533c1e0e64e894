"""What gunicorn's arbiter does before it starts, reloads and stops; it opens no connection itself."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from vigilry_ingest.server.drain_state import begin_draining, is_draining

# Upper bound on a check before a start or a reload; it loads the application and asks the broker.
_CHECK_S = 60.0
_POLL_S = 0.2

_Handler = Callable[[int, object], None]

# gunicorn's own handlers, to which signals are passed on.
_gunicorns: dict[int, Any] = {}
_is_stopping = False


def refusal_to_start(server: Any) -> str:
    """Return why the service cannot start: its settings, or a broker less durable than configured.

    Returns "" when nothing stands in the way; a broker that is away does not.
    """
    return _fault_found_by(_start_preflight(), server, _CHECK_S)


def guard_signals(server: Any, drain_s: int) -> None:
    """Handle TERM, INT, QUIT and HUP in the arbiter ``server`` before gunicorn does.

    TERM makes the service unready first, and stops it after ``drain_s`` seconds; a second TERM stops it at
    once, as INT and QUIT do. HUP is passed on only if new workers would start: gunicorn replaces the workers
    in any case, and ends with the first that cannot start. A signal to stop ends a check that is under way.
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
            server.log.error("Not reloaded; the workers continue as they are. %s", fault)
        else:
            _gunicorns[signal.SIGHUP](number, frame)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        # After a reload this is called again, and the current handlers are the ones below.
        _gunicorns.setdefault(number, signal.getsignal(number))
    _handle(signal.SIGTERM, drain)
    _handle(signal.SIGINT, _gunicorns[signal.SIGINT])
    _handle(signal.SIGQUIT, _gunicorns[signal.SIGQUIT])
    _handle(signal.SIGHUP, reload)


def _handle(number: signal.Signals, handler: _Handler) -> None:
    arbiter = os.getpid()

    def in_arbiter(number: int, frame: object) -> None:
        global _is_stopping
        if os.getpid() == arbiter:
            _is_stopping = _is_stopping or number != signal.SIGHUP
            handler(number, frame)
        elif number != signal.SIGHUP:
            # A worker has the arbiter's handlers until it has set its own. With gunicorn's it would forget to
            # stop, and be killed after `graceful_timeout` with the requests it has by then.
            os._exit(0)

    signal.signal(number, in_arbiter)


def _refusal_to_reload(server: Any) -> str:
    # The same command again, which loads the settings and the application, and ends.
    checks = [_start(*sys.orig_argv[1:], "--check-config"), _start_preflight()]
    faults = [_fault_found_by(check, server, _CHECK_S) for check in checks]
    return next(filter(None, faults), "")


def _start_preflight() -> "subprocess.Popen[str]":
    return _start("-m", "vigilry_ingest.server.preflight")


def _start(*words: str) -> "subprocess.Popen[str]":
    # In a process of its own: what redis-py imports must not be imported here before gevent's workers have
    # patched it.
    return subprocess.Popen(
        [sys.executable, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def _fault_found_by(check: "subprocess.Popen[str]", server: Any, limit_s: float) -> str:
    deadline = time.monotonic() + limit_s
    while True:
        try:
            output, fault = (text.strip() for text in check.communicate(timeout=_POLL_S))
        except subprocess.TimeoutExpired:
            if not _is_stopping and time.monotonic() < deadline:
                continue
            check.kill()
            check.communicate()
            return (
                "The service is stopping." if _is_stopping else f"The check did not end in {limit_s:.0f} s."
            )
        if output:
            server.log.warning("%s", output)
        return (fault or f"exit code {check.returncode}") if check.returncode else ""
