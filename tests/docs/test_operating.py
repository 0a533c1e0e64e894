"""docs/operating.md against what there is: every metric, setting and alert, in both directions."""

import json
import re
from dataclasses import fields
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from tests.deploy.test_files import run
from tests.fixtures.sender import Sender
from tests.fixtures.servers.gunicorn import ROOT
from vigilry_ingest.config.settings import PREFIX, Config
from vigilry_ingest.lifecycle.purging import gauges
from vigilry_ingest.observability import metrics
from vigilry_ingest.stream.collector import StreamGauges

pytestmark = pytest.mark.one_database

OPERATING = (ROOT / "docs/operating.md").read_text()
README = (ROOT / "README.md").read_text()
PROMETHEUS = ROOT / "deploy/prometheus"
ALERTS = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"][0]["rules"]
DASHBOARD = json.loads((ROOT / "deploy/grafana/vigilry.json").read_text())
# What a histogram's or a counter's name ends with when it is queried.
SUFFIX = re.compile(r"_(?:bucket|sum|count)$")


def existing_metrics() -> dict[str, tuple[str, ...]]:
    """Return each metric's name and labels, as Prometheus shows them."""
    found = {}
    for metric in list(metrics._IN_PROCESS._collector_to_names):
        assert isinstance(metric, MetricWrapperBase)
        suffix = "_total" if metric._type == "counter" else ""
        found[f"{metric._name}{suffix}"] = tuple(metric._labelnames)
    registry = CollectorRegistry()
    registry.register(metrics._Build())
    registry.register(
        StreamGauges("redis://127.0.0.1:1", partitions=1, max_entries=1, max_bytes=1, timeout_s=0.1)
    )
    for family in [*registry.collect(), *gauges(0, 0)]:
        suffix = "_info" if family.type == "info" else ""
        labels = getattr(family, "_labelnames", ())
        found[family.name + suffix] = ("version", "python") if suffix else tuple(labels)
    return found


def table_of(heading: str) -> list[list[str]]:
    """Read the rows of the table under a heading."""
    part = OPERATING.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [line.split("|")[1:-1] for line in part.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in row] for row in rows]


def test_every_metric_is_documented_with_its_labels_and_every_documented_one_exists() -> None:
    documented = {row[0].strip("`"): tuple(re.findall(r"`(\w+)`", row[1])) for row in table_of("Metrics")}
    assert documented == existing_metrics()


def test_every_alert_is_documented_and_every_documented_one_exists() -> None:
    assert [row[0].strip("`") for row in table_of("Alerts")] == [rule["alert"] for rule in ALERTS]


def test_every_setting_is_in_the_readme_and_whatever_the_documents_name_exists() -> None:
    settings = {PREFIX + each.name.upper() for each in fields(Config)}
    assert set(re.findall(r"^\| `(VIGILRY_\w+)`", README, re.M)) == settings
    for document in [
        *(ROOT / "docs").glob("*.md"),
        ROOT / "README.md",
        ROOT / "CHANGELOG.md",
        ROOT / "SECURITY.md",
    ]:
        assert set(re.findall(rf"{PREFIX}[A-Z_]*[A-Z]", document.read_text())) <= settings, document


def expressions() -> list[Any]:
    """Return every query of the alerts and of the dashboard."""
    from_alerts = [pytest.param(rule["expr"], id=rule["alert"]) for rule in ALERTS]
    from_panels = [
        pytest.param(target["expr"], id=f"{panel['title']} {target['refId']}")
        for panel in DASHBOARD["panels"]
        for target in panel["targets"]
    ]
    return from_alerts + from_panels


@pytest.mark.parametrize("expression", expressions())
def test_what_a_query_asks_for_exists(expression: str) -> None:
    existing = existing_metrics()
    for name, selector in re.findall(r"(vigilry_\w+)(\{[^}]*\})?", expression):
        labels = existing.get(name, existing.get(SUFFIX.sub("", name)))
        assert labels is not None, name
        asked = set(re.findall(r"(\w+)(?:=~|!=|=)", selector))
        assert asked <= {*labels, "instance", "le"}, (name, asked)
    assert "vigilry_" in expression or "up{" in expression


def test_every_metric_has_a_place_on_the_dashboard() -> None:
    shown = json.dumps(DASHBOARD)
    left_out = {name for name in existing_metrics() if SUFFIX.sub("", name) not in shown}
    # By project they are for those who ask for them.
    assert left_out == {"vigilry_project_events_total"}


def test_promtool_finds_no_fault_in_the_rules_and_their_tests_pass() -> None:
    for command in (
        ("check", "config", "prometheus.yml"),
        ("check", "rules", "alerts.yml"),
        ("test", "rules", "alerts_test.yml"),
    ):
        *words, name = command
        done = run("promtool", *words, str(PROMETHEUS / name))
        assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_finds_no_fault_in_what_the_service_shows(sender: Sender) -> None:
    shown = sender.http.get("/metrics").text
    done = run("promtool", "check", "metrics", stdin=shown)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
