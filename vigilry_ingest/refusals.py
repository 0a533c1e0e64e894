"""Every refusal: its word, what it means, and what to do; answers, pages and openapi.json read it here."""

from typing import NamedTuple


class Refusal(NamedTuple):
    """What a word means: HTTP status, title, cause, mend, and whether the same request may succeed later."""

    status: int
    title: str
    cause: str
    mend: str
    retryable: bool = False


def page_of(code: str) -> str:
    """Give the path of the page that explains a word: the ``type`` of its problem."""
    return f"/docs/errors/{code}"


REFUSALS = {
    "malformed_json": Refusal(
        400,
        "Not a JSON object",
        "The body is not one JSON object in valid UTF-8, or has a member twice at its top, so that "
        "nobody could say which of the two counts.",
        "Send one JSON object. The detail says where reading stopped.",
    ),
    "invalid_event": Refusal(
        400,
        "The event does not fit the schema",
        "One or more fields are missing, of the wrong type, or not known at this endpoint.",
        "Mend every place that errors names, by JSON pointer, or for a batch each item of results.",
    ),
    "invalid_idempotency_key": Refusal(
        400,
        "Unusable idempotency key",
        "An idempotency key is empty, longer than 255 characters, or has characters other than "
        "visible ASCII.",
        "Use 1 to 255 visible ASCII characters; a UUID is a good key.",
    ),
    "invalid_encoding": Refusal(
        400,
        "Body cannot be decompressed",
        "The compressed body is cut off or corrupt, or asks for a zstd window of more than 8 MiB.",
        "Compress it again, with the coding that Content-Encoding names.",
    ),
    "incomplete_body": Refusal(
        400,
        "Incomplete body",
        "The body broke off before its announced end, or its chunks are garbled.",
        "Send it again, whole.",
    ),
    "bad_request": Refusal(
        400,
        "Bad request",
        "The request is not HTTP as it should be.",
        "Use an HTTP library instead of a socket.",
    ),
    "missing_api_key": Refusal(
        401,
        "No API key",
        "The request has no X-Api-Key header, or an empty one.",
        "Send the project's key in the header X-Api-Key.",
    ),
    "invalid_api_key": Refusal(
        401,
        "Invalid API key",
        "The key is unknown, mistyped, expired or revoked, or its project is archived. It is one "
        "answer for all of these, so that nobody learns which keys exist.",
        "Compare the key with the one that you were given; ask the operator for a new one.",
    ),
    "not_found": Refusal(
        404,
        "Not found",
        "There is no such address, or your project has no such job.",
        "Look at the address; a job can only be asked for with a key of its own project.",
    ),
    "method_not_allowed": Refusal(
        405,
        "Method not allowed",
        "This address does not take this method.",
        "The header Allow names the methods that it takes.",
    ),
    "body_too_large": Refusal(
        413,
        "Body too large",
        "The body is larger than the operator allows, as it was sent or once it was decompressed.",
        "The detail names the limit: send less, or in parts.",
    ),
    "batch_too_large": Refusal(
        413,
        "Batch too large",
        "The batch has more events than the operator allows.",
        "The detail names the limit: send it in parts.",
    ),
    "unsupported_media_type": Refusal(
        415,
        "Unsupported media type",
        "The Content-Type is not the one that this address takes, or names a charset other than UTF-8.",
        "Send Content-Type: application/json, or to /ingest/batch also application/x-ndjson.",
    ),
    "unsupported_encoding": Refusal(
        415,
        "Unsupported content encoding",
        "The Content-Encoding is none that is taken here.",
        "The header Accept-Encoding lists what is taken: gzip and zstd.",
    ),
    "idempotency_key_reused": Refusal(
        422,
        "Idempotency key reused",
        "The same idempotency key came before with another body.",
        "Use a new key for a new event; repeat an event with its own key and the same body, byte for byte.",
    ),
    "rate_limited": Refusal(
        429,
        "Too many events",
        "The project has sent more events than its quota allows. Nothing was stored.",
        "Wait as long as Retry-After says, then send it again; RateLimit says what is left.",
        retryable=True,
    ),
    "internal_error": Refusal(
        500,
        "Internal error",
        "Something went wrong in the service itself. The event was not acknowledged.",
        "Send it again with the same Idempotency-Key; tell the operator the requestId.",
        retryable=True,
    ),
    "broker_unavailable": Refusal(
        503,
        "Broker unavailable",
        "The broker cannot be reached. Nothing was sent to it.",
        "Send it again after Retry-After.",
        retryable=True,
    ),
    "broker_timeout": Refusal(
        503,
        "Broker did not answer in time",
        "The broker did not answer in time, so the event may be stored or not.",
        "Send it again with the same Idempotency-Key: then it is stored once.",
        retryable=True,
    ),
    "stream_full": Refusal(
        503,
        "Stream full",
        "The project's stream is full until the workers have caught up.",
        "Send it again later; the operator needs more workers.",
        retryable=True,
    ),
    "broker_out_of_memory": Refusal(
        503,
        "Broker out of memory",
        "The broker's memory is full, and it drops nothing that was accepted.",
        "Send it again later.",
        retryable=True,
    ),
    "broker_read_only": Refusal(
        503,
        "Broker is read-only",
        "The broker is a replica at the moment, as in the middle of a fail-over.",
        "Send it again after Retry-After.",
        retryable=True,
    ),
    "broker_loading": Refusal(
        503,
        "Broker is loading",
        "The broker has just started and reads its data.",
        "Send it again after Retry-After.",
        retryable=True,
    ),
    "broker_primary_down": Refusal(
        503,
        "Broker has lost its primary",
        "The broker is a replica that has lost its primary.",
        "Send it again after Retry-After.",
        retryable=True,
    ),
    "broker_cluster_down": Refusal(
        503,
        "Broker cluster is down",
        "The part of the broker's cluster that has this project is being moved or has failed.",
        "Send it again after Retry-After.",
        retryable=True,
    ),
    "broker_cannot_persist": Refusal(
        503,
        "Broker cannot persist",
        "The broker cannot write to its disk, and takes nothing that it could lose.",
        "Send it again later.",
        retryable=True,
    ),
    "broker_not_durable": Refusal(
        503,
        "Not durable yet",
        "The event was appended, but not as safely as the operator promises within the time.",
        "Send it again with the same Idempotency-Key: then it is stored once, and acknowledged when "
        "it is safe.",
        retryable=True,
    ),
    "broker_refused": Refusal(
        503,
        "Broker refused",
        "The broker refused the event for a reason of its own, which stands in the operator's log.",
        "Send it again later, and tell the operator the requestId.",
        retryable=True,
    ),
    "event_store_unavailable": Refusal(
        503,
        "Event store unavailable",
        "The database that processed events are looked up in does not answer.",
        "Ask again later.",
        retryable=True,
    ),
    "key_store_unavailable": Refusal(
        503,
        "Key store unavailable",
        "The database that keys are looked up in does not answer, and this key is not known from before.",
        "Send it again after Retry-After.",
        retryable=True,
    ),
}
