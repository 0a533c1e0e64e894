"""deploy/kubernetes/: it renders, each object is valid, hardened, and refers to what there is."""

import re
from pathlib import Path

import kubernetes_validate
import pytest

from tests.deploy.test_files import DEPLOY
from tests.fixtures.kubernetes import COMPONENT, KUBERNETES, Manifests, Object
from vigilry_ingest.config.settings import Config, ConfigError

pytestmark = pytest.mark.one_database

# The oldest version that the base is for, and the newest that is known.
VERSIONS = ("1.27", kubernetes_validate.latest_version())
COMPONENTS = {"web", "worker", "migrate", "operator"}
# The user of deploy/Containerfile.
USER = 10001


@pytest.fixture(scope="module", params=["base", "trial"])
def rendered(request: pytest.FixtureRequest) -> Manifests:
    return Manifests.render(KUBERNETES / request.param)


@pytest.fixture(scope="module")
def base() -> Manifests:
    return Manifests.render(KUBERNETES / "base")


@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_is_valid(rendered: Manifests, version: str) -> None:
    assert len(rendered.objects) > 15
    for each in rendered.objects:
        kubernetes_validate.validate(each, version, strict=True)


def test_a_field_that_does_not_exist_would_be_found(base: Manifests) -> None:
    deployment = base.of("Deployment")["vigilry-web"]
    misspelt = deployment | {"spec": deployment["spec"] | {"revisonHistoryLimit": 3}}
    with pytest.raises(kubernetes_validate.ValidationError, match="revisonHistoryLimit"):
        kubernetes_validate.validate(misspelt, VERSIONS[-1], strict=True)


def test_every_file_is_part_of_a_kustomization() -> None:
    for folder in ("base", "trial"):
        listed = (KUBERNETES / folder / "kustomization.yaml").read_text()
        for file in (KUBERNETES / folder).iterdir():
            assert file.name == "kustomization.yaml" or f"  - {file.name}\n" in listed, file


def test_everything_is_in_the_namespace_and_the_namespace_admits_what_is_hardened_alone(
    rendered: Manifests,
) -> None:
    namespace = rendered.of("Namespace")["vigilry"]
    assert namespace["metadata"]["labels"] == {"pod-security.kubernetes.io/enforce": "restricted"}
    others = [each for each in rendered.objects if each["kind"] != "Namespace"]
    assert {each["metadata"]["namespace"] for each in others} == {"vigilry"}


def test_every_pod_is_hardened(rendered: Manifests) -> None:
    for name, pod in rendered.pods().items():
        user = USER if pod.component in COMPONENTS else 999
        assert pod.spec["securityContext"] == {
            "runAsNonRoot": True,
            "runAsUser": user,
            "runAsGroup": user,
            "fsGroup": user,
            "seccompProfile": {"type": "RuntimeDefault"},
        }, name
        assert pod.container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, name
        assert pod.spec["automountServiceAccountToken"] is False, name
        assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & pod.spec.keys(), name


def test_the_pods_run_as_the_user_of_the_image() -> None:
    assert f"\nUSER {USER}:{USER}\n" in (DEPLOY / "Containerfile").read_text()


def test_every_pod_can_write_to_tmp_alone_and_only_a_little(base: Manifests) -> None:
    for name, pod in base.pods().items():
        (tmp,) = [each for each in pod.spec["volumes"] if each["name"] == "tmp"]
        assert tmp["emptyDir"] == {"medium": "Memory", "sizeLimit": "16Mi"}, name
        writable = [each for each in pod.container["volumeMounts"] if not each.get("readOnly")]
        assert writable == [{"name": "tmp", "mountPath": "/tmp"}], name  # noqa: S108  # the container's own


def test_no_variable_of_a_service_becomes_an_unknown_setting(rendered: Manifests) -> None:
    for name, pod in rendered.pods().items():
        assert pod.spec["enableServiceLinks"] is False, name
    with pytest.raises(ConfigError, match="VIGILRY_WEB_PORT is not a setting"):
        Config.from_environ({"VIGILRY_WEB_PORT": "tcp://192.0.2.1:80"})


