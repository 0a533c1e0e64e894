"""``/openapi.json``: what a sender may call, generated from the schemas and the refusals."""

from functools import cache

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin

from vigilry_ingest import __version__
from vigilry_ingest.api.specs.operations import paths
from vigilry_ingest.api.specs.responses import headers
from vigilry_ingest.api.specs.schemas import KEY, Json, add_schemas

_ABOUT = """\
Takes events of your application over HTTP and keeps them until they are processed.

Send your project's key in `X-Api-Key`. A `202` means that the event is stored; ask with its `jobId` what has
become of it.
Send an `Idempotency-Key` where you may have to repeat a request: then the event is stored once.
Bodies may be compressed: `Content-Encoding: gzip` or `zstd`. Every refusal is a problem (RFC 9457) with a
machine word, `code`, and a page that explains it.
"""


@cache
def openapi(public_url: str = "") -> Json:
    """Make the document (OpenAPI 3.1); without an origin, the service is where the document came from."""
    plugin = MarshmallowPlugin()
    spec = APISpec(
        title="Vigilry Ingest",
        version=__version__,
        openapi_version="3.1.0",
        plugins=[plugin],
        info={
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "contact": {"name": "Whoever runs this service"},
        },
        servers=[{"url": public_url or "/", "description": "This service"}],
        tags=[
            {"name": "Sending", "description": "Events in."},
            {"name": "Asking", "description": "What has become of them."},
            {"name": "Health", "description": "For load balancers; no key needed."},
        ],
        security=[{"ApiKey": []}],
    )
    spec.components.security_scheme(
        "ApiKey",
        {"type": "apiKey", "in": "header", "name": "X-Api-Key", "description": "Your project's key."},
    )
    add_schemas(spec, plugin)
    _add_parts(spec)
    for path, operations in paths().items():
        spec.path(path, operations=operations)
    return spec.to_dict()


def _add_parts(spec: APISpec) -> None:
    for name, made in headers().items():
        spec.components.header(name, made)
    spec.components.parameter(
        "IdempotencyKey", "header",
        {
            "name": "Idempotency-Key",
            "description": "A repeat of the same body with the same key is answered with the first jobId, "
            "and stored once. Another body is refused.",
            "schema": KEY,
        },
    )  # fmt: skip
    spec.components.parameter(
        "RequestId", "header",
        {
            "name": "X-Request-Id",
            "description": "Taken over when it has at most 128 of 0-9A-Za-z._:+/=@-; else one is made.",
            "schema": {"type": "string"},
        },
    )  # fmt: skip
    spec.components.parameter(
        "Traceparent", "header",
        {
            "name": "traceparent",
            "description": "W3C Trace Context; kept with the event.",
            "schema": {"type": "string"},
        },
    )  # fmt: skip
