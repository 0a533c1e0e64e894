"""The examples where something fails: a proxy answers, nobody does, or a client errs."""

import json
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest

from tests.examples.programs import (
    App,
    environment,
    environment_of,
    flask_app,
    run,
    signed,
    wait_for_one,
)
from tests.fixtures.sender import Sender
from tests.fixtures.servers.gunicorn import Service
from tests.fixtures.servers.listener import Answer, Listener
from tests.fixtures.servers.waiting import free_port

pytestmark = pytest.mark.one_database


class Proxy(Listener):
    """A proxy in front of nothing: gives its own answers one by one, then 202."""

    def __init__(self, *answers: tuple[int, dict[str, str]]) -> None:
        super().__init__()
        self._answers = list(answers)
        # The moment of each post by the monotonic clock, in seconds, and its Idempotency-Key.
        self.asked: list[tuple[float, str]] = []

    def take(self, _body: bytes, headers: Mapping[str, str]) -> Answer:
        """Keep when it was asked, and answer."""
        self.asked.append((time.monotonic(), headers["Idempotency-Key"]))
        status, more = self._answers.pop(0) if self._answers else (202, {})
        return Answer(status, more, b'{"jobId": "bull-1", "retryable": true}')

    def run_retry(self) -> subprocess.CompletedProcess[str]:
        """Run the example against it, to its end."""
        with self:
            return run("retry.py", environment_of(self.address))


def test_retries_never_come_before_the_moment_that_was_asked_for_and_keep_their_key() -> None:
    problem = {"Content-Type": "application/problem+json", "Retry-After": "1"}
    proxy = Proxy((503, problem))
    assert "bull-1" in proxy.run_retry().stdout
    (first, key), (second, same) = proxy.asked
    assert second - first >= 1.0
    assert key == same


def test_a_proxys_own_refusals_are_told_apart_too() -> None:
    date = {"Retry-After": "Wed, 21 Oct 2037 07:28:00 GMT"}
    passing = Proxy((502, {}), (503, date))
    assert "bull-1" in passing.run_retry().stdout
    assert len(passing.asked) == 3
    for status, more in (
        (200, {}), (301, {}), (404, {}), (413, {}), (503, {"Retry-After": "3600"}),
    ):  # fmt: skip
        final = Proxy((status, {"Content-Type": "text/html"} | more))
        done = final.run_retry()
        assert done.returncode == 1
        assert str(status) in done.stderr
        assert len(final.asked) == 1


def test_an_express_application_answers_its_clients_errors_itself_and_reports_none(
    with_express: Path, service: Service, sender: Sender
) -> None:
    with App(["node", "express_errors.mjs"], environment(service, sender), with_express) as app:
        as_json = {"Content-Type": "application/json"}
        assert httpx.post(f"{app.url}/orders", content=b"{bad", headers=as_json).status_code == 400
        assert httpx.get(f"{app.url}/orders/%ff").status_code == 400
        # What comes later is reported, so what came before would be there by then.
        assert httpx.get(f"{app.url}/orders/7").status_code == 500
        wait_for_one(sender)


def test_an_express_application_answers_although_nobody_takes_its_report(
    with_express: Path,
) -> None:
    env = environment_of(f"http://127.0.0.1:{free_port()}")
    with App(["node", "express_errors.mjs"], env, with_express) as app:
        assert [httpx.get(f"{app.url}/orders/7").status_code for _ in range(3)] == [500] * 3
        app.wait_for(lambda: "An error was not reported" in app.log_text(), "it says so")
        assert "TypeError: Cannot read order 7" in app.log_text()


def test_the_name_of_githubs_event_stays_a_name(service: Service, sender: Sender) -> None:
    payload, name = b'{"ref": "main"}', 'push", "severity": "CRITICAL'
    headers = {
        "X-Hub-Signature-256": f"sha256={signed(payload)}",
        "X-GitHub-Event": name,
        "X-GitHub-Delivery": "d-1",
        "Content-Type": "application/json",
    }
    with flask_app("github_forwarder", environment(service, sender)) as app:
        assert httpx.post(f"{app.url}/github", content=payload, headers=headers).status_code == 204
    (entry,) = sender.published()
    assert (entry[b"type"].decode(), entry[b"severity"]) == (name, b"INFO")


def test_forwarders_answer_502_when_the_service_cannot_be_reached() -> None:
    env = environment_of(f"http://127.0.0.1:{free_port()}")
    payload, now = b'{"type": "charge.failed", "data": {}}', int(time.time())
    stripes = {"Stripe-Signature": f"t={now},v1={signed(b'%d.' % now + payload)}"}
    githubs = {
        "X-Hub-Signature-256": f"sha256={signed(payload)}",
        "X-GitHub-Event": "push",
        "X-GitHub-Delivery": "d-1",
        "Content-Type": "application/json",
    }
    for name, headers in (("stripe", stripes), ("github", githubs)):
        with flask_app(f"{name}_forwarder", env) as app:
            assert httpx.post(f"{app.url}/{name}", content=payload, headers=headers).status_code == 502


def test_a_time_of_any_length_in_stripes_signature_is_refused() -> None:
    with flask_app("stripe_forwarder", environment_of("http://127.0.0.1:9")) as app:
        for digits in (400, 5000):
            headers = {"Stripe-Signature": f"t={'9' * digits},v1=0"}
            assert httpx.post(f"{app.url}/stripe", content=b"{}", headers=headers).status_code == 401


def test_githubs_webhooks_in_another_form_or_without_their_headers_are_refused_in_words() -> None:
    payload = b"payload=%7B%7D"
    headers = {"X-Hub-Signature-256": f"sha256={signed(payload)}"}
    with flask_app("github_forwarder", environment_of("http://127.0.0.1:9")) as app:
        for kind, status in (("application/x-www-form-urlencoded", 415), ("application/json", 400)):
            answer = httpx.post(
                f"{app.url}/github", content=payload, headers=headers | {"Content-Type": kind}
            )
            assert answer.status_code == status


def test_a_large_webhook_of_githubs_is_passed_on(service: Service, sender: Sender) -> None:
    payload = json.dumps({"commits": ["0123456789" * 10] * 20_000}).encode()
    headers = {
        "X-Hub-Signature-256": f"sha256={signed(payload)}",
        "X-GitHub-Event": "push",
        "X-GitHub-Delivery": "d-1",
        "Content-Type": "application/json",
    }
    with flask_app("github_forwarder", environment(service, sender)) as app:
        assert httpx.post(f"{app.url}/github", content=payload, headers=headers).status_code == 204
    (entry,) = sender.published()
    assert entry[b"payload"] == payload


def test_what_stripe_can_never_send_rightly_is_not_asked_for_again(service: Service, sender: Sender) -> None:
    payload, now = b'{"type": "v2.core.event"}', int(time.time())
    headers = {"Stripe-Signature": f"t={now},v1={signed(b'%d.' % now + payload)}"}
    with flask_app("stripe_forwarder", environment(service, sender)) as app:
        assert httpx.post(f"{app.url}/stripe", content=payload, headers=headers).status_code == 200
        assert "rejected permanently" in app.log_text()


def test_a_forwarder_without_a_secret_does_not_start() -> None:
    for name in ("github", "stripe"):
        env = environment_of("http://127.0.0.1:9") | {f"{name.upper()}_WEBHOOK_SECRET": ""}
        done = run(f"{name}_forwarder.py", env)
        assert (done.returncode, done.stderr) == (1, f"{name.upper()}_WEBHOOK_SECRET is empty.\n")
