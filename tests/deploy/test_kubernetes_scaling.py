"""deploy/kubernetes/ against the code: how many pods there are, and when there are more."""

import re

import pytest

from tests.docs.test_operating import existing_metrics
from tests.fixtures.kubernetes import KUBERNETES, Manifests, Object
from tests.fixtures.servers.gunicorn import ROOT
from vigilry_ingest.stream.redis_keys import DEFAULT_GROUP

pytestmark = pytest.mark.one_database

OPERATING = (ROOT / "docs/operating.md").read_text()
BYTES_OF_AN_EVENT = 335


@pytest.fixture(scope="module")
def base() -> Manifests:
    return Manifests.render(KUBERNETES / "base")


def test_a_disruption_leaves_a_pod_and_takes_one(base: Manifests) -> None:
    least = {name: each["spec"]["minReplicas"] for name, each in scalers(base).items()}
    budgets = base.of("PodDisruptionBudget")
    assert budgets.keys() == least.keys()
    for name, budget in budgets.items():
        assert 1 <= budget["spec"]["minAvailable"] < least[name], name
    rolling = base.of("Deployment")["vigilry-web"]["spec"]["strategy"]["rollingUpdate"]
    assert rolling == {"maxSurge": 1, "maxUnavailable": 0}


def test_a_scaler_scales_a_deployment_that_sets_no_number_itself(base: Manifests) -> None:
    for name, scaler in scalers(base).items():
        assert scaler["spec"]["scaleTargetRef"] == {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "name": name,
        }
        # Each `kubectl apply` would set it again.
        assert "replicas" not in base.of("Deployment")[name]["spec"]
    assert base.of("Deployment")["vigilry-operator"]["spec"]["replicas"] == 0


def test_the_service_scales_before_its_cores_are_used_up(base: Manifests) -> None:
    (metric,) = scalers(base)["vigilry-web"]["spec"]["metrics"]
    assert metric["resource"]["name"] == "cpu"
    used = metric["resource"]["target"]["averageUtilization"] / 100 * base.pod("web").request("cpu")
    assert used == pytest.approx(0.6 * base.pod("web").limit("cpu"))


def test_there_are_no_more_workers_than_partitions(base: Manifests) -> None:
    spec = scalers(base)["vigilry-worker"]["spec"]
    assert spec["minReplicas"] < spec["maxReplicas"] == base.config("worker").stream_partitions


def test_the_workers_scale_by_a_metric_of_the_code_and_of_their_own_group(base: Manifests) -> None:
    (metric,) = scalers(base)["vigilry-worker"]["spec"]["metrics"]
    asked = metric["external"]["metric"]
    assert (
        asked["selector"]["matchLabels"]
        == {"group": base.worker_options()["group"]}
        == {"group": DEFAULT_GROUP}
    )
    assert existing_metrics()[asked["name"]] == ("partition", "group")


def test_a_worker_is_added_for_a_few_seconds_of_work(base: Manifests) -> None:
    found = re.search(r"\| a stream worker with PostgreSQL or SQLite \| ([\d,]+) to", OPERATING)
    assert found is not None
    (metric,) = scalers(base)["vigilry-worker"]["spec"]["metrics"]
    backlog = int(metric["external"]["target"]["averageValue"])
    assert backlog == 5 * int(found[1].replace(",", ""))
    # A full stream must be more than enough to have all workers.
    config = base.config("worker")
    assert backlog * config.stream_partitions < config.stream_max_bytes / BYTES_OF_AN_EVENT


def scalers(base: Manifests) -> dict[str, Object]:
    """Return the HorizontalPodAutoscalers by name."""
    return base.of("HorizontalPodAutoscaler")
