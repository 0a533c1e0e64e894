"""Authenticate requests by API key."""

from vigilry_ingest.web.request import this_request

_VARIABLE = "HTTP_X_API_KEY"


class AuthError(Exception):
    """The API key is missing or invalid; ``code`` is the error code."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


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
