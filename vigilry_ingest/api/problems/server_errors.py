"""The refusals of what fails on the way: in the service, at the broker, and in nginx before both."""

from vigilry_ingest.api.problems.problem_type import ProblemType


def _for_now(title: str, cause: str, mend: str = "Send it again after Retry-After.") -> ProblemType:
    return ProblemType(503, title, cause, mend, retryable=True)


SERVICE = {
    "internal_error": ProblemType(
        500,
        "Internal error",
        "Something went wrong in the service itself. The event was not acknowledged.",
        "Send it again with the same Idempotency-Key; tell the operator the requestId.",
        retryable=True,
    ),
    "event_store_unavailable": _for_now(
        "Event store unavailable",
        "The database that processed events are looked up in does not answer.",
        "Ask again later.",
    ),
    "key_store_unavailable": _for_now(
        "Key store unavailable",
        "The database that keys are looked up in does not answer, and this key is not known from before.",
    ),
}
BROKER = {
    "broker_unavailable": _for_now(
        "Broker unavailable",
        "The broker cannot be reached. Nothing was sent to it.",
    ),
    "broker_timeout": _for_now(
        "Broker did not answer in time",
        "The broker did not answer in time, so the event may be stored or not.",
        "Send it again with the same Idempotency-Key: then it is stored once.",
    ),
    "stream_full": _for_now(
        "Stream full",
        "The project's stream is full until the workers have caught up.",
        "Send it again later; the operator needs more workers.",
    ),
    "broker_out_of_memory": _for_now(
        "Broker out of memory",
        "The broker's memory is full, and it drops nothing that was accepted.",
        "Send it again later.",
    ),
    "broker_read_only": _for_now(
        "Broker is read-only",
        "The broker is a replica at the moment, as in the middle of a fail-over.",
    ),
    "broker_loading": _for_now(
        "Broker is loading",
        "The broker has just started and reads its data.",
    ),
    "broker_primary_down": _for_now(
        "Broker has lost its primary",
        "The broker is a replica that has lost its primary.",
    ),
    "broker_cluster_down": _for_now(
        "Broker cluster is down",
        "The part of the broker's cluster that has this project is being moved or has failed.",
    ),
    "broker_cannot_persist": _for_now(
        "Broker cannot persist",
        "The broker cannot write to its disk, and takes nothing that it could lose.",
        "Send it again later.",
    ),
    "broker_not_durable": _for_now(
        "Not durable yet",
        "The event was appended, but not as safely as the operator promises within the time.",
        "Send it again with the same Idempotency-Key: then it is stored once, and acknowledged when "
        "it is safe.",
    ),
    "broker_refused": _for_now(
        "Broker refused",
        "The broker refused the event for a reason of its own, which stands in the operator's log.",
        "Send it again later, and tell the operator the requestId.",
    ),
}
# What deploy/nginx.conf answers by itself, in front of the service.
NGINX = {
    "too_many_wrong_keys": ProblemType(
        429,
        "Too many wrong keys",
        "nginx, in front of the service, says so: too many requests without a usable API key came from your "
        "address.",
        "Send the project's key: a request whose key has the right form is not counted.",
        retryable=True,
    ),
    "service_unavailable": _for_now(
        "Service unavailable",
        "nginx, in front of the service, says so: it could not reach the service, or got no answer from it, "
        "and does not know whether the event was taken.",
        "Send it again with the same Idempotency-Key: then it is stored once.",
    ),
}
