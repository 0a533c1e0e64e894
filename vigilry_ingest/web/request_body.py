"""Read request bodies: check type, encoding and size, and parse JSON."""

import re
from collections.abc import Collection
from contextlib import suppress
from functools import partial
from typing import BinaryIO
from wsgiref.types import WSGIEnvironment

from flask import Response
from werkzeug.sansio.utils import get_content_length

from vigilry_ingest.api.schemas.batch import BatchTooLarge, split_batch, split_lines
from vigilry_ingest.api.schemas.json_object import parse_object
from vigilry_ingest.config.settings import Config
from vigilry_ingest.domain.json_object import JsonObject
from vigilry_ingest.web.decompression import CODINGS, CorruptBody, OutputTooLarge, UnknownCoding, decompress
from vigilry_ingest.web.request import IngestRequest

_CHUNK_BYTES = 64 * 1024
_MAX_ECHO_LENGTH = 100
_JSON = "application/json"
_NDJSON = "application/x-ndjson"
# Any type with the structured syntax suffix +json (RFC 6839, section 3.1; names as in RFC 6838, section 4.2).
_JSON_SUFFIXED = re.compile(r"application/[a-z0-9][a-z0-9!#$&^_.+-]*\+json")


class BodyError(Exception):
    """The body cannot be read; ``code`` is the error code."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


def read_object(request: IngestRequest) -> JsonObject:
    """Return the request's body as one JSON object.

    Raises MalformedJson, and BodyError if the type, encoding, size or length is wrong.
    """
    # The exact type needs no parsing, and nearly every sender uses it.
    if request.environ.get("CONTENT_TYPE") != _JSON:
        _check_type(request, _JSON)
    return parse_object(read_content(request, read_body(request)))


def read_items(request: IngestRequest) -> list[bytes]:
    """Return the items of a batch, each as JSON text, from a JSON object with a list or from JSON lines.

    Raises MalformedJson, InvalidEvent, and BodyError also if there are too many items.
    """
    _check_type(request, _JSON, _NDJSON)
    split = split_lines if request.mimetype == _NDJSON else split_batch
    max_events = request.services.config.max_batch_events
    try:
        return split(read_content(request, read_body(request)), max_events)
    except BatchTooLarge:
        detail = f"A batch may have {max_events:,} events (VIGILRY_MAX_BATCH_EVENTS); it has more."
        raise BodyError("batch_too_large", detail) from None


def _check_type(request: IngestRequest, *types: str) -> None:
    media_type = request.mimetype
    if media_type not in types and not _JSON_SUFFIXED.fullmatch(media_type):
        given = media_type[:_MAX_ECHO_LENGTH] or "none"
        raise BodyError("unsupported_media_type", f"Send Content-Type: {' or '.join(types)}; it was {given}.")
    charset = request.mimetype_params.get("charset", "utf-8")
    if charset.lower() not in ("utf-8", "utf8"):
        given = charset[:_MAX_ECHO_LENGTH]
        raise BodyError("unsupported_media_type", f"JSON is UTF-8; the charset was {given}.")


def read_body(request: IngestRequest) -> bytes:
    """Return the request's body as received.

    Raises BodyError.
    """
    body = _read_bytes(request.environ, request.services.config.max_body_bytes)
    request.body_bytes = len(body)
    return body


def read_content(
    request: IngestRequest, body: bytes, codings: Collection[str] = CODINGS, *, coding: str | None = None
) -> bytes:
    """Return a body without its content coding, which is one of ``codings``.

    ``coding`` takes the place of the request's Content-Encoding. Raises BodyError.
    """
    coding = coding or request.environ.get("HTTP_CONTENT_ENCODING")
    config = request.services.config
    content = body if coding is None else _decode(body, coding.strip().lower(), config, codings)
    request.content_bytes = len(content)
    return content


def _decode(body: bytes, coding: str, config: Config, codings: Collection[str]) -> bytes:
    if coding in ("", "identity"):
        return body
    max_bytes = config.max_decompressed_bytes
    try:
        return decompress(body, coding, max_bytes, codings)
    except UnknownCoding:
        given = coding[:_MAX_ECHO_LENGTH]
        detail = f"Send Content-Encoding: {' or '.join(codings)}, or none; it was {given}."
        raise BodyError("unsupported_encoding", detail) from None
    except CorruptBody as error:
        raise BodyError("invalid_encoding", str(error)) from error
    except OutputTooLarge:
        detail = f"The decompressed body exceeds {max_bytes:,} bytes (VIGILRY_MAX_DECOMPRESSED_BYTES)."
        raise BodyError("body_too_large", detail) from None


def _read_bytes(environ: WSGIEnvironment, limit: int) -> bytes:
    length = get_content_length(environ.get("CONTENT_LENGTH"), environ.get("HTTP_TRANSFER_ENCODING"))
    if length is not None and length > limit:
        raise _too_large(limit, f"it has {length:,}")
    if length is None and not environ.get("wsgi.input_terminated"):
        # A request without a length has no body (RFC 9112, section 6.3).
        length = 0
    try:
        # One byte more than the limit is enough to detect a chunked body that exceeds it.
        body = environ["wsgi.input"].read(limit + 1 if length is None else length)
    except Exception as error:
        # Each WSGI server raises its own exceptions for a broken connection or invalid chunks.
        raise BodyError("incomplete_body", "The body is incomplete, or its chunks are invalid.") from error
    if len(body) > limit:
        raise _too_large(limit, "it has more")
    if length is not None and len(body) < length:
        raise BodyError("incomplete_body", f"The body ended after {len(body):,} of {length:,} bytes.")
    return bytes(body)


def drain_after(request: IngestRequest, response: Response) -> None:
    """Read and discard the rest of the body after a response, up to four times the size limit.

    gunicorn's threaded worker closes a connection with an unread body without announcing it in the response,
    so the sender's next request on the connection would be lost.
    """
    if request.environ.get("wsgi.input_terminated"):
        max_bytes = 4 * request.services.config.max_body_bytes
        response.call_on_close(partial(_drain, request.environ["wsgi.input"], max_bytes))


def _drain(stream: BinaryIO, max_bytes: int) -> None:
    # An incomplete body ends the connection anyway; each server raises its own exceptions for it.
    with suppress(Exception):
        while max_bytes > 0 and (discarded := len(stream.read(_CHUNK_BYTES))):
            max_bytes -= discarded


def _too_large(limit: int, reason: str) -> BodyError:
    detail = f"The body may have {limit:,} bytes (VIGILRY_MAX_BODY_BYTES); {reason}."
    return BodyError("body_too_large", detail)
