"""The account of a scenario: what senders were told, against what stands on the streams."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf

from benchmarks.ledger.answer import ACCEPTED, REFUSED, UNANSWERED, Answer
from benchmarks.ledger.brokers import Entry

# A jobId is the entry's own id as one number: milliseconds, then six digits of sequence.
_SEQUENCES = 1_000_000
# With these words a refusal says that the event may have been stored; with any other, that it was not.
_UNCERTAIN = frozenset({"broker_timeout", "broker_not_durable"})


@dataclass(frozen=True)
class Account:
    """What came of a scenario.

    ``sent``, ``acknowledged``, ``missing``, ``duplicates`` and ``belied`` count events, the others requests.
    ``belied`` are events that were refused as not stored, and stand on the stream. ``refused`` and ``other``
    are by word. ``recovery_s`` is infinite when a sender was never answered 202 again.
    """

    sent: int
    acknowledged: int
    missing: int
    duplicates: int
    belied: int
    refused: dict[str, int]
    unanswered: int
    other: dict[str, int]
    slowest_ms: float
    recovery_s: float


def settle(answers: Sequence[Answer], entries: Iterable[Entry], backs: Iterable[float]) -> Account:
    """Compare answers with entries, and find how long it took after each of the moments ``backs``."""
    # Pairs, because streams of different partitions may give out the same id.
    stored = Counter((entry.id, entry.event) for entry in entries)
    copies = Counter(event for _, event in stored.elements())
    accepted = [answer for answer in answers if answer.status == ACCEPTED]
    refused = [answer for answer in answers if answer.status == REFUSED]
    missing = {answer.event for answer in accepted if (_entry_id(answer), answer.event) not in stored}
    others = [answer for answer in answers if answer.status not in (ACCEPTED, REFUSED, UNANSWERED)]
    return Account(
        sent=len({answer.event for answer in answers}),
        acknowledged=len({answer.event for answer in accepted}),
        missing=len(missing),
        duplicates=sum(count - 1 for count in copies.values()),
        belied=len(_belied(answers) & copies.keys()),
        refused=dict(Counter(answer.word for answer in refused)),
        unanswered=sum(answer.status == UNANSWERED for answer in answers),
        other=dict(Counter(f"{answer.status} {answer.word}" for answer in others)),
        slowest_ms=max(answer.ended_at - answer.sent_at for answer in answers) * 1000,
        recovery_s=max(_recovery_s(accepted, {answer.sender for answer in answers}, at) for at in backs),
    )


def _entry_id(answer: Answer) -> str:
    digits = answer.job_id.removeprefix("bull-")
    if not digits.isdecimal():
        return answer.job_id
    milliseconds, sequence = divmod(int(digits), _SEQUENCES)
    return f"{milliseconds}-{sequence}"


def _belied(answers: Sequence[Answer]) -> set[str]:
    """Find the events whose every answer was that they are not stored."""
    hopeful = {answer.event for answer in answers if answer.status != REFUSED or answer.word in _UNCERTAIN}
    return {answer.event for answer in answers} - hopeful


def _recovery_s(accepted: Iterable[Answer], senders: Iterable[str], back_at: float) -> float:
    """Give the longest that any sender waited for its first 202 after ``back_at``.

    By sender, because each holds a connection to one worker, and its project has one partition: a worker or
    a server that is left behind is found, however well the others do.
    """
    first = dict.fromkeys(senders, inf)
    for answer in accepted:
        if answer.ended_at >= back_at:
            first[answer.sender] = min(first[answer.sender], answer.ended_at)
    return max(first.values()) - back_at
