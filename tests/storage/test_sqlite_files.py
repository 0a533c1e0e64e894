"""SQLite files hold events and keys, so only their owner can read them, whatever the umask."""

import os
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text

from vigilry_ingest.api_keys.registry import list_keys, mint
from vigilry_ingest.storage.engine import DatabaseError, make_engine, session_on
from vigilry_ingest.storage.migrate import upgrade


@pytest.fixture(params=["000", "022", "077"])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(int(request.param, 8))
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    """Return the permission bits of each file of a folder."""
    return {each.name: stat.S_IMODE(each.stat().st_mode) for each in folder.iterdir()}


@pytest.mark.usefixtures("umask")
def test_a_new_database_and_its_folder_are_private_to_their_owner(tmp_path: Path) -> None:
    folder = tmp_path / "var"
    engine = make_engine(f"sqlite:///{folder}/vigilry.db")
    upgrade(engine)
    with engine.connect() as connection:
        connection.execute(text("SELECT * FROM projects"))
        assert modes(folder) == dict.fromkeys(("vigilry.db", "vigilry.db-wal", "vigilry.db-shm"), 0o600)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    engine.dispose()


@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize("query", ["uri=true", "mode=rwc&uri=true"])
def test_a_new_database_named_by_a_uri_is_private_to_its_owner(tmp_path: Path, query: str) -> None:
    engine = make_engine(f"sqlite:///file:{tmp_path}/a%2520b.db?{query}")
    upgrade(engine)
    engine.dispose()
    assert modes(tmp_path) == {"a b.db": 0o600}


@pytest.mark.parametrize("mode", ["ro", "rw"])
def test_no_file_is_created_where_the_uri_forbids_it(tmp_path: Path, mode: str) -> None:
    engine = make_engine(f"sqlite:///file:{tmp_path}/vigilry.db?mode={mode}&uri=true")
    with pytest.raises(DatabaseError, match="unable to open"), session_on(engine) as session:
        session.execute(text("SELECT 1"))
    assert modes(tmp_path) == {}
    engine.dispose()


def test_the_mode_of_an_existing_database_is_kept(tmp_path: Path) -> None:
    engine = make_engine(f"sqlite:///{tmp_path}/vigilry.db")
    upgrade(engine)
    minted = mint(engine, "shop", "production")
    engine.dispose()
    (tmp_path / "vigilry.db").chmod(0o640)
    assert [key.id for key in list_keys(engine)] == [minted.key_id]
    engine.dispose()
    assert modes(tmp_path)["vigilry.db"] == 0o640


def test_threads_that_create_a_database_at_once_all_see_it_migrated(tmp_path: Path) -> None:
    together = threading.Barrier(4)

    def migrate(_: int) -> list[str]:
        engine = make_engine(f"sqlite:///{tmp_path}/vigilry.db")
        together.wait(10)
        applied = upgrade(engine)
        engine.dispose()
        return applied

    with ThreadPoolExecutor(4) as pool:
        applied = list(pool.map(migrate, range(4)))
    assert sorted(map(bool, applied)) == [False, False, False, True]
    assert modes(tmp_path)["vigilry.db"] == 0o600


def test_many_connections_may_be_the_first_of_a_file(tmp_path: Path) -> None:
    together = threading.Barrier(8)

    def connect(number: int) -> str:
        engine = make_engine(f"sqlite:///{tmp_path}/{number // 8}.db")
        together.wait(10)
        with engine.connect() as connection:
            mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
        engine.dispose()
        return str(mode)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(connect, range(160))) == {"wal"}
