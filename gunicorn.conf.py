"""Settings of gunicorn, from the same VIGILRY_* variables as the application's."""

import gc
import os
import resource
import sys

from vigilry_ingest.config.settings import Config, ConfigError
from vigilry_ingest.observability.logging_config import logging_config
from vigilry_ingest.observability.metrics_slots import free_slot, take
from vigilry_ingest.server.arbiter_hooks import guard_signals, refusal_to_start

try:
    _config = Config.from_environ()
except ConfigError as error:
    raise SystemExit(f"Error: {error}") from None

wsgi_app = "wsgi:app"
# A socket passed by systemd takes precedence. Access to a unix socket is limited by its folder's permissions.
bind = _config.bind
# Requests are CPU-bound, so more workers than cores do not help.
workers = _config.workers or os.cpu_count() or 1
worker_class = {
    "gevent": "vigilry_ingest.server.gevent_worker.WebWorker",
    "gthread": "vigilry_ingest.server.workers.ProblemThreadWorker",
    "sync": "vigilry_ingest.server.workers.ProblemSyncWorker",
}[_config.worker_class]
threads = 4 if _config.worker_class == "gthread" else 1
# An idle or slow connection costs little more than its file, so the limit is that of open files, without some
# for the broker, the database and the metrics.
_soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
_open_files = max(_soft, 16_384 if _hard == resource.RLIM_INFINITY else min(_hard, 16_384))
resource.setrlimit(resource.RLIMIT_NOFILE, (_open_files, _hard))
worker_connections = max(100, min(8192, _open_files - 256))

# A worker that is unresponsive for this long is replaced; every request ends long before.
timeout = 30
# How long a stopping worker may take to finish its requests; the publish time-out bounds each of them.
graceful_timeout = 30
# Much longer than nginx's, so that gunicorn never closes an idle connection just as nginx reuses it.
keepalive = 75
# Workers are replaced from time to time, at different times, in case of an undetected leak.
max_requests = 1_000_000
max_requests_jitter = 250_000

# Forwarded headers are not used: no response contains the service's address, and no decision depends on the
# sender's. Accepting them from any peer therefore is safe, and saves a check of the peer for each request.
forwarded_allow_ips = "*"
secure_scheme_headers = {}
forwarder_headers = ""
# JSON lines on stdout, and readable ones on a terminal.
logconfig_dict = logging_config(_config.log_level, _config.log_format)
# nginx writes the access log; another one here would be expensive.
accesslog = None
# Nothing here needs gunicorn's control socket, so it is not opened.
control_socket_disable = True


def on_starting(server):
    """Refuse to start with unusable settings, or with a broker that lacks the configured durability."""
    if fault := refusal_to_start(server):
        raise SystemExit(f"Error: {fault}")


def when_ready(server):
    """Make TERM drain first, and HUP check the settings and the code before it reloads."""
    guard_signals(server, _config.drain_s)


def pre_fork(server, worker):
    """Assign the worker a slot for its metrics."""
    worker.slot = free_slot(other.slot for other in server.WORKERS.values())


def post_fork(server, worker):  # noqa: ARG001  gunicorn passes it
    """Take the assigned slot, in the worker."""
    take(worker.slot)


def post_worker_init(worker):
    """Log that a worker has loaded the application and accepts requests."""
    # What is loaded stays, so no collection needs to look at it again.
    gc.collect()
    gc.freeze()
    worker.log.info("Worker ready with pid: %s", worker.pid)


def worker_exit(server, worker):  # noqa: ARG001  gunicorn passes them
    """Write the worker's last counts; the arbiter calls this too, and has none."""
    if metrics := sys.modules.get("vigilry_ingest.observability.metrics"):
        metrics.flush()


# The settings may have changed since the start.
on_reload = when_ready
