"""docs/kubernetes.md against what there is: its Secrets, its overlay, its commands and its tables."""

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import kubernetes_validate
import pytest
from sqlalchemy import make_url
from werkzeug.routing import Map

from tests.fixtures.kubernetes import KUBERNETES, Manifests, Object
from tests.fixtures.kubernetes_secrets import PAGE, documented_secrets
from tests.fixtures.servers.gunicorn import ROOT
from vigilry_ingest.app import create_app
from vigilry_ingest.config.settings import Config
from vigilry_ingest.stream.broker_url import parse_broker_url
from vigilry_ingest.webhooks.encryption import SecretBox

pytestmark = pytest.mark.one_database

TEXT = PAGE.read_text()
ONLY_FOR_THE_CLUSTER = {"/metrics", "/health/ready"}


@pytest.fixture(scope="module")
def trial() -> Manifests:
    return Manifests.render(KUBERNETES / "trial")


@pytest.fixture(scope="module")
def overlay(tmp_path_factory: pytest.TempPathFactory) -> Manifests:
    """Render the page's overlay, beside a checkout."""
    folder = tmp_path_factory.mktemp("overlay")
    (folder / "vigilry-ingest").symlink_to(ROOT)
    (folder / "mine").mkdir()
    for block in re.findall(r"```yaml\n(.*?)```", TEXT, re.S):
        name = block.splitlines()[0].removeprefix("# ")
        (folder / "mine" / name).write_text(block)
    return Manifests.render(folder / "mine")


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    return documented_secrets(tmp_path_factory.mktemp("secrets"))


def test_the_commands_make_each_secret_that_the_trial_needs(
    trial: Manifests, secrets: dict[str, dict[str, str]]
) -> None:
    mounted = {("vigilry-secrets-key", "secrets.key"), ("valkey-users", "users.acl")}
    assert {source["secretName"] for _, source in trial.mounted_secrets()} == {name for name, _ in mounted}
    assert {(name, key) for name, data in secrets.items() for key in data} == trial.secret_keys() | mounted


def test_the_urls_of_the_secrets_lead_to_the_services_of_the_trial(
    trial: Manifests, secrets: dict[str, dict[str, str]]
) -> None:
    ports = {name: service["spec"]["ports"][0]["port"] for name, service in trial.of("Service").items()}
    for component in ("web", "worker", "operator"):
        config = Config.from_environ(trial.environment(component, secrets))
        database, broker = make_url(config.database_url), parse_broker_url(config.redis_url)
        assert (database.host, database.port) == ("postgres", ports["postgres"])
        assert database.password == secrets["postgres"]["password"]
        assert broker.hosts == (("valkey", ports["valkey"]),)
        # Each as its own user.
        assert broker.options["username"] == f"vigilry-{component}"
        user = f"user vigilry-{component} on >{broker.options['password']} "
        assert user in secrets["valkey-users"]["users.acl"]
    assert "@" not in re.sub(r"[+-]@\w+", "", secrets["valkey-users"]["users.acl"])


def test_the_key_for_webhook_sources_can_be_used(secrets: dict[str, dict[str, str]], tmp_path: Path) -> None:
    (tmp_path / "secrets.key").write_text(secrets["vigilry-secrets-key"]["secrets.key"])
    box = SecretBox.from_settings("", str(tmp_path / "secrets.key"))
    assert box.decrypt(box.encrypt("s3cret", "here"), "here") == "s3cret"


def test_the_overlay_is_valid_and_changes_what_it_says(overlay: Manifests) -> None:
    for each in overlay.objects:
        kubernetes_validate.validate(each, "1.37", strict=True)
    images = {pod.container["image"] for pod in overlay.pods().values()}
    assert images == {"registry.example.com/vigilry-ingest:2026-11-29"}
    config = overlay.config("web")
    assert (config.public_url, config.retention_days) == ("https://ingest.example.com", 90)
    # The base's own are kept.
    assert (config.stream_partitions, config.drain_s) == (4, 15)
    (rule,) = overlay.of("NetworkPolicy")["vigilry-database"]["spec"]["egress"]
    assert rule["to"] == [{"ipBlock": {"cidr": "192.0.2.10/32"}}]


