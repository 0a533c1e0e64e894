"""A sender's record of a request: its event, the response, and the times."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

ACCEPTED = 202
REFUSED = 503
# Instead of a status, when the connection broke before the response.
UNANSWERED = 0


class Answer(NamedTuple):
    """One request and its outcome; times are seconds on the monotonic clock.

    Parameters:
        event: the event's unique id
        sender: the name of the client connection
        keyed: whether an Idempotency-Key was sent
        code: the error code of a refusal
    """

    event: str
    sender: str
    keyed: bool
    sent_at: float
    ended_at: float
    status: int
    code: str
    job_id: str


def write_answers(path: Path, answers: Iterable[Answer]) -> None:
    """Write answers to a file, one per line."""
    with path.open("w") as file:
        file.writelines(json.dumps(answer) + "\n" for answer in answers)


def read_answers(path: Path) -> Iterator[Answer]:
    """Read answers from a file of ``write_answers``."""
    with path.open() as file:
        for line in file:
            yield Answer(*json.loads(line))
