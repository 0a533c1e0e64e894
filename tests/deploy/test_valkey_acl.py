"""deploy/valkey.acl: the service, a worker and the operator's commands, each on Valkey as its own user."""

import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import redis
import yaml

from tests.fixtures.flask_commands import Running, flask_well
from tests.fixtures.handlers import FOLDER
from tests.fixtures.sender import EXAMPLES
from tests.fixtures.servers.gunicorn import ROOT, Service
from tests.fixtures.servers.valkey import Valkey, connect
from tests.fixtures.servers.waiting import free_port, wait_until
from tests.fixtures.servers.worker import Worker
from vigilry_ingest.stream.permissions import ROLES

PASSWORDS = {f"{role}_PASSWORD": f"{role.lower()}secret" for role in ("WEB", "WORKER", "OPERATOR")}
EVENTS, DEAD, INDEX = "vigilry:{0}:events", "vigilry:{0}:dead", "vigilry:{0}:dead:index"
FIELDS = ("id", "evt_1")


class Broker(NamedTuple):
    """A broker with the users of deploy/valkey.acl, and an administrator without a password."""

    server: Valkey

    def url(self, role: str) -> str:
        """Return the URL for a role: web, worker or operator."""
        return f"unix://vigilry-{role}:{PASSWORDS[role.upper() + '_PASSWORD']}@{self.server.socket_path}?db=0"

    def denied(self) -> list[str]:
        """Return what was denied so far, and forget it."""
        entries: list[dict[str, Any]] = self.server.ask("ACL", "LOG")
        self.server.ask("ACL", "LOG", "RESET")
        return [f"{each['username']}: {each['reason']} {each['object']}" for each in entries]


def render(folder: Path) -> Path:
    """Write the users as compose.yaml does, but let the tests in as the default user."""
    made = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())
    script, _, server = made["services"]["valkey"]["command"][2].replace("$$", "$").partition("\nexec ")
    assert "--aclfile /tmp/users.acl" in server
    users = folder / "users.acl"
    script = script.replace("/etc/valkey/valkey.acl", str(ROOT / "deploy/valkey.acl"))
    script = script.replace("/tmp/users.acl", str(users))  # noqa: S108  # the container's own /tmp
    subprocess.run(["sh", "-ec", script], env=PASSWORDS, check=True, timeout=10)
    text = users.read_text()
    assert text.startswith("user default off\n")
    users.write_text(text.replace("user default off\n", "user default on nopass ~* &* +@all\n"))
    return users


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    users = render(tmp_path_factory.mktemp("users"))
    settings = {"aclfile": str(users), "maxmemory": "1gb"}
    with Valkey(appendfsync="always", settings=settings) as server:
        yield Broker(server)


@pytest.fixture(scope="module")
def database_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('database')}/vigilry.db"
    flask_well("db", "upgrade", DATABASE_URL=url)
    return url


def settings_of(broker: Broker, role: str, database_url: str) -> dict[str, str]:
    return {
        "VIGILRY_REDIS_URL": broker.url(role),
        "VIGILRY_DATABASE_URL": database_url,
        "VIGILRY_DURABILITY": "fsync",
    }


@pytest.mark.parametrize("role", ROLES)
def test_the_file_permits_what_the_table_of_permissions_names(
    broker: Broker, role: str, database_url: str
) -> None:
    line = ROLES[role].acl_line(f"vigilry-{role}", f"@{role.upper()}_PASSWORD@")
    assert line in (ROOT / "deploy/valkey.acl").read_text().splitlines()
    settings = {"REDIS_URL": broker.url(role), "DATABASE_URL": database_url, "DURABILITY": "fsync"}
    flask_well("doctor", "--role", role, **settings)
    # The doctor reports what it can without CONFIG, which workers do not use.
    assert set(broker.denied()) <= {"vigilry-worker: command config|get"}


