"""``/openapi.json`` of the admin API, held against what it does."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from openapi_spec_validator import validate
from sqlalchemy import Engine

from tests.administration.routes import ROUTES
from tests.fixtures.servers.admin import AdminApi, an_admin_key
from tests.fixtures.servers.gunicorn import ROOT
from vigilry_ingest.administration.openapi import openapi


def test_the_document_is_valid_and_served(api: AdminApi) -> None:
    with api.client() as client:
        document = client.get("/openapi.json").json()
    validate(document)
    assert document == openapi()


def test_every_route_is_described_and_every_described_one_exists() -> None:
    described = {
        f"{method.upper()} {path}" for path, operations in openapi()["paths"].items() for method in operations
    }
    assert described == {re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route) for route in ROUTES}


@pytest.mark.slow
def test_schemathesis_finds_no_failure(api: AdminApi, own_engine: Engine, tmp_path: Path) -> None:
    done = subprocess.run(
        [
            str(Path(sys.executable).parent / "schemathesis"),
            "--config-file", str(ROOT / "tests/administration/schemathesis.toml"),
            "run", f"{api.url}/openapi.json",
            "--header", f"Authorization: Bearer {an_admin_key(own_engine)}",
            "--max-examples", "25",
            "--seed", "1",
        ],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
