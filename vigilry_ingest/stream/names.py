"""Names on the broker, and the jobId that callers know an entry by."""

import re
import zlib

# Six digits for the sequence: a broker would have to append a million entries within one millisecond of its
# clock to need a seventh.
_SEQUENCES = 1_000_000
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
    """Write an entry's id, ``<milliseconds>-<sequence>``, as ``bull-`` and one number of at most 63 bits."""
    milliseconds, _, sequence = entry_id.partition(b"-")
    return f"bull-{int(milliseconds) * _SEQUENCES + int(sequence)}"


def entry_id_of(job_id: str) -> str | None:
    """Read a jobId back into the id of its entry, or None when it is no jobId."""
    match = _JOB_ID.fullmatch(job_id)
    if match is None:
        return None
    milliseconds, sequence = divmod(int(match[1]), _SEQUENCES)
    return f"{milliseconds}-{sequence}"


def marker_key(partition: int, project_id: str, scope: str, key: str) -> str:
    """Name what remembers an idempotency key; scopes hold no colon, so no two keys share a name."""
    return f"vigilry:{{{partition}}}:once:{project_id}:{scope}:{key}"
