"""The examples where something fails: a proxy answers, nobody does, or a client errs."""

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
    run,
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
