"""A flood of made-up keys, each with its checksum right: it costs neither memory nor look-ups nor senders."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.client import HTTPConnection

import psutil  # type: ignore[import-untyped]  # psutil ships no types
import pytest

from tests.fixtures.load import Load
from tests.fixtures.scrape import Scrape, scrape
from tests.fixtures.servers.gunicorn import Service
from tests.fixtures.servers.postgres import Postgres
from tests.fixtures.servers.valkey import Valkey
from vigilry_ingest.api_keys.format import new_key
from vigilry_ingest.api_keys.registry import mint
from vigilry_ingest.storage.engine import make_engine
from vigilry_ingest.storage.migrate import upgrade

pytestmark = pytest.mark.alone

WORKERS = 2
CONNECTIONS = 16
FLOOD = 30_000
# What a worker looks up in vain before it reads the list of all keys.
BURST = 50


@pytest.fixture
def database_url(postgres: Postgres) -> str:
    url = postgres.new_database()
    engine = make_engine(url)
    upgrade(engine)
    engine.dispose()
    return url


@pytest.fixture
def flooded(valkey: Valkey, database_url: str) -> Iterator[Service]:
    settings = {"VIGILRY_REDIS_URL": valkey.url, "VIGILRY_DATABASE_URL": database_url}
    with Service(settings, workers=WORKERS) as running:
        yield running


def memory_of(service: Service) -> int:
    """Return the resident bytes of all workers."""
    return sum(int(psutil.Process(pid).memory_info().rss) for pid in service.worker_pids())


def flood(service: Service, count: int) -> Counter[int]:
    """Send requests, each with another key that nobody has, and count the answers by status."""
    statuses: Counter[int] = Counter()
    mutex = threading.Lock()

    def send(share: int) -> None:
        host, port = service.bind.split(":")
        connection = HTTPConnection(host, int(port), timeout=20)
        own: Counter[int] = Counter()
        for _ in range(share):
            connection.request("POST", "/ingest/events", b"{}", {"X-Api-Key": new_key("production")})
            answer = connection.getresponse()
            answer.read()
            own[answer.status] += 1
        connection.close()
        with mutex:
            statuses.update(own)

    threads = [threading.Thread(target=send, args=(count // CONNECTIONS,)) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses


def queries(seen: Scrape) -> float:
    """Count the queries to the key store so far."""
    return sum(value for labels, value in seen.of("vigilry_key_queries_total") if labels["query"])


def test_made_up_keys_cost_neither_memory_nor_look_ups_nor_real_senders(
    flooded: Service, database_url: str
) -> None:
    engine = make_engine(database_url)
    known = mint(engine, "known before", "production").api_key
    with Load(flooded.url, known, connections=2, pause_s=0.02) as load:
        flood(flooded, 8000)
        asked, memory, began = queries(scrape(flooded)), memory_of(flooded), time.monotonic()
        newcomer = mint(engine, "minted meanwhile", "production").api_key
        late: Counter[int | str] = Counter()

        def come_late() -> None:
            time.sleep(1.0)
            with Load(flooded.url, newcomer, connections=2, pause_s=0.02) as first:
                time.sleep(1.0)
            late.update(first.outcomes())

        thread = threading.Thread(target=come_late)
        thread.start()
        statuses = flood(flooded, FLOOD)
        seconds = time.monotonic() - began
        thread.join()
    engine.dispose()
    assert statuses == {401: FLOOD // CONNECTIONS * CONNECTIONS}
    assert load.outcomes().keys() == {202}
    assert late.keys() == {202}
    assert memory_of(flooded) - memory < 8 * 1024 * 1024 * WORKERS
    # Each worker: two lists and a look-up in vain a second, and one for each of the two keys in use.
    asked = queries(scrape(flooded)) - asked
    assert asked < WORKERS * (BURST + 5 * seconds), (asked, seconds)
