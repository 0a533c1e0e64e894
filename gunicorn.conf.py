"""gunicorn's settings, from the same VIGILRY_* variables as the application's; opens no connection."""

import subprocess
import sys

from vigilry_ingest.config import Config, ConfigError

try:
    _config = Config.from_environ()
except ConfigError as error:
    raise SystemExit(f"Error: {error}") from None

wsgi_app = "wsgi:app"
bind = _config.bind
workers = _config.workers
worker_class = _config.worker_class
threads = 4 if _config.worker_class == "gthread" else 1
worker_connections = 1000

# A worker that answers nothing for this long is replaced; every request ends far sooner by itself.
timeout = 30
# What is in hand when a worker is told to stop is finished; the publish time-out bounds it.
graceful_timeout = 30
keepalive = 75

# Sent by nginx on the same machine; from anybody else they are not believed.
forwarded_allow_ips = "127.0.0.1,::1"
# nginx writes the access log; one more line a request here would cost more than the request's own work.
accesslog = None
# The remote control is one more door, and nothing here needs it.
control_socket_disable = True


def on_starting(server):
    """Refuse to start when the broker is there, and cannot give the durability that is asked for."""
    # In a process of its own: what redis-py imports must not be imported here before gevent's workers have
    # patched it.
    doctor = [sys.executable, "-m", "flask", "doctor", "--before-start"]
    report = subprocess.run(doctor, capture_output=True, text=True, check=False)
    if report.stdout.strip():
        server.log.warning("%s", report.stdout.strip())
    if report.returncode:
        raise SystemExit(f"VIGILRY_DURABILITY={_config.durability} cannot be had.\n{report.stderr.strip()}")
