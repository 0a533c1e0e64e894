"""The files of deploy/ create what holds events or keys for its owner alone."""

import re

import pytest

from tests.deploy.test_files import DEPLOY, compose
from tests.fixtures.servers.gunicorn import ROOT
from tests.fixtures.servers.units import UNITS
from vigilry_ingest.config.settings import Config


@pytest.mark.parametrize("unit", ["vigilry-web.service", "vigilry-worker@.service", "vigilry-admin.service"])
def test_what_a_unit_creates_is_private_to_its_user(unit: str) -> None:
    settings = (UNITS / unit).read_text().splitlines()
    assert {"UMask=0077", "StateDirectory=vigilry", "StateDirectoryMode=0700"} <= set(settings)


def test_the_database_of_a_container_is_private_to_its_user() -> None:
    containerfile = (DEPLOY / "Containerfile").read_text()
    assert re.findall(r"install -d -o 10001 -g 10001 -m (\d+) (\S+)", containerfile) == [
        ("0755", "/run/vigilry"),
        ("0700", "/var/lib/vigilry"),
    ]


def test_only_what_verifies_or_changes_webhook_sources_has_the_key_of_their_secrets() -> None:
    services = compose()["services"]
    assert {name for name, service in services.items() if "secrets" in service} == {"web", "operator"}
    for name in ("web", "operator"):
        (secret,) = services[name]["secrets"]
        assert services[name]["environment"]["VIGILRY_SECRETS_KEYS_FILE"] == f"/run/secrets/{secret}"
        assert compose()["secrets"][secret] == {"file": "./secrets.key"}


def test_the_key_of_a_host_is_a_file_that_others_cannot_read() -> None:
    text = (DEPLOY / "vigilry.env").read_text()
    path = Config.from_environ({"VIGILRY_ENV_FILE": str(DEPLOY / "vigilry.env")}).secrets_keys_file
    assert f"install -g vigilry-settings -m 0440 /dev/null {path}" in text
    assert f"flask secrets new-key > {path}" in text
    assert f"install -g vigilry-settings -m 0440 /dev/null {path}" in (ROOT / "docs/webhooks.md").read_text()
