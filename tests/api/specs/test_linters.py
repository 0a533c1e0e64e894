"""``docs/openapi.json`` and ``docs/asyncapi.json`` under the linters that their readers use."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.fixtures.node import install
from tests.fixtures.servers.gunicorn import ROOT

DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def linters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the linters in a folder of their own."""
    folder = tmp_path_factory.mktemp("linters") / "linters"
    shutil.copytree(Path(__file__).parent / "linters", folder)
    return install(folder)


def run(linters: Path, *command: str) -> subprocess.CompletedProcess[str]:
    quiet = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}
    return subprocess.run(
        command,
        cwd=linters, env=dict(os.environ) | quiet, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def openapi_faults(linters: Path, document: Path) -> int:
    done = run(linters, "node_modules/.bin/redocly", "lint", "--format", "json", str(document))
    totals = json.loads(done.stdout)["totals"]
    return int(totals["errors"] + totals["warnings"])


def test_the_openapi_document_is_clean_and_a_worse_one_is_not(linters: Path, tmp_path: Path) -> None:
    assert openapi_faults(linters, DOCS / "openapi.json") == 0
    worse = json.loads((DOCS / "openapi.json").read_text())
    del worse["paths"]["/ingest/events"]["post"]["operationId"]
    (tmp_path / "worse.json").write_text(json.dumps(worse))
    assert openapi_faults(linters, tmp_path / "worse.json") > 0


def test_the_asyncapi_document_is_clean_and_a_worse_one_is_not(linters: Path, tmp_path: Path) -> None:
    done = run(linters, "node", "asyncapi.mjs", str(DOCS / "asyncapi.json"))
    assert (done.returncode, done.stdout) == (0, "")
    worse = json.loads((DOCS / "asyncapi.json").read_text())
    del worse["info"]["title"]
    (tmp_path / "worse.json").write_text(json.dumps(worse))
    done = run(linters, "node", "asyncapi.mjs", str(tmp_path / "worse.json"))
    assert done.returncode == 1
    assert "title" in done.stdout
