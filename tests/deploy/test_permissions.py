"""The files of deploy/ create what holds events or keys for its owner alone."""

import re

import pytest

from tests.deploy.test_files import DEPLOY
from tests.fixtures.servers.units import UNITS


@pytest.mark.parametrize("unit", ["vigilry-web.service", "vigilry-worker@.service"])
def test_what_a_unit_creates_is_private_to_its_user(unit: str) -> None:
    settings = (UNITS / unit).read_text().splitlines()
    assert {"UMask=0077", "StateDirectory=vigilry", "StateDirectoryMode=0700"} <= set(settings)


def test_the_database_of_a_container_is_private_to_its_user() -> None:
    containerfile = (DEPLOY / "Containerfile").read_text()
    assert re.findall(r"install -d -o 10001 -g 10001 -m (\d+) (\S+)", containerfile) == [
        ("0755", "/run/vigilry"),
        ("0700", "/var/lib/vigilry"),
    ]
