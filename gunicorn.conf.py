"""gunicorn's settings, from the same VIGILRY_* variables as the application's; opens no connection."""

import os
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
# A socket that systemd hands over is used instead. A unix socket is open to whoever may enter its folder.
bind = _config.bind
# What a request costs is computing, so more workers than cores would only take turns.
workers = _config.workers or os.cpu_count() or 1
worker_class = {
    "gevent": "vigilry_ingest.server.gevent_worker.WebWorker",
    "gthread": "vigilry_ingest.server.workers.PlainThreadWorker",
    "sync": "vigilry_ingest.server.workers.PlainSyncWorker",
}[_config.worker_class]
threads = 4 if _config.worker_class == "gthread" else 1
worker_connections = 1000

# A worker that answers nothing for this long is replaced; every request ends far sooner by itself.
timeout = 30
# What is in hand when a worker is told to stop is finished; the publish time-out bounds it.
graceful_timeout = 30
# Far longer than nginx's, so that it is never gunicorn that closes a connection just when a request comes.
keepalive = 75
# Against a leak that nobody has found: a worker is replaced now and then, and not all of them at once.
max_requests = 1_000_000
max_requests_jitter = 250_000

# What a proxy says of a sender is not used, so that nobody has to be believed: an answer holds no address of
# ours, and nothing is decided by the sender's. To look up at each request who may say it took 12 µs.
forwarded_allow_ips = "*"
secure_scheme_headers = {}
forwarder_headers = ""
# JSON lines on stdout, and readable ones on a terminal.
logconfig_dict = logging_config(_config.log_level, _config.log_format)
# nginx writes the access log; one more line a request here would cost more than the request's own work.
accesslog = None
# The remote control is one more door, and nothing here needs it.
control_socket_disable = True


def on_starting(server):
    """Refuse to start with settings that cannot be used, or on a broker that is not as durable as asked."""
    if fault := refusal_to_start(server):
        raise SystemExit(f"Error: {fault}")


def when_ready(server):
    """Let TERM drain first, and HUP reload only what would start."""
    guard_signals(server, _config.drain_s)


def pre_fork(server, worker):
    """Give a worker its place among the metrics."""
    worker.slot = free_slot(other.slot for other in server.WORKERS.values())


def post_fork(server, worker):  # noqa: ARG001  gunicorn passes it
    """Let the worker take its place."""
    take(worker.slot)


def post_worker_init(worker):
    """Say when a worker has loaded the application, which takes it a second or two, and begins to answer."""
    worker.log.info("Worker ready with pid: %s", worker.pid)


def worker_exit(server, worker):  # noqa: ARG001  gunicorn passes them
    """Write what the worker has counted; the arbiter, which calls this too, has counted nothing."""
    if metrics := sys.modules.get("vigilry_ingest.observability.metrics"):
        metrics.flush()


# The settings may have changed.
on_reload = when_ready
