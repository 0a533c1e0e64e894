"""Problem types with a 4xx status, which the service answers."""

from vigilry_ingest.api.problems.problem_type import ProblemType

CLIENT = {
    "malformed_json": ProblemType(
        400,
        "Malformed JSON",
        "The body is not valid JSON in UTF-8, or it repeats a member at the top level, so that the member's "
        "value is ambiguous.",
        "Send one JSON object with unique member names. The detail describes the error.",
    ),
    "malformed_envelope": ProblemType(
        400,
        "Malformed envelope",
        "The body is not an envelope of a Sentry SDK: its first line or the header of an item is not a JSON "
        "object, or an item is shorter than its header says.",
        "Send what an SDK sends. The detail describes the error.",
    ),
    "invalid_event": ProblemType(
        400,
        "Invalid event",
        "The body is not a JSON object, or fields are missing, have an invalid value, or are unknown at this "
        "endpoint.",
        "Fix every validation error. They are listed in errors with JSON pointers, and for a batch in the "
        "results of each item.",
    ),
    "invalid_idempotency_key": ProblemType(
        400,
        "Invalid idempotency key",
        "An idempotency key is empty, is longer than 255 characters, contains characters other than "
        "printable ASCII, or begins or ends with a space; or a batch was sent with the header.",
        "Use 1 to 255 printable ASCII characters, such as a UUID. In a batch, set idempotencyKey on items.",
    ),
    "invalid_encoding": ProblemType(
        400,
        "Body cannot be decompressed",
        "The compressed body is truncated or corrupt, or requires a zstd window larger than 8 MiB.",
        "Compress the body again, with the coding that Content-Encoding names.",
    ),
    "incomplete_body": ProblemType(
        400,
        "Incomplete body",
        "The body ended before its announced length, or its chunked encoding is invalid.",
        "Send the request again with the complete body.",
        retryable=True,
    ),
    "bad_request": ProblemType(
        400,
        "Bad request",
        "The request is not valid HTTP.",
        "Use an HTTP library.",
    ),
    "missing_api_key": ProblemType(
        401,
        "Missing API key",
        "The X-Api-Key header is missing or empty.",
        "Send the project's API key in the X-Api-Key header.",
    ),
    "invalid_api_key": ProblemType(
        401,
        "Invalid API key",
        "The key is unknown, mistyped, expired or revoked, or its project is archived. The response is the "
        "same in all of these cases, so that it does not reveal which keys exist.",
        "Check the key for typing errors, or request a new one from the operator.",
    ),
    "invalid_signature": ProblemType(
        401,
        "Invalid signature",
        "The URL is not that of a webhook source, or the request was not signed with the source's secret, or "
        "too long ago. The response is the same in all of these cases, so that it does not reveal which "
        "sources exist.",
        "Compare the URL and the secret in the provider's settings with those of the source. The operator "
        "finds the reason in the service's log, and can send a signed example with `flask sources test`.",
    ),
    "insufficient_scope": ProblemType(
        403,
        "Insufficient scope",
        "The API key does not have the scope that the request requires: `send` to send events, `read` to get "
        "the status of jobs.",
        "Use another key of the project, or ask the operator for one with this scope.",
    ),
    "origin_not_allowed": ProblemType(
        403,
        "Origin not allowed",
        "The API key is meant for web pages of certain origins, and the request came from a page of another.",
        "Ask the operator for a key that allows the page's origin (`flask keys mint --allow-origin`).",
    ),
    "not_found": ProblemType(
        404,
        "Not found",
        "The URL does not exist, or the key's project and environment have no such job.",
        "Check the URL. Jobs are visible only to keys of their own project and environment.",
    ),
    "method_not_allowed": ProblemType(
        405,
        "Method not allowed",
        "The URL does not support this method.",
        "Use one of the methods in the Allow header.",
    ),
    "body_too_large": ProblemType(
        413,
        "Body too large",
        "The body exceeds the operator's size limit, either as sent or after decompression.",
        "Send less data, or split it into several requests. The detail states the limit.",
    ),
    "batch_too_large": ProblemType(
        413,
        "Batch too large",
        "The batch contains more events than the operator allows.",
        "Split the batch. The detail states the limit.",
    ),
    "unsupported_media_type": ProblemType(
        415,
        "Unsupported media type",
        "The Content-Type is not supported at this URL, or names a charset other than UTF-8.",
        "Send Content-Type: application/json, or application/x-ndjson for a batch in lines.",
    ),
    "unsupported_encoding": ProblemType(
        415,
        "Unsupported content encoding",
        "The Content-Encoding is not supported.",
        "Use a coding from the Accept-Encoding header: gzip or zstd.",
    ),
    "idempotency_key_reused": ProblemType(
        422,
        "Idempotency key reused",
        "The idempotency key was already used with a different body.",
        "Use a new key for a new event. To repeat an event, send the same key with the same body, byte for "
        "byte.",
    ),
    "rate_limited": ProblemType(
        429,
        "Too many events",
        "The project has exceeded its quota. Nothing was stored.",
        "Retry after the delay in Retry-After. The RateLimit header shows the remaining quota.",
        retryable=True,
    ),
    "too_many_invalid_requests": ProblemType(
        429,
        "Too many invalid requests",
        "Too many of the project's recent requests were invalid. This one was not read.",
        "Fix the errors that the earlier responses list, and retry after the delay in Retry-After.",
        retryable=True,
    ),
}
