"""``flask admin serve``: off by default, on a socket of its own, and without the senders' paths."""

import socket
import stat
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.fixtures.commands import Commands
from tests.fixtures.flask_commands import assert_readable_help
from tests.fixtures.sender import EXAMPLES, assert_refused
from tests.fixtures.servers.admin import AdminApi, an_admin_key
from tests.fixtures.servers.units import command_of
from vigilry_ingest.app import create_admin_app, create_app
from vigilry_ingest.cli.admin import admin_group
from vigilry_ingest.cli.admin_keys import admin_keys_group
from vigilry_ingest.config.settings import Config
from vigilry_ingest.storage.engine import make_engine

pytestmark = pytest.mark.one_database


def test_without_an_address_it_says_that_it_is_off() -> None:
    with Commands() as commands:
        assert "set VIGILRY_ADMIN_BIND" in commands.failure_of("admin", "serve")


@pytest.mark.parametrize(
    ("bind", "admin_bind"),
    [
        ("127.0.0.1:4100", "127.0.0.1:4100"),
        ("127.0.0.1:4100", "localhost:4100"),
        ("127.0.0.1:4100", "0.0.0.0:4100"),
        ("[::]:4100", "127.0.0.1:4100"),
        ("unix:var/web.sock", "unix:var/../var/web.sock"),
    ],
)
def test_the_senders_address_is_refused(bind: str, admin_bind: str) -> None:
    with Commands(bind=bind, admin_bind=admin_bind) as commands:
        assert "must not be VIGILRY_BIND" in commands.failure_of("admin", "serve")


def test_no_path_of_either_is_at_the_other() -> None:
    open_paths = {"/health/live", "/health/ready", "/openapi.json", "/docs/errors/<code>"}
    senders = {rule.rule for rule in create_app(Config()).url_map.iter_rules()}
    admins = {rule.rule for rule in create_admin_app(Config()).url_map.iter_rules()}
    assert senders & admins == open_paths
    assert all(path.startswith("/admin/") for path in admins - open_paths)
    assert not any(path.startswith("/admin") for path in senders)


def test_senders_find_nothing_on_its_socket(api: AdminApi) -> None:
    with api.client() as client:
        assert_refused(client.post("/ingest/events", json=EXAMPLES["events"]), 404, "not_found")
        for path in ("/", "/docs", "/metrics", "/ingest/jobs/bull-1", "/asyncapi.json"):
            assert_refused(client.get(path), 404, "not_found")


def test_what_an_error_code_means_is_served(api: AdminApi) -> None:
    with api.client() as client:
        problem = assert_refused(client.get("/admin/projects"), 401, "missing_admin_key")
        assert client.get(problem["type"]).json()["remedy"]
        assert_refused(client.get("/docs/errors/none"), 404, "not_found")
        assert client.get("/health/live").status_code == 200


def test_a_unix_socket_is_for_the_user_and_the_group_alone(
    settings: dict[str, str | int], own_url: str
) -> None:
    engine = make_engine(own_url)
    with AdminApi(settings, bind="unix") as api, api.client(an_admin_key(engine)) as client:
        assert client.get("/admin/projects").status_code == 200
        mode = Path(api.bind.removeprefix("unix:")).stat().st_mode
        assert stat.S_IMODE(mode) == 0o660
    engine.dispose()


def sent(api: AdminApi, text: bytes) -> socket.socket:
    """Return a connection on which something was sent; the caller closes it."""
    host, _, port = api.bind.partition(":")
    connection = socket.create_connection((host, int(port)), timeout=20)
    connection.sendall(text)
    return connection


@pytest.mark.parametrize(
    "unfinished",
    [b"GET /health/live HTTP/1.1\r\nHost: a\r\n", b"PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"],
)
def test_requests_that_never_end_keep_administrators_waiting_for_ten_seconds_at_most(
    api: AdminApi, unfinished: bytes
) -> None:
    with ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(sent(api, unfinished))
        client = stack.enter_context(api.client())
        assert client.get("/health/live").status_code == 200


def test_a_client_that_does_not_close_its_connection_breaks_no_other(api: AdminApi) -> None:
    ended = b"GET /health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    with api.client() as client:
        for _ in range(3):
            assert client.get("/health/live").status_code == 200
            with sent(api, ended) as other:
                while other.recv(4096):
                    pass
                answer = client.get("/health/live")
                assert answer.status_code == 200
                # gunicorn would wait for the other client first.
                assert answer.elapsed.total_seconds() < 1.5


def test_the_unit_s_command_serves_it_and_ends_well(settings: dict[str, str | int]) -> None:
    with AdminApi(settings) as api:
        assert command_of("vigilry-admin.service")[1:] == api.command[3:]
        api.stop()
        assert api._popen is not None
        assert api._popen.returncode == 0
        assert "Traceback" not in api.log_text()


def test_the_help_helps() -> None:
    assert_readable_help(admin_group)
    assert_readable_help(admin_keys_group)
