"""Why an administrator's request cannot be done, in words and by the error code of the admin API."""

from collections.abc import Iterator
from contextlib import contextmanager

from vigilry_ingest.api.schemas.faults import Fault, InvalidEvent
from vigilry_ingest.api_keys.declared_keys import OtherKey
from vigilry_ingest.api_keys.project_lookup import UnknownProject
from vigilry_ingest.api_keys.projects import NameTaken, RestoredMeanwhile
from vigilry_ingest.api_keys.registry import ArchivedProject, UnknownKey, UnusableKey
from vigilry_ingest.webhooks.encryption import CannotDecrypt, NoSecretsKey
from vigilry_ingest.webhooks.source_settings import (
    AmbiguousSource,
    InvalidSecret,
    OtherProvider,
    UnknownSource,
)

_CONFLICTS = (
    NameTaken, RestoredMeanwhile, ArchivedProject, UnusableKey, OtherKey, AmbiguousSource, OtherProvider,
)  # fmt: skip


class AdministrationError(Exception):
    """A request cannot be done; ``code`` is the error code, and the message says what to do."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


@contextmanager
def translated_failures() -> Iterator[None]:
    """Translate the failures of projects, keys and sources.

    Raises AdministrationError, and InvalidEvent for a secret of another form than the provider's.
    """
    try:
        yield
    except (UnknownProject, UnknownKey, UnknownSource) as error:
        raise AdministrationError("not_found", _missing(error)) from error
    except _CONFLICTS as error:
        raise AdministrationError("conflict", _conflict(error)) from error
    except InvalidSecret as error:
        raise InvalidEvent([Fault("/secret", "invalid", str(error))]) from error
    except (NoSecretsKey, CannotDecrypt) as error:
        raise AdministrationError("secrets_unavailable", str(error)) from error


def _missing(error: LookupError) -> str:
    match error:
        case UnknownProject():
            return f"No project has the name or id {error}: see `flask projects list`."
        case UnknownKey():
            return f"No key has the id {error}: see `flask keys list`."
    return f"No source has the id {error}: see `flask sources list`."


def _conflict(error: ValueError) -> str:
    match error:
        case NameTaken():
            return f"Another project has the name {error}."
        case RestoredMeanwhile():
            return (
                f"{error} was restored while it was being deleted: its events are erased, the rest is kept."
            )
        case ArchivedProject():
            return f"{error} is archived: restore it with `flask projects unarchive`."
        case UnusableKey():
            return f"{error} is revoked or expired, or its project is archived: mint a new key instead."
    return str(error)
