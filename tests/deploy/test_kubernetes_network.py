"""deploy/kubernetes/: what may reach what, by the network policies, is what the code listens on and uses."""

from typing import NamedTuple

import pytest
from sqlalchemy import make_url

from tests.fixtures.kubernetes import KUBERNETES, Manifests, Object, Pod
from vigilry_ingest.stream.broker_url import parse_broker_url

pytestmark = pytest.mark.one_database

DNS = {("UDP", 53), ("TCP", 53)}
SENDERS = {"vigilry-senders": "allowed"}
MONITORING = {"vigilry-metrics": "allowed"}


class Opening(NamedTuple):
    """A port that a policy opens to some peers."""

    peers: list[Object]
    protocol: str
    port: int


@pytest.fixture(scope="module", params=["base", "trial"])
def rendered(request: pytest.FixtureRequest) -> Manifests:
    return Manifests.render(KUBERNETES / request.param)


@pytest.fixture(scope="module")
def trial() -> Manifests:
    return Manifests.render(KUBERNETES / "trial")


def is_selected(selector: Object, labels: dict[str, str]) -> bool:
    """Return whether a label selector matches; it has no operator but In."""
    is_equal = selector.get("matchLabels", {}).items() <= labels.items()
    expressions = selector.get("matchExpressions", [])
    assert all(each["operator"] == "In" for each in expressions)
    return is_equal and all(labels.get(each["key"]) in each["values"] for each in expressions)


def openings(manifests: Manifests, pod: Pod, direction: str) -> list[Opening]:
    """Return what is open to or from a pod, "Ingress" or "Egress"; everything else is denied."""
    rules = [
        rule
        for policy in manifests.of("NetworkPolicy").values()
        if is_selected(policy["spec"]["podSelector"], pod.labels)
        for rule in policy["spec"].get(direction.lower(), [])
    ]
    side = "from" if direction == "Ingress" else "to"
    return [Opening(rule[side], each["protocol"], each["port"]) for rule in rules for each in rule["ports"]]


def ports(found: list[Opening]) -> set[tuple[str, int]]:
    return {(each.protocol, each.port) for each in found}


def test_everything_else_is_denied(rendered: Manifests) -> None:
    denied = rendered.of("NetworkPolicy")["default-deny"]["spec"]
    assert denied == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_a_policy_is_of_the_type_that_its_rules_have(rendered: Manifests) -> None:
    for name, policy in rendered.of("NetworkPolicy").items():
        spec = policy["spec"]
        rules = {each for each in ("Ingress", "Egress") if each.lower() in spec}
        assert name == "default-deny" or set(spec["policyTypes"]) == rules, name
        # A rule without peers or ports would allow all of them.
        for rule in [*spec.get("ingress", []), *spec.get("egress", [])]:
            assert rule["ports"], name
            assert rule.get("from") or rule.get("to"), name


def test_a_pod_is_reached_on_the_ports_alone_that_it_listens_on(rendered: Manifests) -> None:
    for name, pod in rendered.pods().items():
        listening = {("TCP", port["containerPort"]) for port in pod.container.get("ports", [])}
        assert ports(openings(rendered, pod, "Ingress")) == listening, name


def test_senders_reach_the_service_alone_and_monitoring_the_workers_too(rendered: Manifests) -> None:
    def peers(component: str) -> list[dict[str, str]]:
        (found,) = openings(rendered, rendered.pod(component), "Ingress")
        assert [peer.keys() for peer in found.peers] == [{"namespaceSelector"}] * len(found.peers)
        return [peer["namespaceSelector"]["matchLabels"] for peer in found.peers]

    assert peers("web") == [SENDERS, MONITORING]
    assert peers("worker") == [MONITORING]


@pytest.mark.parametrize("component", ["web", "worker", "migrate", "operator"])
def test_a_pod_reaches_the_ports_of_its_urls_and_of_dns_alone(rendered: Manifests, component: str) -> None:
    config = rendered.config(component)
    used = {make_url(config.database_url).port or 5432}
    used |= {port for _, port in parse_broker_url(config.redis_url).hosts}
    found = openings(rendered, rendered.pod(component), "Egress")
    assert ports(found) == {("TCP", port) for port in used} | DNS


def test_the_public_internet_is_not_reached(rendered: Manifests) -> None:
    for pod in rendered.pods().values():
        for opening in openings(rendered, pod, "Egress"):
            blocks = {peer["ipBlock"]["cidr"] for peer in opening.peers if "ipBlock" in peer}
            assert blocks <= {
                "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "169.254.20.10/32",
            }  # fmt: skip


def test_the_broker_and_the_database_of_the_trial_admit_what_uses_them_alone(trial: Manifests) -> None:
    pods = trial.pods()
    for server, users in (
        ("valkey", {"web", "worker", "operator"}),
        ("postgres", {"web", "worker", "operator", "migrate"}),
    ):
        (opening,) = openings(trial, pods[server], "Ingress")
        (peer,) = opening.peers
        assert peer.keys() == {"podSelector"}
        admitted = {pod.component for pod in pods.values() if is_selected(peer["podSelector"], pod.labels)}
        assert admitted == users, server
        assert openings(trial, pods[server], "Egress") == []
