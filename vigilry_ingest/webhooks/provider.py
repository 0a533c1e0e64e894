"""The declaration of a provider."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from vigilry_ingest.domain.event_kinds import EventKind
from vigilry_ingest.webhooks.delivery import Delivery, Reading
from vigilry_ingest.webhooks.signatures import Scheme


@dataclass(frozen=True, kw_only=True)
class Example:
    """A delivery as the provider's documentation shows it, without its signature.

    ``{id}`` in a header is replaced by the delivery's id. ``body`` makes the body from the id and Unix time.
    """

    body: Callable[[str, float], bytes]
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Provider:
    """How a provider signs its deliveries, and what they say.

    Parameters:
        name: names the provider in commands and events
        title: the provider's own name
        scheme: how deliveries are signed
        read: reads a delivery and its body as JSON text; raises Unverified if a header is missing. A kind
            instead, if its events have a kind of their own, which is built from the body alone
        example: for ``flask sources test``
        where: where in the provider's settings the URL goes, and where the secret comes from
        secret_is_chosen: whether the user chooses the secret, and enters it at the provider
        form_member: the field of a form body that has the event as JSON; without it all fields are the event
        handshake: returns the answer to a request that only checks the URL, as JSON, or None for any other
    """

    name: str
    title: str
    scheme: Scheme
    read: Callable[[Delivery, bytes], Reading] | EventKind
    example: Example
    where: str
    secret_is_chosen: bool = False
    form_member: str | None = None
    handshake: Callable[[bytes], bytes | None] | None = None
