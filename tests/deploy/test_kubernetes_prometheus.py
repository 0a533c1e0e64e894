"""deploy/prometheus/: Prometheus finds the pods of deploy/kubernetes/, and the adapter counts the backlog."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.test_files import DEPLOY, run
from tests.fixtures.kubernetes import KUBERNETES, Manifests, Object

pytestmark = pytest.mark.one_database

PROMETHEUS = DEPLOY / "prometheus"
JOBS = ("vigilry", "vigilry-worker")


@pytest.fixture(scope="module")
def trial() -> Manifests:
    return Manifests.render(KUBERNETES / "trial")


def read(name: str) -> Object:
    made: Object = yaml.safe_load((PROMETHEUS / name).read_text())
    return made


def discovered(manifests: Manifests) -> list[dict[str, str]]:
    """Return what Prometheus' role `pod` knows of the pods, a target for each of their ports."""
    return [
        {
            "__address__": f"192.0.2.1:{port['containerPort']}",
            "__meta_kubernetes_namespace": "vigilry",
            "__meta_kubernetes_pod_name": f"{name}-0",
            "__meta_kubernetes_pod_container_port_name": port["name"],
        }
        | {
            f"__meta_kubernetes_pod_label_{key.replace('.', '_').replace('/', '_')}": value
            for key, value in pod.labels.items()
        }
        for name, pod in manifests.pods().items()
        for port in pod.container.get("ports", [])
    ]


def targets(manifests: Manifests, job: str, folder: Path) -> list[dict[str, str]]:
    """Return the targets of a job after relabelling, by promtool."""
    config = read("kubernetes.yml")
    # promtool cannot ask a cluster here, and Debian's is built without its discovery.
    static = [{"targets": [labels.pop("__address__")], "labels": labels} for labels in discovered(manifests)]
    for each in config["scrape_configs"]:
        assert each.pop("kubernetes_sd_configs") == [{"role": "pod", "namespaces": {"names": ["vigilry"]}}]
        each["static_configs"] = static
    config["rule_files"] = []
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    # It waits all of this time for further targets.
    words = ("check", "service-discovery", "--timeout=1s", str(folder / "prometheus.yml"), job)
    done = run("promtool", *words)
    assert done.returncode == 0, done.stderr
    return [each["labels"] for each in json.loads(done.stdout) if each.get("labels")]


@pytest.mark.parametrize(
    ("job", "component", "port"), [("vigilry", "web", "http"), ("vigilry-worker", "worker", "metrics")]
)
def test_prometheus_finds_the_pods_that_have_metrics(
    trial: Manifests, tmp_path: Path, job: str, component: str, port: str
) -> None:
    (found,) = targets(trial, job, tmp_path)
    assert found["__address__"] == f"192.0.2.1:{trial.pod(component).port(port)}"
    assert found["__metrics_path__"] == trial.pod("worker").container["livenessProbe"]["httpGet"]["path"]
    shown = {name: value for name, value in found.items() if not name.startswith("__")}
    assert shown == {
        "job": job, "namespace": "vigilry", "pod": f"vigilry-{component}-0", "instance": found["__address__"],
    }  # fmt: skip


def test_the_alerts_find_the_jobs() -> None:
    assert [each["job_name"] for each in read("kubernetes.yml")["scrape_configs"]] == list(JOBS)
    assert read("kubernetes.yml")["rule_files"] == ["alerts.yml"]
    assert [each["job_name"] for each in read("prometheus.yml")["scrape_configs"]] == list(JOBS)


def backlog_query(manifests: Manifests) -> str:
    """Return the query of the adapter for the autoscaler of the workers, as the adapter makes it."""
    scaler = manifests.of("HorizontalPodAutoscaler")["vigilry-worker"]
    metric = scaler["spec"]["metrics"][0]["external"]["metric"]
    (rule,) = read("adapter.yml")["externalRules"]
    # The series that are discovered, and the label by which they belong to a namespace.
    assert rule["seriesQuery"] == f'{metric["name"]}{{namespace!=""}}'
    assert rule["resources"] == {"overrides": {"namespace": {"resource": "namespace"}}}
    labels = metric["selector"]["matchLabels"] | {"namespace": scaler["metadata"]["namespace"]}
    matchers = ",".join(f'{name}="{value}"' for name, value in labels.items())
    query: str = rule["metricsQuery"]
    return query.replace("<<.Series>>", metric["name"]).replace("<<.LabelMatchers>>", matchers)


def lag(pod: str, partition: int, events: int, group: str = "store", namespace: str = "vigilry") -> Any:
    labels = f'pod="{pod}",partition="{partition}",group="{group}",namespace="{namespace}"'
    return {"series": f"vigilry_group_lag_events{{{labels}}}", "values": f"{events}x5"}


def test_the_backlog_counts_each_partition_once_and_no_other_group(trial: Manifests, tmp_path: Path) -> None:
    test: Object = {
        "interval": "1m",
        # Two pods that report the same streams, one of them a little later; and what is not to be counted.
        "input_series": [
            lag("a", 0, 70_000), lag("b", 0, 69_000), lag("a", 1, 500), lag("b", 1, 500),
            lag("a", 0, 9_000_000, group="chat"), lag("c", 0, 9_000_000, namespace="staging"),
        ],
        "promql_expr_test": [
            {
                "expr": backlog_query(trial), "eval_time": "1m",
                "exp_samples": [{"labels": "{}", "value": 70_500}],
            },
        ],
    }  # fmt: skip
    (tmp_path / "test.yml").write_text(yaml.safe_dump({"evaluation_interval": "1m", "tests": [test]}))
    done = run("promtool", "test", "rules", str(tmp_path / "test.yml"))
    assert done.returncode == 0, done.stdout + done.stderr
