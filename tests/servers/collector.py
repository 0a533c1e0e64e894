"""A collector of OpenTelemetry's traces over OTLP/HTTP, of which the tests read what came."""

from collections.abc import Mapping
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.servers.listener import Answer, Listener


class Collector(Listener):
    """Keep the spans that come, and the names of the services that they come from."""

    def __init__(self) -> None:
        super().__init__()
        self.spans: list[Any] = []
        self.services: set[str] = set()

    def take(self, body: bytes, _headers: Mapping[str, str]) -> Answer:
        """Take one message of an exporter."""
        request = ExportTraceServiceRequest.FromString(body)
        for resource in request.resource_spans:
            for attribute in resource.resource.attributes:
                if attribute.key == "service.name":
                    self.services.add(attribute.value.string_value)
            for scope in resource.scope_spans:
                self.spans.extend(scope.spans)
        return Answer(200)

    @property
    def settings(self) -> dict[str, str]:
        """Give the variables by which a process exports to here, soon after each span."""
        return {
            "VIGILRY_TRACING": "on",
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.address,
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        }
