"""Authenticate administrators by their keys, and record who is refused."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import NamedTuple, NoReturn, TypeVar
from urllib.parse import unquote

from flask import abort, current_app, g

from vigilry_ingest.administration.remote.client import ACTOR_HEADER
from vigilry_ingest.api.schemas.faults import Fault, InvalidEvent
from vigilry_ingest.api_keys.admin_lookup import Administrator, RefusedKey
from vigilry_ingest.domain.actor import MAX_LENGTH, acting_as
from vigilry_ingest.web.admin.parts import parts
from vigilry_ingest.web.auth import AuthError
from vigilry_ingest.web.request import IngestRequest, this_request

View = TypeVar("View", bound=Callable[..., object])

_ACTOR_VARIABLE = "HTTP_X_VIGILRY_ACTOR"
_PERMISSION = "_permission"


class Permission(NamedTuple):
    """The scopes that a view needs one of, and the actions that it records in the audit log."""

    scopes: frozenset[str]
    actions: tuple[str, ...]


def permits(*scopes: str, records: tuple[str, ...] = ()) -> Callable[[View], View]:
    """Declare the scopes that a view needs one of, and the actions that it records.

    Tests compare the rows of each view with its actions, as they do for the commands.
    """

    def declare(view: View) -> View:
        setattr(view, _PERMISSION, Permission(frozenset(scopes), records))
        return view

    return declare


def permission_of(view: Callable[..., object]) -> Permission | None:
    """Return what a view declares, or None outside the admin API."""
    permission: Permission | None = getattr(view, _PERMISSION, None)
    return permission


def require_admin_key() -> None:
    """Set the administrator of the current request, and record its changes under the name of the key.

    Raises AuthError, TooManyFailedAttempts, DatabaseError, InvalidEvent for the name of another actor.
    """
    request = this_request()
    if "\0" in request.path:
        # No name and no id has it, and PostgreSQL refuses the query.
        abort(404)
    administrator = _authenticate(request)
    permission = permission_of(current_app.view_functions[request.endpoint or ""])
    if permission is None or administrator.scopes.isdisjoint(permission.scopes):
        needed = " or ".join(sorted(permission.scopes)) if permission else "none that there is"
        _note(request, "scope", administrator.key_id)
        has = ", ".join(sorted(administrator.scopes))
        detail = f"The admin key has the scopes {has}; {needed} is required."
        raise AuthError("insufficient_admin_scope", detail)
    g.administrator = administrator
    g.acting = ExitStack()
    g.acting.enter_context(acting_as(_actor(request, administrator)))


def stop_acting(_error: BaseException | None) -> None:
    """Forget the name of the request's administrator."""
    if acting := g.pop("acting", None):
        acting.close()


def this_administrator() -> Administrator:
    """Return the administrator of the current request."""
    administrator: Administrator = g.administrator
    return administrator


def _authenticate(request: IngestRequest) -> Administrator:
    scheme, _, presented = request.environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme.lower() != "bearer" or not presented.strip():
        detail = "Send an admin key as Authorization: Bearer vig_admin_…."
        _refuse(request, AuthError("missing_admin_key", detail), "missing", None)
    try:
        return parts().lookup.find(presented.strip())
    except RefusedKey as error:
        detail = "The admin key is unknown, mistyped, expired or revoked."
        _refuse(request, AuthError("invalid_admin_key", detail), error.reason, error.key_id)


def _refuse(request: IngestRequest, error: AuthError, reason: str, key_id: str | None) -> NoReturn:
    _note(request, reason, key_id)
    parts().lookup.note_failure()
    raise error


def _note(request: IngestRequest, reason: str, key_id: str | None) -> None:
    rule = request.url_rule.rule if request.url_rule else ""
    with acting_as("admin-api"):
        parts().refusals.note(
            reason, key_id, method=request.method, endpoint=rule, address=request.remote_addr or "unix"
        )


def _actor(request: IngestRequest, administrator: Administrator) -> str:
    """Return the name for the audit log: the key's, and marked as a claim the one that the client gives."""
    name = f"admin-key:{administrator.name}"
    if (sent := request.environ.get(_ACTOR_VARIABLE)) is None:
        return name
    claimed = unquote(sent)
    if not (claimed.strip() and claimed.isprintable() and len(claimed) <= MAX_LENGTH):
        detail = f"The header {ACTOR_HEADER} must be 1 to {MAX_LENGTH} printable characters."
        raise InvalidEvent([Fault("", "invalid", detail)])
    return f"{name} as {claimed}"
