"""Who makes a change, for the audit log."""

import os
import pwd
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

MAX_LENGTH = 200

_actor: ContextVar[str | None] = ContextVar("actor", default=None)


@contextmanager
def acting_as(name: str) -> Iterator[None]:
    """Record the changes in the block under a name."""
    token = _actor.set(name)
    try:
        yield
    finally:
        _actor.reset(token)


def given_actor() -> str | None:
    """Return the name of ``acting_as``, or None outside of it."""
    return _actor.get()


def current_actor() -> str:
    """Return the name to record changes under: by default the operating system's user and host."""
    return (_actor.get() or _user_and_host())[:MAX_LENGTH]


def _user_and_host() -> str:
    # Not from the environment, where anyone can set another name.
    uid = os.geteuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        # Containers often run as a user without an entry.
        name = f"uid {uid}"
    return f"{name}@{socket.gethostname()}"
