"""The faults that are injected into a broker or the workers under load."""

import os
import signal
from functools import partial

import psutil  # type: ignore[import-untyped]  # psutil ships no types
import redis

from benchmarks.ledger.brokers import ProxiedValkey, read_stream, stream_key
from benchmarks.ledger.stage import WORKERS, Stage
from tests.fixtures.servers.cluster import ClusterSetup
from tests.fixtures.servers.gunicorn import Service
from tests.fixtures.servers.sentinel import SentinelSetup
from tests.fixtures.servers.valkey import Valkey
from tests.fixtures.servers.waiting import wait_until

STREAM_MAX_ENTRIES = 1500
CLUSTER_PARTITIONS = 12

_LATENCY_S = 0.2
_SPARE_BYTES = 3_000_000
_AMPLE_BYTES = 256_000_000
_FULL_TIMEOUT_S = 30.0


def kill_broker(stage: Stage[Valkey]) -> None:
    """Kill the broker (-9) and restart it: three times in 15 s, or once in the short form."""
    for _ in range(1 if stage.is_short else 3):
        kill_broker_once(stage)
        stage.hold(4.0, 0.0)


def kill_broker_once(stage: Stage[Valkey]) -> None:
    """Kill the broker (-9) and restart it."""
    stage.setup.kill()
    stage.hold(1.0, 0.4)
    stage.setup.start()
    stage.end_fault()


def lose_file(stage: Stage[Valkey]) -> None:
    """Disable the append-only file and kill the broker (-9), so that it restarts from an old file.

    This detects a service that acknowledges without waiting for the file. A kill alone loses nothing that was
    written, synced or not, because the kernel keeps it.
    """
    stage.setup.ask("CONFIG SET", "appendonly", "no")
    stage.hold(2.0, 0.7)
    kill_broker_once(stage)


def freeze_broker(stage: Stage[Valkey]) -> None:
    """Suspend the broker: its sockets stay open, but it does not respond."""
    stage.setup.freeze()
    stage.hold(3.0, 1.4)
    stage.setup.thaw()
    stage.end_fault()


def slow_broker(stage: Stage[ProxiedValkey]) -> None:
    """Delay the connections to the broker, then stall them, then cut them."""
    proxy = stage.setup.proxy
    proxy.delay(_LATENCY_S)
    stage.hold(3.0, 0.8)
    proxy.stall()
    stage.hold(3.0, 1.3)
    proxy.cut()
    stage.hold(1.5, 0.4)
    proxy.heal()
    stage.end_fault()


def swallow_replies(stage: Stage[ProxiedValkey]) -> None:
    """Drop the broker's replies; requests still reach it."""
    stage.setup.proxy.swallow_replies()
    stage.hold(2.0, 1.3)
    stage.setup.proxy.heal()
    stage.end_fault()


def fill_memory(stage: Stage[Valkey]) -> None:
    """Limit the broker's memory until it is full, and raise the limit."""
    server = stage.setup

    def is_full() -> bool:
        try:
            server.ask("SET", "ledger:probe", "x")
        except redis.exceptions.OutOfMemoryError:
            return True
        return False

    spare = _SPARE_BYTES // (4 if stage.is_short else 1)
    server.ask("CONFIG SET", "maxmemory", server.ask("INFO", "memory")["used_memory"] + spare)
    wait_until(is_full, _FULL_TIMEOUT_S, "the memory is full")
    stage.hold(2.0, 0.7)
    server.ask("CONFIG SET", "maxmemory", _AMPLE_BYTES)
    stage.end_fault()


def fill_stream(stage: Stage[Valkey]) -> None:
    """Wait until the stream is full, and then read and trim it repeatedly, as workers do."""
    server, key = stage.setup, stream_key(0)

    def take() -> None:
        entries = read_stream(server, key)
        if entries:
            stage.taken += entries
            milliseconds, sequence = entries[-1].id.split("-")
            server.ask("XTRIM", key, "MINID", f"{milliseconds}-{int(sequence) + 1}")

    wait_until(lambda: server.ask("XLEN", key) >= STREAM_MAX_ENTRIES, _FULL_TIMEOUT_S, "the stream is full")
    stage.hold(2.0, 0.7)
    stage.meanwhile = take
    take()
    stage.end_fault()


def kill_workers(stage: Stage[Valkey]) -> None:
    """Kill a worker (-9) every two seconds; gunicorn's master replaces it."""
    service = stage.service
    for _ in range(1 if stage.is_short else 4):
        victim = max(service.worker_pids(), key=_connections)
        # Suspended first, so that it is killed while it has requests.
        os.kill(victim, signal.SIGSTOP)
        stage.hold(0.3, 0.3)
        os.kill(victim, signal.SIGKILL)
        service.wait_for(partial(_has_all_workers, service, victim), "all workers run")
        stage.end_fault()
        stage.hold(2.0, 0.0)


def _connections(pid: int) -> int:
    return len(psutil.Process(pid).net_connections("tcp"))


def _has_all_workers(service: Service, victim: int) -> bool:
    pids = service.worker_pids()
    return len(pids) == WORKERS and victim not in pids


def fail_over(stage: Stage[SentinelSetup]) -> None:
    """Kill the primary; after the failover restart it, while it still believes that it is the primary."""
    setup = stage.setup
    old = setup.kill_primary()
    for server in setup.servers:
        server.thaw()
    new = setup.server_at(setup.wait_failover(old))
    new.wait_replicas(1)
    stage.end_fault()
    stage.hold(2.0, 0.5)
    setup.server_at(old).start()
    new.wait_replicas(2)


def fail_over_behind(stage: Stage[SentinelSetup]) -> None:
    """Suspend the replicas under load, and kill the primary, so that a replica is promoted that is behind.

    This detects a service that acknowledges without waiting for replicas. A kill alone loses nothing that was
    sent to them, because the kernel delivers it.
    """
    setup = stage.setup
    primary = setup.server_at(setup.primary())
    for server in setup.servers:
        if server is not primary:
            server.freeze()
    primary.ask("CLIENT KILL", "TYPE", "replica")
    # Longer than the publish time-out, so that senders get errors.
    stage.hold(1.5, 1.2)
    fail_over(stage)


def fail_over_shard(stage: Stage[ClusterSetup]) -> None:
    """Kill a primary that has events; after the failover restart it as a replica."""
    setup = stage.setup
    keys = [stream_key(partition) for partition in range(CLUSTER_PARTITIONS)]
    key = next(key for key in keys if setup.primary_of(key).ask("XLEN", key))
    old = setup.kill_primary_of(key)
    setup.wait_failover(old)
    stage.hold(1.0, 0.0)
    old.start()
    setup.wait_ok()
    stage.end_fault()
