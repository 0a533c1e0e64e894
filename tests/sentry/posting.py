"""Posting to an application within this process."""

import time
from collections.abc import Mapping

from backports import zstd
from flask import Flask

from vigilry_ingest.api_keys.registry import mint
from vigilry_ingest.storage.engine import make_engine
from vigilry_ingest.storage.migrate import upgrade


class Poster:
    """Posts to an application, each time for a new project."""

    def __init__(self, app: Flask, url: str) -> None:
        self._app = app
        self._engine = make_engine(url)
        upgrade(self._engine)

    def new_key(self) -> str:
        """Make a key, and let the application cache it."""
        key = mint(self._engine, f"project {time.time_ns()}", "production").api_key
        self.post(b"{}", key)
        return key

    def post(self, body: bytes, key: str) -> int:
        """Post an envelope and return the status."""
        headers = {"X-Sentry-Auth": f"Sentry sentry_key={key}", "Content-Encoding": "zstd"}
        return self.post_as_it_is("/api/1/envelope/", zstd.compress(body), headers)

    def post_as_it_is(self, url: str, coded: bytes, headers: Mapping[str, str]) -> int:
        """Post a body that is encoded already and return the status."""
        return self._app.test_client().post(url, data=coded, headers=dict(headers)).status_code
