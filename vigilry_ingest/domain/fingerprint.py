"""Fingerprints of errors: events of the same error have the same group."""

import zlib
from hashlib import blake2b

from vigilry_ingest.domain.error_payload import ErrorPayload, ReportedFrame
from vigilry_ingest.domain.event import Event
from vigilry_ingest.domain.message_pattern import pattern_of, stable_file, stable_name

# Events of other kinds have no group.
GROUPED_KINDS = ("sentry", "server_error")

# What an SDK writes for the fingerprint that events have without one of their own:
# https://develop.sentry.dev/sdk/data-model/event-payloads/
_DEFAULT = "{{default}}"
_DIGEST_BYTES = 8
# These are no functions, so the frame is identified by its file.
_NAMELESS = frozenset({"", "?", "anonymous", "<anonymous>", "Object.<anonymous>", "<module>", "<unknown>"})
_LIBRARY_FOLDERS = (
    "/node_modules/", "/site-packages/", "/dist-packages/", "/lib/python", "/vendor/", "/gems/",
)  # fmt: skip
_LIBRARY_FILES = ("node:", "internal/", "<frozen ")
_LIBRARY_NAMES = ("java.", "javax.", "jakarta.", "jdk.", "sun.", "kotlin.", "scala.")


def event_group(event: Event) -> str | None:
    """Return the group of an event, or None if events of its kind have none.

    24 hexadecimal digits: eight for the project, as in ``group_prefix``, and sixteen for the error. The
    groups of two projects, and of two kinds, are never the same.
    """
    if event.kind not in GROUPED_KINDS:
        return None
    payload = ErrorPayload.parse(event.payload or b"{}")
    default = _default_parts(event, payload)
    parts = [_own_part(part, default) for part in payload.fingerprint] or default
    return group_prefix(event.project_id) + _digest([event.project_id, event.kind, *parts])


def group_prefix(project_id: str) -> str:
    """Return what the groups of a project begin with; other projects may share it."""
    return f"{zlib.crc32(project_id.encode()):08x}"


def _own_part(part: str, default: list[str]) -> str:
    is_default = len(part) < 100 and "".join(part.split()) == _DEFAULT
    return "default " + _digest(default) if is_default else "own " + part


def _default_parts(event: Event, payload: ErrorPayload) -> list[str]:
    frames = payload.frames
    own = [frame for frame in frames if _is_in_app(frame)]
    # A recursion repeats its frames, and how often it does varies.
    if identities := list(dict.fromkeys(filter(None, map(_identity, own or frames)))):
        return ["stack", payload.type or "", *identities]
    return ["message", payload.type or "", pattern_of(payload.message or event.message)]


def _is_in_app(frame: ReportedFrame) -> bool:
    if frame.in_app is not None:
        return frame.in_app
    file = frame.file.replace("\\", "/")
    return not (
        file.startswith(_LIBRARY_FILES)
        or any(folder in file for folder in _LIBRARY_FOLDERS)
        or (frame.module or frame.function).startswith(_LIBRARY_NAMES)
    )


def _identity(frame: ReportedFrame) -> str:
    """Return what stays the same for a frame when its code moves within the file."""
    module = stable_name(frame.module)
    if frame.function in _NAMELESS:
        return f"{module} {stable_file(frame.file)}".strip()
    return f"{module} {stable_name(frame.function)}".strip()


def _digest(parts: list[str]) -> str:
    digest = blake2b(digest_size=_DIGEST_BYTES)
    for part in parts:
        encoded = part.encode("utf-8", "replace")
        digest.update(b"%d:" % len(encoded))
        digest.update(encoded)
    return digest.hexdigest()
