"""A cluster of three primaries with a replica each, which takes over when its primary fails."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Self

from redis.crc import key_slot

from tests.servers.valkey import HOST, NOT_READY, Valkey
from tests.servers.waiting import wait_until

_SHARDS = 3
_SLOTS = 16384


class ClusterSetup:
    """Run six nodes as a context manager; `shards` holds each primary as started, with its replica."""

    timeout_s: float = 40.0

    def __init__(self, *, node_timeout_ms: int = 1500) -> None:
        settings = {
            "cluster-node-timeout": str(node_timeout_ms),
            # A replica takes over however long it has heard nothing, and stays with its own shard.
            "cluster-replica-validity-factor": "0",
            "cluster-allow-replica-migration": "no",
        }
        self.nodes = [Valkey(unix=False, cluster=True, settings=settings) for _ in range(2 * _SHARDS)]
        self.shards = list(zip(self.nodes[:_SHARDS], self.nodes[_SHARDS:], strict=True))
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for node in self.nodes:
                stack.enter_context(node)
            self._form()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    @property
    def url(self) -> str:
        """Return the URL that names every node."""
        return "redis+cluster://" + ",".join(f"{HOST}:{node.port}" for node in self.nodes)

    def wait_ok(self) -> None:
        """Wait until all running nodes see a whole cluster, and each running replica follows its primary."""
        self._wait(lambda: all(map(self._is_ok, self._running())), "the cluster is whole")

    def primary_of(self, key: str) -> Valkey:
        """Return the node that owns the key's slot as the running nodes say, be it down or not."""
        return self._owner(self._running()[0], key_slot(key.encode()))

    def replica_of(self, primary: Valkey) -> Valkey:
        """Return the other node of the same shard."""
        first, second = next(shard for shard in self.shards if primary in shard)
        return second if primary is first else first

    def kill_primary_of(self, key: str) -> Valkey:
        """Kill the node that owns the key's slot (kill -9), and return it."""
        primary = self.primary_of(key)
        primary.kill()
        return primary

    def wait_failover(self, old: Valkey) -> Valkey:
        """Wait until all running nodes see `old`, killed or frozen, replaced; return the new primary."""
        new = self.replica_of(old)

        def replaced() -> bool:
            return all(self._is_primary(node, new) and self._is_ok(node) for node in self._running())

        self._wait(replaced, "the replica took over")
        return new

    def _form(self) -> None:
        for number, node in enumerate(self.nodes):
            # Unequal epochs from the start save the nodes a round of conflicts.
            node.ask("CLUSTER SET-CONFIG-EPOCH", number + 1)
        for number, node in enumerate(self.nodes):
            for other in self.nodes[number + 1 :]:
                node.ask("CLUSTER MEET", HOST, other.port, other.bus_port)
        bounds = [number * _SLOTS // _SHARDS for number in range(_SHARDS + 1)]
        for (primary, _), first, end in zip(self.shards, bounds, bounds[1:], strict=False):
            primary.ask("CLUSTER ADDSLOTSRANGE", first, end - 1)
        self._wait(lambda: all(map(self._knows_all, self.nodes)), "the nodes know one another")
        for primary, replica in self.shards:
            replica.ask("CLUSTER REPLICATE", primary.ask("CLUSTER MYID"))
        self.wait_ok()

    def _running(self) -> list[Valkey]:
        return [node for node in self.nodes if node.alive and not node.frozen]

    def _wait(self, predicate: Callable[[], bool], what: str) -> None:
        wait_until(
            predicate, self.timeout_s, what, ignoring=NOT_READY, log=lambda: self._running()[0].log_text()
        )

    def _view(self, viewer: Valkey) -> dict[str, dict[str, Any]]:
        view: dict[str, dict[str, Any]] = viewer.ask("CLUSTER NODES")
        return view

    def _knows_all(self, viewer: Valkey) -> bool:
        view = self._view(viewer).values()
        return len(view) == len(self.nodes) and not any("handshake" in node["flags"] for node in view)

    def _is_ok(self, node: Valkey) -> bool:
        info = node.ask("CLUSTER INFO")
        role = node.ask("INFO", "replication")
        known = info["cluster_state"] == "ok" and int(info["cluster_slots_ok"]) == _SLOTS
        return known and (role["role"] == "master" or role["master_link_status"] == "up")

    def _is_primary(self, viewer: Valkey, node: Valkey) -> bool:
        seen = self._view(viewer)[f"{HOST}:{node.port}"]
        return "master" in seen["flags"].split(",") and bool(seen["slots"])

    def _owner(self, viewer: Valkey, slot: int) -> Valkey:
        view = self._view(viewer)
        for node in self.nodes:
            ranges = view[f"{HOST}:{node.port}"]["slots"]
            if any(int(slots[0]) <= slot <= int(slots[-1]) for slots in ranges):
                return node
        raise AssertionError(f"no node owns slot {slot}")
