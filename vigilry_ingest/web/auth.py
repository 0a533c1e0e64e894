"""Authenticate requests by API key."""

from vigilry_ingest.api_keys.lookup import Restrictions
from vigilry_ingest.api_keys.restrictions import READ, SEND
from vigilry_ingest.web.request import IngestRequest, this_request

_VARIABLE = "HTTP_X_API_KEY"


class AuthError(Exception):
    """The API key is missing, invalid or restricted; ``code`` is the error code.

    ``status`` is the HTTP status, if it is not that of the code.
    """

    def __init__(self, code: str, detail: str, status: int | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.status = status


def require_key() -> None:
    """Set the caller of the current request, before its body is read.

    Raises AuthError, and KeyStoreUnavailable when the key store is down.
    """
    request = this_request()
    if request.method == "OPTIONS" and request.services.config.cors_origins:
        # Browsers send no key with a preflight request.
        return
    presented = request.environ.get(_VARIABLE, "")
    if not presented:
        hint = ", not in Authorization" if "HTTP_AUTHORIZATION" in request.environ else ""
        raise AuthError("missing_api_key", f"Send your project's API key in the X-Api-Key header{hint}.")
    caller = request.services.keys.find(presented)
    if caller is None:
        # The same response in every case, so that it does not reveal which keys once existed.
        raise AuthError("invalid_api_key", "The API key is unknown, mistyped, expired or revoked.")
    request.caller = caller
    if caller.restrictions is not None:
        check_restrictions(request, caller.restrictions)


def check_restrictions(request: IngestRequest, restrictions: Restrictions) -> None:
    """Return if a restricted key may be used for a request.

    Raises AuthError.
    """
    scope = READ if request.method in ("GET", "HEAD") else SEND
    if scope not in restrictions.scopes:
        detail = (
            f"The API key has only the scope {', '.join(sorted(restrictions.scopes))}; {scope} is required."
        )
        raise AuthError("insufficient_scope", detail)
    origin = request.environ.get("HTTP_ORIGIN")
    if origin and restrictions.origins and not restrictions.allows_origin(origin):
        raise AuthError("origin_not_allowed", "The API key may not be used by pages of this origin.")