@pytest.mark.slow
def test_each_role_does_its_work_as_its_own_user(broker: Broker, database_url: str, tmp_path: Path) -> None:
    operator = {"REDIS_URL": broker.url("operator"), "DATABASE_URL": database_url, "DURABILITY": "fsync"}
    key = json.loads(flask_well("keys", "mint", "walk", "--json", **operator))["api_key"]
    flask_well("projects", "limit", "walk", "--per-second", "1000", **operator)
    headers = {"X-Api-Key": key}
    metrics = f"127.0.0.1:{free_port()}"
    handler = ("--handler", "tests.fixtures.handlers:obey", "--deliveries", "2", "--metrics", metrics)
    worker = settings_of(broker, "worker", database_url) | {FOLDER: str(tmp_path)}
    with Service(settings_of(broker, "web", database_url)) as service, service.client() as client:

        def send(message: str, **more: str) -> str:
            body = EXAMPLES["events"] | {"message": message}
            answer = client.post("/ingest/events", json=body, headers=headers | more)
            assert answer.status_code == 202, answer.text
            return str(answer.json()["jobId"])

        def status(job_id: str) -> Any:
            answer = client.get(f"/ingest/jobs/{job_id}", headers=headers)
            assert answer.status_code == 200, answer.text
            return answer.json()["status"]

        once = {"Idempotency-Key": "k"}
        well, poison = send("well", **once), send("raise")
        assert send("well", **once) == well
        batch = {"events": [EXAMPLES["events"]] * 3}
        assert client.post("/ingest/batch", json=batch, headers=headers).status_code == 202
        assert client.post("/ingest/stripe", json=EXAMPLES["stripe"], headers=headers).status_code == 202
        assert status(well) == "queued"
        assert client.get("/health/ready").status_code == 200
        with Worker(worker, *handler) as running:
            wait_until(lambda: status(poison) == "dead", 10, "the event that fails is dead")
            assert service_metrics(client.get("/metrics").text) == {"broker_up": 1, "streams_unread": 0}
            assert running.alive
            stats = flask_well("events", "stats", "--json", **operator)
            assert "store" in stats
            (letter,) = map(
                json.loads, flask_well("events", "dead", "list", "--json", **operator).splitlines()
            )
            flask_well("events", "dead", "show", letter["deadId"], **operator)
            flask_well("events", "dead", "retry", letter["deadId"], **operator)
            wait_until(lambda: status(poison) == "dead", 10, "the requeued event is dead again")
            flask_well("events", "dead", "drop", "--all", "--yes", **operator)
            with Running("events", "tail", "--json", **operator) as tail:
                job_id = send("another")
                wait_until(lambda: json.loads(tail.line())["jobId"] == job_id, 10, "the tail shows it")
            assert running.terminate() == 0
        # The default handler, whose events can be replayed.
        with Worker(settings_of(broker, "worker", database_url)):
            stored = send("stored")
            wait_until(lambda: status(stored) == "processed", 10, "it is stored")
        flask_well("events", "replay", "--group", "store", **operator)
    flask_well("events", "forget-group", "store", "--yes", **operator)
    findings = [json.loads(line) for line in flask_well("doctor", "--json", **operator).splitlines()]
    assert {each["level"] for each in findings} == {"ok"}
    assert broker.denied() == []


def service_metrics(text: str) -> Mapping[str, int]:
    """Return what the service says of its broker."""
    found = dict(line.split(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: int(float(found[f"vigilry_{name}"])) for name in ("broker_up", "streams_unread")}


DENIED = [
    # The web service appends, and neither consumes nor changes what was appended.
    ("web", ("XREAD", "STREAMS", EVENTS, "0")),
    ("web", ("XREADGROUP", "GROUP", "store", "a", "STREAMS", EVENTS, ">")),
    ("web", ("XREVRANGE", EVENTS, "+", "-")),
    ("web", ("XGROUP", "CREATE", EVENTS, "thief", "0")),
    ("web", ("XACK", EVENTS, "store", "1-0")),
    ("web", ("XCLAIM", EVENTS, "store", "a", 0, "1-0")),
    ("web", ("XDEL", EVENTS, "1-0")),
    ("web", ("XTRIM", EVENTS, "MAXLEN", 0)),
    ("web", ("GET", EVENTS)),
    ("web", ("SET", EVENTS, "x")),
    ("web", ("DEL", EVENTS)),
    ("web", ("XADD", DEAD, "*", *FIELDS)),
    ("web", ("HSET", INDEX, "a", "b")),
    ("web", ("SET", "vigilry:{0}:lease:store", "a")),
    ("web", ("EVAL", "return redis.call('XTRIM', KEYS[1], 'MAXLEN', 0)", 1, EVENTS)),
    # A worker cannot append events, forge idempotency markers, or fill quotas.
    ("worker", ("XADD", EVENTS, "*", *FIELDS)),
    ("worker", ("EVAL", "return redis.call('XADD', KEYS[1], '*', 'id', 'evt_1')", 1, EVENTS)),
    ("worker", ("SET", "vigilry:{0}:once:a:production:events:k", "1-0 x")),
    ("worker", ("GET", "vigilry:{0}:once:a:production:events:k")),
    ("worker", ("DEL", "vigilry:{0}:quota:a")),
    ("worker", ("DEL", EVENTS)),
    ("worker", ("XGROUP", "DESTROY", EVENTS, "store")),
    ("worker", ("XTRIM", DEAD, "MAXLEN", 0)),
    ("operator", ("GET", "another:key")),
    *[
        (role, command)
        for role in ("web", "worker", "operator")
        for command in [
            ("KEYS", "*"), ("FLUSHALL",), ("CONFIG", "SET", "dir", "/tmp"), ("ACL", "LIST"), ("SHUTDOWN",),  # noqa: S108
            ("MONITOR",), ("REPLICAOF", "NO", "ONE"), ("MODULE", "LIST"),
        ]
    ],
]  # fmt: skip


@pytest.mark.parametrize(
    ("role", "command"), DENIED, ids=lambda each: each if isinstance(each, str) else each[0]
)
def test_what_a_role_does_not_need_is_denied(broker: Broker, role: str, command: tuple[Any, ...]) -> None:
    with connect(broker.url(role)) as client, pytest.raises(redis.exceptions.RedisError) as denied:
        client.execute_command(*command)
    assert "permissions" in str(denied.value)
    assert broker.denied()


def test_nobody_connects_without_a_password() -> None:
    assert "\nuser default off\n" in (ROOT / "deploy/valkey.acl").read_text()
