"""Checks of the broker's servers for settings that can lose or refuse events."""

import re
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from redis.exceptions import RedisError

from vigilry_ingest.config.settings import Config
from vigilry_ingest.stream.broker_url import Host
from vigilry_ingest.stream.connection.broker import Broker
from vigilry_ingest.stream.errors import BrokerError, explain
from vigilry_ingest.stream.finding import Finding
from vigilry_ingest.stream.permission_check import permission_findings
from vigilry_ingest.stream.permissions import ROLES
from vigilry_ingest.stream.publishing.durability import Durability, read_durability

# XTRIM MINID and exclusive ranges need 6.2, WAITAOF needs 7.2.
_MIN_VERSION = (6, 2)
_MIN_VERSION_FOR_FSYNC = (7, 2)
# Script flags, by which workers drain a server whose memory is full.
_MIN_VERSION_TO_DRAIN = (7, 0)
_MAX_SKEW_S = 1.0


class _Server(NamedTuple):
    """The state that a server reports."""

    name: str
    info: Mapping[str, str]
    appendfsync: str
    skew_s: float


def diagnose(config: Config, role: str | None = None) -> list[Finding]:
    """Check all servers that serve a partition, and what their user may do, for all roles or one.

    Raises BrokerError when a server cannot be reached, and ConfigError.
    """
    durability = read_durability(config.durability)
    permissions = list(permission_findings(config, [ROLES[role]] if role else list(ROLES.values())))
    try:
        servers = _servers(config)
    except BrokerError:
        # A user that may not use INFO lacks a permission, which says more.
        if all(finding.level == "ok" for finding in permissions):
            raise
        return permissions
    return permissions + [finding for server in servers for finding in _findings(server, durability)]


def obstacles(config: Config) -> list[Finding]:
    """Return the findings that make the configured durability impossible.

    Raises BrokerError when a server cannot be reached, and ConfigError.
    """
    durability = read_durability(config.durability)
    servers = _servers(config)
    found = [_version(server, durability) for server in servers]
    if durability.fsync:
        found += [_append_only_file(server, durability) for server in servers]
    return [finding for finding in found if finding.level == "danger"]


def _servers(config: Config) -> list[_Server]:
    timeout_s = config.publish_timeout_ms / 1000
    broker = Broker(config.redis_url, partitions=config.stream_partitions)
    hosts = broker.topology.hosts(time.monotonic() + timeout_s)
    return [_query(broker, host, timeout_s) for host in sorted(hosts, key=str)]


def _query(broker: Broker, host: Host | None, timeout_s: float) -> _Server:
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
    return _Server(name, {key: value for key, _, value in lines}, _parse_setting(setting), skew_s)


def _parse_setting(reply: Any) -> str:
    # Hosted brokers often disable CONFIG.
    if isinstance(reply, RedisError) or not reply:
        return "unknown"
    value = next(iter(reply.values())) if isinstance(reply, dict) else reply[1]
    return str(value.decode())


def _findings(server: _Server, durability: Durability) -> Iterator[Finding]:
    yield _version(server, durability)
    yield _memory(server)
    yield _append_only_file(server, durability)
    yield _replicas(server, durability)
    yield _clock(server)


def _version(server: _Server, durability: Durability) -> Finding:
    # Valkey reports the Redis version that it is compatible with as redis_version.
    text = server.info.get("redis_version", "0")
    numbers = tuple(int(each) for each in re.findall(r"\d+", text)[:2])
    minimum = _MIN_VERSION_FOR_FSYNC if durability.fsync else _MIN_VERSION
    product = (
        f"Valkey {server.info['valkey_version']}" if "valkey_version" in server.info else f"Redis {text}"
    )
    if numbers < minimum:
        required = ".".join(map(str, minimum))
        return Finding("danger", server.name, f"{product} is too old: {required} or newer is required.")
    if numbers < _MIN_VERSION_TO_DRAIN:
        return Finding(
            "warning",
            server.name,
            f"{product} refuses the workers' scripts while its memory is full, so that they cannot drain it. "
            "Use Redis 7 or newer, or Valkey.",
        )
    return Finding("ok", server.name, f"{product} has all required commands.")


def _memory(server: _Server) -> Finding:
    policy = server.info.get("maxmemory_policy", "unknown")
    if policy not in ("noeviction", "unknown"):
        return Finding(
            "danger",
            server.name,
            f"maxmemory-policy is {policy}: a full broker deletes events or idempotency keys. "
            "Set it to noeviction.",
        )
    if server.info.get("maxmemory") == "0":
        return Finding(
            "warning",
            server.name,
            "maxmemory is not set: on a full machine the broker is killed and cannot refuse events. Set it.",
        )
    return Finding("ok", server.name, f"maxmemory is set, and the policy is {policy}.")


def _append_only_file(server: _Server, durability: Durability) -> Finding:
    if server.info.get("aof_enabled") != "1":
        return Finding(
            "danger", server.name, "The append-only file is off: a restart loses events. Set appendonly yes."
        )
    if server.info.get("aof_last_write_status", "ok") != "ok":
        return Finding("danger", server.name, "The append-only file cannot be written. Is the disk full?")
    if server.appendfsync == "no":
        return Finding("danger", server.name, "appendfsync is no. Set it to everysec or always.")
    if durability.fsync and server.appendfsync == "everysec":
        return Finding(
            "warning",
            server.name,
            "appendfsync is everysec: each response waits up to a second for the disk. Set it to always.",
        )
    return Finding("ok", server.name, f"The append-only file is on, appendfsync is {server.appendfsync}.")


def _replicas(server: _Server, durability: Durability) -> Finding:
    if server.info.get("role") == "slave":
        return Finding(
            "danger", server.name, "The server is a replica and accepts no events. Configure its primary."
        )
    count = int(server.info.get("connected_slaves", "0"))
    if count < durability.replicas:
        return Finding(
            "danger",
            server.name,
            f"{count} replicas are connected, but {durability.replicas} must acknowledge each event.",
        )
    return Finding("ok", server.name, f"{count} replicas are connected, {durability.replicas} are required.")


def _clock(server: _Server) -> Finding:
    if abs(server.skew_s) > _MAX_SKEW_S:
        return Finding(
            "warning",
            server.name,
            f"Its clock differs by {server.skew_s:+.1f} s from this machine's, and jobIds are based on it.",
        )
    return Finding("ok", server.name, "Its clock agrees with this machine's.")
