"""Problem types of failures in the service and at the broker, and those that nginx answers."""

from vigilry_ingest.api.problems.problem_type import ProblemType


def _unavailable(
    title: str, cause: str, remedy: str = "Retry after the delay in Retry-After."
) -> ProblemType:
    return ProblemType(503, title, cause, remedy, retryable=True)


SERVICE = {
    "internal_error": ProblemType(
        500,
        "Internal error",
        "An unexpected error occurred in the service. The event was not acknowledged.",
        "Retry with the same Idempotency-Key, and report the requestId to the operator.",
        retryable=True,
    ),
    "event_store_unavailable": _unavailable(
        "Event store unavailable",
        "The database of processed events does not respond.",
        "Retry later.",
    ),
    "key_store_unavailable": _unavailable(
        "Key store unavailable",
        "The database of API keys does not respond, and this key is not cached.",
    ),
}
BROKER = {
    "broker_unavailable": _unavailable(
        "Broker unavailable",
        "The broker cannot be reached. Nothing was sent to it.",
    ),
    "broker_timeout": _unavailable(
        "Broker timeout",
        "The broker did not respond in time, so the event may or may not be stored.",
        "Retry with the same Idempotency-Key: the event is then stored once.",
    ),
    "stream_full": _unavailable(
        "Stream full",
        "The project's stream is full until the workers have processed older events.",
        "Retry later. The operator may need more workers.",
    ),
    "broker_out_of_memory": _unavailable(
        "Broker out of memory",
        "The broker is out of memory. It does not evict accepted events.",
        "Retry later.",
    ),
    "broker_read_only": _unavailable(
        "Broker is read-only",
        "The broker is currently a replica, for example during a failover.",
    ),
    "broker_loading": _unavailable(
        "Broker is loading",
        "The broker has just started and is loading its data.",
    ),
    "broker_primary_down": _unavailable(
        "Broker has lost its primary",
        "The broker is a replica that has lost the connection to its primary.",
    ),
    "broker_cluster_down": _unavailable(
        "Broker cluster is down",
        "The part of the broker cluster that serves this project has failed or is being moved.",
    ),
    "broker_cannot_persist": _unavailable(
        "Broker cannot persist",
        "The broker cannot write to disk, and rejects events that it could lose.",
        "Retry later.",
    ),
    "broker_not_durable": _unavailable(
        "Not durable yet",
        "The event was appended, but the required durability was not confirmed in time.",
        "Retry with the same Idempotency-Key: the event is then stored once, and acknowledged when it is "
        "durable.",
    ),
    "broker_refused": _unavailable(
        "Broker refused the event",
        "The broker refused the event for another reason, which is in the operator's log.",
        "Retry later, and report the requestId to the operator.",
    ),
}
# deploy/nginx.conf answers these in front of the service.
NGINX = {
    "too_many_wrong_keys": ProblemType(
        429,
        "Too many wrong keys",
        "nginx, in front of the service, received too many requests without a usable API key from your "
        "address.",
        "Send the project's API key. Requests with a well-formed key are not counted.",
        retryable=True,
    ),
    "too_many_requests": ProblemType(
        429,
        "Too many requests",
        "nginx, in front of the service, received too many requests from your address, or too many at once.",
        "Retry after the delay in Retry-After. Send several events in one request to /ingest/batch.",
        retryable=True,
    ),
    "service_unavailable": _unavailable(
        "Service unavailable",
        "nginx, in front of the service, could not reach it or received no response, so the event may or may "
        "not be stored.",
        "Retry with the same Idempotency-Key: the event is then stored once.",
    ),
}
