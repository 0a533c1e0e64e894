"""The services made at start-up, which requests and commands share."""

from dataclasses import dataclass

from flask import Flask, current_app
from sqlalchemy import Engine

from vigilry_ingest.api_keys.admission import Admission
from vigilry_ingest.api_keys.lookup import KeyLookup
from vigilry_ingest.config.settings import Config
from vigilry_ingest.observability.tracing import Tracing
from vigilry_ingest.stream.connection.broker import Broker
from vigilry_ingest.stream.publishing.publisher import Publisher
from vigilry_ingest.webhooks.encryption import SecretBox
from vigilry_ingest.webhooks.lookup import SourceLookup

_EXTENSION = "vigilry"


@dataclass(frozen=True, slots=True)
class Services:
    """The services of an application; ``tracing`` is None unless VIGILRY_TRACING is on."""

    config: Config
    engine: Engine
    keys: KeyLookup
    secrets: SecretBox
    sources: SourceLookup
    broker: Broker
    publisher: Publisher
    admission: Admission
    tracing: Tracing | None = None


def attach(app: Flask, services: Services) -> None:
    """Attach services to an application."""
    app.extensions[_EXTENSION] = services


def services() -> Services:
    """Return the services of the current application."""
    attached: Services = current_app.extensions[_EXTENSION]
    return attached
