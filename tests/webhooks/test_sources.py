"""Sources: who may add, rotate, disable and remove them, and how soon that takes effect."""

import json
import os
import pty
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text, update

from tests.fixtures.databases import dispose, migrate
from tests.fixtures.flask_commands import (
    ROOT,
    assert_misuse,
    assert_readable_help,
    command,
    environment,
    failure_of,
    flask,
    flask_well,
)
from tests.fixtures.sender import assert_503, assert_refused
from tests.fixtures.servers.gunicorn import Service
from tests.fixtures.servers.postgres import Postgres
from tests.fixtures.servers.valkey import Valkey
from tests.fixtures.servers.waiting import wait_until
from tests.fixtures.servers.worker import Worker
from tests.webhooks.deliveries import CASES, delivery_of
from tests.webhooks.fixtures import KEY, NewReceiver, Receiver
from vigilry_ingest.api_keys.projects import archive
from vigilry_ingest.api_keys.registry import mint
from vigilry_ingest.cli.secrets import secrets_group
from vigilry_ingest.cli.sources import sources_group
from vigilry_ingest.config.settings import Config
from vigilry_ingest.storage.engine import make_engine
from vigilry_ingest.storage.models import SourceSecret
from vigilry_ingest.webhooks.encryption import SecretBox, new_key
from vigilry_ingest.webhooks.source_settings import SourceSettings
from vigilry_ingest.webhooks.sources import SourceRegistry

GITHUB = CASES["github"]
TTL_S = Config().key_cache_ttl_s
SECRET = "a-secret-that-nobody-may-see"


def status_of(receiver: Receiver, secret: str | None = None) -> int:
    """Return the status of a new delivery."""
    return receiver.send(delivery_of(GITHUB, receiver.url, secret=secret)).status_code


def test_a_rotated_secret_is_valid_in_its_grace_and_not_after_it(new_receiver: NewReceiver) -> None:
    receiver = new_receiver(GITHUB)
    receiver.registry.rotate(receiver.source.id, "new", grace=timedelta(seconds=3))
    rotated_at = time.monotonic()
    wait_until(lambda: status_of(receiver, "new") == 202, TTL_S + 1, "the new secret is valid")
    assert status_of(receiver) == 202
    wait_until(lambda: status_of(receiver) == 401, 3 + TTL_S + 1, "the old secret has expired")
    assert time.monotonic() - rotated_at >= 2.5
    assert status_of(receiver, "new") == 202


def test_no_delivery_is_refused_while_a_secret_is_rotated_under_load(new_receiver: NewReceiver) -> None:
    receiver = new_receiver(GITHUB)
    statuses: list[int] = []
    stop = threading.Event()
    secrets: Sequence[str] = [GITHUB.secret, *(f"secret {number}" for number in range(5))]
    current = [secrets[0]]

    def send() -> None:
        while not stop.is_set():
            statuses.append(status_of(receiver, current[0]))

    sender = threading.Thread(target=send)
    sender.start()
    for secret in secrets[1:]:
        receiver.registry.rotate(receiver.source.id, secret, grace=timedelta(hours=1))
        # A provider has the new secret once the operator has entered it there.
        time.sleep(TTL_S + 0.2)
        current[0] = secret
        time.sleep(0.2)
    stop.set()
    sender.join()
    assert len(statuses) > 50
    assert set(statuses) == {202}


def test_a_disabled_a_removed_and_an_archived_source_is_refused_within_the_cache_s_time(
    new_receiver: NewReceiver, engine: Engine
) -> None:
    for change in ("disable", "archive", "remove"):
        receiver = new_receiver(GITHUB)
        assert status_of(receiver) == 202
        if change == "disable":
            receiver.registry.disable(receiver.source.id, is_disabled=True)
        elif change == "archive":
            archive(engine, receiver.source.project_id, is_archived=True)
        else:
            receiver.registry.remove(receiver.source.id)
        wait_until(lambda r=receiver: status_of(r) == 401, TTL_S + 1, f"{change} takes effect")  # type: ignore[misc]
        if change == "disable":
            receiver.registry.disable(receiver.source.id, is_disabled=False)
            wait_until(lambda r=receiver: status_of(r) == 202, TTL_S + 2, "it is enabled")  # type: ignore[misc]


