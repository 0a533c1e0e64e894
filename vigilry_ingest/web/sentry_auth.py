"""Authentication of Sentry SDKs, which send the key of their DSN in a header, the query or the envelope."""

import re
from urllib.parse import unquote_plus, urlsplit

from vigilry_ingest.api.schemas.sentry_envelope import MalformedEnvelope, read_header
from vigilry_ingest.web.auth import AuthError, check_restrictions
from vigilry_ingest.web.decompression import decompress_start
from vigilry_ingest.web.request import IngestRequest, this_request
from vigilry_ingest.web.request_body import read_body

# The header of an envelope has a few hundred bytes.
_MAX_HEADER_BYTES = 16 * 1024
_IN_HEADER = re.compile(r"^\s*sentry\s(?:.*[\s,])?sentry_key\s*=\s*([^\s,]{1,200})", re.IGNORECASE)
_IN_QUERY = re.compile(r"(?:^|&)sentry_key=([^&]{1,600})")
_HEADERS = ("HTTP_X_SENTRY_AUTH", "HTTP_AUTHORIZATION")


def require_sentry_key() -> None:
    """Set the caller of the current request; its body is read only for a key that is nowhere else.

    Raises AuthError, with status 403 for an invalid key as SDKs expect it, and KeyStoreUnavailable.
    """
    request = this_request()
    presented = _key_of_head(request)
    if request.method == "OPTIONS":
        # A preflight request has no headers of its own; without a key it is answered without origins.
        request.caller = (presented and request.services.keys.find(presented)) or request.caller
        return
    presented = presented or _key_of_dsn(request)
    if not presented:
        detail = "Send the API key as the user of the DSN, such as https://<key>@ingest.example.com/1."
        raise AuthError("missing_api_key", detail)
    caller = request.services.keys.find(presented)
    if caller is None:
        detail = "The API key in the DSN is unknown, mistyped, expired or revoked."
        raise AuthError("invalid_api_key", detail, status=403)
    request.caller = caller
    if caller.restrictions is not None:
        check_restrictions(request, caller.restrictions)


def _key_of_head(request: IngestRequest) -> str:
    environ = request.environ
    for name in _HEADERS:
        if (value := environ.get(name)) and (found := _IN_HEADER.match(value[:_MAX_HEADER_BYTES])):
            return found[1]
    if found := _IN_QUERY.search(environ.get("QUERY_STRING", "")):
        return unquote_plus(found[1])
    return str(environ.get("HTTP_X_API_KEY", ""))


def _key_of_dsn(request: IngestRequest) -> str:
    """Return the key of the DSN in the header of an envelope, of which only the start is decompressed."""
    if request.method != "POST":
        return ""
    request.body = read_body(request)
    coding = request.environ.get("HTTP_CONTENT_ENCODING", "").strip().lower()
    try:
        start = decompress_start(request.body, coding, _MAX_HEADER_BYTES)
        dsn = read_header(start.partition(b"\n")[0])[0].dsn or ""
        return urlsplit(dsn).username or ""
    except (MalformedEnvelope, ValueError):
        return ""
