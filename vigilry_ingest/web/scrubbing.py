"""Scrubbing of a request's events, for projects that have rules for it."""

from vigilry_ingest.api.schemas.faults import Fault, InvalidEvent
from vigilry_ingest.domain.event import Event
from vigilry_ingest.domain.scrubbing.json_text import MAX_STRINGS
from vigilry_ingest.domain.scrubbing.tally import MAX_CHECKS, TooComplex
from vigilry_ingest.observability.metrics import SCRUBBED_VALUES
from vigilry_ingest.web.request import IngestRequest


def scrubbed(request: IngestRequest, event: Event) -> Event:
    """Return the event as it is published, and count for the response what was replaced.

    Raises InvalidEvent if that would take too long.
    """
    scrubber = request.caller.scrubber
    if scrubber is None:
        return event
    try:
        event, values = scrubber.scrub(event)
    except TooComplex:
        detail = (
            f"Secrets are removed from events of this project, which can have {MAX_STRINGS:,} strings and "
            f"{MAX_CHECKS:,} values that look like secrets. This one has more; send less in one event."
        )
        raise InvalidEvent([Fault("", "too_complex", detail)]) from None
    if values:
        request.scrubbed_values += values
        SCRUBBED_VALUES.inc(values)
    return event


def scrubbing_headers(request: IngestRequest) -> list[tuple[str, str]]:
    """Return the header field with the number of replaced values; none if nothing is ever replaced."""
    return [] if request.caller.scrubber is None else [("Vigilry-Scrubbed", str(request.scrubbed_values))]
