"""``GET /metrics``, for Prometheus; no API key required, and not for the public: see deploy/nginx.conf."""

from flask import Blueprint, Response, request
from prometheus_client.exposition import choose_encoder

from vigilry_ingest.observability.metrics import registry_with
from vigilry_ingest.services import services
from vigilry_ingest.stream.collector import StreamGauges

blueprint = Blueprint("metrics", __name__)


@blueprint.get("/metrics")
def show_metrics() -> Response:
    """Return the metrics of all workers of this service, and of the streams."""
    config = services().config
    streams = StreamGauges(
        config.redis_url,
        partitions=config.stream_partitions,
        max_entries=config.stream_max_entries,
        max_bytes=config.stream_max_bytes,
        timeout_s=config.publish_timeout_ms / 1000,
    )
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return Response(encode(registry_with(streams)), content_type=content_type)