@pytest.mark.one_database
def test_an_unknown_source_has_the_answer_of_a_wrong_signature(new_receiver: NewReceiver) -> None:
    receiver = new_receiver(GITHUB)
    delivery = delivery_of(GITHUB, receiver.url, secret="another")
    answers = [receiver.send(delivery)]
    for source_id in (
        "src_01M8D0000000000000000000ZZ",
        "src_",
        "x",
        "src_01m8d0000000000000000000zz",
        "%00",
        "é",
    ):
        answers.append(
            receiver.sender.http.post(f"/hooks/{source_id}", content=delivery.body, headers=delivery.headers)
        )
    problems: list[dict[str, Any]] = [assert_refused(answer, 401, "invalid_signature") for answer in answers]
    for problem in problems:
        del problem["requestId"], problem["instance"]
    assert all(problem == problems[0] for problem in problems)


@pytest.mark.one_database
def test_get_says_that_the_url_is_a_webhook_s(new_receiver: NewReceiver) -> None:
    http = new_receiver(GITHUB).sender.http
    answer = http.get("/hooks/src_01M8D0000000000000000000ZZ")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert "URL of a webhook" in answer.text
    assert_refused(http.put("/hooks/src_1", content=b""), 405, "method_not_allowed")


@pytest.mark.one_database
def test_refusals_are_counted_by_provider_and_reason_and_logged_without_the_body(
    valkey: Valkey, engine: Engine, database_url: str
) -> None:
    settings = {
        "VIGILRY_DATABASE_URL": database_url,
        "VIGILRY_REDIS_URL": valkey.url,
        "VIGILRY_SECRETS_KEYS": KEY,
    }
    with Service(settings, workers=1, worker_class="gevent") as service:
        receiver = Receiver(service, valkey, engine, GITHUB)
        delivery = delivery_of(GITHUB, receiver.url, secret="wrong")
        assert receiver.send(delivery).status_code == 401
        del delivery.headers["X-Hub-Signature-256"]
        assert receiver.send(delivery).status_code == 401
        metrics = receiver.sender.http.get("/metrics").text
        for reason in ("wrong_signature", "missing_header"):
            assert f'vigilry_webhooks_refused_total{{provider="github",reason="{reason}"}} 1.0' in metrics
        receiver.sender.close()
        log = service.log_text()
    assert "wrong_signature" in log
    assert receiver.source.id in log
    assert "conclusion" not in log
    assert GITHUB.secret not in log
    assert KEY not in log


def test_known_sources_are_accepted_while_the_database_is_down_and_unknown_ones_get_503(
    valkey: Valkey, breakable_postgres: Postgres
) -> None:
    url = breakable_postgres.new_database()
    engine = make_engine(url)
    migrate(url)
    settings = {"VIGILRY_DATABASE_URL": url, "VIGILRY_REDIS_URL": valkey.url, "VIGILRY_SECRETS_KEYS": KEY}
    with Service(settings, workers=1, worker_class="gevent") as service:
        known, unknown = (Receiver(service, valkey, engine, GITHUB) for _ in range(2))
        assert status_of(known) == 202
        breakable_postgres.freeze()
        time.sleep(TTL_S + 0.5)
        assert status_of(known) == 202
        assert_503(unknown.send(delivery_of(GITHUB, unknown.url)), "key_store_unavailable")
        breakable_postgres.thaw()
        for receiver in (known, unknown):
            wait_until(lambda r=receiver: status_of(r) == 202, 5, "the database is back")  # type: ignore[misc]
            receiver.sender.close()
    dispose(engine)


@pytest.mark.one_database
def test_a_secret_without_its_key_is_a_503_that_the_log_explains(
    new_receiver: NewReceiver, engine: Engine
) -> None:
    receiver = new_receiver(GITHUB)
    foreign = SecretBox([new_key()]).encrypt(GITHUB.secret, receiver.source.id)
    with engine.begin() as connection:
        connection.execute(
            update(SourceSecret)
            .where(SourceSecret.source_id == receiver.source.id)
            .values(ciphertext=foreign)
        )
    assert_503(receiver.send(delivery_of(GITHUB, receiver.url)), "key_store_unavailable")


@pytest.mark.one_database
def test_a_ciphertext_that_was_moved_to_another_source_is_not_used(
    new_receiver: NewReceiver, engine: Engine
) -> None:
    victim, attacker = new_receiver(GITHUB), new_receiver(GITHUB)
    with engine.begin() as connection:
        moved = text(
            "UPDATE source_secrets SET ciphertext = "
            "(SELECT ciphertext FROM source_secrets WHERE source_id = :a) WHERE source_id = :v"
        )
        connection.execute(moved, {"a": attacker.source.id, "v": victim.source.id})
    assert_503(victim.send(delivery_of(GITHUB, victim.url)), "key_store_unavailable")


