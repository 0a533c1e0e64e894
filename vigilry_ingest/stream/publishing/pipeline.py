"""The way to a server for greenlets: one connection for all of a process, used in both directions at once."""

import select
import time
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import gevent
import hiredis
from gevent import monkey
from gevent.event import Event
from gevent.hub import Waiter
from redis.connection import DefaultParser

from vigilry_ingest.observability.metrics import GROUP_EVENTS, PUBLISH_SECONDS
from vigilry_ingest.stream.connection.bounded import BoundedConnection
from vigilry_ingest.stream.connection.node import (
    Command,
    Connect,
    open_connection,
    pack,
)
from vigilry_ingest.stream.errors import BrokerError, not_answered, not_sent
from vigilry_ingest.stream.publishing.durability import Durability

# Upper bounds on the commands of a group, and on those that await replies.
_MAX_GROUP = 256
_MAX_IN_FLIGHT = 1024
_RECEIVE_BYTES = 64 * 1024
_INCOMPLETE = object()


class _Request:
    """An exchange: its commands, and the greenlet that waits for their replies."""

    __slots__ = ("count", "deadline", "events", "group", "outcome", "packed", "waiter")

    def __init__(self, commands: Sequence[Command], deadline: float, events: int) -> None:
        self.events = events
        self.packed = pack(commands)
        self.count = len(commands)
        self.deadline = deadline
        self.group: _Group | None = None
        self.outcome: list[Any] | BrokerError | None = None
        self.waiter = Waiter()

    def settle(self, outcome: list[Any] | BrokerError) -> None:
        """Wake the greenlet with its replies or an error; the first outcome counts."""
        if self.outcome is None:
            self.outcome = outcome
            gevent.get_hub().loop.run_callback(self.waiter.switch, None)


class _Group:
    """Requests that are sent together, with one wait for their durability behind them."""

    __slots__ = ("count", "link", "replies", "requests", "sent_at", "wait")

    def __init__(self, requests: list[_Request], wait: Command | None, link: "_Link") -> None:
        self.requests = requests
        self.wait = wait
        self.link = link
        self.count = sum(request.count for request in requests)
        self.replies: list[Any] = []
        self.sent_at = time.monotonic()

    def packed(self) -> bytes:
        """Return the bytes to send."""
        parts = [request.packed for request in self.requests]
        return b"".join(parts if self.wait is None else (*parts, pack([self.wait])))

    def take(self, reply: Any) -> bool:
        """Add the next reply, and return whether all are there."""
        self.replies.append(reply)
        return len(self.replies) == self.count + (self.wait is not None)

    def settle(self, durability: Durability) -> None:
        """Hand the replies out."""
        replies = self.replies
        if self.wait is not None:
            replies = durability.confirmed(replies[:-1], replies[-1])
        each = iter(replies)
        for request in self.requests:
            request.settle(list(islice(each, request.count)))

    def fail(self, error: BrokerError) -> None:
        """Hand an error out."""
        for request in self.requests:
            request.settle(error)

    def is_awaited(self) -> bool:
        """Return whether a greenlet still waits for a reply of it."""
        return any(request.outcome is None for request in self.requests)


class _Link:
    """A connection, and a greenlet that reads it; groups are answered in the order of sending."""

    def __init__(self, connection: BoundedConnection, pipeline: "Pipeline") -> None:
        self._connection = connection
        self._socket = connection.socket
        self._socket.settimeout(None)
        # Not gevent's, which lets other greenlets run.
        self._readable = monkey.get_original("select", "poll")()
        self._readable.register(self._socket.fileno(), select.POLLIN)
        self._pipeline = pipeline
        self._replies = hiredis.Reader(replyError=DefaultParser.parse_error, notEnoughData=_INCOMPLETE)
        self._groups: deque[_Group] = deque()
        self.in_flight = 0
        self.is_retired = False
        gevent.spawn(self._read)

    def is_closed_by_server(self) -> bool:
        """Return whether there is something to read although nothing is in flight."""
        return not self.in_flight and bool(self._readable.poll(0))

    def send(self, group: _Group) -> None:
        """Send a group; it is answered later, or fails with the connection."""
        self.in_flight += group.count
        # Before it is sent, because its first replies may come while the rest waits for the socket.
        self._groups.append(group)
        try:
            self._socket.sendall(group.packed())
        except OSError:
            self.close()

    def retire(self) -> None:
        """Send nothing more; close once nobody waits for a reply."""
        self.is_retired = True
        if not any(group.is_awaited() for group in self._groups):
            self.close()

    def close(self) -> None:
        """Close the connection; what is in flight may or may not have been run."""
        self.is_retired = True
        self._connection.disconnect()
        groups, self._groups = self._groups, deque()
        self.in_flight = 0
        for group in groups:
            group.fail(not_answered())
        self._pipeline.on_progress(self)

    def _read(self) -> None:
        try:
            while received := self._socket.recv(_RECEIVE_BYTES):
                self._replies.feed(received)
                while (reply := self._replies.gets()) is not _INCOMPLETE:
                    self._take(reply)
                if self.is_retired:
                    self.retire()
                self._pipeline.on_progress(self)
        except (OSError, hiredis.HiredisError, IndexError):
            # The connection is lost, or what came is no answer to what was sent.
            pass
        finally:
            self.close()

    def _take(self, reply: Any) -> None:
        if isinstance(reply, hiredis.PushNotification):
            return
        group = self._groups[0]
        if group.take(reply):
            self._groups.popleft()
            self.in_flight -= group.count
            PUBLISH_SECONDS.observe(time.monotonic() - group.sent_at)
            group.settle(self._pipeline.durability)


