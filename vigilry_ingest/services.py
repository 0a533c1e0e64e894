"""The container of parts made at start-up: settings, engine, key look-up, broker, publisher."""

from dataclasses import dataclass

from flask import Flask, current_app
from sqlalchemy import Engine

from vigilry_ingest.api_keys.lookup import KeyLookup
from vigilry_ingest.config.settings import Config
from vigilry_ingest.observability.tracing import Tracing
from vigilry_ingest.stream.connection.broker import Broker
from vigilry_ingest.stream.publishing.publisher import Publisher

_NAME = "vigilry"


@dataclass(frozen=True, slots=True)
class Services:
    """The parts that requests share."""

    config: Config
    engine: Engine
    keys: KeyLookup
    broker: Broker
    publisher: Publisher
    # None unless VIGILRY_TRACING is on.
    tracing: Tracing | None = None


def attach(app: Flask, services: Services) -> None:
    """Give an application its parts."""
    app.extensions[_NAME] = services


def services_of(app: Flask) -> Services:
    """Give the parts of an application."""
    parts: Services = app.extensions[_NAME]
    return parts


def services() -> Services:
    """Give the parts of the current application."""
    return services_of(current_app)
