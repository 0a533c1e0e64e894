"""gunicorn for the admin API: a process of its own, with a socket of its own."""

from pathlib import Path
from typing import Any

from gunicorn import util
from gunicorn.app.base import BaseApplication

from vigilry_ingest.config.settings import Config, ConfigError
from vigilry_ingest.observability.logging_config import logging_config

_APP = "vigilry_ingest.app:create_admin_app()"
# An administrator's request waits for the database, and deleting a project for the workers' caches: those who
# delete several must leave threads for who revokes a key.
_THREADS = 16
# As long as the senders' service keeps idle connections, so that none is closed just as a client reuses it.
_KEEPALIVE_S = 75
_UNIX = "unix:"
_LOOPBACK = "127.0.0.1"
_EVERY_HOST = ("", "0.0.0.0", "[::]")  # noqa: S104  to compare with, not to listen on
# A socket in the file system is for the user and the group of the process.
_UMASK = 0o117


class AdminServer(BaseApplication):  # type: ignore[misc]  # gunicorn's is Any
    """Serves the admin API until TERM.

    Raises ConfigError when it is off, or would listen where the senders' service does.
    """

    def __init__(self, config: Config) -> None:
        if not config.admin_bind:
            raise ConfigError(
                "The admin API is off: set VIGILRY_ADMIN_BIND to an address, such as 127.0.0.1:4101"
            )
        if _overlap(config.admin_bind, config.bind):
            raise ConfigError(
                "VIGILRY_ADMIN_BIND must not be VIGILRY_BIND: senders must not reach the admin API"
            )
        self._config = config
        super().__init__()

    def load_config(self) -> None:
        """Set gunicorn's settings; neither a file nor the command line is read."""
        for name, value in {
            "bind": self._config.admin_bind,
            "workers": 1,
            "worker_class": "vigilry_ingest.server.admin_worker.AdminThreadWorker",
            "threads": _THREADS,
            "keepalive": _KEEPALIVE_S,
            "umask": _UMASK,
            # Its maximum: names are in the paths.
            "limit_request_line": 8190,
            "proc_name": "vigilry-admin",
            "forwarded_allow_ips": "",
            "secure_scheme_headers": {},
            "forwarder_headers": "",
            "control_socket_disable": True,
            "logconfig_dict": logging_config(self._config.log_level, self._config.log_format),
        }.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """Return the application, in a worker."""
        return util.import_app(_APP)


def _overlap(one: str, other: str) -> bool:
    """Return whether one client could reach both addresses at the same place."""
    if one.startswith(_UNIX) or other.startswith(_UNIX):
        return _resolved(one) == _resolved(other)
    (host, _, port), (other_host, _, other_port) = one.rpartition(":"), other.rpartition(":")
    hosts = {_LOOPBACK if each == "localhost" else each for each in (host, other_host)}
    return port == other_port and (len(hosts) == 1 or not hosts.isdisjoint(_EVERY_HOST))


def _resolved(bind: str) -> str:
    """Return the path of a unix socket in one form, by which two can be compared."""
    if not bind.startswith(_UNIX):
        return bind
    return str(Path(bind.removeprefix(_UNIX).removeprefix("//")).resolve())
