"""What a sender notes of each request: which event it carried, what came back, and when."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

ACCEPTED = 202
REFUSED = 503
# Instead of a status, where the connection broke before an answer came.
UNANSWERED = 0


class Answer(NamedTuple):
    """One request and its outcome; moments are seconds on the machine's monotonic clock.

    ``event`` is the event's unique id, ``word`` a refusal's code, ``sender`` names the client connection;
    ``keyed`` when an Idempotency-Key was sent.
    """

    event: str
    sender: str
    keyed: bool
    sent_at: float
    ended_at: float
    status: int
    word: str
    job_id: str


def write_answers(path: Path, answers: Iterable[Answer]) -> None:
    """Write answers into a file, a line each."""
    with path.open("w") as file:
        file.writelines(json.dumps(answer) + "\n" for answer in answers)


def read_answers(path: Path) -> Iterator[Answer]:
    """Read what `write_answers` wrote."""
    with path.open() as file:
        for line in file:
            yield Answer(*json.loads(line))
