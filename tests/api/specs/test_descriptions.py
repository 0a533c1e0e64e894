"""``/openapi.json`` and ``/asyncapi.json``: valid, current, and enough to make a client from."""

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from openapi_spec_validator import validate

from tests.fixtures.sender import EXAMPLES, Sender
from tests.fixtures.servers.gunicorn import ROOT, Service
from tests.fixtures.services import NewSender
from vigilry_ingest.api.specs.asyncapi import asyncapi
from vigilry_ingest.api.specs.openapi import openapi

pytestmark = pytest.mark.one_database


def test_the_document_is_valid_openapi(document: dict[str, Any]) -> None:
    validate(document)
    assert document["openapi"] == "3.1.0"


def test_every_route_of_senders_is_described_and_every_described_one_exists(
    document: dict[str, Any], service: Service
) -> None:
    with service.client() as client:
        for path, operations in document["paths"].items():
            address = (
                path.replace("{jobId}", "bull-1").replace("{project}", "1").replace("{sourceId}", "src_1")
            )
            # The SDKs' own form, which is the one that says what it allows.
            address += "/" if address.startswith("/api/") else ""
            wrong = client.put(address, headers={"X-Api-Key": "x"})
            allowed = set(wrong.headers.get("allow", "").split(", ")) - {"OPTIONS", "HEAD"}
            assert (wrong.status_code, allowed) == (405, {name.upper() for name in operations}), path
    assert {f"/ingest/{endpoint}" for endpoint in EXAMPLES} <= set(document["paths"])


@pytest.mark.parametrize(("name", "made"), [("openapi", openapi), ("asyncapi", asyncapi)])
def test_the_files_in_docs_are_current(name: str, made: Any) -> None:
    kept = json.loads((ROOT / "docs" / f"{name}.json").read_text())
    assert kept == made(), "run `make docs`"


@pytest.mark.parametrize("media", ["application/json", "application/x-ndjson"])
def test_both_examples_of_a_batch_are_taken(
    document: dict[str, Any], new_sender: NewSender, media: str
) -> None:
    content = document["paths"]["/ingest/batch"]["post"]["requestBody"]["content"]
    example = content[media]["examples"]["first"]["value"]
    body = example.encode() if isinstance(example, str) else example
    answer = new_sender().post("batch", body, headers={"Content-Type": media})
    assert (answer.status_code, answer.json()["accepted"]) == (202, 4)


def test_schemathesis_finds_no_failure(service: Service, sender: Sender, tmp_path: Path) -> None:
    done = subprocess.run(
        [
            str(Path(sys.executable).parent / "schemathesis"),
            "--config-file", str(ROOT / "tests/api/specs/schemathesis.toml"),
            "run", f"{service.url}/openapi.json",
            "--header", f"X-Api-Key: {sender.minted.api_key}",
            "--max-examples", "25",
            "--seed", "1",
        ],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory, document: dict[str, Any]) -> Any:
    """Generate a client package from the document."""
    folder = tmp_path_factory.mktemp("generated")
    (folder / "openapi.json").write_text(json.dumps(document))
    tool = Path(sys.executable).parent / "openapi-python-client"
    subprocess.run(
        [str(tool), "generate", "--path", "openapi.json", "--meta", "none", "--output-path", "made_client"],
        cwd=folder, check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    sys.path.insert(0, str(folder))
    yield importlib.import_module("made_client")
    sys.path.remove(str(folder))


def test_a_generated_client_sends_an_event_of_each_kind_and_reads_a_job(
    generated: Any, new_sender: NewSender, service: Service
) -> None:
    sender = new_sender()
    made = generated.AuthenticatedClient(
        base_url=service.url, token=sender.minted.api_key, auth_header_name="X-Api-Key", prefix=""
    )
    models = importlib.import_module("made_client.models")
    sending = {
        "events": ("send_event", "Event"),
        "server-error": ("send_server_error", "ServerError"),
        "webhook": ("send_webhook", "Webhook"),
        "stripe": ("send_stripe_event", "StripeEvent"),
    }
    job_id = ""
    with made as client:
        for endpoint, (function, model) in sending.items():
            call = importlib.import_module(f"made_client.api.ingestion.{function}")
            accepted = call.sync(client=client, body=getattr(models, model).from_dict(EXAMPLES[endpoint]))
            assert isinstance(accepted, models.Accepted), accepted
            job_id = accepted.job_id
        read = importlib.import_module("made_client.api.jobs.get_job").sync(job_id, client=client)
        assert (read.job_id, read.kind) == (job_id, "stripe")
    assert len(sender.published()) == len(sending)


def test_the_documents_are_kept_by_caches_and_asked_for_again_by_their_tags(service: Service) -> None:
    with service.client() as client:
        for path in ("/openapi.json", "/asyncapi.json", "/docs", "/docs/errors"):
            first = client.get(path)
            again = client.get(path, headers={"If-None-Match": first.headers["etag"]})
            assert (first.status_code, again.status_code) == (200, httpx.codes.NOT_MODIFIED), path
