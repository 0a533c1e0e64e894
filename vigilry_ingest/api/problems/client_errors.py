"""The refusals of what a sender can mend, or has sent too much of."""

from vigilry_ingest.api.problems.problem_type import ProblemType

MISTAKES = {
    "malformed_json": ProblemType(
        400,
        "Not a JSON object",
        "The body is not one JSON object in valid UTF-8, or has a member twice at its top, so that "
        "nobody could say which of the two counts.",
        "Send one JSON object. The detail says where reading stopped.",
    ),
    "invalid_event": ProblemType(
        400,
        "The event does not fit the schema",
        "One or more fields are missing, of the wrong type, or not known at this endpoint.",
        "Mend every place that errors names, by JSON pointer, or for a batch each item of results.",
    ),
    "invalid_idempotency_key": ProblemType(
        400,
        "Unusable idempotency key",
        "An idempotency key is empty, longer than 255 characters, has characters other than printable ASCII "
        "or a blank at an end; or the header came with a batch.",
        "Use 1 to 255 printable ASCII characters; a UUID is a good key. In a batch, the items have keys of "
        "their own, idempotencyKey.",
    ),
    "invalid_encoding": ProblemType(
        400,
        "Body cannot be decompressed",
        "The compressed body is cut off or corrupt, or asks for a zstd window of more than 8 MiB.",
        "Compress it again, with the coding that Content-Encoding names.",
    ),
    "incomplete_body": ProblemType(
        400,
        "Incomplete body",
        "The body broke off before its announced end, or its chunks are garbled.",
        "Send it again, whole.",
        retryable=True,
    ),
    "bad_request": ProblemType(
        400,
        "Bad request",
        "The request is not HTTP as it should be.",
        "Use an HTTP library instead of a socket.",
    ),
    "missing_api_key": ProblemType(
        401,
        "No API key",
        "The request has no X-Api-Key header, or an empty one.",
        "Send the project's key in the header X-Api-Key.",
    ),
    "invalid_api_key": ProblemType(
        401,
        "Invalid API key",
        "The key is unknown, mistyped, expired or revoked, or its project is archived. It is one "
        "answer for all of these, so that nobody learns which keys exist.",
        "Compare the key with the one that you were given; ask the operator for a new one.",
    ),
    "not_found": ProblemType(
        404,
        "Not found",
        "There is no such address, or your project has no such job.",
        "Look at the address; a job can only be asked for with a key of its own project.",
    ),
    "method_not_allowed": ProblemType(
        405,
        "Method not allowed",
        "This address does not take this method.",
        "The header Allow names the methods that it takes.",
    ),
    "body_too_large": ProblemType(
        413,
        "Body too large",
        "The body is larger than the operator allows, as it was sent or once it was decompressed.",
        "The detail names the limit: send less, or in parts.",
    ),
    "batch_too_large": ProblemType(
        413,
        "Batch too large",
        "The batch has more events than the operator allows.",
        "The detail names the limit: send it in parts.",
    ),
    "unsupported_media_type": ProblemType(
        415,
        "Unsupported media type",
        "The Content-Type is not the one that this address takes, or names a charset other than UTF-8.",
        "Send Content-Type: application/json, or to /ingest/batch also application/x-ndjson.",
    ),
    "unsupported_encoding": ProblemType(
        415,
        "Unsupported content encoding",
        "The Content-Encoding is none that is taken here.",
        "The header Accept-Encoding lists what is taken: gzip and zstd.",
    ),
    "idempotency_key_reused": ProblemType(
        422,
        "Idempotency key reused",
        "The same idempotency key came before with another body.",
        "Use a new key for a new event; repeat an event with its own key and the same body, byte for byte.",
    ),
    "rate_limited": ProblemType(
        429,
        "Too many events",
        "The project has sent more events than its quota allows. Nothing was stored.",
        "Wait as long as Retry-After says, then send it again; RateLimit says what is left.",
        retryable=True,
    ),
}
