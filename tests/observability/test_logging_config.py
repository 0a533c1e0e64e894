"""What stands in the log: one JSON line for each refusal and each failure, and nothing of a sender's own."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from tests.fixtures.sender import EXAMPLES, Sender
from tests.fixtures.servers.gunicorn import ROOT, Service
from tests.fixtures.servers.valkey import Valkey
from tests.fixtures.servers.worker import Worker
from tests.fixtures.services import NewSender

pytestmark = pytest.mark.one_database

SECRET = "s3cr3t-of-the-sender"


def lines(text: str) -> list[dict[str, Any]]:
    """Read a log, every line of which is to be a JSON object."""
    return [json.loads(line) for line in text.splitlines()]


def line_of(service: Service, request_id: str) -> dict[str, Any] | None:
    """Find the line of one request, of which there may be no two."""
    found = [line for line in lines(service.log_text()) if line.get("requestId") == request_id]
    assert len(found) <= 1, found
    return found[0] if found else None


def test_a_refusal_has_one_line_that_says_who_what_and_how_long(sender: Sender, service: Service) -> None:
    refused = sender.post("webhook", {"source": SECRET, "message": SECRET, SECRET: 1})
    line = line_of(service, refused.json()["requestId"])
    assert line is not None
    assert 0 < line.pop("durationMs") < 1000
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "INFO",
        "logger": "vigilry_ingest.web.instrumentation",
        "message": "request refused",
        "requestId": refused.json()["requestId"],
        "endpoint": "/ingest/webhook",
        "status": refused.status_code,
        "code": refused.json()["code"],
        "projectId": sender.minted.project_id,
        "keyHint": sender.minted.api_key[:17],
        "bytes": len(refused.request.content),
    }


def test_the_log_holds_no_key_no_payload_and_no_message(new_sender: NewSender, service: Service) -> None:
    sender = new_sender()
    for endpoint, example in EXAMPLES.items():
        sender.post(endpoint, example | {"message": SECRET, "payload": {SECRET: SECRET}})
        sender.post(endpoint, [SECRET])
        sender.post(endpoint, b'{"message": "' + SECRET.encode())
        sender.post(endpoint, example, key=f"vig_live_{SECRET}")
        sender.post(endpoint, example, headers={"Idempotency-Key": SECRET * 20})
        sender.post(endpoint, example, headers={"Content-Type": SECRET})
    sender.http.get(f"/ingest/jobs/{SECRET}?x={SECRET}")
    sender.http.get(f"/{SECRET}")
    text = service.log_text()
    assert SECRET not in text
    assert sender.minted.api_key not in text
    assert sender.minted.api_key[9:17] in text


def test_what_is_accepted_is_logged_at_debug_only(valkey: Valkey, new_sender: NewSender) -> None:
    quiet = new_sender()
    accepted = quiet.post("events", EXAMPLES["events"])
    assert line_of(quiet.service, accepted.headers["x-request-id"]) is None
    with Service(quiet.service.settings | {"VIGILRY_LOG_LEVEL": "debug"}) as chatty:
        loud = Sender(chatty, valkey, quiet.minted)
        accepted = loud.post("events", EXAMPLES["events"])
        line = line_of(chatty, accepted.headers["x-request-id"])
        loud.close()
    assert line is not None
    assert (line["level"], line["message"], line["status"]) == ("DEBUG", "request answered", 202)


def test_a_broker_that_is_down_is_a_warning_with_its_reason(sender: Sender) -> None:
    with Valkey() as own:
        settings = sender.service.settings | {"VIGILRY_REDIS_URL": own.url}
        with Service(settings) as service:
            own.kill()
            mine = Sender(service, own, sender.minted)
            refused = mine.post("events", EXAMPLES["events"])
            mine.close()
            line = line_of(service, refused.json()["requestId"])
    assert line is not None
    assert (line["level"], line["code"], line["status"]) == ("WARNING", "broker_unavailable", 503)
    assert line["reason"]


def test_every_line_is_json_from_start_to_stop_and_a_worker_tells_of_its_life(service: Service) -> None:
    with Service(service.settings) as own:
        own.reload()
        own.wait_for(lambda: "Hang up" in own.log_text(), "it reloads")
        own.stop()
        said = [line["message"] for line in lines(own.log_text())]
    assert any(message.startswith("Starting gunicorn") for message in said)
    assert any(message.startswith("Shutting down") for message in said)
    with Worker(service.settings, "--group", "logged") as worker:
        worker.terminate()
        said = [(line["message"], line.get("group")) for line in lines(worker.log_text())]
    assert said[0] == ("worker started", "logged")
    assert said[-1] == ("worker stopped", "logged")


@pytest.mark.parametrize("form", ["auto", "console"])
def test_on_a_terminal_the_log_is_readable_and_in_colour(service: Service, form: str) -> None:
    env = dict(service.env or {}) | {"VIGILRY_LOG_FORMAT": form, "TERM": "xterm-256color", "COLUMNS": "120"}
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "flask", "worker", "--group", "seen"]
    worker = subprocess.Popen(command, cwd=ROOT, env=env, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    deadline = time.monotonic() + 20
    while b"worker started" not in shown and time.monotonic() < deadline:
        shown += os.read(ours, 4096)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(20) == 0
    os.close(ours)
    assert b"worker started" in shown
    assert b"seen" in shown
    assert b"\x1b[" in shown
    assert not shown.lstrip().startswith(b"{")
