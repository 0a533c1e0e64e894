"""What the tests share: real servers for the session, a project of its own for each test."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.fixtures.sender import Sender
from tests.fixtures.servers.gunicorn import Service
from tests.fixtures.servers.postgres import Postgres
from tests.fixtures.servers.valkey import Valkey
from vigilry_ingest.api_keys.registry import mint
from vigilry_ingest.storage.engine import make_engine
from vigilry_ingest.storage.migrate import upgrade

for _name in [name for name in os.environ if name.startswith("VIGILRY_")]:
    # A developer's own settings are not those that the tests speak of.
    del os.environ[_name]

# A shell without job control starts what goes on in the background with Ctrl-C ignored, and a test's commands
# would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the second run of what is marked `one_database`."""
    twice = [
        item
        for item in items
        if isinstance(item, pytest.Function)
        and item.get_closest_marker("one_database")
        and hasattr(item, "callspec")
        and item.callspec.params.get("database_url") == "postgresql"
    ]
    config.hook.pytest_deselected(items=twice)
    items[:] = [item for item in items if item not in twice]


@pytest.fixture(scope="session")
def valkey() -> Iterator[Valkey]:
    """Run the broker that most tests share."""
    with Valkey() as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """Run the PostgreSQL server that most tests share."""
    with Postgres() as server:
        yield server


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give a migrated database of each kind: what asks for it runs once on SQLite, once on PostgreSQL."""
    return new_database(request, tmp_path_factory.mktemp("database"))


@pytest.fixture
def empty_database_url(tmp_path: Path) -> str:
    """Give an SQLite database that is not migrated."""
    return f"sqlite:///{tmp_path}/empty.db"


def new_database(request: pytest.FixtureRequest, folder: Path) -> str:
    """Make and migrate a database of the kind that the fixture's parameter names."""
    if request.param == "postgresql":
        server: Postgres = request.getfixturevalue("postgres")
        url = server.new_database()
    else:
        url = f"sqlite:///{folder}/vigilry.db"
    engine = make_engine(url)
    upgrade(engine)
    engine.dispose()
    return url


@pytest.fixture(scope="session")
def engine(database_url: str) -> Iterator[Engine]:
    """Give an engine on the session's database."""
    engine = make_engine(database_url)
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def service(valkey: Valkey, database_url: str) -> Iterator[Service]:
    """Run the product with its default settings, on the session's broker and database."""
    settings = {"VIGILRY_REDIS_URL": valkey.url, "VIGILRY_DATABASE_URL": database_url}
    with Service(settings, workers=1, worker_class="gevent") as running:
        yield running


NewSender = Callable[..., Sender]


@pytest.fixture
def new_sender(service: Service, valkey: Valkey, engine: Engine) -> Iterator[NewSender]:
    """Make senders, each for a new project with a key of its own."""
    senders: list[Sender] = []

    def make(environment: str = "production") -> Sender:
        minted = mint(engine, f"project of {os.urandom(8).hex()}", environment)
        senders.append(Sender(service, valkey, minted))
        return senders[-1]

    yield make
    for sender in senders:
        sender.close()


@pytest.fixture
def sender(new_sender: NewSender) -> Sender:
    """Give one sender with a new project."""
    return new_sender()
