"""The stream's tests, and what they share: services on brokers of their own, and senders to them."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx

from tests.fixtures.sender import EXAMPLES, Sender, assert_refused
from tests.fixtures.servers.gunicorn import Service
from tests.fixtures.servers.valkey import Valkey
from tests.fixtures.servers.waiting import wait_until
from vigilry_ingest.api_keys.registry import Minted, mint
from vigilry_ingest.domain.event import Event
from vigilry_ingest.storage.engine import make_engine
from vigilry_ingest.storage.migrate import upgrade
from vigilry_ingest.stream.connection.broker import Broker
from vigilry_ingest.stream.errors import BrokerError
from vigilry_ingest.stream.publishing.append_script import IdempotencyKey
from vigilry_ingest.stream.publishing.publisher import Publisher

STREAM = "vigilry:{0}:events"
# What the issue allows from the moment that the broker is back.
RECOVERY_S = 3.0

Answer = TypeVar("Answer")
_numbers = count(1)


class KeyStore:
    """A migrated database, for services whose broker is a test's own."""

    def __init__(self, folder: Path) -> None:
        self.url = f"sqlite:///{folder}/keys.db"
        self._engine = make_engine(self.url)

    def __enter__(self) -> Self:
        upgrade(self._engine)
        return self

    def __exit__(self, *_error: object) -> None:
        self._engine.dispose()

    def mint(self) -> Minted:
        """Make a key for a project of its own."""
        return mint(self._engine, f"project {next(_numbers)}", "production")

    def service(self, broker_url: str, *, workers: int = 1, **settings: str | int) -> Service:
        """Prepare a service on a broker; `stream_partitions=3` is VIGILRY_STREAM_PARTITIONS."""
        environment: dict[str, str | int] = {
            "VIGILRY_REDIS_URL": broker_url,
            "VIGILRY_DATABASE_URL": self.url,
            # What these tests say of the broker must not depend on how fast keys are looked up.
            "VIGILRY_KEY_CACHE_TTL_S": 3600,
        }
        environment |= {f"VIGILRY_{name.upper()}": value for name, value in settings.items()}
        return Service(environment, workers=workers, worker_class="gevent")

    def sender(self, service: Service, broker: Valkey) -> Sender:
        """Make a sender with a new project; the caller closes it."""
        return Sender(service, broker, self.mint())


def new_project() -> str:
    """Name a project that no test has used before."""
    return f"proj_{next(_numbers):026}"


def an_event(project_id: str, message: str = "a message") -> Event:
    """Make an event of a project."""
    return Event(
        id="evt_01KB0000000000000000000000",
        project_id=project_id,
        environment="production",
        kind="event",
        type="checkout_failed",
        severity="ERROR",
        message=message,
        received_at="2026-01-01T00:00:00.000Z",
        request_id="req_1",
    )


def publisher_on(url: str, **settings: Any) -> Publisher:
    """Make a publisher with the product's defaults."""
    broker = Broker(url, partitions=settings.pop("partitions", 1))
    defaults: dict[str, Any] = {
        "max_entries": 1_000_000,
        "durability": "memory",
        "timeout_s": 1.0,
        "idempotency_ttl_s": 86_400,
    }
    return Publisher(broker, **(defaults | settings))


def refusal_of(publisher: Publisher, event: Event, *once: IdempotencyKey) -> BrokerError:
    """Publish what must be refused, and return the refusal."""
    try:
        published = publisher.publish(event, once)
    except BrokerError as error:
        return error
    raise AssertionError(f"{published} was not refused")


def an_example(number: int | str = 0) -> dict[str, Any]:
    """Make a body for /ingest/events that carries a number."""
    return EXAMPLES["events"] | {"message": f"event {number}"}


def at_once(work: Callable[[Any], Answer], items: Iterable[Any], *, threads: int = 16) -> list[Answer]:
    """Do something with every item in several threads, and return the answers in the items' order."""
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, items))


def job_ids(answers: Iterable[httpx.Response]) -> list[str]:
    """Give the jobIds of answers that must all be 202."""
    ids = []
    for answer in answers:
        assert answer.status_code == 202, answer.text
        ids.append(answer.json()["jobId"])
    return ids


def job_id_of_entry(entry_id: bytes | str) -> str:
    """Write an entry's id as the contract has it, apart from the product's own way."""
    text = entry_id.decode() if isinstance(entry_id, bytes) else entry_id
    milliseconds, sequence = text.split("-")
    return f"bull-{int(milliseconds) * 1_000_000 + int(sequence)}"


def published_ids(sender: Sender) -> list[str]:
    """Give the jobIds of what a sender's project has on the stream, oldest first."""
    return [job_id_of_entry(entry[b"_id"]) for entry in sender.published()]


def assert_503(answer: httpx.Response, *codes: str) -> None:
    """Check that an answer is a 503 with one of these words, to be tried again after a stated time."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    code = answer.json()["code"]
    assert code in codes, answer.text
    problem = assert_refused(answer, 503, code)
    assert problem["retryable"]
    assert int(answer.headers["retry-after"]) >= 1


def wait_accepted(post: Callable[[], httpx.Response], within_s: float = RECOVERY_S) -> httpx.Response:
    """Post until a 202 comes; until then every answer must be a 503."""
    answers: list[httpx.Response] = []

    def is_accepted() -> bool:
        answers.append(post())
        assert answers[-1].status_code in (202, 503), answers[-1].text
        return answers[-1].status_code == 202

    wait_until(is_accepted, within_s, "an event is accepted again", log=lambda: answers[-1].text)
    return answers[-1]


def entries_of(server: Valkey, key: str = STREAM) -> Sequence[tuple[bytes, dict[bytes, bytes]]]:
    """Read a whole stream from one server."""
    with server.client(decode_responses=False) as client:
        entries: Any = client.xrange(key)
    return [(entry_id, fields) for entry_id, fields in entries]
