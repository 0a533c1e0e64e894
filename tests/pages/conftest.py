"""What the tests of the descriptions share."""

from typing import Any

import pytest

from tests.servers.gunicorn import Service


@pytest.fixture(scope="module")
def document(service: Service) -> dict[str, Any]:
    with service.client() as client:
        answer = client.get("/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    made: dict[str, Any] = answer.json()
    return made
