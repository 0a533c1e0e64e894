"""Keys under traffic: a revocation reaches every worker, and PostgreSQL may be away for a while."""

import time
from collections.abc import Iterator

import pytest

from tests.fixtures.load import Load
from tests.fixtures.sender import EXAMPLES
from tests.fixtures.servers.gunicorn import Service
from tests.fixtures.servers.postgres import Postgres
from tests.fixtures.servers.valkey import Valkey
from vigilry_ingest.api_keys.registry import mint, revoke
from vigilry_ingest.storage.engine import make_engine
from vigilry_ingest.storage.migrate import upgrade

pytestmark = [pytest.mark.one_database, pytest.mark.alone]

WORKERS = 4
REVOKED_WITHIN_S = 1.5
STALE_S = 3


def ask(service: Service, key: str, times: int = 1) -> list[int]:
    """Post events, each on a connection of its own, so that every worker has its share."""
    statuses = []
    for _ in range(times):
        with service.client(timeout=10.0) as client:
            headers = {"X-Api-Key": key}
            statuses.append(
                client.post("/ingest/events", json=EXAMPLES["events"], headers=headers).status_code
            )
    return statuses


def test_a_key_revoked_under_traffic_is_refused_by_every_worker_within_a_second_and_a_half(
    valkey: Valkey, database_url: str
) -> None:
    engine = make_engine(database_url)
    minted = mint(engine, "revoked under traffic", "production")
    settings = {"VIGILRY_REDIS_URL": valkey.url, "VIGILRY_DATABASE_URL": database_url}
    with (
        Service(settings, workers=WORKERS) as service,
        Load(service.url, minted.api_key, connections=2 * WORKERS, pause_s=0.01) as load,
    ):
        assert set(ask(service, minted.api_key, 10 * WORKERS)) == {202}
        revoke(engine, minted.key_id)
        time.sleep(REVOKED_WITHIN_S)
        before = load.outcomes()[202]
        assert set(ask(service, minted.api_key, 10 * WORKERS)) == {401}
        assert load.outcomes()[202] == before
    engine.dispose()


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


def test_with_postgresql_stopped_known_keys_go_on_for_a_while_and_all_is_well_again_by_itself(
    valkey: Valkey, own_postgres: Postgres
) -> None:
    url = own_postgres.new_database()
    engine = make_engine(url)
    upgrade(engine)
    known, unknown = (mint(engine, name, "production").api_key for name in ("known", "unknown"))
    engine.dispose()
    settings: dict[str, str | int] = {
        "VIGILRY_REDIS_URL": valkey.url,
        "VIGILRY_DATABASE_URL": url,
        "VIGILRY_KEY_CACHE_STALE_S": STALE_S,
    }
    with Service(settings, workers=WORKERS) as service:
        # On connections that are kept, each worker has its own, and knows the key.
        with Load(service.url, known, connections=8 * WORKERS, pause_s=0.05) as load:
            time.sleep(1.5)
            own_postgres.kill()
            time.sleep(STALE_S - 1)
            assert load.outcomes().keys() == {202}
            assert set(ask(service, unknown, WORKERS)) == {503}
        time.sleep(3)
        assert set(ask(service, known, 5 * WORKERS)) == {503}
        own_postgres.start()
        service.wait_for(lambda: set(ask(service, known, WORKERS)) == {202}, "known keys go on")
        service.wait_for(lambda: set(ask(service, unknown, WORKERS)) == {202}, "unknown keys are looked up")
