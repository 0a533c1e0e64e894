"""redis-py clients, for everything except publishing."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.exceptions import RedisClusterException, RedisError
from redis.retry import Retry
from redis.sentinel import Sentinel

from vigilry_ingest.stream.broker_url import Address, parse_broker_url
from vigilry_ingest.stream.errors import BrokerError, reason_of


def make_client(address: Address, *, timeout_s: float) -> Any:
    """Return a Redis or RedisCluster client for an address.

    Typed as Any, because redis-py annotates every reply as possibly awaitable.
    """
    options = address.options | {
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        "retry": Retry(NoBackoff(), 0),
    }
    if address.is_tls:
        options["ssl"] = True
    if address.form == "cluster":
        nodes = [ClusterNode(*host) for host in address.hosts]
        return RedisCluster(startup_nodes=nodes, **options)
    if address.form == "sentinel":
        return _sentinel(address, timeout_s).master_for(address.service, **options)
    if address.path:
        return Redis(unix_socket_path=address.path, **options)
    return Redis(host=address.hosts[0][0], port=address.hosts[0][1], **options)


@contextmanager
def open_client(url: str, *, timeout_s: float) -> Iterator[Any]:
    """Open a client and close it at the end of the block.

    Translates redis-py's errors inside the block to BrokerError.
    """
    try:
        with make_client(parse_broker_url(url), timeout_s=timeout_s) as client:
            yield client
    except (RedisError, RedisClusterException) as error:
        detail = f"The broker cannot be used: {reason_of(error)}."
        raise BrokerError("broker_unavailable", detail) from error


def find_primary(address: Address, *, timeout_s: float) -> tuple[str, int]:
    """Query the sentinels for the primary, each with an equal share of ``timeout_s``.

    Raises redis.RedisError when none of them knows it.
    """
    host, port = _sentinel(address, timeout_s / len(address.hosts)).discover_master(address.service)
    return host, int(port)


def _sentinel(address: Address, timeout_s: float) -> Sentinel:
    options: dict[str, Any] = {"socket_timeout": timeout_s, "socket_connect_timeout": timeout_s}
    if address.is_tls:
        # Sentinels use TLS as well, but not the credentials of the servers.
        options |= {name: value for name, value in address.options.items() if name.startswith("ssl_")}
        options["ssl"] = True
    return Sentinel(address.hosts, sentinel_kwargs=options | {"retry": Retry(NoBackoff(), 0)})
