"""API keys: their form, who may know them, and how long a worker trusts an answer."""

import gc
import hashlib
import string
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sqlalchemy import Engine, MetaData, event, select, text

from tests.fixtures.databases import dispose
from tests.fixtures.servers.postgres import Postgres
from tests.fixtures.servers.waiting import wait_until
from vigilry_ingest.api_keys.cached_lookup import KeyStoreUnavailable
from vigilry_ingest.api_keys.format import ENVIRONMENTS, is_well_formed, new_key
from vigilry_ingest.api_keys.lookup import KeyLookup
from vigilry_ingest.api_keys.registry import Minted, UnknownKey, list_keys, mint, revoke
from vigilry_ingest.storage.engine import make_engine
from vigilry_ingest.storage.migrate import upgrade

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
PREFIXES = {"production": "vig_live_", "staging": "vig_test_", "development": "vig_test_"}
# Nobody listens on port 1.
NOWHERE = "postgresql+psycopg://postgres@127.0.0.1:1/none"


def sealed(body: str) -> str:
    """Append the checksum as the design describes it: CRC-32 in six base62 digits."""
    number = zlib.crc32(body.encode())
    return body + "".join(ALPHABET[number // 62**power % 62] for power in range(5, -1, -1))


def new_name() -> str:
    """Make up the name of a project that does not exist."""
    return f"project {uuid4().hex}"


keys = st.builds(
    lambda prefix, random: sealed(prefix + random),
    st.sampled_from(sorted(set(PREFIXES.values()))),
    st.text(ALPHABET, min_size=30, max_size=30),
)
characters = st.one_of(st.sampled_from(ALPHABET + "_"), st.characters())


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_key_is_its_prefix_thirty_random_characters_and_its_checksum(environment: str) -> None:
    key = new_key(environment)
    prefix = PREFIXES[environment]
    assert key.startswith(prefix)
    random = key[len(prefix) : -6]
    assert len(random) == 30
    assert set(random) <= set(ALPHABET)
    assert key == sealed(prefix + random)
    assert is_well_formed(key)


def test_no_two_keys_are_the_same_and_all_characters_are_used() -> None:
    made = {new_key("production") for _ in range(1000)}
    assert len(made) == 1000
    assert set("".join(key[9:39] for key in made)) == set(ALPHABET)


@given(keys)
def test_every_key_of_the_form_is_well_formed(key: str) -> None:
    assert is_well_formed(key)


@given(keys, st.data())
def test_every_change_of_one_character_is_detected(key: str, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(key) - 1))
    other = data.draw(characters)
    assume(other != key[position])
    assert not is_well_formed(key[:position] + other + key[position + 1 :])


@given(keys, st.data())
def test_every_swap_of_neighbours_is_detected(key: str, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(key) - 2))
    first, second = key[position], key[position + 1]
    assume(first != second)
    assert not is_well_formed(key[:position] + second + first + key[position + 2 :])


@given(keys, st.data())
def test_every_truncation_and_every_missing_or_added_character_is_detected(
    key: str, data: st.DataObject
) -> None:
    position = data.draw(st.integers(0, len(key) - 1))
    assert not is_well_formed(key[:position])
    assert not is_well_formed(key[position + 1 :])
    assert not is_well_formed(key[:position] + key[position + 1 :])
    assert not is_well_formed(key[:position] + data.draw(characters) + key[position:])
    assert not is_well_formed(key + data.draw(characters))


@pytest.mark.parametrize(
    "text", ["", " ", "\n", "vig_live_", "vig_live_" + "é" * 36, "\ud800", "\0", "a" * 10**6]
)
def test_what_is_no_key_is_not_well_formed(text: str) -> None:
    assert not is_well_formed(text)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_minted_key_is_found_with_its_project_and_environment(engine: Engine, environment: str) -> None:
    name = new_name()
    minted = mint(engine, name, environment, "for the test")
    assert minted.project == name
    assert minted.environment == environment
    assert minted.api_key.startswith(PREFIXES[environment])
    assert minted.key_id.startswith("key_")
    assert minted.project_id.startswith("proj_")
    caller = lookup_on(engine).find(minted.api_key)
    assert caller is not None
    assert (caller.project_id, caller.environment, caller.key_id) == (
        minted.project_id,
        environment,
        minted.key_id,
    )
    assert minted.api_key.startswith(caller.key_hint)
    assert caller.expires_at is None


