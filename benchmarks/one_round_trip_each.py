"""The service without group commit, to measure against: each request has a round trip of its own."""

import dataclasses
import queue
from collections.abc import Callable, Sequence

from vigilry_ingest.app import create_app
from vigilry_ingest.config.settings import Config
from vigilry_ingest.services import attach, services
from vigilry_ingest.stream.broker_url import Host
from vigilry_ingest.stream.errors import BrokerError
from vigilry_ingest.stream.publishing.append_script import Append
from vigilry_ingest.stream.publishing.node_publisher import Appended, NodePublisher
from vigilry_ingest.stream.publishing.publisher import Publisher


class _Lanes(NodePublisher):
    """As many lanes to one server as there are requests at once, each with a connection of its own."""

    def __init__(self, make_lane: Callable[[], NodePublisher]) -> None:
        self._make_node_publisher = make_lane
        self._idle: queue.LifoQueue[NodePublisher] = queue.LifoQueue()

    def append(self, appends: Sequence[Append], deadline: float) -> Sequence[Appended | BrokerError]:
        """Append on a lane that no other request uses meanwhile."""
        try:
            lane = self._idle.get_nowait()
        except queue.Empty:
            lane = self._make_node_publisher()
        try:
            return lane.append(appends, deadline)
        finally:
            self._idle.put(lane)


class _Publisher(Publisher):
    def _make_node_publisher(self, host: Host | None) -> NodePublisher:
        make_one = super()._make_node_publisher
        return _Lanes(lambda: make_one(host))


def _replace_publisher() -> None:
    config = Config.from_environ()
    publisher = _Publisher(
        services().broker,
        max_entries=config.stream_max_entries,
        durability=config.durability,
        timeout_s=config.publish_timeout_ms / 1000,
        idempotency_ttl_s=config.idempotency_ttl_s,
    )
    attach(app, dataclasses.replace(services(), publisher=publisher))


app = create_app()
with app.app_context():
    _replace_publisher()
