"""The broker set-ups of the scenarios, and reading their streams."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from tests.fixtures.servers.cluster import ClusterSetup
from tests.fixtures.servers.proxy import TcpProxy
from tests.fixtures.servers.sentinel import SentinelSetup
from tests.fixtures.servers.valkey import Valkey, connect

_AT_ONCE = 5000

Setup = Valkey | SentinelSetup | ClusterSetup


class ProxiedValkey(Valkey):
    """A Valkey server behind a proxy that can delay, stall and cut connections."""

    def __init__(self) -> None:
        super().__init__(unix=False, tcp=True, appendfsync="always")
        self.proxy = TcpProxy(self.address)

    @property
    def url(self) -> str:
        """Return the URL of the proxy."""
        return f"redis://{self.proxy.host}:{self.proxy.port}/0"

    def start(self) -> None:
        """Start the proxy and the server, and wait until the server responds."""
        self.proxy.start()
        super().start()

    def close(self) -> None:
        """Stop both."""
        super().close()
        self.proxy.close()


class Entry(NamedTuple):
    """An entry of a stream: its id on the broker, and the unique id of its event."""

    id: str
    event: str


def stream_key(partition: int) -> str:
    """Return the name of a partition's stream, as documented."""
    return f"vigilry:{{{partition}}}:events"


def holder_of(setup: Setup, key: str) -> Valkey:
    """Return the server that currently has the key."""
    if isinstance(setup, SentinelSetup):
        return setup.server_at(setup.primary())
    if isinstance(setup, ClusterSetup):
        return setup.primary_of(key)
    return setup


def read_streams(setup: Setup, partitions: int) -> list[Entry]:
    """Read every entry of every partition."""
    return [entry for number in range(partitions) for entry in read_stream(setup, stream_key(number))]


def read_stream(setup: Setup, key: str) -> list[Entry]:
    """Read every entry of one stream directly from its current server."""
    server = holder_of(setup, key)
    with connect(server.unix_url if server.socket_path else server.tcp_url, socket_timeout=30.0) as client:
        return list(_entries(client, key))


def _entries(client: Any, key: str) -> Iterator[Entry]:
    start = "-"
    while found := client.xrange(key, min=start, count=_AT_ONCE):
        for entry_id, fields in found:
            yield Entry(entry_id, _event_of(fields))
        start = f"({found[-1][0]}"


def _event_of(fields: dict[str, str]) -> str:
    event = str(json.loads(fields["payload"])["id"])
    # The request id has the same value, so an entry that mixes two requests is detected.
    return event if fields["request_id"] == event else f"mixed: {event}, {fields['request_id']}"
