"""Checks of an account against the product's promises."""

from benchmarks.ledger.account import Account
from benchmarks.ledger.stage import PUBLISH_TIMEOUT_MS, Scenario

MAX_RESPONSE_MS = PUBLISH_TIMEOUT_MS + 500
MAX_RECOVERY_S = 3.0


def broken_promises(scenario: Scenario, account: Account) -> list[str]:
    """Return a sentence for each broken promise."""
    faults = {
        f"{account.missing} acknowledged events are missing": account.missing and not scenario.loses,
        f"{account.duplicates} duplicates": account.duplicates and not scenario.doubles,
        f"{account.belied} events were refused as not stored, and are stored": account.belied,
        f"{account.unanswered} requests got no response": account.unanswered and not scenario.kills_workers,
        f"responses other than 202 and 503: {account.other}": account.other,
        f"a response took {account.slowest_ms:.0f} ms, more than {MAX_RESPONSE_MS}": (
            account.slowest_ms > MAX_RESPONSE_MS
        ),
        f"recovery took {account.recovery_s:.1f} s, more than {MAX_RECOVERY_S:g}": (
            account.recovery_s > MAX_RECOVERY_S
        ),
    }
    return [text for text, is_broken in faults.items() if is_broken] + _inconclusive(scenario, account)


def _inconclusive(scenario: Scenario, account: Account) -> list[str]:
    """Return a sentence for each reason why the scenario proves nothing."""
    effects = account.refused.keys() | ({"unanswered"} if account.unanswered else set())
    faults = {
        "nothing was acknowledged": not account.acknowledged,
        f"the fault had no effect: no response was one of {sorted(scenario.effects)}": (
            scenario.effects.isdisjoint(effects)
        ),
        "the ledger has not detected the loss of the control": (scenario.loses and not account.missing),
        "the ledger has not detected the duplicates of the control": (
            scenario.doubles and not account.duplicates
        ),
    }
    return [text for text, is_broken in faults.items() if is_broken]
