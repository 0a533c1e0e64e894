"""Looking at the broker's servers as an operator would: what is right, and what endangers events."""

import re
import time
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

from redis.exceptions import RedisError

from vigilry_ingest.config.settings import Config
from vigilry_ingest.stream.broker_url import Host
from vigilry_ingest.stream.connection.broker import Broker
from vigilry_ingest.stream.errors import explain
from vigilry_ingest.stream.publishing.durability import Durability, read_durability

# XTRIM by MINID, and ranges that leave their first id out, came with 6.2; WAITAOF with 7.2.
_OLDEST = (6, 2)
_OLDEST_FOR_FSYNC = (7, 2)
_MAX_SKEW_S = 1.0


class Finding(NamedTuple):
    """One thing that was looked at: ``danger`` means that events can be lost or refused as it stands."""

    level: Literal["ok", "warning", "danger"]
    subject: str
    text: str


class _Server(NamedTuple):
    """What one server says of itself."""

    name: str
    info: Mapping[str, str]
    appendfsync: str
    skew_s: float


def diagnose(config: Config) -> list[Finding]:
    """Look at every server that serves a partition.

    Raises BrokerError when one cannot be reached, and ConfigError.
    """
    wanted = read_durability(config.durability)
    return [finding for server in _servers(config) for finding in _findings(server, wanted)]


def obstacles(config: Config) -> list[Finding]:
    """Find what makes the durability impossible as the servers are set up.

    Raises BrokerError when one cannot be reached, and ConfigError.
    """
    wanted = read_durability(config.durability)
    servers = _servers(config)
    found = [_version(server, wanted) for server in servers]
    if wanted.fsync:
        found += [_append_only_file(server, wanted) for server in servers]
    return [finding for finding in found if finding.level == "danger"]


def _servers(config: Config) -> list[_Server]:
    timeout_s = config.publish_timeout_ms / 1000
    broker = Broker(config.redis_url, partitions=config.stream_partitions)
    hosts = broker.topology.hosts(time.monotonic() + timeout_s)
    return [_ask(broker, host, timeout_s) for host in sorted(hosts, key=str)]


def _ask(broker: Broker, host: Host | None, timeout_s: float) -> _Server:
    sent_at = time.time()
    info, setting, clock = broker.query(
        host, [("INFO",), ("CONFIG", "GET", "appendfsync"), ("TIME",)], timeout_s
    )
    now = (sent_at + time.time()) / 2
    if isinstance(info, RedisError):
        raise explain(info) from info
    lines = (line.partition(":") for line in info.decode().splitlines() if not line.startswith("#"))
    skew_s = 0.0 if isinstance(clock, RedisError) else int(clock[0]) + int(clock[1]) / 1e6 - now
    name = "broker" if host is None else f"broker {host[0]}:{host[1]}"
    return _Server(name, {key: value for key, _, value in lines}, _read_setting(setting), skew_s)


def _read_setting(reply: Any) -> str:
    # Hosted brokers often forbid CONFIG.
    if isinstance(reply, RedisError) or not reply:
        return "unknown"
    value = next(iter(reply.values())) if isinstance(reply, dict) else reply[1]
    return str(value.decode())


def _findings(server: _Server, wanted: Durability) -> Iterator[Finding]:
    yield _version(server, wanted)
    yield _memory(server)
    yield _append_only_file(server, wanted)
    yield _replicas(server, wanted)
    yield _clock(server)


def _version(server: _Server, wanted: Durability) -> Finding:
    # Valkey reports the Redis version that it stands for under the old name.
    text = server.info.get("redis_version", "0")
    numbers = tuple(int(each) for each in re.findall(r"\d+", text)[:2])
    oldest = _OLDEST_FOR_FSYNC if wanted.fsync else _OLDEST
    product = (
        f"Valkey {server.info['valkey_version']}" if "valkey_version" in server.info else f"Redis {text}"
    )
    if numbers < oldest:
        needed = ".".join(map(str, oldest))
        return Finding("danger", server.name, f"{product} is too old: {needed} or newer is needed.")
    return Finding("ok", server.name, f"{product} has all that is needed.")


def _memory(server: _Server) -> Finding:
    policy = server.info.get("maxmemory_policy", "unknown")
    if policy not in ("noeviction", "unknown"):
        return Finding(
            "danger",
            server.name,
            f"maxmemory-policy is {policy}: when memory is full it deletes events or idempotency keys. "
            "Set it to noeviction.",
        )
    if server.info.get("maxmemory") == "0":
        return Finding(
            "warning",
            server.name,
            "There is no maxmemory: a full machine kills the broker instead of it refusing. Set one.",
        )
    return Finding("ok", server.name, f"Memory is limited, and the policy is {policy}.")


def _append_only_file(server: _Server, wanted: Durability) -> Finding:
    if server.info.get("aof_enabled") != "1":
        return Finding(
            "danger", server.name, "There is no append-only file: a restart loses events. Set appendonly yes."
        )
    if server.info.get("aof_last_write_status", "ok") != "ok":
        return Finding("danger", server.name, "The append-only file could not be written: is the disk full?")
    if server.appendfsync == "no":
        return Finding("danger", server.name, "appendfsync is no: set it to everysec, or to always.")
    if wanted.fsync and server.appendfsync == "everysec":
        return Finding(
            "warning",
            server.name,
            "appendfsync is everysec: each answer waits up to a second for the disk. Set it to always.",
        )
    return Finding("ok", server.name, f"The append-only file is on, appendfsync is {server.appendfsync}.")


def _replicas(server: _Server, wanted: Durability) -> Finding:
    if server.info.get("role") == "slave":
        return Finding("danger", server.name, "It is a replica itself and takes no events: name its primary.")
    count = int(server.info.get("connected_slaves", "0"))
    if count < wanted.replicas:
        return Finding(
            "danger",
            server.name,
            f"{count} replicas are connected, and {wanted.replicas} are to acknowledge.",
        )
    return Finding("ok", server.name, f"{count} replicas are connected, {wanted.replicas} are needed.")


def _clock(server: _Server) -> Finding:
    if abs(server.skew_s) > _MAX_SKEW_S:
        return Finding(
            "warning",
            server.name,
            f"Its clock is {server.skew_s:+.1f} s from this machine's, and jobIds are made from it.",
        )
    return Finding("ok", server.name, "Its clock agrees with this machine's.")
