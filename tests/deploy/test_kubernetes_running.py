"""The pods of deploy/kubernetes/trial, run here: their commands, settings and Secrets on real servers."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import psutil  # type: ignore[import-untyped]  # psutil ships no types
import pytest

from tests.fixtures.kubernetes import KUBERNETES, Manifests
from tests.fixtures.kubernetes_pods import Cluster, require_read_only, touch
from tests.fixtures.kubernetes_secrets import documented_secrets
from tests.fixtures.load import Load
from tests.fixtures.scrape import parse, scrape
from tests.fixtures.sender import EXAMPLES
from tests.fixtures.servers.gunicorn import ROOT, Service
from tests.fixtures.servers.postgres import Postgres
from tests.fixtures.servers.valkey import Valkey
from tests.fixtures.servers.waiting import wait_until

pytestmark = [pytest.mark.one_database, pytest.mark.slow]


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    return documented_secrets(tmp_path_factory.mktemp("secrets"))


@pytest.fixture(scope="module")
def broker(secrets: dict[str, dict[str, str]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """Run the broker with the options of the trial and the users of its Secret."""
    args = Manifests.render(KUBERNETES / "trial").pods()["valkey"].container["args"]
    options = dict(zip(*[iter(args)] * 2, strict=True))
    for name in ("--dir", "--save", "--appendonly", "--aclfile"):
        del options[name]
    users = tmp_path_factory.mktemp("users") / "users.acl"
    # The tests are let in as the default user.
    text = secrets["valkey-users"]["users.acl"]
    assert text.startswith("user default off\n")
    users.write_text(text.replace("user default off\n", "user default on nopass ~* &* +@all\n"))
    settings = {name.removeprefix("--"): value for name, value in options.items()} | {"aclfile": str(users)}
    with Valkey(tcp=True, unix=False, settings=settings) as server:
        yield server


@pytest.fixture(scope="module")
def cluster(
    broker: Valkey,
    postgres: Postgres,
    secrets: dict[str, dict[str, str]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Cluster:
    require_read_only()
    key = tmp_path_factory.mktemp("key") / "secrets.key"
    key.write_text(secrets["vigilry-secrets-key"]["secrets.key"])
    manifests = Manifests.render(KUBERNETES / "trial")
    # What Kubernetes would resolve and mount.
    replaced = {
        "@valkey:6379/": f"@127.0.0.1:{broker.port}/",
        secrets["vigilry-owner"]["database-url"]: postgres.new_database(),
        manifests.config("web").secrets_keys_file: str(key),
    }
    return Cluster.make(manifests, secrets, replaced)


@pytest.fixture(scope="module")
def web(cluster: Cluster) -> Iterator[Service]:
    """Start the pods before the tables exist, as Kubernetes may, and run the Job then."""
    with cluster.web() as web, cluster.worker() as worker:
        with web.client(timeout=15.0) as client:
            unready = client.get(cluster.probe_path("web", "startupProbe"))
        assert (unready.status_code, unready.json()["checks"]["keyStore"]) == (503, "not_migrated")
        worker.wait_for(cluster.is_worker_probed_well, "its probe succeeds", ignoring=(httpx.TransportError,))
        _, *command = cluster.manifests.pod("migrate").container["command"]
        cluster.flask("migrate", *command)
        started = cluster.probe_path("web", "startupProbe")
        web.wait_for(lambda: probe(web, started) == httpx.codes.OK, "the service is ready")
        yield web
        # It has not exited meanwhile.
        assert worker.alive, worker.log_text()


def probe(web: Service, path: str) -> int:
    with web.client(timeout=15.0) as client:
        return client.get(path).status_code


def mint(cluster: Cluster, project: str) -> dict[str, str]:
    """Mint a key in the pod of the operator, and return the header with it."""
    key = cluster.flask("operator", "keys", "mint", project, "--as", "ada").splitlines()[0]
    return {"X-Api-Key": key}


@pytest.mark.usefixtures("cluster")
def test_the_pods_can_write_to_tmp_alone() -> None:
    with TemporaryDirectory(dir="/tmp") as folder:  # the folder that a pod has
        assert touch(Path(folder) / "file") == ""
    for path in (ROOT, Path("/etc")):
        assert "Read-only file system" in touch(path / "file"), path


def test_an_event_is_accepted_and_stored_whatever_is_started_first(cluster: Cluster, web: Service) -> None:
    with web.client(headers=mint(cluster, "shop"), timeout=10.0) as client:
        accepted = client.post("/ingest/events", json=EXAMPLES["events"])
        assert accepted.status_code == httpx.codes.ACCEPTED, accepted.text
        path = accepted.headers["Location"]
        wait_until(lambda: client.get(path).json()["status"] == "processed", 20, "the worker has stored it")
    assert cluster.flask("operator", "audit", "list", "--action", "db.upgrade", "--json").count(
        "kubernetes job/vigilry-migrate"
    )


def test_the_autoscaler_of_the_workers_finds_its_metric(cluster: Cluster, web: Service) -> None:
    scaler = cluster.manifests.of("HorizontalPodAutoscaler")["vigilry-worker"]["spec"]["metrics"][0][
        "external"
    ]
    partitions = cluster.manifests.config("web").stream_partitions

    def shown() -> int:
        labels = scaler["metric"]["selector"]["matchLabels"]
        samples = scrape(web).of(scaler["metric"]["name"])
        return len([own for own, _ in samples if labels.items() <= own.items()])

    # The worker makes its group on each of the streams.
    wait_until(lambda: shown() == partitions, 20, "every partition has the group of the workers")


def test_a_worker_shows_the_metrics_of_its_group(cluster: Cluster, web: Service) -> None:
    assert web.alive
    shown = parse(httpx.get(f"http://127.0.0.1:{cluster.worker_port}/metrics").text)
    assert {labels["group"] for labels, _ in shown.of("vigilry_worker_events_total")} <= {"store"}
    assert shown.of("vigilry_build_info")


@pytest.mark.parametrize("role", ["web", "worker", "operator"])
@pytest.mark.usefixtures("web")
def test_doctor_finds_no_fault_with_the_settings_and_users_of_the_trial(cluster: Cluster, role: str) -> None:
    found = [
        json.loads(line) for line in cluster.flask(role, "doctor", "--role", role, "--json").splitlines()
    ]
    assert {each["level"] for each in found} == {"ok"}, found


def test_the_service_takes_no_more_memory_than_it_requests(cluster: Cluster, web: Service) -> None:
    processes = [psutil.Process(pid) for pid in (web.pid, *web.worker_pids())]
    assert len(processes) == 1 + int(cluster.environments["web"]["VIGILRY_WORKERS"])
    # Proportional, because the workers share what they have not written to.
    taken = sum(process.memory_full_info().pss for process in processes)
    assert taken < cluster.manifests.pod("web").request("memory"), taken


def test_a_pod_stays_in_the_service_without_its_broker_and_answers_for_itself(
    cluster: Cluster, web: Service, broker: Valkey
) -> None:
    with web.client(headers=mint(cluster, "patient"), timeout=10.0) as client:
        broker.freeze()
        try:
            assert probe(web, cluster.probe_path("web", "readinessProbe")) == httpx.codes.OK
            refused = client.post("/ingest/events", json=EXAMPLES["events"])
        finally:
            broker.thaw()
    assert refused.status_code == httpx.codes.SERVICE_UNAVAILABLE
    # The latter when it could not even be sent.
    assert refused.json()["code"] in {"broker_timeout", "broker_unavailable"}
    assert refused.headers["Retry-After"]


@pytest.mark.usefixtures("web")
def test_a_pod_that_ends_fails_no_request_of_a_proxy_that_does_not_know_yet(cluster: Cluster) -> None:
    key = mint(cluster, "drain")["X-Api-Key"]
    with cluster.web() as ending, Load(ending.url, key, pause_s=0.01) as load:
        os.kill(ending.pid, signal.SIGTERM)
        wait_until(lambda: probe(ending, "/health/ready") == 503, 5, "the pod drains")
        accepted = load.outcomes()[202]
        wait_until(lambda: load.outcomes()[202] > accepted + 100, 10, "it still accepts events")
        assert probe(ending, cluster.probe_path("web", "livenessProbe")) == httpx.codes.OK
    assert load.outcomes().keys() == {202}
