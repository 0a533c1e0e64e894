"""deploy/kubernetes/ against the code: probes, ports, settings, memory, the time to stop, and scaling."""

import re
import runpy
from typing import Any

import click
import pytest

from tests.deploy.test_files import DEPLOY
from tests.fixtures.kubernetes import KUBERNETES, Manifests, Object
from tests.fixtures.servers.gunicorn import ROOT
from vigilry_ingest.app import create_app
from vigilry_ingest.cli.db import db_group
from vigilry_ingest.config.settings import PREFIX, Config
from vigilry_ingest.server import arbiter_hooks
from vigilry_ingest.stream.consuming.consumer import Limits

pytestmark = pytest.mark.one_database

COMPONENTS = ("web", "worker", "migrate", "operator")
OPERATING = (ROOT / "docs/operating.md").read_text()
PROBES = ("startupProbe", "livenessProbe", "readinessProbe")


@pytest.fixture(scope="module")
def base() -> Manifests:
    return Manifests.render(KUBERNETES / "base")


@pytest.fixture
def gunicorn(base: Manifests, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return gunicorn's settings, as gunicorn.conf.py makes them from the base's."""
    for name, value in base.settings_map()[1].items():
        monkeypatch.setenv(name, value)
    return runpy.run_path(str(ROOT / "gunicorn.conf.py"))


@pytest.mark.parametrize("component", COMPONENTS)
def test_every_setting_exists_and_is_valid(base: Manifests, component: str) -> None:
    assert isinstance(base.config(component), Config)
    env = base.pod(component).container["env"]
    assert [each["name"] for each in env if not each["name"].startswith(PREFIX)] == []


def test_a_setting_is_there_because_it_differs_from_the_default(base: Manifests) -> None:
    default = Config()
    for name in base.settings_map()[1]:
        field = name.removeprefix(PREFIX).lower()
        assert getattr(base.config("web"), field) != getattr(default, field), name


def test_an_administrators_port_is_not_opened(base: Manifests) -> None:
    assert not [name for name in base.settings_map()[1] if "ADMIN" in name]
    ports = {port["containerPort"] for pod in base.pods().values() for port in pod.container.get("ports", [])}
    assert ports == {4100, 9101}


def test_gunicorn_listens_on_the_port_of_the_pod_and_the_service(
    base: Manifests, gunicorn: dict[str, Any]
) -> None:
    assert base.pod("web").container["command"] == ["gunicorn"]
    host, _, port = gunicorn["bind"].rpartition(":")
    # The kubelet and the Service reach a pod by its own address.
    assert (host, int(port)) == ("0.0.0.0", base.pod("web").port("http"))  # noqa: S104  # in a pod
    (service,) = base.of("Service").values()
    assert service["spec"]["ports"] == [{"name": "http", "port": 80, "targetPort": "http"}]
    assert f"\nEXPOSE {port}\n" in (DEPLOY / "Containerfile").read_text()


def test_the_worker_serves_its_metrics_on_the_port_of_the_pod(base: Manifests) -> None:
    host, port = base.worker_options()["metrics_address"]
    assert (host, port) == ("0.0.0.0", base.pod("worker").port("metrics"))  # noqa: S104  # in a pod


def test_the_job_runs_a_command_that_exists(base: Manifests) -> None:
    flask, group, name = base.pod("migrate").container["command"]
    assert (flask, group) == ("flask", db_group.name)
    assert isinstance(db_group.commands[name], click.Command)


def test_the_probes_of_the_service_have_paths_that_exist(base: Manifests) -> None:
    container = base.pod("web").container
    asked = {name: container[name]["httpGet"] for name in PROBES}
    assert asked == {
        "startupProbe": {"path": "/health/ready", "port": "http"},
        "livenessProbe": {"path": "/health/live", "port": "http"},
        "readinessProbe": {"path": "/health/live", "port": "http"},
    }
    existing = {rule.rule for rule in create_app(Config()).url_map.iter_rules()}
    assert {each["path"] for each in asked.values()} <= existing


def test_the_probes_of_the_worker_ask_for_its_metrics(base: Manifests) -> None:
    container = base.pod("worker").container
    for name in ("livenessProbe", "readinessProbe"):
        assert container[name]["httpGet"] == {"path": "/metrics", "port": "metrics"}, name


def test_the_start_may_take_as_long_as_its_checks(base: Manifests) -> None:
    assert seconds_until_failure(base.pod("web").container["startupProbe"]) > arbiter_hooks._CHECK_S


def test_a_probe_waits_longer_than_the_checks_behind_it(base: Manifests) -> None:
    probe = base.pod("web").container["startupProbe"]
    assert probe["timeoutSeconds"] > base.config("web").publish_timeout_ms / 1000


def test_a_pod_has_more_time_to_stop_than_it_needs(base: Manifests, gunicorn: dict[str, Any]) -> None:
    needed_s = base.config("web").drain_s + gunicorn["graceful_timeout"]
    assert base.pod("web").spec["terminationGracePeriodSeconds"] >= needed_s + 10
    assert base.pod("worker").spec["terminationGracePeriodSeconds"] >= Limits().handler_s + 10
    assert base.worker_options()["handler_timeout"] == Limits().handler_s
    for component in COMPONENTS:
        assert "lifecycle" not in base.pod(component).container


def test_gunicorn_has_as_many_workers_as_cores(base: Manifests, gunicorn: dict[str, Any]) -> None:
    assert gunicorn["workers"] == base.pod("web").limit("cpu")


def test_the_memory_is_enough_for_the_workers(base: Manifests) -> None:
    found = re.search(r"\| resident memory of a gunicorn worker \| (\d+) MiB", OPERATING)
    assert found is not None
    config, pod = base.config("web"), base.pod("web")
    # The arbiter takes less than a worker.
    idle = (config.workers + 1) * (int(found[1]) << 20)
    assert idle <= pod.request("memory")
    # As bytes, and as what they are parsed to.
    assert idle + config.workers * 32 * 2 * config.max_decompressed_bytes <= pod.limit("memory")


def test_a_worker_has_the_memory_that_it_has_on_a_host(base: Manifests) -> None:
    unit = (DEPLOY / "systemd/vigilry-worker@.service").read_text()
    found = re.search(r"^MemoryMax=(\d+)M$", unit, re.M)
    assert found is not None
    assert base.pod("worker").limit("memory") == int(found[1]) << 20


def test_a_full_stream_refuses_events_before_the_broker_of_the_trial_is_full() -> None:
    trial = Manifests.render(KUBERNETES / "trial")
    config = trial.config("web")
    valkey = trial.pods()["valkey"]
    options = dict(zip(*[iter(valkey.container["args"])] * 2, strict=True))
    memory = int(options["--maxmemory"].removesuffix("mb")) << 20
    assert config.stream_partitions * config.stream_max_bytes * 1.5 <= memory
    assert memory * 1.5 < valkey.limit("memory")
    # What compose.yaml sets besides: no eviction, and a disk that is written before the 202.
    assert (options["--maxmemory-policy"], options["--appendonly"]) == ("noeviction", "yes")
    assert (config.durability, options["--appendfsync"], options["--save"]) == ("fsync", "always", "")


def seconds_until_failure(probe: Object) -> int:
    """Return after how long a probe has failed for good."""
    return int(probe["periodSeconds"]) * int(probe["failureThreshold"])
