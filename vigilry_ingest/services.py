"""The typed way from a request to the parts that were made at start-up, and to what the hooks found out."""

import re
from dataclasses import dataclass

from flask import Flask, current_app, g, request
from sqlalchemy import Engine

from vigilry_ingest.config import Config
from vigilry_ingest.ids import new_id
from vigilry_ingest.keys.lookup import Caller, KeyLookup
from vigilry_ingest.stream.publisher import Publisher

REQUEST_ID_HEADER = "X-Request-Id"

_NAME = "vigilry"
_REQUEST_ID = re.compile(r"[0-9A-Za-z._:+/=@-]{1,128}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Services:
    """The parts that requests share."""

    config: Config
    engine: Engine
    keys: KeyLookup
    publisher: Publisher


def attach(app: Flask, services: Services) -> None:
    """Give an application its parts."""
    app.extensions[_NAME] = services


def services() -> Services:
    """Give the parts of the current application."""
    parts: Services = current_app.extensions[_NAME]
    return parts


def caller() -> Caller:
    """Give the caller that the key hook found for this request."""
    found: Caller = g.caller
    return found


def set_caller(found: Caller) -> None:
    """Remember the caller for the rest of this request."""
    g.caller = found


def request_id() -> str:
    """Give this request's id: the sender's X-Request-Id when it is a plain one, else one made here."""
    if "request_id" not in g:
        given = request.headers.get(REQUEST_ID_HEADER, "")
        g.request_id = given if _REQUEST_ID.fullmatch(given) else new_id("req")
    known: str = g.request_id
    return known
