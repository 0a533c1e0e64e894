"""``POST /api/<digits>/envelope/`` and ``/store/``: the protocol of Sentry's SDKs.

The project is that of the API key in the DSN; the digits, which SDKs require, are not used.
"""

from flask import Blueprint, Response
from werkzeug.routing import BaseConverter

from vigilry_ingest.api.schemas.sentry import SENTRY_RULE
from vigilry_ingest.web.decompression import CODINGS
from vigilry_ingest.web.request import this_request
from vigilry_ingest.web.request_body import read_body, read_content
from vigilry_ingest.web.sentry_auth import require_sentry_key
from vigilry_ingest.web.sentry_ingestion import ingest_envelope, ingest_event
from vigilry_ingest.web.sentry_responses import add_sentry_headers

_CODINGS = (*CODINGS, "deflate")


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
    content = read_content(request, body, _CODINGS)
    return ingest_envelope(request, content) if form == "envelope" else ingest_event(request, content)