# --- The commands ---


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    """Return the settings of a migrated database with a project, and with a key for secrets."""
    url = f"sqlite:///{tmp_path}/sources.db"
    migrate(url)
    engine = make_engine(url)
    mint(engine, "shop", "production")
    dispose(engine)
    return {"DATABASE_URL": url, "SECRETS_KEYS": KEY}


def add(settings: dict[str, str], path: Path, *options: str, secret: str = SECRET) -> dict[str, Any]:
    """Add a source by command, and return the JSON object that is printed."""
    path.write_text(secret + "\n")
    out = flask_well("sources", "add", "shop", "--secret-file", str(path), *options, "--json", **settings)
    assert out.count("\n") == 1
    added: dict[str, Any] = json.loads(out)
    return added


@pytest.mark.usefixtures("through")
def test_add_prints_the_url_and_where_it_goes_and_never_the_secret(
    settings: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "secret"
    options = ("--provider", "github", "--environment", "staging", "--severity", "push=WARN")
    added = add(settings | {"PUBLIC_URL": "https://in.example"}, path, *options)
    assert added["url"] == f"https://in.example/hooks/{added['source_id']}"
    assert (added["provider"], added["project"], added["environment"]) == ("github", "shop", "staging")
    assert added["severities"] == {"push": "WARN"}
    for words in (("list",), ("list", "--json"), ("show", added["source_id"])):
        out = flask_well("sources", *words, **settings)
        assert added["source_id"] in out
        assert SECRET not in out
        assert KEY not in out
    database = Path(settings["DATABASE_URL"].removeprefix("sqlite:///")).read_bytes()
    assert SECRET.encode() not in database


def test_the_secret_is_read_from_standard_input_or_asked_for_without_echo(
    settings: dict[str, str],
) -> None:
    piped = subprocess.run(
        command("sources", "add", "shop", "--provider", "stripe", "--secret-file", "-"),
        input=b"whsec_piped\n", env=environment(**settings), cwd=ROOT, capture_output=True, check=True,
    )  # fmt: skip
    assert b"/hooks/src_" in piped.stdout
    shown = typed_on_terminal("whsec_typed\n", "sources", "add", "shop", "--provider", "stripe", **settings)
    assert "whsec_typed" not in shown
    assert "/hooks/src_" in shown
    made = typed_on_terminal("\n", "sources", "add", "shop", "--provider", "github", **settings)
    assert "The secret is" in made


def typed_on_terminal(typed: str, *words: str, **settings: str) -> str:
    """Run ``flask`` on a terminal, type when it asks for the secret, and return what was shown."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        os.execve(  # noqa: S606  a command of ours
            sys.executable, command(*words), environment(**settings)
        )
    shown = b""
    with closing(os.fdopen(terminal, "r+b", buffering=0)) as screen, suppress(OSError):
        while some := screen.read(4096):
            if b"Secret" in some and b"Secret" not in shown:
                screen.write(typed.encode())
            shown += some
    assert os.waitpid(pid, 0)[1] == 0, shown
    return shown.decode()


@pytest.mark.parametrize(
    ("options", "secret", "hint"),
    [
        (("--provider", "stripe"), "sk_live_1", "whsec_"),
        (("--provider", "standard"), "not base64!", "base64"),
        (("--provider", "standard"), "whpk_AAAA", "32 bytes"),
        (("--provider", "basic"), "nouser", "user:password"),
        (("--provider", "token"), "line\nbreak", "printable ASCII"),
        (("--provider", "github"), "", "empty"),
    ],
)
@pytest.mark.usefixtures("through")
def test_a_secret_of_another_form_is_refused_without_being_shown(
    settings: dict[str, str], tmp_path: Path, options: tuple[str, ...], secret: str, hint: str
) -> None:
    path = tmp_path / "secret"
    path.write_text(secret)
    line = failure_of("sources", "add", "shop", "--secret-file", str(path), *options, **settings)
    assert hint in line
    assert not secret or secret not in line


@pytest.mark.usefixtures("through")
def test_add_refuses_what_cannot_be_and_says_what_to_do(settings: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text(SECRET)
    given = ("--secret-file", str(path), "--provider")
    assert "flask projects list" in failure_of("sources", "add", "nobody", *given, "github", **settings)
    without = settings | {"SECRETS_KEYS": "", "SECRETS_KEYS_FILE": str(tmp_path / "none")}
    assert "flask secrets new-key" in failure_of("sources", "add", "shop", *given, "github", **without)
    for options in (
        ("nope",),
        ("github", "--header", "X-Sig"),
        ("hmac",),
        ("hmac", "--header", "X", "--signed-text", "{body}x"),
        ("hmac", "--header", "X", "--signed-text", "{other}{body}"),
        ("hmac", "--header", "X", "--signed-text", "{timestamp}{body}"),
        ("hmac", "--header", "X", "--id-header", "X-Id"),
        ("github", "--severity", "push"),
        ("github", "--severity", "push=LOUD"),
        ("github", "--name", "a\nb"),
        ("github", "--secret-file", str(tmp_path / "missing")),
    ):
        assert_misuse("sources", "add", "shop", *given, *options, **settings)


@pytest.mark.usefixtures("through")
def test_unknown_sources_are_named_in_one_line(settings: dict[str, str]) -> None:
    for name in ("show", "disable", "enable", "remove", "test"):
        assert "src_none" in failure_of("sources", name, "src_none", **settings)


@pytest.mark.usefixtures("through")
def test_rotate_disable_enable_and_remove_report_what_they_did(
    settings: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "secret"
    source_id = add(settings, path, "--provider", "github")["source_id"]
    path.write_text("another")
    out = flask_well("sources", "rotate", source_id, "--secret-file", str(path), "--json", **settings)
    assert [secret["expires_at"] is None for secret in json.loads(out)["secrets"]] == [True, False]
    for name, state in (("disable", "disabled"), ("enable", "live"), ("remove", "removed")):
        out = flask_well("sources", name, source_id, "--json", **settings)
        assert json.loads(out)["state"] == state
    assert "no sources" in flask_well("sources", "list", **settings)


@pytest.mark.usefixtures("through")
def test_secrets_are_encrypted_again_with_a_new_key(settings: dict[str, str], tmp_path: Path) -> None:
    source_id = add(settings, tmp_path / "secret", "--provider", "github")["source_id"]
    newest = flask_well("secrets", "new-key", **settings).strip()
    both = settings | {"SECRETS_KEYS": f"{newest},{KEY}"}
    assert json.loads(flask_well("secrets", "rotate", "--json", **both)) == {
        "secrets": 1,
        "encrypted_again": 1,
    }
    assert "0 of 1" in flask_well("secrets", "rotate", **both)
    engine = make_engine(settings["DATABASE_URL"])
    registry = SourceRegistry(engine, SecretBox([newest]))
    assert registry.secret_of(registry.get(source_id)) == SECRET
    dispose(engine)
    assert "not in VIGILRY_SECRETS_KEYS" in failure_of("sources", "test", source_id, **settings)


def test_test_sends_a_signed_example_of_every_provider_and_says_what_became_of_it(
    settings: dict[str, str], broker: Valkey, tmp_path: Path
) -> None:
    environment = {f"VIGILRY_{name}": value for name, value in settings.items()}
    environment["VIGILRY_REDIS_URL"] = broker.url
    engine = make_engine(settings["DATABASE_URL"])
    registry = SourceRegistry(engine, SecretBox([KEY]))
    with Service(environment, workers=1, worker_class="gevent") as service:
        at = settings | {"REDIS_URL": broker.url, "BIND": service.url.removeprefix("http://")}
        first = add(settings, tmp_path / "secret", "--provider", "github")["source_id"]
        done = flask("sources", "test", first, "--url", "http://127.0.0.1:1", **at)
        assert (done.returncode, done.stdout) == (1, "")
        assert "Is the service running?" in done.stderr
        with Worker(environment):
            for name, case in CASES.items():
                if name == "ed25519":
                    continue
                given = SourceSettings("shop", "production", case.provider, options=case.options)
                source = registry.add(given, case.secret)
                outcome = json.loads(flask_well("sources", "test", source.id, "--json", **at))
                assert (outcome["state"], outcome["status"]) == ("processed", 202), (name, outcome)
        registry.disable(first, is_disabled=True)
        time.sleep(TTL_S + 0.1)
        refused = flask("sources", "test", first, **at)
        assert refused.returncode == 1
        assert "401" in refused.stdout
    dispose(engine)


def test_help_is_readable() -> None:
    assert_readable_help(sources_group)
    assert_readable_help(secrets_group)
