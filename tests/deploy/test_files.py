"""The files of deploy/: what the linters of each format say, and the rules that they keep."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER

from tests.fixtures.servers.gunicorn import ROOT
from tests.fixtures.servers.units import UNITS, render
from tests.fixtures.servers.waiting import require
from vigilry_ingest.config.settings import Config

DEPLOY = ROOT / "deploy"
# What opens no port of its own has nothing to ask for its health.
PORTLESS = {"worker", "migrate", "operator"}
# Of ten, by `systemd-analyze security`; without any hardening it is 9.
MOST_EXPOSURE = 2.0


def run(*command: str, stdin: str | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a linter to its end; give up the test when it is not installed."""
    binary = shutil.which(command[0], path=f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}")
    if binary is None:
        require(f"{command[0]} is not installed")
    return subprocess.run(
        [binary, *command[1:]],
        env=dict(os.environ) | variables,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module")
def units(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the units as they are after an installation in this checkout."""
    folder = tmp_path_factory.mktemp("units")
    for unit in UNITS.iterdir():
        (folder / unit.name).write_text(render(unit.name))
    return folder


def compose() -> dict[str, Any]:
    """Read compose.yaml, its merged parts included."""
    made: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return made


def test_systemd_finds_no_fault_in_the_units(units: Path) -> None:
    done = run("systemd-analyze", "verify", "--man=no", *map(str, sorted(units.iterdir())))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("unit", ["vigilry-web.service", "vigilry-worker@.service", "vigilry-admin.service"])
def test_the_services_are_hardened(units: Path, unit: str) -> None:
    threshold = f"--threshold={MOST_EXPOSURE * 10:.0f}"
    done = run("systemd-analyze", "security", "--offline=yes", "--no-pager", threshold, str(units / unit))
    assert done.returncode == 0, done.stdout[-300:]


def test_the_admin_api_listens_on_this_host_alone_and_nginx_has_no_location_for_it() -> None:
    unit = (UNITS / "vigilry-admin.service").read_text()
    assert re.findall(r"^Environment=VIGILRY_ADMIN_BIND=(.*)$", unit, re.M) == ["127.0.0.1:4101"]
    nginx = (DEPLOY / "nginx.conf").read_text()
    assert "4101" not in nginx
    assert not re.search(r"^\s*location [^#]*admin", nginx, re.M)


def test_hadolint_finds_no_fault_in_the_containerfile() -> None:
    done = run("hadolint", str(DEPLOY / "Containerfile"))
    assert (done.returncode, done.stdout) == (0, "")


def test_the_container_needs_no_root() -> None:
    last_stage = (DEPLOY / "Containerfile").read_text().rpartition("\nFROM ")[2]
    assert re.search(r"^USER [1-9]\d+:[1-9]\d+$", last_stage, re.M)
    assert re.search(r"^HEALTHCHECK ", last_stage, re.M)


def test_every_service_of_compose_is_hardened_and_watched() -> None:
    services = compose()["services"]
    assert services.keys() == {"web", "worker", "operator", "migrate", "nginx", "valkey", "postgres"}
    for name, service in services.items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        is_watched = "healthcheck" in service or (name == "web" and "build" in service)
        assert is_watched, name
        assert (service.get("healthcheck", {}) == {"disable": True}) is (name in PORTLESS), name


def test_compose_starts_with_no_password_of_its_own() -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    assert set(re.findall(r"\$\{[^}]*\}", text)) == {
        f"${{{name}_PASSWORD:?set it}}" for name in ("POSTGRES", "WEB", "WORKER", "OPERATOR")
    }


def test_what_compose_keeps_is_in_volumes() -> None:
    services = compose()["services"]
    targets = {
        name: {each.split(":")[1] for each in services[name]["volumes"]} for name in ("valkey", "postgres")
    }
    assert targets == {"valkey": {"/data", "/etc/valkey/valkey.acl"}, "postgres": {"/var/lib/postgresql"}}


def test_nginx_takes_larger_bodies_than_the_application_which_reads_what_it_refuses() -> None:
    found = re.search(r"client_max_body_size (\d+)m;", (DEPLOY / "nginx.conf").read_text())
    assert found is not None
    most = int(found[1]) << 20
    # The factor is that of `drain_after` in body.py.
    assert Config().max_body_bytes < most <= 4 * Config().max_body_bytes


def test_it_is_nginx_that_closes_idle_connections_and_not_gunicorn() -> None:
    found = re.search(r"keepalive_timeout (\d+)s;", (DEPLOY / "nginx.conf").read_text())
    assert found is not None
    settings: dict[str, Any] = {}
    # Its own imports are the application's, and it opens no connection.
    exec((ROOT / "gunicorn.conf.py").read_text(), settings)  # noqa: S102  # as gunicorn reads it
    assert int(found[1]) < settings["keepalive"]
    assert int(found[1]) < settings["graceful_timeout"]
    # Of the threaded worker, which does not wait for the whole of graceful_timeout.
    assert int(found[1]) < STOP_KEEPALIVE_LINGER


def test_no_post_is_ever_sent_twice_by_nginx() -> None:
    directives = re.findall(r"^\s*proxy_next_upstream (.*);", (DEPLOY / "nginx.conf").read_text(), re.M)
    assert directives == ["error timeout"]


def test_the_image_has_the_versions_that_are_tested() -> None:
    def pins(path: Path) -> set[str]:
        return set(re.findall(r"^([a-z0-9-]+==\S+)", path.read_text(), re.M))

    assert pins(DEPLOY / "requirements.lock") < pins(ROOT / "requirements.lock")


def test_the_example_of_settings_can_be_used() -> None:
    assert Config.from_environ({"VIGILRY_ENV_FILE": str(DEPLOY / "vigilry.env")}).durability == "fsync"
