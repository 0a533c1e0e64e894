"""The faults: what is done to a broker or to the workers while the load goes on."""

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
_ROOM_BYTES = 3_000_000
_MUCH_ROOM_BYTES = 256_000_000
_FULL_TIMEOUT_S = 30.0


def kill_broker(stage: Stage[Valkey]) -> None:
    """Kill the broker (-9) and start it again; three times in 15 s, or once in the short form."""
    for _ in range(1 if stage.is_short else 3):
        kill_broker_once(stage)
        stage.hold(4.0, 0.0)


def kill_broker_once(stage: Stage[Valkey]) -> None:
    """Kill the broker (-9) and start it again."""
    stage.setup.kill()
    stage.hold(1.0, 0.4)
    stage.setup.start()
    stage.back()


def lose_file(stage: Stage[Valkey]) -> None:
    """Switch the append-only file off and kill the broker (-9): the file it restarts from is an old one.

    Whoever acknowledges without asking for the file is found out here. A kill alone loses nothing that was
    written, synced or not, because the kernel keeps it.
    """
    stage.setup.ask("CONFIG SET", "appendonly", "no")
    stage.hold(2.0, 0.7)
    kill_broker_once(stage)


def freeze_broker(stage: Stage[Valkey]) -> None:
    """Stop the broker where it is: its sockets stay open, and nobody answers."""
    stage.setup.freeze()
    stage.hold(3.0, 1.4)
    stage.setup.thaw()
    stage.back()


def slow_broker(stage: Stage[ProxiedValkey]) -> None:
    """Make the way to the broker slow, then stuck, then cut."""
    proxy = stage.setup.proxy
    proxy.delay(_LATENCY_S)
    stage.hold(3.0, 0.8)
    proxy.stall()
    stage.hold(3.0, 1.3)
    proxy.cut()
    stage.hold(1.5, 0.4)
    proxy.heal()
    stage.back()


def swallow_replies(stage: Stage[ProxiedValkey]) -> None:
    """Let requests reach the broker, and lose what it answers."""
    stage.setup.proxy.swallow_replies()
    stage.hold(2.0, 1.3)
    stage.setup.proxy.heal()
    stage.back()


def fill_memory(stage: Stage[Valkey]) -> None:
    """Leave the broker little memory, let the load use it up, and give it more."""
    server = stage.setup

    def is_full() -> bool:
        try:
            server.ask("SET", "ledger:probe", "x")
        except redis.exceptions.OutOfMemoryError:
            return True
        return False

    room = _ROOM_BYTES // (4 if stage.is_short else 1)
    server.ask("CONFIG SET", "maxmemory", server.ask("INFO", "memory")["used_memory"] + room)
    wait_until(is_full, _FULL_TIMEOUT_S, "the memory is full")
    stage.hold(2.0, 0.7)
    server.ask("CONFIG SET", "maxmemory", _MUCH_ROOM_BYTES)
    stage.back()


def fill_stream(stage: Stage[Valkey]) -> None:
    """Let the load fill the stream, and then read and trim it as workers do, again and again."""
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
    stage.back()


def kill_workers(stage: Stage[Valkey]) -> None:
    """Kill a worker (-9) every two seconds; gunicorn's master replaces it."""
    service = stage.service
    for _ in range(1 if stage.is_short else 4):
        victim = max(service.worker_pids(), key=_connections)
        # Stopped for a moment first, so that it is killed with requests in hand and not between two of them.
        os.kill(victim, signal.SIGSTOP)
        stage.hold(0.3, 0.3)
        os.kill(victim, signal.SIGKILL)
        service.wait_for(partial(_is_whole, service, victim), "all workers run")
        stage.back()
        stage.hold(2.0, 0.0)


def _connections(pid: int) -> int:
    return len(psutil.Process(pid).net_connections("tcp"))


def _is_whole(service: Service, victim: int) -> bool:
    pids = service.worker_pids()
    return len(pids) == WORKERS and victim not in pids


def fail_over(stage: Stage[SentinelSetup]) -> None:
    """Kill the primary; when another has taken over, start the old one, which still thinks that it is one."""
    setup = stage.setup
    old = setup.kill_primary()
    for server in setup.servers:
        server.thaw()
    new = setup.server_at(setup.wait_failover(old))
    new.wait_replicas(1)
    stage.back()
    stage.hold(2.0, 0.5)
    setup.server_at(old).start()
    new.wait_replicas(2)


def fail_over_behind(stage: Stage[SentinelSetup]) -> None:
    """Cut the replicas off, let the load go on, and kill the primary: a replica takes over that is behind.

    Whoever acknowledges without asking for the replicas is found out here. A kill alone loses nothing that
    was sent to them, because the kernel delivers it.
    """
    setup = stage.setup
    primary = setup.server_at(setup.primary())
    for server in setup.servers:
        if server is not primary:
            server.freeze()
    primary.ask("CLIENT KILL", "TYPE", "replica")
    # Longer than the publish time-out, so that senders are told.
    stage.hold(1.5, 1.2)
    fail_over(stage)


def fail_over_shard(stage: Stage[ClusterSetup]) -> None:
    """Kill a primary that has events; its replica takes over, and the old one comes back to follow it."""
    setup = stage.setup
    keys = [stream_key(partition) for partition in range(CLUSTER_PARTITIONS)]
    key = next(key for key in keys if setup.primary_of(key).ask("XLEN", key))
    old = setup.kill_primary_of(key)
    setup.wait_failover(old)
    stage.hold(1.0, 0.0)
    old.start()
    setup.wait_ok()
    stage.back()
