"""Redis keys, and the conversion between entry ids and jobIds."""

import re
import zlib

# The group of the default worker; job statuses are those of this group.
DEFAULT_GROUP = "store"

# Six digits for the sequence are enough: no broker appends a million entries within a millisecond.
_SEQUENCES = 1_000_000
_ENTRY_ID = re.compile(rb"([0-9]{1,16})-([0-9]{1,20})")
_GROUP = re.compile(r"[A-Za-z0-9._:-]{1,100}")
_JOB_ID = re.compile(r"bull-(0|[1-9][0-9]{0,18})", re.ASCII)


def partition_of(project_id: str, partitions: int) -> int:
    """Return a project's partition, which never changes so that its events stay in order."""
    return zlib.crc32(project_id.encode()) % partitions


def events_key(partition: int) -> str:
    """Return the key of a partition's stream; the braces keep all keys of a partition in one cluster slot."""
    return f"vigilry:{{{partition}}}:events"


def size_key(partition: int) -> str:
    """Return the key of the counter of the bytes of a partition's stream; see entry_size.lua."""
    return f"vigilry:{{{partition}}}:size"


def dead_key(partition: int) -> str:
    """Return the key of a partition's dead-letter stream."""
    return f"vigilry:{{{partition}}}:dead"


def job_id_of(entry_id: bytes) -> str:
    """Convert an entry id, ``<milliseconds>-<sequence>``, to ``bull-`` and a number of at most 63 bits.

    Raises ValueError.
    """
    milliseconds, sequence = order_of(entry_id)
    return f"bull-{milliseconds * _SEQUENCES + sequence}"


def order_of(entry_id: bytes) -> tuple[int, int]:
    """Return an entry id as numbers, which compare in the order of the stream.

    Raises ValueError.
    """
    milliseconds, _, sequence = entry_id.partition(b"-")
    return int(milliseconds), int(sequence)


def is_entry_id(text: bytes) -> bool:
    """Return whether a text has the form of an entry id."""
    return _ENTRY_ID.fullmatch(text) is not None


def job_number_of(job_id: str) -> int | None:
    """Return the number in a jobId, or None for an invalid jobId."""
    match = _JOB_ID.fullmatch(job_id)
    return int(match[1]) if match and int(match[1]) < 2**63 else None


def entry_id_of(job_id: str) -> str | None:
    """Convert a jobId to the id of its entry, or None for an invalid jobId."""
    number = job_number_of(job_id)
    if number is None:
        return None
    milliseconds, sequence = divmod(number, _SEQUENCES)
    return f"{milliseconds}-{sequence}"


def is_group_name(text: str) -> bool:
    """Return whether a name is allowed for a new consumer group."""
    return _GROUP.fullmatch(text) is not None


def marker_key(partition: int, project_id: str, environment: str, scope: str, key: str) -> str:
    """Return the key of an idempotency marker; unambiguous, as only the last part may contain a colon."""
    return f"vigilry:{{{partition}}}:once:{project_id}:{environment}:{scope}:{key}"


def quota_key(partition: int, project_id: str) -> str:
    """Return the key of a project's quota counter."""
    return f"vigilry:{{{partition}}}:quota:{project_id}"


def dead_index_key(partition: int) -> str:
    """Return the key of the hash from a group and an entry id to the dead letter."""
    return f"vigilry:{{{partition}}}:dead:index"


def lease_key(partition: int, group: str) -> str:
    """Return the key of the lease that names the worker holding a partition for a group."""
    return f"vigilry:{{{partition}}}:lease:{group}"


def members_key(group: str) -> str:
    """Return the key of the sorted set of a group's live workers."""
    return f"vigilry:members:{group}"
