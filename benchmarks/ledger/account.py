"""The account of a scenario: the senders' responses, compared with the streams."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf

from benchmarks.ledger.answer import ACCEPTED, REFUSED, UNANSWERED, Answer
from benchmarks.ledger.brokers import Entry

# A jobId is the entry's id as one number: milliseconds, then six digits of sequence.
_SEQUENCES = 1_000_000
# With these codes the event may have been stored; with any other code it was not.
_UNCERTAIN = frozenset({"broker_timeout", "broker_not_durable"})


@dataclass(frozen=True)
class Account:
    """The result of a scenario.

    ``sent``, ``acknowledged``, ``missing``, ``duplicates`` and ``belied`` count events, the others requests.
    ``belied`` events were refused with a code that means "not stored", but are on the stream. ``refused`` and
    ``other`` are by error code. ``recovery_s`` is infinite when a sender has not received a 202 again.
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


def settle(answers: Sequence[Answer], entries: Iterable[Entry], fault_ends: Iterable[float]) -> Account:
    """Compare answers with entries, and measure the recovery after each of the times in ``fault_ends``."""
    # Pairs, because streams of different partitions may have entries with the same id.
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
        refused=dict(Counter(answer.code for answer in refused)),
        unanswered=sum(answer.status == UNANSWERED for answer in answers),
        other=dict(Counter(f"{answer.status} {answer.code}" for answer in others)),
        slowest_ms=max(answer.ended_at - answer.sent_at for answer in answers) * 1000,
        recovery_s=max(_recovery_s(accepted, {answer.sender for answer in answers}, at) for at in fault_ends),
    )


def _entry_id(answer: Answer) -> str:
    digits = answer.job_id.removeprefix("bull-")
    if not digits.isdecimal():
        return answer.job_id
    milliseconds, sequence = divmod(int(digits), _SEQUENCES)
    return f"{milliseconds}-{sequence}"


def _belied(answers: Sequence[Answer]) -> set[str]:
    """Return the events for which every response means that they are not stored."""
    uncertain = {answer.event for answer in answers if answer.status != REFUSED or answer.code in _UNCERTAIN}
    return {answer.event for answer in answers} - uncertain


def _recovery_s(accepted: Iterable[Answer], senders: Iterable[str], fault_end: float) -> float:
    """Return the longest time that a sender waited for its first 202 after ``fault_end``.

    By sender, because each has a connection to one worker, and its project is in one partition: so a single
    worker or server that does not recover is detected.
    """
    first = dict.fromkeys(senders, inf)
    for answer in accepted:
        if answer.ended_at >= fault_end:
            first[answer.sender] = min(first[answer.sender], answer.ended_at)
    return max(first.values()) - fault_end
