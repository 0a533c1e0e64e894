"""What the tests of the specs share: the document."""

from typing import Any

import pytest

from tests.fixtures.servers.gunicorn import Service


@pytest.fixture(scope="module")
def document(service: Service) -> dict[str, Any]:
    with service.client() as client:
        answer = client.get("/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    made: dict[str, Any] = answer.json()
    return made
