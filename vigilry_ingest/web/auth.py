"""The key room's door: the before_request hook that turns an X-Api-Key into the request's caller."""

from vigilry_ingest.web.request import this_request

_VARIABLE = "HTTP_X_API_KEY"


class AuthError(Exception):
    """A request has no key, or one that opens nothing; ``code`` is the refusal's word."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


def require_key() -> None:
    """Find the caller of this request, before its body is read.

    Raises AuthError, and KeyStoreUnavailable when the key store is down.
    """
    request = this_request()
    if request.method == "OPTIONS" and request.services.config.cors_origins:
        # A browser asks without the key whether it may send one.
        return
    presented = request.environ.get(_VARIABLE, "")
    if not presented:
        where = ", not in Authorization" if "HTTP_AUTHORIZATION" in request.environ else ""
        raise AuthError("missing_api_key", f"Send your project's API key in the X-Api-Key header{where}.")
    found = request.services.keys.find(presented)
    if found is None:
        # One answer for all, so that nobody learns which keys once existed.
        raise AuthError("invalid_api_key", "The API key is unknown, mistyped, expired or revoked.")
    request.caller = found
