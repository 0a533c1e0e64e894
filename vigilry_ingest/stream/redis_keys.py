"""Names on the broker, and the jobId that callers know an entry by."""

import re
import zlib

# The group of the default worker, whose word it is that an event is processed.
DEFAULT_GROUP = "store"

# Six digits for the sequence: a broker would have to append a million entries within one millisecond of its
# clock to need a seventh.
_SEQUENCES = 1_000_000
_ENTRY_ID = re.compile(rb"([0-9]{1,16})-([0-9]{1,20})")
_GROUP = re.compile(r"[A-Za-z0-9._:-]{1,100}")
_JOB_ID = re.compile(r"bull-(0|[1-9][0-9]{0,18})", re.ASCII)


def partition_of(project_id: str, partitions: int) -> int:
    """Choose a project's partition; the same for ever, so that its events stay in order."""
    return zlib.crc32(project_id.encode()) % partitions


def events_key(partition: int) -> str:
    """Name a partition's stream; the braces keep all keys of a partition in one Redis Cluster slot."""
    return f"vigilry:{{{partition}}}:events"


def dead_key(partition: int) -> str:
    """Name a partition's dead-letter stream."""
    return f"vigilry:{{{partition}}}:dead"


def job_id_of(entry_id: bytes) -> str:
    """Write an entry's id, ``<milliseconds>-<sequence>``, as ``bull-`` and one number of at most 63 bits.

    Raises ValueError.
    """
    milliseconds, sequence = order_of(entry_id)
    return f"bull-{milliseconds * _SEQUENCES + sequence}"


def order_of(entry_id: bytes) -> tuple[int, int]:
    """Give an entry's id as numbers, which compare as the broker orders the entries of a stream.

    Raises ValueError.
    """
    milliseconds, _, sequence = entry_id.partition(b"-")
    return int(milliseconds), int(sequence)


def is_entry_id(text: bytes) -> bool:
    """Tell whether a text has the form of an entry's id."""
    return _ENTRY_ID.fullmatch(text) is not None


def job_number_of(job_id: str) -> int | None:
    """Give a jobId's number, or None when it is no jobId."""
    match = _JOB_ID.fullmatch(job_id)
    return int(match[1]) if match and int(match[1]) < 2**63 else None


def entry_id_of(job_id: str) -> str | None:
    """Read a jobId back into the id of its entry, or None when it is no jobId."""
    number = job_number_of(job_id)
    if number is None:
        return None
    milliseconds, sequence = divmod(number, _SEQUENCES)
    return f"{milliseconds}-{sequence}"


def is_group_name(text: str) -> bool:
    """Tell whether a consumer group may be made under a name: one that can be typed, and told from others."""
    return _GROUP.fullmatch(text) is not None


def marker_key(partition: int, project_id: str, environment: str, scope: str, key: str) -> str:
    """Name what remembers an idempotency key; only the key may hold a colon, so no two share a name."""
    return f"vigilry:{{{partition}}}:once:{project_id}:{environment}:{scope}:{key}"


def quota_key(partition: int, project_id: str) -> str:
    """Name what counts a project's events against its quota."""
    return f"vigilry:{{{partition}}}:quota:{project_id}"


def dead_index_key(partition: int) -> str:
    """Name the hash that leads from a group and an entry's id to its dead letter."""
    return f"vigilry:{{{partition}}}:dead:index"


def lease_key(partition: int, group: str) -> str:
    """Name what tells which worker of a group has a partition."""
    return f"vigilry:{{{partition}}}:lease:{group}"


def members_key(group: str) -> str:
    """Name the set of a group's workers that are alive."""
    return f"vigilry:members:{group}"
