"""A TCP proxy between a client and a server that can hold, slow, cut or lose what passes."""

import asyncio
import socket
import ssl
import threading
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Literal, Self

from tests.servers.waiting import free_port

_CALL_TIMEOUT_S = 10.0
_CHUNK_BYTES = 65536

Mode = Literal["pass", "stall", "cut", "swallow"]
Upstream = tuple[str, int] | Path
Connection = asyncio.Task[None]


class TcpProxy:
    """Pass bytes between 127.0.0.1 and `upstream`, which is a TCP address or the path of a unix socket.

    With `tls` clients speak TLS to the proxy, and the proxy plain text to the server. The fault in force
    can be changed at any time, and a change reaches the connections that are open.
    """

    def __init__(self, upstream: Upstream, *, tls: ssl.SSLContext | None = None) -> None:
        self.upstream = upstream
        self.host = "127.0.0.1"
        self.port = free_port()
        self._tls = tls
        self._mode: Mode = "pass"
        self._delay_s = 0.0
        # One task a connection, whose end closes both sides.
        self._connections: set[Connection] = set()
        # Connections that lost a reply: TCP never loses bytes in the middle, so these cannot be healed.
        self._torn: set[Connection] = set()
        self._listener: socket.socket | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    @property
    def address(self) -> tuple[str, int]:
        """Return the host and the port to connect to instead of the server's own."""
        return self.host, self.port

    def start(self) -> None:
        """Listen, in a thread of its own; do nothing when it runs already."""
        if self._thread is not None:
            return
        listening: Future[None] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._live(listening)), daemon=True)
        self._thread.start()
        listening.result(_CALL_TIMEOUT_S)

    def close(self) -> None:
        """Close every connection and end the thread."""
        if self._thread is None:
            return
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(_CALL_TIMEOUT_S)
        assert not self._thread.is_alive(), f"the proxy on port {self.port} does not end"
        self._thread = None

    def heal(self) -> None:
        """Pass everything again and at once; what was held goes on its way."""
        self._set("pass")

    def delay(self, seconds: float) -> None:
        """Pass everything, each chunk `seconds` late in each direction."""
        self._set("pass", seconds)

    def stall(self) -> None:
        """Accept connections and hold what they bring: no byte goes on before `heal`."""
        self._set("stall")

    def cut(self) -> None:
        """Close all connections now, and refuse new ones."""
        self._set("cut")

    def swallow_replies(self) -> None:
        """Pass requests to the server and drop its replies.

        A connection that lost a reply is closed when the fault ends: its next reply would be the wrong one.
        """
        self._set("swallow")

    def _set(self, mode: Mode, delay_s: float = 0.0) -> None:
        asyncio.run_coroutine_threadsafe(self._change(mode, delay_s), self._loop).result(_CALL_TIMEOUT_S)

    async def _live(self, listening: Future[None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._moving = asyncio.Event()
        await self._change("pass", 0.0)
        listening.set_result(None)
        await self._ended.wait()
        await self._change("cut", 0.0)

    async def _change(self, mode: Mode, delay_s: float) -> None:
        self._mode, self._delay_s = mode, delay_s
        if mode == "cut":
            self._refuse()
            await self._end(self._connections)
        elif self._listener is None:
            self._listen()
        if mode != "swallow":
            await self._end(self._torn)
        self._moving.clear() if mode == "stall" else self._moving.set()

    def _listen(self) -> None:
        self._listener = socket.create_server(self.address)
        self._listener.setblocking(False)
        self._loop.add_reader(self._listener, self._accept, self._listener)

    def _refuse(self) -> None:
        if self._listener is not None:
            self._loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            client, _ = listener.accept()
            client.setblocking(False)
            if client.family != socket.AF_UNIX:
                # asyncio sets it only on sockets that it made itself; without it each reply waits 40 ms.
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = self._loop.create_task(self._serve(client))
            self._connections.add(connection)
            connection.add_done_callback(partial(self._forget, client))

    def _forget(self, client: socket.socket, connection: Connection) -> None:
        # A task that is cancelled before its first step has not closed what it was given.
        client.close()
        self._connections.discard(connection)
        self._torn.discard(connection)

    async def _end(self, connections: set[Connection]) -> None:
        ending = list(connections)
        for connection in ending:
            connection.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
        # One turn of the loop, in which the sockets are closed indeed.
        await asyncio.sleep(0)

    async def _serve(self, client: socket.socket) -> None:
        # A server that is down, or a side that breaks off: the other side sees its connection closed.
        with suppress(OSError):
            await self._moving.wait()
            reader = asyncio.StreamReader()
            protocol = asyncio.StreamReaderProtocol(reader)
            transport, _ = await self._loop.connect_accepted_socket(lambda: protocol, client, ssl=self._tls)
            writer = asyncio.StreamWriter(transport, protocol, reader, self._loop)
            try:
                await self._join(reader, writer)
                writer.close()
                await writer.wait_closed()
            finally:
                transport.abort()

    async def _join(self, client_in: asyncio.StreamReader, client_out: asyncio.StreamWriter) -> None:
        if isinstance(self.upstream, Path):
            server_in, server_out = await asyncio.open_unix_connection(self.upstream)
        else:
            server_in, server_out = await asyncio.open_connection(*self.upstream)
        requests = asyncio.create_task(self._pump(client_in, server_out, replies=False))
        try:
            # The server's end of the connection decides: nothing can come back after it.
            await self._pump(server_in, client_out, replies=True)
        finally:
            requests.cancel()
            server_out.transport.abort()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, replies: bool) -> None:
        try:
            while True:
                data = await source.read(_CHUNK_BYTES)
                await asyncio.sleep(self._delay_s)
                await self._moving.wait()
                if not data:
                    break
                if replies and self._mode == "swallow":
                    # Replies are pumped by the connection's own task.
                    if connection := asyncio.current_task():
                        self._torn.add(connection)
                    continue
                sink.write(data)
                await sink.drain()
            if not replies:
                sink.write_eof()
        except OSError:
            sink.transport.abort()