def test_every_container_has_requests_and_limits_of_cpu_and_memory(rendered: Manifests) -> None:
    for name, pod in rendered.pods().items():
        for resource in ("cpu", "memory"):
            assert 0 < pod.request(resource) <= pod.limit(resource), (name, resource)


def test_the_service_account_has_no_rights_and_no_token(rendered: Manifests) -> None:
    account = rendered.of("ServiceAccount")["vigilry"]
    assert account["automountServiceAccountToken"] is False
    kinds = {each["kind"] for each in rendered.objects}
    assert not {kind for kind in kinds if "Role" in kind}
    for pod in rendered.pods().values():
        if pod.component:
            assert pod.spec["serviceAccountName"] == "vigilry"


def test_every_selector_matches_its_own_pods_and_no_others(rendered: Manifests) -> None:
    pods = rendered.pods()
    checked = 0
    for each in rendered.objects:
        for labels in selectors_of(each):
            name = each["metadata"]["name"]
            matched = {owner for owner, pod in pods.items() if labels.items() <= pod.labels.items()}
            assert matched == {name}, (each["kind"], name)
            checked += 1
    # Deployments, budgets, the service, and what spreads the pods.
    assert checked >= 10


def test_each_component_has_one_workload(base: Manifests) -> None:
    assert {pod.labels[COMPONENT] for pod in base.pods().values()} == COMPONENTS
    assert base.of("Deployment").keys() == {"vigilry-web", "vigilry-worker", "vigilry-operator"}
    assert base.of("Job").keys() == {"vigilry-migrate"}


def test_no_secret_is_in_a_file(rendered: Manifests) -> None:
    assert not rendered.of("Secret")
    for pod in rendered.pods().values():
        for each in pod.container.get("env", []):
            is_secret = re.search(r"URL|PASSWORD|KEYS?$", each["name"])
            assert not is_secret or each["valueFrom"].keys() == {"secretKeyRef"}, each["name"]
    assert not re.search(r"://[^ /]*:[^ /@]+@", "".join(path.read_text() for path in yaml_files()))


def test_each_role_has_its_own_secret(base: Manifests) -> None:
    names = {
        component: {
            each["valueFrom"]["secretKeyRef"]["name"]
            for each in base.pod(component).container["env"]
            if "valueFrom" in each
        }
        for component in COMPONENTS
    }
    assert names == {
        "web": {"vigilry-web"},
        "worker": {"vigilry-worker"},
        "migrate": {"vigilry-owner"},
        "operator": {"vigilry-operator"},
    }


def test_only_what_verifies_or_changes_webhook_sources_has_the_key_of_their_secrets(base: Manifests) -> None:
    mounted = {pod.component: secret for pod, secret in base.mounted_secrets()}
    assert mounted.keys() == {"web", "operator"}
    for component, secret in mounted.items():
        assert secret == {"secretName": "vigilry-secrets-key", "optional": True, "defaultMode": 0o440}
        (mount,) = [each for each in base.pod(component).container["volumeMounts"] if each.get("readOnly")]
        assert base.config(component).secrets_keys_file == f"{mount['mountPath']}/secrets.key"


def yaml_files() -> list[Path]:
    """Return the files of the base and the trial."""
    return sorted(KUBERNETES.rglob("*.yaml"))


def selectors_of(each: Object) -> list[dict[str, str]]:
    """Return the selectors by which a workload, a budget or a service finds its pods."""
    spec = each.get("spec", {})
    found = [spec["selector"]] if "selector" in spec else []
    template = spec.get("template", {}).get("spec", {})
    found += [spread["labelSelector"] for spread in template.get("topologySpreadConstraints", [])]
    return [selector.get("matchLabels", selector) for selector in found]