def test_the_ingress_has_every_path_but_those_of_monitoring(overlay: Manifests) -> None:
    (ingress,) = overlay.of("Ingress").values()
    (rule,) = ingress["spec"]["rules"]
    paths = rule["http"]["paths"]
    rules = {each.rule for each in url_map().iter_rules()}
    assert {each for each in rules if not is_routed(each, paths)} == ONLY_FOR_THE_CLUSTER
    for each in paths:
        assert [path for path in rules if is_routed(path, [each])], each["path"]
        service = each["backend"]["service"]
        named = overlay.of("Service")[service["name"]]["spec"]["ports"]
        assert service["port"]["name"] in {port["name"] for port in named}


def url_map() -> Map:
    return create_app(Config()).url_map


def is_routed(path: str, paths: list[Object]) -> bool:
    """Return whether an ingress routes a path; a prefix ends at a slash."""
    return any(
        path == each["path"] or (each["pathType"] == "Prefix" and path.startswith(f"{each['path']}/"))
        for each in paths
    )


def commands() -> Iterator[list[str]]:
    """Yield the words of each command of kubectl that names an object."""
    for line in re.findall(r"^kubectl .*", TEXT, re.M):
        yield line.partition("  #")[0].split()


def test_every_object_that_a_command_names_exists(trial: Manifests) -> None:
    names = {f"{each['kind'].lower()}/{each['metadata']['name']}" for each in trial.objects}
    named = [word for words in commands() for word in words if re.fullmatch(r"[a-z]+/vigilry-[a-z]+", word)]
    named += [
        f"{kind}/{name}"
        for words in commands()
        for kind, name in pairwise(words)
        if kind in {"deployment", "job"}
    ]
    assert len(named) > 7
    assert set(named) <= names


def test_every_file_that_a_command_names_exists() -> None:
    for words in commands():
        for option, path in pairwise(words):
            assert option not in {"-f", "-k"} or (ROOT / path).exists(), path


def test_the_table_of_files_is_complete() -> None:
    table = TEXT.partition("\n## ")[0]
    listed = re.findall(r"`([a-z-]+\.yaml)`", table)
    assert sorted(listed) == sorted(path.name for path in (KUBERNETES / "base").iterdir())


def test_the_trial_needs_no_more_than_the_page_says(trial: Manifests) -> None:
    found = re.search(r"\| the trial \| .*; (\d+) cores and (\d+) GiB of memory \|", TEXT)
    assert found is not None
    scalers = trial.of("HorizontalPodAutoscaler")
    replicas = {name: scalers[name]["spec"]["minReplicas"] if name in scalers else 1 for name in trial.pods()}
    needed = {
        resource: sum(pod.request(resource) * replicas[name] for name, pod in trial.pods().items())
        for resource in ("cpu", "memory")
    }
    assert needed["cpu"] <= int(found[1])
    assert needed["memory"] <= int(found[2]) << 30


def test_the_table_of_scaling_has_the_numbers_of_the_base(trial: Manifests) -> None:
    for component, name in (("web", "web"), ("worker", "workers")):
        spec = trial.of("HorizontalPodAutoscaler")[f"vigilry-{component}"]["spec"]
        assert f"\n| {name} | {spec['minReplicas']}, {spec['maxReplicas']} | " in TEXT


def test_the_documented_times_are_those_of_the_base(trial: Manifests) -> None:
    assert f"`VIGILRY_DRAIN_S`, {trial.config('web').drain_s} s" in TEXT
    grace = {name: pod.spec.get("terminationGracePeriodSeconds") for name, pod in trial.pods().items()}
    assert f"{grace['vigilry-web']} s for web, and {grace['vigilry-worker']} s for workers" in TEXT
