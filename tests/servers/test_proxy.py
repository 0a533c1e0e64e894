"""The proxy: each fault does to the bytes what the other tests assume, and closing leaves nothing open."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.servers.proxy import TcpProxy
from tests.servers.tls import make_tls
from tests.servers.valkey import Valkey, connect
from tests.servers.waiting import wait_until


@pytest.fixture(scope="module")
def valkey() -> Iterator[Valkey]:
    with Valkey(tcp=True) as server:
        yield server


@pytest.fixture
def proxy(valkey: Valkey) -> Iterator[TcpProxy]:
    with TcpProxy(valkey.address) as proxy:
        yield proxy


def through(proxy: TcpProxy, timeout_s: float = 5.0) -> redis.Redis:
    """Return a client by way of the proxy."""
    return connect(f"redis://{proxy.host}:{proxy.port}", socket_timeout=timeout_s)


def test_a_proxy_holds_what_comes_while_it_stalls_and_passes_it_when_healed(
    valkey: Valkey, proxy: TcpProxy
) -> None:
    with through(proxy, timeout_s=0.3) as client:
        client.ping()
        proxy.stall()
        with pytest.raises(redis.TimeoutError):
            client.set("held", "yes")
        assert valkey.ask("GET", "held") is None
        proxy.heal()
        wait_until(lambda: valkey.ask("GET", "held") == "yes", 5, "the held bytes arrive")
        assert client.ping()


def test_a_proxy_that_is_cut_closes_connections_and_refuses_new_ones_until_healed(proxy: TcpProxy) -> None:
    with through(proxy) as client, socket.create_connection(proxy.address) as open_before:
        assert client.ping()
        proxy.cut()
        open_before.settimeout(5)
        assert open_before.recv(1) == b""
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(proxy.address)
        with pytest.raises(redis.ConnectionError):
            client.ping()
        proxy.heal()
        assert client.ping()


def test_a_proxy_delays_each_chunk_both_ways(proxy: TcpProxy) -> None:
    with through(proxy) as client:
        client.ping()
        proxy.delay(0.15)
        start = time.monotonic()
        client.ping()
        assert 0.3 <= time.monotonic() - start < 2


def test_a_proxy_that_swallows_replies_lets_requests_through(valkey: Valkey, proxy: TcpProxy) -> None:
    with through(proxy, timeout_s=0.3) as client:
        client.ping()
        proxy.swallow_replies()
        with pytest.raises(redis.TimeoutError):
            client.set("unanswered", "yes")
        assert valkey.ask("GET", "unanswered") == "yes"
        proxy.heal()
        assert client.get("unanswered") == "yes"


def test_a_connection_that_lost_a_reply_is_closed_when_the_proxy_heals(proxy: TcpProxy) -> None:
    with socket.create_connection(proxy.address) as connection:
        connection.settimeout(0.3)
        proxy.swallow_replies()
        connection.sendall(b"PING\r\n")
        with pytest.raises(TimeoutError):
            connection.recv(1)
        proxy.heal()
        assert connection.recv(1) == b""


@pytest.mark.parametrize("fault", ["stall", "cut", "swallow_replies", "heal"])
def test_closing_a_proxy_amid_a_fault_leaves_no_thread(valkey: Valkey, fault: str) -> None:
    before = threading.active_count()
    assert valkey.socket_path
    with TcpProxy(valkey.socket_path) as proxy, socket.create_connection(proxy.address) as connection:
        connection.sendall(b"PING\r\n")
        getattr(proxy, fault)()
    assert threading.active_count() == before


def test_closing_a_tls_proxy_amid_a_handshake_leaves_nothing_open(valkey: Valkey, tmp_path: Path) -> None:
    with (
        TcpProxy(valkey.address, tls=make_tls(tmp_path).server_context()) as proxy,
        socket.create_connection(proxy.address),
    ):
        time.sleep(0.1)