class Pipeline:
    """Exchanges commands with one server; safe to share between greenlets.

    An exchange queues its commands and waits. A greenlet sends whatever is queued as one group, as soon as
    the event loop has run all that is ready, and does not wait for the replies before it sends the next;
    another reads the replies and hands them out. No exchange has a timer of its own: one watch ends those
    whose deadline has passed. After the first that is not answered in time its connection gets nothing more,
    and is closed when the last exchange on it has ended.
    """

    def __init__(self, connect: Connect, on_connect: Sequence[Command], durability: Durability) -> None:
        self.durability = durability
        self._connect = connect
        self._on_connect = on_connect
        self._queue: deque[_Request] = deque()
        # Queued or in flight, in the order in which they came.
        self._pending: dict[_Request, None] = {}
        self._link: _Link | None = None
        self._is_sending = False
        self._watch_until: float | None = None
        self._alarm = Event()

    def exchange(self, commands: Sequence[Command], deadline: float, *, events: int) -> list[Any]:
        """Send commands in one piece, and return their replies once they are durable.

        A redis.ResponseError or BrokerError is a reply too. Raises BrokerError by the deadline, which is on
        the monotonic clock in seconds: ``broker_timeout`` when the server may have run the commands.
        """
        request = _Request(commands, deadline, events)
        self._queue.append(request)
        self._pending[request] = None
        self._watch(deadline)
        self._send_soon()
        try:
            request.waiter.get()
        finally:
            # Also when the greenlet is being killed: then nobody waits for the outcome.
            del self._pending[request]
            if request.outcome is None:
                request.outcome = not_answered()
        if isinstance(request.outcome, BrokerError):
            raise request.outcome.copy()
        return request.outcome

    def close(self) -> None:
        """Use no connection of before; exchanges under way end first."""
        if self._link is not None:
            link, self._link = self._link, None
            link.retire()

    def on_progress(self, link: _Link) -> None:
        """Continue to send: replies have arrived, or the connection is gone."""
        if link is self._link and link.is_retired:
            self._link = None
        if self._queue:
            self._send_soon()

    def _send_soon(self) -> None:
        if not self._is_sending:
            self._is_sending = True
            gevent.spawn(self._send)

    def _send(self) -> None:
        try:
            while self._queue:
                link = self._usable_link()
                if link.in_flight >= _MAX_IN_FLIGHT:
                    return
                requests = list(self._take())
                if not requests:
                    return
                GROUP_EVENTS.observe(sum(request.events for request in requests))
                last = max(request.deadline for request in requests)
                group = _Group(requests, self.durability.command(last - time.monotonic()), link)
                for request in requests:
                    request.group = group
                link.send(group)
        except BrokerError as error:
            while self._queue:
                self._queue.popleft().settle(error)
        finally:
            self._is_sending = False

    def _usable_link(self) -> _Link:
        if self._link is not None and self._link.is_closed_by_server():
            self._link.close()
        if self._link is None:
            deadline = max(request.deadline for request in self._queue)
            self._link = _Link(open_connection(self._connect, self._on_connect, deadline), self)
        return self._link

    def _take(self) -> Iterable[_Request]:
        """Take requests from the queue, up to the size of a group but one at least."""
        count = 0
        while self._queue and (not count or count + self._queue[0].count <= _MAX_GROUP):
            request = self._queue.popleft()
            if request.outcome is None:
                count += request.count
                yield request

    def _watch(self, deadline: float) -> None:
        if self._watch_until is None:
            self._watch_until = deadline
            gevent.spawn(self._end_overdue)
        elif deadline < self._watch_until:
            self._alarm.set()

    def _end_overdue(self) -> None:
        while self._pending:
            self._watch_until = min(request.deadline for request in self._pending)
            self._alarm.clear()
            self._alarm.wait(max(self._watch_until - time.monotonic(), 0.001))
            now = time.monotonic()
            for request in [each for each in self._pending if each.deadline <= now]:
                self._end(request)
        self._watch_until = None

    def _end(self, request: _Request) -> None:
        if request.group is None:
            request.settle(not_sent("The broker is too slow; the event was not sent."))
            return
        request.settle(not_answered())
        link = request.group.link
        if link is self._link:
            self._link = None
        link.retire()
