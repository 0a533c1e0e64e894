"""Fixtures: sources on a running service."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from tests.fixtures.sender import Sender
from tests.fixtures.servers.gunicorn import Service
from tests.fixtures.servers.valkey import Valkey
from tests.fixtures.services import ServiceOn
from tests.webhooks.deliveries import Case, Delivery
from vigilry_ingest.api_keys.registry import mint
from vigilry_ingest.domain.ids import new_ulid
from vigilry_ingest.webhooks.encryption import SecretBox, new_key
from vigilry_ingest.webhooks.source_settings import SourceSettings
from vigilry_ingest.webhooks.sources import SourceRegistry

KEY = new_key()
# Twilio signs the URL by which the service is known.
PUBLIC_URL = "https://ingest.example"


class Receiver:
    """A source with a project of its own; ``published`` returns what reached the broker, oldest first."""

    def __init__(self, service: Service, valkey: Valkey, engine: Engine, case: Case, **settings: Any) -> None:
        minted = mint(engine, f"project {new_ulid()}", "production")
        self.registry = SourceRegistry(engine, SecretBox([KEY]))
        given = SourceSettings(minted.project, "production", case.provider, options=case.options, **settings)
        self.source = self.registry.add(given, case.secret)
        self.sender = Sender(service, valkey, minted)
        self.path = f"/hooks/{self.source.id}"
        self.url = PUBLIC_URL + self.path

    def send(self, delivery: Delivery) -> httpx.Response:
        """Send a delivery."""
        path = f"{self.path}?{delivery.query}" if delivery.query else self.path
        return self.sender.http.post(path, content=delivery.body, headers=delivery.headers)

    def published(self) -> list[dict[bytes, bytes]]:
        """Read back the project's entries."""
        return self.sender.published()


NewReceiver = Callable[..., Receiver]


@pytest.fixture
def receiving(service_on: ServiceOn, database_url: str) -> Service:
    """Run the product with a key for secrets, on the session's broker and database."""
    return service_on(database_url, secrets_keys=KEY, public_url=PUBLIC_URL)


@pytest.fixture
def new_receiver(receiving: Service, valkey: Valkey, engine: Engine) -> Iterator[NewReceiver]:
    """Make sources, each in a project of its own."""
    receivers: list[Receiver] = []

    def make(case: Case, **settings: Any) -> Receiver:
        receivers.append(Receiver(receiving, valkey, engine, case, **settings))
        return receivers[-1]

    yield make
    for receiver in receivers:
        receiver.sender.close()
