"""The body room: from a request's bytes to JSON, with type, encoding and size checked on the way."""

from contextlib import suppress
from functools import partial
from typing import BinaryIO
from wsgiref.types import WSGIEnvironment

from flask import Response
from werkzeug.sansio.utils import get_content_length

from vigilry_ingest.api.schemas.batch import split_batch, split_lines
from vigilry_ingest.api.schemas.json_object import parse_object
from vigilry_ingest.config.settings import Config
from vigilry_ingest.domain.json_object import JsonObject
from vigilry_ingest.web.decompression import CODINGS, CorruptBody, OutputTooLarge, UnknownCoding, decompress
from vigilry_ingest.web.request import IngestRequest, this_request

_AT_ONCE = 64 * 1024
_JSON = "application/json"
_NDJSON = "application/x-ndjson"


class BodyError(Exception):
    """A body cannot be taken; ``code`` is the refusal's word."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


def read_object() -> JsonObject:
    """Read the request's body as one JSON object.

    Raises BodyError for its type, encoding, size or completeness, and MalformedJson.
    """
    request = this_request()
    # Nearly every sender writes it just so; werkzeug's parsing of it takes 10 µs.
    if request.environ.get("CONTENT_TYPE") != _JSON:
        _check_type(request, _JSON)
    return parse_object(_read_text(request))


def read_items() -> list[bytes]:
    """Read the request's body as the items of a batch: a JSON object with a list, or a line of JSON each.

    Raises BodyError, also for too many items, MalformedJson and InvalidEvent.
    """
    request = this_request()
    _check_type(request, _JSON, _NDJSON)
    split = split_lines if request.mimetype == _NDJSON else split_batch
    items = split(_read_text(request))
    most = request.services.config.max_batch_events
    if len(items) > most:
        detail = f"A batch may have {most:,} events (VIGILRY_MAX_BATCH_EVENTS); it has {len(items):,}."
        raise BodyError("batch_too_large", detail)
    return items


def _check_type(request: IngestRequest, *types: str) -> None:
    if request.mimetype not in types:
        given = request.mimetype[:100] or "none"
        raise BodyError("unsupported_media_type", f"Send Content-Type: {' or '.join(types)}; it was {given}.")
    charset = request.mimetype_params.get("charset", "utf-8")
    if charset.lower() not in ("utf-8", "utf8"):
        raise BodyError("unsupported_media_type", f"JSON is UTF-8; the charset was {charset[:100]}.")


def _read_text(request: IngestRequest) -> bytes:
    config = request.services.config
    text = _read_bytes(request.environ, config.max_body_bytes)
    request.body_bytes = len(text)
    coding = request.environ.get("HTTP_CONTENT_ENCODING")
    return text if coding is None else _decode(text, coding.strip().lower(), config)


def _decode(text: bytes, coding: str, config: Config) -> bytes:
    if coding in ("", "identity"):
        return text
    most = config.max_decompressed_bytes
    try:
        return decompress(text, coding, most)
    except UnknownCoding:
        detail = f"Send Content-Encoding: {' or '.join(CODINGS)}, or none; it was {coding[:100]}."
        raise BodyError("unsupported_encoding", detail) from None
    except CorruptBody as error:
        raise BodyError("invalid_encoding", str(error)) from error
    except OutputTooLarge:
        detail = (
            f"The body may have {most:,} bytes, decompressed (VIGILRY_MAX_DECOMPRESSED_BYTES); it has more."
        )
        raise BodyError("body_too_large", detail) from None


def _read_bytes(environ: WSGIEnvironment, limit: int) -> bytes:
    length = get_content_length(environ.get("CONTENT_LENGTH"), environ.get("HTTP_TRANSFER_ENCODING"))
    if length is not None and length > limit:
        raise _too_large(limit, f"it is {length:,}")
    if length is None and not environ.get("wsgi.input_terminated"):
        # The server does not say where such a body ends, so there is none (RFC 9112, section 6.3).
        length = 0
    try:
        # One byte past the limit tells a chunked body that is too large without reading all of it.
        text = environ["wsgi.input"].read(limit + 1 if length is None else length)
    except Exception as error:
        # Every WSGI server has its own exceptions for a sender that breaks off or garbles its chunks.
        raise BodyError("incomplete_body", "The body broke off, or its chunks are garbled.") from error
    if len(text) > limit:
        raise _too_large(limit, "it is larger")
    if length is not None and len(text) < length:
        raise BodyError("incomplete_body", f"The body ended after {len(text):,} of {length:,} bytes.")
    return bytes(text)


def drain_after(answer: Response) -> None:
    """Read and drop, once an answer has gone out, what is left of the body, up to four times the limit.

    gunicorn's threaded worker closes a connection whose body was not read, without saying so in the answer,
    and the sender's next request on it would be lost.
    """
    request = this_request()
    if request.environ.get("wsgi.input_terminated"):
        most = 4 * request.services.config.max_body_bytes
        answer.call_on_close(partial(_drain, request.environ["wsgi.input"], most))


def _drain(stream: BinaryIO, most: int) -> None:
    # A body that broke off ends the connection by itself; every server has its own exceptions for it.
    with suppress(Exception):
        while most > 0 and (dropped := len(stream.read(_AT_ONCE))):
            most -= dropped


def _too_large(limit: int, reason: str) -> BodyError:
    return BodyError(
        "body_too_large", f"The body may have {limit:,} bytes (VIGILRY_MAX_BODY_BYTES); {reason}."
    )
