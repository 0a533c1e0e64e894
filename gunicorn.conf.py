"""gunicorn's settings, from the same VIGILRY_* variables as the application's; opens no connection."""

from vigilry_ingest.config import Config

_config = Config.from_environ()

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
    from vigilry_ingest.stream.diagnosis import obstacles
    from vigilry_ingest.stream.errors import PublishError

    try:
        found = obstacles(
            _config.redis_url,
            partitions=_config.stream_partitions,
            durability=_config.durability,
            timeout_s=_config.publish_timeout_ms / 1000,
        )
    except PublishError as error:
        server.log.warning("the broker cannot be used (%s); events are refused until it can", error.code)
        return
    if found:
        reasons = " ".join(f"{each.subject}: {each.text}" for each in found)
        raise SystemExit(f"VIGILRY_DURABILITY={_config.durability} cannot be had. {reasons}")
