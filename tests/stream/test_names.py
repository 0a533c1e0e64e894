"""Names on the broker: what outsiders depend on stays as it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.crc import key_slot

from vigilry_ingest.stream.redis_keys import (
    dead_key,
    entry_id_of,
    events_key,
    is_group_name,
    job_id_of,
    marker_key,
    partition_of,
)

# The last millisecond of the year 2261: beyond it a jobId would not fit 63 bits.
LAST_MS = 9_214_646_399_999

entry_ids = st.tuples(st.integers(0, LAST_MS), st.integers(0, 999_999))
project_ids = st.from_regex(r"proj_[0-9A-HJKMNP-TV-Z]{26}", fullmatch=True)


def entry_id(pair: tuple[int, int]) -> str:
    return f"{pair[0]}-{pair[1]}"


def number_of(job_id: str) -> int:
    assert job_id.startswith("bull-")
    return int(job_id.removeprefix("bull-"))


@given(entry_ids)
def test_a_job_id_leads_back_to_its_entry(pair: tuple[int, int]) -> None:
    assert entry_id_of(job_id_of(entry_id(pair).encode())) == entry_id(pair)


@given(entry_ids, entry_ids)
def test_job_ids_sort_as_their_entries(one: tuple[int, int], other: tuple[int, int]) -> None:
    first, second = (number_of(job_id_of(entry_id(each).encode())) for each in (one, other))
    assert (first < second, first == second) == (one < other, one == other)


@given(entry_ids)
def test_a_job_id_fits_63_bits_and_has_digits_only(pair: tuple[int, int]) -> None:
    job_id = job_id_of(entry_id(pair).encode())
    assert job_id.removeprefix("bull-").isdigit()
    assert number_of(job_id) < 2**63


def test_a_job_id_is_written_as_the_contract_has_it() -> None:
    assert job_id_of(b"1795429308502-7") == "bull-1795429308502000007"
    assert entry_id_of("bull-1795429308502000007") == "1795429308502-7"
    assert entry_id_of("bull-0") == "0-0"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "bull-",
        "bull",
        "1795429308502000007",
        "BULL-1795429308502000007",
        "bull-01795429308502000007",
        "bull-1795429308502000007 ",
        " bull-1795429308502000007",
        "bull-1795429308502000007\n",
        "bull--1795429308502000007",
        "bull-+1795429308502000007",
        "bull-1_795_429",
        "bull-17954293085020e3",
        "bull-1795429308502.5",
        "bull-1795429308502-7",
        # Digits of other scripts are digits to Python.
        "bull-١٢٣",
        "bull-²",
        "bull-9223372036854775808",
        "bull-9999999999999999999",
        "bull-" + "9" * 20,
        "bull-" + "9" * 5000,
    ],
)
def test_what_is_no_job_id_leads_nowhere(text: str) -> None:
    assert entry_id_of(text) is None


@given(st.text())
def test_any_text_leads_nowhere_or_is_the_job_id_of_where_it_leads(text: str) -> None:
    for candidate in (text, f"bull-{text}"):
        found = entry_id_of(candidate)
        assert found is None or job_id_of(found.encode()) == candidate


@pytest.mark.parametrize(
    ("project_id", "partitions", "partition"),
    [
        # These never change: a project whose partition moved would lose its order, and its jobs.
        ("proj_01KB0000000000000000000000", 1, 0),
        ("proj_01KB0000000000000000000000", 3, 1),
        ("proj_01KB0000000000000000000000", 16, 6),
        ("proj_01KB0000000000000000000001", 16, 0),
        ("proj_01KB0000000000000000000002", 16, 10),
        ("proj_01KB0000000000000000000000", 4096, 2102),
    ],
)
def test_a_projects_partition_is_the_same_for_ever(project_id: str, partitions: int, partition: int) -> None:
    assert partition_of(project_id, partitions) == partition


@given(project_ids, st.integers(1, 4096))
def test_a_partition_exists(project_id: str, partitions: int) -> None:
    assert 0 <= partition_of(project_id, partitions) < partitions


@pytest.mark.parametrize("partitions", [2, 7, 16])
def test_projects_made_one_after_the_other_spread_over_the_partitions(partitions: int) -> None:
    each = 500
    counts = [0] * partitions
    for number in range(each * partitions):
        counts[partition_of(f"proj_01KB{number:022}", partitions)] += 1
    assert min(counts) > each * 0.7
    assert max(counts) < each * 1.3


@given(st.integers(0, 4095), project_ids, st.text(max_size=255))
def test_all_keys_of_a_partition_share_a_cluster_slot(partition: int, project_id: str, key: str) -> None:
    names = [
        events_key(partition),
        dead_key(partition),
        marker_key(partition, project_id, "staging", "event", key),
    ]
    assert len({key_slot(name.encode("utf-8", "surrogatepass")) for name in names}) == 1


def test_partitions_spread_over_the_slots_of_a_cluster() -> None:
    thirds = {key_slot(events_key(partition).encode()) * 3 // 16384 for partition in range(8)}
    assert thirds == {0, 1, 2}


@pytest.mark.parametrize("name", ["store", "chat-2", "a.b_c:D", "x" * 100])
def test_a_group_may_have_a_name_that_can_be_typed(name: str) -> None:
    assert is_group_name(name)


@pytest.mark.parametrize("name", ["", " ", "a b", "a\n", "a{0}", "größe", "x" * 101, "a/b"])
def test_a_group_may_have_no_other_name(name: str) -> None:
    assert not is_group_name(name)


def test_streams_are_named_as_the_design_says() -> None:
    assert events_key(0) == "vigilry:{0}:events"
    assert dead_key(12) == "vigilry:{12}:dead"


whose = st.tuples(
    project_ids,
    st.sampled_from(["production", "staging"]),
    st.sampled_from(["event", "stripe", "stripe-id"]),
    st.text(),
)


@given(whose, whose)
def test_no_two_idempotency_keys_share_a_name(
    one: tuple[str, str, str, str], other: tuple[str, str, str, str]
) -> None:
    assert (marker_key(0, *one) == marker_key(0, *other)) == (one == other)
