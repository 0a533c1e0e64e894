"""``/openapi.json`` (OpenAPI 3.1), generated from the schemas and the problem types."""

from functools import cache

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin

from vigilry_ingest import __version__
from vigilry_ingest.api.specs.operations import paths
from vigilry_ingest.api.specs.responses import headers
from vigilry_ingest.api.specs.schemas import KEY, Json, add_schemas

_ABOUT = """\
Accepts events from your application over HTTP and stores them until they are processed.

Send your project's API key in `X-Api-Key`. A `202` response means that the event is stored; its `jobId` gives
access to the event's status.
Send an `Idempotency-Key` with requests that you may have to retry, so that the event is stored once.
Bodies may be compressed with `Content-Encoding: gzip` or `zstd`. Every error response is a problem (RFC 9457)
with an error `code` and a page that explains it.
"""


@cache
def openapi(public_url: str = "") -> Json:
    """Return the document; without a public URL, its server is the origin that it was fetched from."""
    plugin = MarshmallowPlugin()
    spec = APISpec(
        title="Vigilry Ingest",
        version=__version__,
        openapi_version="3.1.0",
        plugins=[plugin],
        info={
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "contact": {"name": "The operator of this service"},
        },
        servers=[{"url": public_url or "/", "description": "This service"}],
        tags=[
            {"name": "Ingestion", "description": "Send events, one at a time or in batches."},
            {"name": "Webhooks", "description": "Take events that providers sign and send themselves."},
            {"name": "Sentry", "description": "The protocol of Sentry's SDKs."},
            {"name": "Jobs", "description": "Get the status of accepted events."},
            {"name": "Health", "description": "Health checks for load balancers. They need no API key."},
        ],
        security=[{"ApiKey": []}],
    )
    spec.components.security_scheme(
        "ApiKey",
        {"type": "apiKey", "in": "header", "name": "X-Api-Key", "description": "The project's API key."},
    )
    for name, where, member in (
        ("SentryAuth", "header", "X-Sentry-Auth"),
        ("SentryKey", "query", "sentry_key"),
    ):
        description = "The API key of a Sentry SDK's DSN, as the SDK sends it."
        scheme = {"type": "apiKey", "in": where, "name": member, "description": description}
        spec.components.security_scheme(name, scheme)
    add_schemas(spec, plugin)
    _add_components(spec)
    for path, operations in paths().items():
        spec.path(path, operations=operations)
    return spec.to_dict()


def _add_components(spec: APISpec) -> None:
    for name, header in headers().items():
        spec.components.header(name, header)
    spec.components.parameter(
        "IdempotencyKey", "header",
        {
            "name": "Idempotency-Key",
            "description": "A request that repeats a key with the same body returns the first jobId, and the "
            "event is stored once. A repeated key with a different body is rejected.",
            "schema": KEY,
        },
    )  # fmt: skip
    spec.components.parameter(
        "RequestId", "header",
        {
            "name": "X-Request-Id",
            "description": "The request's id: at most 128 characters from 0-9A-Za-z._:+/=@-. Without a valid "
            "one the service generates an id.",
            "schema": {"type": "string"},
        },
    )  # fmt: skip
    spec.components.parameter(
        "Traceparent", "header",
        {
            "name": "traceparent",
            "description": "W3C Trace Context, stored with the event.",
            "schema": {"type": "string"},
        },
    )  # fmt: skip
