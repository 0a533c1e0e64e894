"""Reading /metrics as Prometheus does."""

from typing import NamedTuple

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.servers.gunicorn import Service


class Scrape(NamedTuple):
    """The samples of one scrape: name, labels, value."""

    samples: list[tuple[str, dict[str, str], float]]

    def of(self, name: str) -> list[tuple[dict[str, str], float]]:
        """Give the samples of one name."""
        return [(labels, value) for each, labels, value in self.samples if each == name]

    def value(self, name: str, **labels: str) -> float:
        """Sum the samples of one name that have these labels; none is 0."""
        return sum(value for own, value in self.of(name) if labels.items() <= own.items())


def parse(text: str) -> Scrape:
    """Read the text format."""
    families = text_string_to_metric_families(text)
    return Scrape([(each.name, each.labels, each.value) for family in families for each in family.samples])


def scrape(service: Service) -> Scrape:
    """Read a service's metrics."""
    with service.client(timeout=15.0) as client:
        answer = client.get("/metrics")
    assert answer.status_code == httpx.codes.OK, answer.text
    return parse(answer.text)
