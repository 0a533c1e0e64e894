"""What the product promises, held against an account."""

from benchmarks.ledger.account import Account
from benchmarks.ledger.stage import PUBLISH_TIMEOUT_MS, Scenario

MOST_SLOW_MS = PUBLISH_TIMEOUT_MS + 500
MOST_RECOVERY_S = 3.0


def broken_promises(scenario: Scenario, account: Account) -> list[str]:
    """Say, a sentence each, which promises the account shows to be broken; none when all were kept."""
    faults = {
        f"{account.missing} acknowledged events are missing": account.missing and not scenario.loses,
        f"{account.duplicates} duplicates": account.duplicates and not scenario.doubles,
        f"{account.belied} events were refused as not stored, and are stored": account.belied,
        f"{account.unanswered} requests got no answer": account.unanswered and not scenario.kills_workers,
        f"answers that are neither 202 nor 503: {account.other}": account.other,
        f"an answer took {account.slowest_ms:.0f} ms, more than {MOST_SLOW_MS}": (
            account.slowest_ms > MOST_SLOW_MS
        ),
        f"recovery took {account.recovery_s:.1f} s, more than {MOST_RECOVERY_S:g}": (
            account.recovery_s > MOST_RECOVERY_S
        ),
    }
    return [text for text, is_broken in faults.items() if is_broken] + _blindness(scenario, account)


def _blindness(scenario: Scenario, account: Account) -> list[str]:
    """Say where the scenario itself has proved nothing."""
    felt = account.refused.keys() | ({"unanswered"} if account.unanswered else set())
    faults = {
        "nothing was acknowledged": not account.acknowledged,
        f"the fault was not felt: no answer was one of {sorted(scenario.felt)}": not felt & scenario.felt,
        "the ledger is blind: it found no loss where there must be one": (
            scenario.loses and not account.missing
        ),
        "the ledger is blind: it found no duplicate where there must be one": (
            scenario.doubles and not account.duplicates
        ),
    }
    return [text for text, is_broken in faults.items() if is_broken]
