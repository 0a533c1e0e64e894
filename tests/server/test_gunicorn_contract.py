"""What the workers and gunicorn.conf.py rely on inside gunicorn and its C parser."""

import inspect
import signal
import socket
from typing import Any

import pytest
from gunicorn import http
from gunicorn.arbiter import Arbiter
from gunicorn.config import Config
from gunicorn.http.wsgi import base_environ
from gunicorn.workers.base import Worker
from gunicorn.workers.base_async import AsyncWorker
from gunicorn.workers.ggevent import GeventWorker
from gunicorn.workers.gthread import ThreadWorker
from gunicorn.workers.sync import SyncWorker
from gunicorn_h1c import IncompleteError, ParseError, parse_to_wsgi_environ


def test_a_parser_reads_bytes_that_have_been_received_already_and_returns_what_follows() -> None:
    here, there = socket.socketpair()
    with here, there:
        parser = http.get_parser(Config(), here, ("127.0.0.1", 1))
        parser.unreader.unread(b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbo")
        there.sendall(b"dyGET /b")
        request = next(parser)
        assert (request.method, request.path, request.version) == ("POST", "/a", (1, 1))
        assert request.headers == [("HOST", "a"), ("CONTENT-LENGTH", "4")]
        assert not request.should_close()
        assert parser.finish_body(deadline=None)
        assert parser.unreader.take_buffered() in (b"", b"GET /b")


def test_a_parser_gives_up_on_a_body_that_does_not_come() -> None:
    here, there = socket.socketpair()
    with here, there:
        parser = http.get_parser(Config(), here, ("127.0.0.1", 1))
        parser.unreader.unread(b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n")
        next(parser)
        assert parser.finish_body(deadline=0.0) is False


def test_the_base_environ_has_what_a_request_does_not_change() -> None:
    assert set(base_environ(Config())) == {
        "SERVER_SOFTWARE", "wsgi.errors", "wsgi.file_wrapper", "wsgi.input_terminated", "wsgi.multiprocess",
        "wsgi.multithread", "wsgi.run_once", "wsgi.version",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        (AsyncWorker.handle, ["self", "listener", "client", "addr"]),
        (AsyncWorker.handle_request, ["self", "listener_name", "req", "sock", "addr"]),
        (SyncWorker.handle_request, ["self", "listener", "req", "client", "addr"]),
        (ThreadWorker.handle, ["self", "conn"]),
        (ThreadWorker.handle_request, ["self", "req", "conn"]),
        (Worker.handle_error, ["self", "req", "client", "addr", "exc"]),
        (GeventWorker.notify, ["self"]),
    ],
)
def test_the_overridden_methods_have_the_same_parameters(method: Any, parameters: list[str]) -> None:
    assert list(inspect.signature(method).parameters) == parameters


def test_a_worker_counts_its_requests_and_knows_whether_it_goes_on() -> None:
    cfg = Config()
    cfg.set("max_requests", 7)
    worker = GeventWorker(1, 1, [], None, 30, cfg, _Log())
    try:
        assert (worker.nr, worker.max_requests, worker.alive) == (0, 7, True)
    finally:
        worker.tmp.close()


def test_the_arbiter_keeps_its_workers_by_pid_and_sets_handlers_for_these_signals() -> None:
    assert Arbiter.WORKERS == {}
    names = {
        name for name in ("TERM", "INT", "QUIT", "HUP") if getattr(signal, f"SIG{name}") in Arbiter.SIGNALS
    }
    assert names == {"TERM", "INT", "QUIT", "HUP"}


def test_the_c_parser_makes_an_environ_and_says_where_the_head_ends() -> None:
    head = b"POST /a?b=c HTTP/1.1\r\nHost: h:1\r\nX-Y: z\r\nContent-Length: 4\r\n\r\n"
    environ = parse_to_wsgi_environ(head + b"body", ("10.0.0.1", 80), ("10.0.0.2", 81))
    assert environ["_consumed"] == len(head)
    assert (environ["REQUEST_METHOD"], environ["PATH_INFO"], environ["QUERY_STRING"]) == ("POST", "/a", "b=c")
    assert (environ["HTTP_HOST"], environ["HTTP_X_Y"], environ["CONTENT_LENGTH"]) == ("h:1", "z", "4")
    assert (environ["SERVER_NAME"], environ["REMOTE_ADDR"]) == ("10.0.0.1", "10.0.0.2")
    with pytest.raises(IncompleteError):
        parse_to_wsgi_environ(head[:-1], ("", 0), ("", 0))
    with pytest.raises(ParseError):
        parse_to_wsgi_environ(b"nonsense\r\n\r\n", ("", 0), ("", 0))


class _Log:
    def info(self, *_: object) -> None:
        """Ignore it."""
