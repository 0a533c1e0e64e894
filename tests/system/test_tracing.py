"""Traces: one from the sender through the service to the worker; and nothing of it where it is off."""

import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.sender import EXAMPLES, Sender
from tests.fixtures.servers.collector import Collector
from tests.fixtures.servers.gunicorn import ROOT, Service
from tests.fixtures.servers.process import Process
from tests.fixtures.servers.valkey import Valkey
from tests.fixtures.servers.worker import Worker

pytestmark = pytest.mark.one_database

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SENT = f"00-{TRACE}-{SPAN}-01"
SERVER, CONSUMER = 2, 5


def of_trace(collector: Collector, trace: str) -> list[Any]:
    """Return the spans of one trace that have come so far."""
    return [span for span in collector.spans if span.trace_id.hex() == trace]


def attributes(span: Any) -> dict[str, Any]:
    """Read a span's attributes."""
    return {each.key: each.value.string_value or each.value.int_value for each in span.attributes}


def test_one_trace_leads_from_the_sender_through_the_service_to_the_worker(
    sender: Sender, service: Service, valkey: Valkey
) -> None:
    # The stream may hold events of other tests.
    trace = os.urandom(16).hex()
    sent = f"00-{trace}-{SPAN}-01"
    with Collector() as collector:
        settings = service.settings | collector.settings
        with Service(settings, workers=2) as traced, Worker(settings, "--group", "traced") as worker:
            mine = Sender(traced, valkey, sender.minted)
            accepted = mine.post("events", EXAMPLES["events"], headers={"traceparent": sent})
            refused = mine.post("webhook", {}, headers={"traceparent": sent})
            mine.post("events", EXAMPLES["events"], headers={"traceparent": sent[:-2] + "00"})
            mine.close()
            assert (accepted.status_code, refused.status_code) == (202, 400)
            names = {"POST /ingest/events", "POST /ingest/webhook", "process event"}
            worker.wait_for(
                lambda: names <= {span.name for span in of_trace(collector, trace)}, "all spans have come"
            )
        spans = of_trace(collector, trace)
    served, failed = (
        next(span for span in spans if span.name == name)
        for name in ("POST /ingest/events", "POST /ingest/webhook")
    )
    # A call of the handler that the database made fail has a span as well.
    processed = next(span for span in spans if span.kind == CONSUMER)
    assert {span.name for span in spans} == names
    assert (served.kind, served.parent_span_id.hex()) == (SERVER, SPAN)
    assert attributes(served)["http.response.status_code"] == 202
    assert attributes(failed)["error.type"] == refused.json()["code"]
    assert processed.parent_span_id == served.span_id
    assert attributes(processed)["messaging.message.id"] == accepted.json()["jobId"]
    assert attributes(processed)["messaging.consumer.group.name"] == "traced"
    assert collector.services == {"vigilry-ingest"}
    told = repr(collector.spans)
    assert sender.minted.api_key not in told
    assert EXAMPLES["events"]["message"] not in told


def test_without_tracing_the_senders_context_is_kept_and_a_malformed_one_is_ignored(sender: Sender) -> None:
    malformed = [
        "", "00", SENT.upper(), SENT + "-x", "ff" + SENT[2:], f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01", f"{SENT}x", f"00-{TRACE}-{SPAN}-0g",
    ]  # fmt: skip
    for header in (SENT, *malformed):
        answer = sender.post("events", EXAMPLES["events"], headers={"traceparent": header})
        assert answer.status_code == 202, header
    kept = [entry.get(b"traceparent") for entry in sender.published()]
    assert kept == [SENT.encode(), *[None] * len(malformed)]


@pytest.mark.parametrize("tracing", ["off", "on"])
def test_no_exporter_is_imported_unless_tracing_is_switched_on(tmp_path: Path, tracing: str) -> None:
    # Of opentelemetry itself redis-py imports a part, where it is installed.
    script = (
        "import sys; from vigilry_ingest.app import create_app; create_app();"
        "print(sorted(name for name in sys.modules if name.startswith('opentelemetry.exporter'))[:1])"
    )
    run = Process(
        [sys.executable, "-c", script],
        env={"VIGILRY_TRACING": tracing, "VIGILRY_DATABASE_URL": f"sqlite:///{tmp_path}/x.db"},
        cwd=ROOT,
    )
    with run:
        run.wait_for(lambda: re.search(r"^\[", run.log_text(), re.M), "it says what is imported")
        assert run.log_text().strip() == ("['opentelemetry.exporter']" if tracing == "on" else "[]")
