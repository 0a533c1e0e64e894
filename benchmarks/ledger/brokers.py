"""The broker set-ups that scenarios run against, and reading their streams back from whoever holds them."""

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
    """A Valkey server whose `url` leads through a proxy, which can slow, hold and cut what passes."""

    def __init__(self) -> None:
        super().__init__(unix=False, tcp=True, appendfsync="always")
        self.proxy = TcpProxy(self.address)

    @property
    def url(self) -> str:
        """Return the URL by the proxy."""
        return f"redis://{self.proxy.host}:{self.proxy.port}/0"

    def start(self) -> None:
        """Start the proxy and the server, and wait until the server answers."""
        self.proxy.start()
        super().start()

    def close(self) -> None:
        """Stop both for good."""
        super().close()
        self.proxy.close()


class Entry(NamedTuple):
    """An entry of a stream: its id on the broker, and the unique id of the event that it carries."""

    id: str
    event: str


def stream_key(partition: int) -> str:
    """Name a partition's stream, as the product documents it."""
    return f"vigilry:{{{partition}}}:events"


def holder_of(setup: Setup, key: str) -> Valkey:
    """Return the server that has the key now."""
    if isinstance(setup, SentinelSetup):
        return setup.server_at(setup.primary())
    if isinstance(setup, ClusterSetup):
        return setup.primary_of(key)
    return setup


def read_streams(setup: Setup, partitions: int) -> list[Entry]:
    """Read every entry of every partition."""
    return [entry for number in range(partitions) for entry in read_stream(setup, stream_key(number))]


def read_stream(setup: Setup, key: str) -> list[Entry]:
    """Read every entry of one stream, from the server that has it now and past any proxy."""
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
    # The request id was sent as the same: an entry that mixes two requests is an entry of neither.
    return event if fields["request_id"] == event else f"mixed: {event}, {fields['request_id']}"
