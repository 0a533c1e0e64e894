"""The client of the admin API."""

import http.client
import json
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from vigilry_ingest import __version__
from vigilry_ingest.administration.errors import AdministrationError
from vigilry_ingest.administration.remote.connection import connection_to, is_confidential
from vigilry_ingest.api.schemas.faults import Fault, InvalidEvent
from vigilry_ingest.domain.actor import given_actor

Answer = TypeVar("Answer")

TIMEOUT_S = 30.0
ACTOR_HEADER = "X-Vigilry-Actor"

_MAX_ANSWER_BYTES = 64 * 1024 * 1024


def path_of(*parts: str) -> str:
    """Return a path of the admin API; each part may have any characters."""
    return "/".join(("/admin", *(quote(part, safe="") for part in parts)))


class AdminClient:
    """Sends requests to an admin API, each on a connection of its own; redirects are not followed.

    Raises AdministrationError for a URL over which others could read the key.
    """

    def __init__(self, url: str, key: str) -> None:
        if not key:
            detail = "VIGILRY_ADMIN_KEY is not set: it is the key from `flask admin-keys mint`."
            raise AdministrationError("missing_admin_key", detail)
        if not is_confidential(url):
            detail = f"{url} would send the admin key in the clear: use https, or a tunnel to 127.0.0.1."
            raise AdministrationError("unreachable", detail)
        self._url = url
        self._key = key

    def request(
        self,
        answer: type[Answer],
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: Mapping[str, Any] | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> Answer:
        """Send a request and return its answer; members of the query that are None are left out.

        Raises AdministrationError, and InvalidEvent for what the admin API finds invalid.
        """
        given = {name: value for name, value in (query or {}).items() if value is not None}
        target = f"{path}?{urlencode(given)}" if given else path
        status, members = self._exchange(method, target, body, timeout_s)
        if status >= http.client.BAD_REQUEST:
            raise _failure(members)
        try:
            return msgspec.convert(members, answer)
        except msgspec.ValidationError as error:
            raise self._unexpected(f"it does not have this version's form ({error})") from error

    def _exchange(
        self, method: str, target: str, body: Mapping[str, Any] | None, timeout_s: float
    ) -> tuple[int, dict[str, Any]]:
        text = None if body is None else json.dumps(body).encode()
        try:
            connection = connection_to(self._url, timeout_s)
            try:
                connection.request(method, target, text, self._headers())
                response = connection.getresponse()
                answer = response.read(_MAX_ANSWER_BYTES)
            finally:
                connection.close()
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = str(error) or type(error).__name__
            detail = f"The admin API at {self._url} cannot be reached: {reason.rstrip('.')}."
            raise AdministrationError("unreachable", detail) from error
        try:
            members = json.loads(answer)
        except ValueError:
            members = None
        if not isinstance(members, dict):
            raise self._unexpected(f"it is no JSON object, with the status {response.status}")
        return response.status, members

    def _headers(self) -> dict[str, str]:
        headers = {
            "Authorization": f"Bearer {self._key}",
            "Content-Type": "application/json",
            "User-Agent": f"vigilry-ingest/{__version__}",
        }
        if (actor := given_actor()) is not None:
            headers[ACTOR_HEADER] = quote(actor)
        return headers

    def _unexpected(self, why: str) -> AdministrationError:
        return AdministrationError(
            "unreachable", f"The answer of {self._url} is not one of an admin API: {why}."
        )


def _failure(problem: Mapping[str, Any]) -> Exception:
    faults = problem.get("errors")
    if isinstance(faults, list) and faults:
        return InvalidEvent([_fault(fault) for fault in faults])
    return AdministrationError(str(problem.get("code", "unknown")), str(problem.get("detail", "no detail")))


def _fault(members: Mapping[str, Any]) -> Fault:
    return Fault(*(str(members.get(name, "")) for name in Fault._fields))
