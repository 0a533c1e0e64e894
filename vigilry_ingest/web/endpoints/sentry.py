"""``POST /api/<digits>/envelope/`` and ``/store/``: the protocol of Sentry's SDKs.

The project is that of the API key in the DSN; the digits, which SDKs require, are not used.
"""

from base64 import b64decode

from flask import Blueprint, Response
from werkzeug.routing import BaseConverter

from vigilry_ingest.api.schemas.sentry import SENTRY_RULE
from vigilry_ingest.web.decompression import CODINGS
from vigilry_ingest.web.request import IngestRequest, this_request
from vigilry_ingest.web.request_body import BodyError, read_body, read_content
from vigilry_ingest.web.sentry_auth import require_sentry_key
from vigilry_ingest.web.sentry_ingestion import ingest_envelope, ingest_event
from vigilry_ingest.web.sentry_responses import add_sentry_headers

_CODINGS = (*CODINGS, "deflate")
# The first characters of zlib's header at any level.
_ZLIB_IN_BASE64 = (b"eA", b"eF", b"eJ", b"eN")


class _Digits(BaseConverter):
    """A path segment of up to 20 digits, as text."""

    regex = "[0-9]{1,20}"


blueprint = Blueprint("sentry", __name__)
blueprint.record_once(lambda state: state.app.url_map.converters.update(digits=_Digits))
blueprint.before_request(require_sentry_key)
blueprint.after_request(add_sentry_headers)


@blueprint.post(SENTRY_RULE, strict_slashes=False)
def accept(project: str, form: str) -> Response:  # noqa: ARG001  the URL's
    """Accept an envelope, or one event as JSON, of whatever Content-Type: browsers send text/plain."""
    request = this_request()
    request.services.admission.check(request.caller)
    body = read_body(request) if request.body is None else request.body
    if form == "store":
        return ingest_event(request, _read_event(request, body))
    return ingest_envelope(request, read_content(request, body, _CODINGS))


def _read_event(request: IngestRequest, body: bytes) -> bytes:
    """Return an event as JSON; the old client for Node sends it compressed and in base64, without a coding.

    Raises BodyError.
    """
    if not body.startswith(_ZLIB_IN_BASE64) or request.environ.get("HTTP_CONTENT_ENCODING"):
        return read_content(request, body, _CODINGS)
    try:
        compressed = b64decode(body, validate=True)
    except ValueError as error:
        raise BodyError("invalid_encoding", f"The body is neither JSON nor valid base64: {error}.") from error
    return read_content(request, compressed, _CODINGS, coding="deflate")
