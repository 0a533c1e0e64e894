"""Events and secrets for the tests of scrubbing."""

from stdnum import luhn
from stdnum.iso7064 import mod_97_10

from vigilry_ingest.domain.event import Event

ALL_PATTERNS = ("card-number", "email", "iban", "ip", "jwt", "api-key")


def an_event(
    payload: bytes | None = None, correlation: bytes | None = None, message: str = "a message", **fields: str
) -> Event:
    """Make an event."""
    return Event(
        id="evt_1", project_id="proj_1", environment="production", kind="event", type=fields.get("type", "t"),
        severity="INFO", source=fields.get("source"), message=message, correlation=correlation,
        payload=payload, received_at="2026-01-01T00:00:00.000Z", request_id="req_1",
    )  # fmt: skip


def card_number(number: int) -> str:
    """Return a card number that has these digits in it."""
    digits = f"4{number:014d}"
    return digits + luhn.calc_check_digit(digits)


def iban_of(number: int) -> str:
    """Return the IBAN of a German account."""
    account = f"{number:018d}"
    return f"DE{mod_97_10.calc_check_digits(f'{account}DE')}{account}"