def test_a_project_has_one_id_however_many_keys_it_has(engine: Engine) -> None:
    name = new_name()
    minted = [mint(engine, name, environment) for environment in ENVIRONMENTS]
    assert len({each.project_id for each in minted}) == 1
    assert len({each.key_id for each in minted}) == len({each.api_key for each in minted}) == 3


def test_projects_whose_names_differ_in_case_are_different_on_both_databases(engine: Engine) -> None:
    name = new_name()
    assert len({mint(engine, each, "staging").project_id for each in (name, name.upper())}) == 2


def test_the_list_tells_all_of_a_key_but_the_key(engine: Engine) -> None:
    minted = mint(engine, new_name(), "staging", "the build server")
    (row,) = [row for row in list_keys(engine) if row.id == minted.key_id]
    assert (row.project.name, row.environment, row.name) == (minted.project, "staging", "the build server")
    assert minted.api_key.startswith(row.hint)
    assert len(minted.api_key) - len(row.hint) >= 22
    assert abs(datetime.now(UTC) - row.created_at) < timedelta(seconds=60)
    assert (row.revoked_at, row.expires_at) == (None, None)


def test_a_revoked_key_stays_in_the_list_with_the_moment_of_its_first_revocation(engine: Engine) -> None:
    minted = mint(engine, new_name(), "production")
    first = revoke(engine, minted.key_id).revoked_at
    assert first is not None
    assert abs(datetime.now(UTC) - first) < timedelta(seconds=60)
    time.sleep(0.01)
    assert revoke(engine, minted.key_id).revoked_at == first
    assert [row.revoked_at for row in list_keys(engine) if row.id == minted.key_id] == [first]


@pytest.mark.parametrize(
    "key_id", ["", "key_", "key_00000000000000000000000000", "'; DROP TABLE api_keys; --"]
)
def test_an_id_of_no_key_cannot_be_revoked(engine: Engine, key_id: str) -> None:
    with pytest.raises(UnknownKey):
        revoke(engine, key_id)


def test_revoking_one_key_leaves_the_others_of_its_project_alone(engine: Engine) -> None:
    name = new_name()
    first, second = mint(engine, name, "production"), mint(engine, name, "production")
    revoke(engine, first.key_id)
    lookup = lookup_on(engine)
    assert lookup.find(first.api_key) is None
    assert lookup.find(second.api_key) is not None


def all_values(engine: Engine) -> Iterator[Any]:
    """Return every value of every row of every table that the database has."""
    metadata = MetaData()
    metadata.reflect(engine)
    assert {"projects", "api_keys"} <= metadata.tables.keys()
    with engine.connect() as connection:
        for table in metadata.tables.values():
            for row in connection.execute(select(table)):
                yield from row


def test_the_database_holds_a_digest_of_the_key_and_nowhere_the_key(engine: Engine) -> None:
    key = mint(engine, new_name(), "production", "named").api_key
    values = [value if isinstance(value, bytes) else str(value).encode() for value in all_values(engine)]
    assert hashlib.sha256(key.encode()).digest() in values
    # Neither whole nor the part that is not shown.
    assert not [value for value in values if key[17:].encode() in value]


def mint_at_once(engine: Engine, name: str, count: int) -> list[Minted | Exception]:
    """Mint keys of one project in threads that start together; give each thread's key or error."""
    together = threading.Barrier(count)

    def one(_: int) -> Minted | Exception:
        together.wait(10)
        try:
            return mint(engine, name, "production")
        except Exception as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


@pytest.mark.parametrize("project", ["new", "known"])
def test_eight_keys_minted_at_once_for_one_project_all_work_and_make_one_project(
    engine: Engine, project: str
) -> None:
    # More than once, because threads meet by chance.
    for _ in range(3):
        name = new_name()
        if project == "known":
            mint(engine, name, "production")
        minted = mint_at_once(engine, name, 8)
        assert [each for each in minted if isinstance(each, Exception)] == []
        done = [each for each in minted if isinstance(each, Minted)]
        assert len({each.project_id for each in done}) == 1
        lookup = lookup_on(engine)
        assert all(lookup.find(each.api_key) for each in done)


