"""The scenarios of the ledger, in the order of the table."""

from benchmarks.ledger import faults
from benchmarks.ledger.brokers import ProxiedValkey
from benchmarks.ledger.stage import Scenario
from tests.fixtures.servers.cluster import ClusterSetup
from tests.fixtures.servers.sentinel import SentinelSetup
from tests.fixtures.servers.valkey import Valkey

_AWAY = frozenset({"broker_unavailable", "broker_timeout"})
_SHORT = frozenset({"broker_not_durable"})
_SILENT = frozenset({"broker_timeout"})


def _fsyncing() -> Valkey:
    return Valkey(appendfsync="always")


def _forgetful() -> Valkey:
    return Valkey(appendonly=False)


def _sentinels() -> SentinelSetup:
    # Two replicas, so that one can acknowledge when the other has become the primary.
    return SentinelSetup(replicas=2)


SCENARIOS = (
    Scenario("broker-killed", "broker killed, restarted", "fsync", _fsyncing, faults.kill_broker, _AWAY),
    Scenario(
        "file-lost",
        "append-only file switched off, broker killed",
        "fsync",
        _fsyncing,
        faults.lose_file,
        _SHORT,
    ),
    Scenario("broker-frozen", "broker frozen", "fsync", _fsyncing, faults.freeze_broker, _SILENT),
    Scenario("broker-frozen-memory", "broker frozen", "memory", Valkey, faults.freeze_broker, _SILENT),
    Scenario(
        "broker-slowed", "broker slow, stuck, cut off", "fsync", ProxiedValkey, faults.slow_broker, _AWAY
    ),
    Scenario(
        "replies-lost", "broker's replies lost", "fsync", ProxiedValkey, faults.swallow_replies, _SILENT
    ),
    Scenario(
        "memory-full",
        "broker's memory full",
        "memory",
        Valkey,
        faults.fill_memory,
        frozenset({"broker_out_of_memory"}),
        load={"padding_bytes": 2000},
    ),
    Scenario(
        "stream-full",
        "stream full",
        "memory",
        Valkey,
        faults.fill_stream,
        frozenset({"stream_full"}),
        settings={"VIGILRY_STREAM_MAX_ENTRIES": faults.STREAM_MAX_ENTRIES},
    ),
    Scenario(
        "workers-killed",
        "workers killed",
        "fsync",
        _fsyncing,
        faults.kill_workers,
        frozenset({"unanswered"}),
        kills_workers=True,
    ),
    Scenario(
        "sentinel-failover",
        "Sentinel: primary killed",
        "replicas:1",
        _sentinels,
        faults.fail_over,
        _AWAY,
    ),
    Scenario(
        "sentinel-behind",
        "Sentinel: replicas cut off, primary killed",
        "replicas:1",
        _sentinels,
        faults.fail_over_behind,
        # The broker may end the wait for replicas one clock tick late, after the publish time-out.
        _SHORT | _SILENT,
    ),
    Scenario(
        "cluster-failover",
        "cluster: a primary of three killed",
        "replicas:1",
        ClusterSetup,
        faults.fail_over_shard,
        _AWAY,
        partitions=faults.CLUSTER_PARTITIONS,
    ),
    Scenario(
        "control-loss",
        "control: killed, no file to restart from",
        "memory",
        _forgetful,
        faults.kill_broker_once,
        _AWAY,
        loses=True,
    ),
    Scenario(
        "control-duplicates",
        "control: replies lost, retried without a key",
        "fsync",
        ProxiedValkey,
        faults.swallow_replies,
        _SILENT,
        load={"blind": True, "pause_s": 0.0},
        doubles=True,
    ),
)
