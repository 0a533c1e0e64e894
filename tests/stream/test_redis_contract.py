"""What bounded connections rely on inside redis-py."""

import inspect
import time
from typing import Any

import pytest
from redis import exceptions
from redis.connection import AbstractConnection, DefaultParser

from tests.fixtures.servers.valkey import Valkey
from vigilry_ingest.stream.broker_url import parse_broker_url
from vigilry_ingest.stream.connection.bounded import connection_to
from vigilry_ingest.stream.connection.node import has_unexpected_data


@pytest.fixture
def connection(valkey: Valkey) -> Any:
    address = parse_broker_url(valkey.url)
    connection = connection_to(address, address.hosts[0] if address.hosts else None)
    connection.deadline = time.monotonic() + 10
    return connection


def test_the_overridden_methods_have_the_same_parameters() -> None:
    def parameters(method: Any) -> list[str]:
        return list(inspect.signature(method).parameters)

    parser: Any = DefaultParser
    assert parameters(parser.read_from_socket)[:3] == ["self", "timeout", "raise_on_timeout"]
    assert parameters(parser.on_connect)[:2] == ["self", "connection"]
    assert parameters(AbstractConnection.send_packed_command) == ["self", "command", "check_health"]


def test_every_reply_is_read_through_the_overridden_method(connection: Any) -> None:
    connection.connect()
    reads: list[Any] = []
    parser = connection._parser
    original = parser.read_from_socket

    def recorded(*args: Any, **options: Any) -> Any:
        reads.append(options)
        return original(*args, **options)

    parser.read_from_socket = recorded
    connection.send_command("PING")
    assert connection.read_response() in (b"PONG", "PONG")
    assert reads
    connection.disconnect()


def test_a_read_ends_at_the_deadline(connection: Any) -> None:
    connection.connect()
    connection.send_command("BLPOP", "nothing-comes-here", 5)
    connection.deadline = time.monotonic() + 0.2
    began = time.monotonic()
    with pytest.raises(exceptions.TimeoutError):
        connection.read_response()
    assert time.monotonic() - began < 1.0
    connection.disconnect()


def test_an_idle_connection_shows_what_has_arrived_and_that_it_was_closed(
    connection: Any, valkey: Valkey
) -> None:
    connection.connect()
    assert connection.socket is connection._get_socket()
    assert connection.socket.fileno() > 0
    assert not has_unexpected_data(connection)
    connection.send_command("CLIENT", "ID")
    own = connection.read_response()
    with valkey.client() as client:
        client.client_kill_filter(_id=str(own))
    deadline = time.monotonic() + 5
    while not has_unexpected_data(connection):
        assert time.monotonic() < deadline
    connection.disconnect()