def lookup_on(engine: Engine, ttl_s: float = 0.0, stale_s: float = 0.0) -> KeyLookup:
    """Make a lookup; with the defaults it remembers nothing."""
    return KeyLookup(engine, ttl_s=ttl_s, stale_s=stale_s)


def mistyped(key: str) -> str:
    """Return another key of the right form."""
    return sealed(key[:-7] + ("b" if key[-7] == "a" else "a"))


def test_a_key_that_differs_in_its_hidden_part_only_is_unknown(engine: Engine) -> None:
    key = mint(engine, new_name(), "production").api_key
    other = mistyped(key)
    assert is_well_formed(other)
    assert lookup_on(engine).find(other) is None


def test_what_is_not_well_formed_is_refused_without_asking_the_database() -> None:
    engine = make_engine(NOWHERE)
    lookup = lookup_on(engine)
    key = new_key("production")
    for presented in ("", key[:-1], key + "x", key.swapcase(), "\ud800", "x" * 100_000):
        assert lookup.find(presented) is None
    with pytest.raises(KeyStoreUnavailable):
        lookup.find(key)


def test_a_revocation_holds_once_the_time_to_live_is_over(engine: Engine) -> None:
    minted = mint(engine, new_name(), "production")
    lookup = lookup_on(engine, ttl_s=0.5, stale_s=60)
    caller = lookup.find(minted.api_key)
    assert caller is not None
    revoke(engine, minted.key_id)
    assert lookup.find(minted.api_key) == caller
    time.sleep(0.55)
    assert lookup.find(minted.api_key) is None
    assert lookup.find(minted.api_key) is None


def test_a_revocation_holds_at_once_without_a_time_to_live(engine: Engine) -> None:
    minted = mint(engine, new_name(), "production")
    lookup = lookup_on(engine, ttl_s=0, stale_s=60)
    assert lookup.find(minted.api_key)
    revoke(engine, minted.key_id)
    assert lookup.find(minted.api_key) is None


def test_threads_that_share_a_lookup_all_see_a_revocation_in_time(engine: Engine) -> None:
    minted = mint(engine, new_name(), "production")
    lookup = lookup_on(engine, ttl_s=0.2, stale_s=60)
    is_revoked = threading.Event()

    def is_found_in_the_end() -> bool:
        lookup.find(minted.api_key)
        is_revoked.wait(10)
        end = time.monotonic() + 0.5
        found = True
        while time.monotonic() < end:
            found = lookup.find(minted.api_key) is not None
            time.sleep(0.01)
        return found

    with ThreadPoolExecutor(4) as pool:
        users = [pool.submit(is_found_in_the_end) for _ in range(4)]
        revoke(engine, minted.key_id)
        is_revoked.set()
        assert not any(user.result() for user in users)


def test_a_revocation_holds_for_all_who_come_at_once_with_a_key_that_was_idle(engine: Engine) -> None:
    def slowly(*_details: object) -> None:
        time.sleep(0.2)

    minted = mint(engine, new_name(), "production")
    lookup = lookup_on(engine, ttl_s=0.1, stale_s=60)
    assert lookup.find(minted.api_key)
    revoke(engine, minted.key_id)
    time.sleep(0.5)
    event.listen(engine, "before_cursor_execute", slowly)
    try:
        with ThreadPoolExecutor(5) as pool:
            assert list(pool.map(lookup.find, [minted.api_key] * 5)) == [None] * 5
    finally:
        event.remove(engine, "before_cursor_execute", slowly)


def expire(engine: Engine, minted: Minted, at: datetime) -> None:
    """Let a key end at a moment."""
    metadata = MetaData()
    metadata.reflect(engine)
    table = metadata.tables["api_keys"]
    with engine.begin() as connection:
        connection.execute(table.update().where(table.c.id == minted.key_id).values(expires_at=at))


