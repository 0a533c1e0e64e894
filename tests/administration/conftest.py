"""What the tests of the admin API share: one that runs on an own database, and clients for it."""

from collections.abc import Iterator

import httpx
import pytest
from sqlalchemy import Engine

from tests.fixtures.databases import dispose, new_database
from tests.fixtures.servers.admin import AdminApi, an_admin_key
from tests.fixtures.servers.valkey import Valkey
from vigilry_ingest.storage.engine import make_engine
from vigilry_ingest.webhooks.encryption import new_key


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def own_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a database of the module's own."""
    return new_database(request.param, request, tmp_path_factory.mktemp("admin"))


@pytest.fixture(scope="module")
def own_engine(own_url: str) -> Iterator[Engine]:
    engine = make_engine(own_url)
    yield engine
    dispose(engine)


@pytest.fixture(scope="module")
def settings(own_url: str, valkey: Valkey) -> dict[str, str | int]:
    """Return the settings of the admin API."""
    return {
        "VIGILRY_DATABASE_URL": own_url,
        "VIGILRY_REDIS_URL": valkey.url,
        "VIGILRY_SECRETS_KEYS": new_key(),
        "VIGILRY_KEY_CACHE_TTL_S": 0,
    }


@pytest.fixture(scope="module")
def api(settings: dict[str, str | int]) -> Iterator[AdminApi]:
    """Run the admin API."""
    with AdminApi(settings) as api:
        yield api


@pytest.fixture
def admin(api: AdminApi, own_engine: Engine) -> Iterator[httpx.Client]:
    """Return a client whose key has all scopes."""
    with api.client(an_admin_key(own_engine)) as client:
        yield client
