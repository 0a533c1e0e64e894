"""Prometheus metrics; docs/operating.md explains each.

Labels have few values, whatever senders do, and contain no keys or event data. Under gunicorn the values are
in files that all workers share, see ``metrics_slots``.
"""

import os
import platform
from collections.abc import Iterable
from functools import cache

from vigilry_ingest import __version__
from vigilry_ingest.observability.metrics_slots import my_slot

_slot = my_slot()
if _slot is not None:
    # Set before prometheus_client is imported, as it chooses the storage of its values then.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(_slot.folder)

from prometheus_client import CollectorRegistry, Counter, Histogram  # noqa: E402  see above
from prometheus_client.metrics_core import InfoMetricFamily, Metric  # noqa: E402
from prometheus_client.multiprocess import MultiProcessCollector  # noqa: E402
from prometheus_client.registry import Collector  # noqa: E402

from vigilry_ingest.observability.buffered_values import buffer_values, flush  # noqa: E402  see above

if _slot is not None:
    buffer_values(_slot.number)

_IN_PROCESS = CollectorRegistry()

_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
_STORE_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)
_BYTES = tuple(4**power for power in range(4, 12))
_COUNTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


def _counter(name: str, documentation: str, *labels: str) -> Counter:
    return Counter(name, documentation, labels, registry=_IN_PROCESS)


def _histogram(name: str, documentation: str, buckets: Iterable[float], *labels: str) -> Histogram:
    return Histogram(name, documentation, labels, buckets=tuple(buckets), registry=_IN_PROCESS)


_REQUESTS = _counter(
    "vigilry_http_requests", "Requests answered; code is the error code, empty for success.",
    "endpoint", "status", "code",
)  # fmt: skip
_REQUEST_SECONDS = _histogram(
    "vigilry_http_request_duration_seconds", "Seconds from the head of a request to its response.", _SECONDS,
    "endpoint",
)  # fmt: skip
_BODY_BYTES = _histogram(
    "vigilry_http_request_body_bytes", "Sizes of request bodies in bytes, as sent.", _BYTES, "endpoint"
)
_EVENTS = _counter("vigilry_events", "Events received, by outcome.", "kind", "outcome")
_PROJECT_EVENTS = _counter(
    "vigilry_project_events",
    "Events received by project, with VIGILRY_METRICS_BY_PROJECT=on.",
    "project",
    "outcome",
)
_KEY_LOOKUPS = _counter(
    "vigilry_key_lookups", "Look-ups of API keys that were not cached, by result.", "result"
)
_KEY_QUERIES = _counter(
    "vigilry_key_queries", "Queries to the key store, for one key or for the list of keys.", "query"
)
_SOURCE_LOOKUPS = _counter(
    "vigilry_source_lookups", "Look-ups of webhook sources that were not cached, by result.", "result"
)
_SOURCE_QUERIES = _counter(
    "vigilry_source_queries", "Queries for webhook sources, for one source or for the list.", "query"
)
_WEBHOOKS_REFUSED = _counter(
    "vigilry_webhooks_refused",
    "Webhooks that were not verified, by provider and reason.",
    "provider",
    "reason",
)
_SENTRY_ITEMS = _counter(
    "vigilry_sentry_items",
    "Items of Sentry envelopes by type, stored or not; unknown is any type that is not known.",
    "type",
)

SCRUBBED_VALUES = _counter("vigilry_scrubbed_values", "Values replaced in events before they were published.")

PUBLISH_SECONDS = _histogram(
    "vigilry_publish_duration_seconds", "Seconds of a round trip to the broker.", _SECONDS
)
GROUP_EVENTS = _histogram("vigilry_publish_group_events", "Events published in one round trip.", _COUNTS)

_WORKER_EVENTS = _counter(
    "vigilry_worker_events", "Events passed to the handler, by outcome.", "group", "outcome"
)
_WORKER_BATCH_EVENTS = _histogram(
    "vigilry_worker_batch_events", "Events in one call of the handler.", _COUNTS, "group"
)
_HANDLER_SECONDS = _histogram(
    "vigilry_worker_handler_duration_seconds", "Seconds of a call of the handler.", _STORE_SECONDS,
    "group",
)  # fmt: skip

PURGED_EVENTS = _counter("vigilry_purged_events", "Stored events that this worker purged after their time.")

# Cached, because prometheus_client's look-up of a child by its labels is slow.
requests_by = cache(_REQUESTS.labels)
request_seconds_by = cache(_REQUEST_SECONDS.labels)
body_bytes_by = cache(_BODY_BYTES.labels)
events_by = cache(_EVENTS.labels)
project_events_by = cache(_PROJECT_EVENTS.labels)
key_lookups_by = cache(_KEY_LOOKUPS.labels)
key_queries_by = cache(_KEY_QUERIES.labels)
source_lookups_by = cache(_SOURCE_LOOKUPS.labels)
source_queries_by = cache(_SOURCE_QUERIES.labels)
webhooks_refused_by = cache(_WEBHOOKS_REFUSED.labels)
sentry_items_by = cache(_SENTRY_ITEMS.labels)
worker_events_by = cache(_WORKER_EVENTS.labels)
worker_batch_events_by = cache(_WORKER_BATCH_EVENTS.labels)
handler_seconds_by = cache(_HANDLER_SECONDS.labels)


class _Build(Collector):
    def collect(self) -> Iterable[Metric]:
        """Yield the build information."""
        build = {"version": __version__, "python": platform.python_version()}
        yield InfoMetricFamily("vigilry_build", "The versions of the service and of Python.", build)


def registry_with(*collectors: Collector) -> CollectorRegistry:
    """Return a registry of the metrics of all workers and of further collectors."""
    flush()
    registry = CollectorRegistry()
    slot = my_slot()
    counted = _IN_PROCESS if slot is None else MultiProcessCollector(None, path=str(slot.folder))
    for collector in (counted, _Build(), *collectors):
        registry.register(collector)
    return registry