def test_many_keys_looked_up_at_once_for_the_first_time_are_all_found(engine: Engine) -> None:
    name = new_name()
    presented = [mint(engine, name, "production").api_key for _ in range(30)]
    lookup = lookup_on(engine, ttl_s=60, stale_s=60)
    together = threading.Barrier(len(presented))

    def find(key: str) -> bool:
        together.wait(10)
        return lookup.find(key) is not None

    with ThreadPoolExecutor(len(presented)) as pool:
        assert all(pool.map(find, presented))


def test_an_expired_key_is_unknown(engine: Engine) -> None:
    minted = mint(engine, new_name(), "production")
    expire(engine, minted, datetime.now(UTC) - timedelta(seconds=1))
    assert lookup_on(engine).find(minted.api_key) is None


def test_a_key_expires_at_its_moment_also_while_it_is_remembered(engine: Engine) -> None:
    minted = mint(engine, new_name(), "production")
    expire(engine, minted, datetime.now(UTC) + timedelta(seconds=0.4))
    lookup = lookup_on(engine, ttl_s=60, stale_s=60)
    assert lookup.find(minted.api_key)
    time.sleep(0.45)
    assert lookup.find(minted.api_key) is None


class KeyStore:
    """A PostgreSQL of its own, with a minted key, that tests stop and start."""

    def __init__(self, server: Postgres) -> None:
        self.server = server
        self.engine = make_engine(server.new_database())
        upgrade(self.engine)
        self.minted = mint(self.engine, new_name(), "production")

    @contextmanager
    def down(self) -> Iterator[None]:
        """Stop the server for the length of a block."""
        self.server.stop()
        try:
            yield
        finally:
            self.server.start()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Halt the server for the length of a block: it accepts, and answers nothing."""
        self.server.freeze()
        try:
            yield
        finally:
            self.server.thaw()


@pytest.fixture(scope="module")
def key_store() -> Iterator[KeyStore]:
    with Postgres() as server:
        store = KeyStore(server)
        yield store
        dispose(store.engine)


def outcomes_during(seconds: float, find: Callable[[], object]) -> set[str]:
    """Ask again and again for a time, and give the different outcomes."""
    end = time.monotonic() + seconds
    outcomes = set()
    while time.monotonic() < end:
        try:
            outcomes.add("found" if find() else "unknown")
        except KeyStoreUnavailable:
            outcomes.add("unavailable")
        time.sleep(0.02)
    return outcomes


def test_known_keys_go_on_while_the_key_store_is_down_and_unknown_ones_are_neither_taken_nor_refused(
    key_store: KeyStore,
) -> None:
    known = key_store.minted.api_key
    lookup = lookup_on(key_store.engine, ttl_s=0.1, stale_s=60)
    caller = lookup.find(known)
    assert caller
    with key_store.down():
        time.sleep(0.15)
        # For longer than the pause between two questions to the key store.
        assert outcomes_during(1.5, lambda: lookup.find(known) == caller) == {"found"}
        assert outcomes_during(0.1, lambda: lookup.find(new_key("production"))) == {"unavailable"}
        made_up = mistyped(known)
        assert outcomes_during(0.1, lambda: lookup.find(made_up)) == {"unavailable"}
        assert lookup.find("no key at all") is None
    # It recovers without help.
    wait_until(lambda: lookup.find(mistyped(known)) is None, 2, "an unknown key is refused again")
    minted = mint(key_store.engine, new_name(), "production")
    assert lookup.find(minted.api_key)


def test_a_known_key_goes_on_no_longer_than_the_stale_time_while_the_key_store_is_down(
    key_store: KeyStore,
) -> None:
    known = key_store.minted.api_key
    lookup = lookup_on(key_store.engine, ttl_s=0.1, stale_s=0.6)
    assert lookup.find(known)
    asked_at = time.monotonic()
    with key_store.down():
        wait_until(lambda: time.monotonic() > asked_at + 0.4, 2, "the key is stale")
        assert lookup.find(known)
        # The stale time, and a second of grace for the pause between two questions.
        wait_until(lambda: time.monotonic() > asked_at + 1.8, 4, "the stale time is over")
        assert outcomes_during(1.2, lambda: lookup.find(known)) == {"unavailable"}
    wait_until(lambda: lookup.find(known), 2, "the key works again", ignoring=(KeyStoreUnavailable,))


def test_without_a_stale_time_no_key_goes_on_while_the_key_store_is_down(key_store: KeyStore) -> None:
    known = key_store.minted.api_key
    lookup = lookup_on(key_store.engine, ttl_s=0.1, stale_s=0)
    assert lookup.find(known)
    with key_store.down():
        time.sleep(0.15)
        assert outcomes_during(1.2, lambda: lookup.find(known)) == {"unavailable"}


def test_a_key_revoked_before_the_key_store_went_down_stays_revoked(key_store: KeyStore) -> None:
    minted = mint(key_store.engine, new_name(), "production")
    lookup = lookup_on(key_store.engine, ttl_s=0.1, stale_s=60)
    assert lookup.find(minted.api_key)
    revoke(key_store.engine, minted.key_id)
    time.sleep(0.15)
    assert lookup.find(minted.api_key) is None
    with key_store.down():
        assert "found" not in outcomes_during(1.2, lambda: lookup.find(minted.api_key))


def find_within(seconds: float, lookup: KeyLookup, presented: str) -> str:
    """Look a key up in a thread of its own, which may hang, and give the outcome."""
    outcomes = ["no outcome in time"]

    def find() -> None:
        try:
            outcomes.append("found" if lookup.find(presented) else "unknown")
        except KeyStoreUnavailable:
            outcomes.append("unavailable")

    thread = threading.Thread(target=find, daemon=True)
    thread.start()
    thread.join(seconds)
    return outcomes[-1]


def test_a_key_store_that_answers_nothing_holds_up_no_known_key_and_leaves_unknown_ones_unavailable(
    key_store: KeyStore,
) -> None:
    known = key_store.minted.api_key
    lookup = lookup_on(key_store.engine, ttl_s=0.1, stale_s=60)
    assert lookup.find(known)
    with key_store.frozen():
        time.sleep(0.15)
        outcomes = [find_within(3, lookup, key) for key in (known, known, new_key("production"))]
    # What hangs goes on now: let it end before the engine does.
    wait_until(lambda: lookup.find(mistyped(known)) is None, 5, "the key store answers")
    assert outcomes == ["found", "found", "unavailable"]


def test_a_database_that_is_not_migrated_makes_keys_unavailable_not_unknown(empty_database_url: str) -> None:
    engine = make_engine(empty_database_url)
    with pytest.raises(KeyStoreUnavailable, match="flask db upgrade"):
        lookup_on(engine).find(new_key("production"))
    dispose(engine)


def test_made_up_keys_cannot_fill_the_memory_nor_push_out_a_key_in_use(tmp_path: Path) -> None:
    engine = make_engine(f"sqlite:///{tmp_path}/vigilry.db")
    upgrade(engine)
    minted = mint(engine, new_name(), "production")
    lookup = lookup_on(engine, ttl_s=0.5, stale_s=60)

    def flood(count: int) -> int:
        for number in range(count):
            assert lookup.find(new_key("production")) is None
            if number % 100 == 0:
                assert lookup.find(minted.api_key)
        gc.collect()
        return len(gc.get_objects())

    after_many = flood(10_500)
    after_more = flood(3_000)
    assert after_more - after_many < 1000
    # The key in use is still known: without its table it goes on.
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE api_keys"))
    assert lookup.find(minted.api_key)
    dispose(engine)


def test_made_up_keys_that_come_again_and_again_cost_no_look_up_each(tmp_path: Path) -> None:
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        statements.append(statement)

    engine = make_engine(f"sqlite:///{tmp_path}/vigilry.db")
    upgrade(engine)
    minted = mint(engine, new_name(), "production")
    lookup = lookup_on(engine, ttl_s=0)
    made_up = [new_key("production") for _ in range(200)]
    event.listen(engine, "before_cursor_execute", note)
    began = time.monotonic()
    for _ in range(10):
        assert not any(lookup.find(key) for key in made_up)
    # Fifty at once and one more a second are looked up, and the list of keys is read twice a second.
    assert len(statements) <= 50 + 5 + 3 * (time.monotonic() - began)
    wait_until(lambda: lookup.find(minted.api_key), 2, "a key that is there is found meanwhile")
    dispose(engine)
