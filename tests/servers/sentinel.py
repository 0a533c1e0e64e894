"""A primary with replicas and three sentinels that watch over them and name a new primary when it fails."""

from contextlib import ExitStack
from typing import Any, Self

from tests.servers.valkey import HOST, NOT_READY, Valkey
from tests.servers.waiting import wait_until

Address = tuple[str, int]

# How often sentinels ask and tell, in milliseconds; by default they meet only after seconds. A replica is
# promoted only when it was heard of within five ping periods, and while the primary is down that is once a
# second.
_PERIODS = ("PING-PERIOD", 300, "INFO-PERIOD", 200, "ASK-PERIOD", 100, "PUBLISH-PERIOD", 200)


class Sentinel(Valkey):
    """Run one sentinel, which is Valkey's binary with another part to play."""

    def __init__(
        self, service: str, primary: Valkey, *, quorum: int, down_after_ms: int, failover_ms: int
    ) -> None:
        super().__init__(tcp=True, unix=False)
        conf = self.write_conf(
            {
                "bind": HOST,
                "port": str(self.port),
                "dir": str(self.folder),
                "sentinel monitor": f"{service} {HOST} {primary.port} {quorum}",
                "sentinel down-after-milliseconds": f"{service} {down_after_ms}",
                "sentinel failover-timeout": f"{service} {failover_ms}",
            }
        )
        self.command = [self.command[0], conf, "--sentinel"]

    def wait_ready(self) -> None:
        """Wait until the sentinel answers, and quicken it."""
        super().wait_ready()
        self.ask("SENTINEL DEBUG", *_PERIODS)


class SentinelSetup:
    """Run one primary, its replicas and three sentinels as a context manager."""

    failover_timeout_s: float = 30.0

    def __init__(
        self,
        *,
        replicas: int = 1,
        service: str = "vigilry",
        down_after_ms: int = 1000,
        failover_ms: int = 3000,
    ) -> None:
        self.service = service
        first = Valkey(tcp=True, unix=False)
        self.servers = [first, *(Valkey(tcp=True, unix=False, replica_of=first) for _ in range(replicas))]
        self.sentinels = [
            Sentinel(service, first, quorum=2, down_after_ms=down_after_ms, failover_ms=failover_ms)
            for _ in range(3)
        ]
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for server in self.servers:
                stack.enter_context(server)
            self.servers[0].wait_replicas(len(self.servers) - 1)
            for sentinel in self.sentinels:
                stack.enter_context(sentinel)
            self.wait_ready()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    @property
    def url(self) -> str:
        """Return the URL that names the sentinels and the service."""
        hosts = ",".join(f"{HOST}:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{hosts}/{self.service}"

    def primary(self) -> Address:
        """Return the primary's address, on which every running sentinel agrees."""
        found: set[Address] = set()

        def agreed() -> bool:
            found.clear()
            found.update(self._named_by(sentinel) for sentinel in self._watching())
            return len(found) == 1

        wait_until(agreed, self.failover_timeout_s, "the sentinels agree on a primary", ignoring=NOT_READY)
        return found.pop()

    def server_at(self, address: Address) -> Valkey:
        """Return the server that has the address."""
        return next(server for server in self.servers if server.address == address)

    def kill_primary(self) -> Address:
        """Kill the primary (kill -9), and return the address that it had."""
        address = self.primary()
        self.server_at(address).kill()
        return address

    def wait_failover(self, old: Address) -> Address:
        """Wait until the sentinels name another primary than `old` that takes writes; return its address."""

        def moved() -> bool:
            named = {self._named_by(sentinel) for sentinel in self._watching()}
            if len(named) != 1 or old in named:
                return False
            return bool(self.server_at(named.pop()).ask("ROLE")[0] == "master")

        wait_until(
            moved,
            self.failover_timeout_s,
            "another primary",
            ignoring=NOT_READY,
            log=self._watching()[0].log_text,
        )
        return self.primary()

    def wait_ready(self) -> None:
        """Wait until every sentinel knows the others and all replicas, so that a failover can succeed."""

        def known() -> bool:
            states = [self._state(sentinel) for sentinel in self._watching()]
            others, replicas = len(self.sentinels) - 1, len(self.servers) - 1
            return all(
                (int(s["num-other-sentinels"]), int(s["num-slaves"])) == (others, replicas) for s in states
            )

        wait_until(known, self.failover_timeout_s, "the sentinels know all", ignoring=NOT_READY)

    def _watching(self) -> list[Sentinel]:
        return [sentinel for sentinel in self.sentinels if sentinel.alive and not sentinel.frozen]

    def _named_by(self, sentinel: Sentinel) -> Address:
        host, port = sentinel.ask("SENTINEL GET-MASTER-ADDR-BY-NAME", self.service)
        return str(host), int(port)

    def _state(self, sentinel: Sentinel) -> dict[str, Any]:
        state: dict[str, Any] = sentinel.ask("SENTINEL MASTER", self.service)
        return state
