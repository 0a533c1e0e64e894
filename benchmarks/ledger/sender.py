"""A process with several client connections, each of which sends unique events.

``python -m benchmarks.ledger.sender FOLDER`` reads FOLDER/plan.json, sends until SIGTERM, and writes
FOLDER/answers.jsonl.
"""

import json
import os
import signal
import sys
import threading
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import NamedTuple

from benchmarks.ledger.answer import ACCEPTED, UNANSWERED, Answer, write_answers

# Far above the promised limit, so that slow responses are measured and not cut off.
_CLIENT_TIMEOUT_S = 30.0
# Short, to measure the recovery precisely, and long enough not to overload the service.
_REFUSED_PAUSE_S = 0.05
# How long refused events are retried after the load has ended.
_GRACE_S = 5.0
# Senders exit after this time, even if the ledger has crashed.
_MAX_S = 180.0


class Plan(NamedTuple):
    """The load of one process.

    Parameters:
        connections: for each a name, an API key, and whether to send Idempotency-Keys
        pause_s: seconds between two events of a connection
        blind: retry without an Idempotency-Key, which creates duplicates
    """

    host: str
    port: int
    connections: list[tuple[str, str, bool]]
    pause_s: float
    padding_bytes: int
    blind: bool


class Sender:
    """A client connection with keep-alive, and its recorded answers."""

    def __init__(self, plan: Plan, name: str, api_key: str, keyed: bool, ending: threading.Event) -> None:
        self.answers: list[Answer] = []
        self._plan = plan
        self._name = name
        self._api_key = api_key
        self._keyed = keyed
        self._ending = ending
        self._given_up_at: float | None = None
        self._connection = HTTPConnection(plan.host, plan.port, timeout=_CLIENT_TIMEOUT_S)

    def run(self) -> None:
        """Send events until the load ends; retry refused ones if the connection uses keys."""
        number = 0
        accepted = True
        # The last event must be accepted, so that the recovery is measured even if the load ends early.
        while not self._ending.is_set() or (not accepted and time.monotonic() < self._grace_until()):
            number += 1
            event = f"{self._name}-{number}"
            accepted = self._post(event)
            if not accepted and (self._keyed or self._plan.blind):
                accepted = self._retry(event)
            if accepted and self._keyed:
                # A repeated request must return this event's jobId, and must not append an entry.
                accepted = self._post(event)
            self._ending.wait(self._plan.pause_s if accepted else _REFUSED_PAUSE_S)
        self._connection.close()

    def _retry(self, event: str) -> bool:
        while not self._ending.is_set() or time.monotonic() < self._grace_until():
            time.sleep(_REFUSED_PAUSE_S)
            if self._post(event):
                return True
        return False

    def _grace_until(self) -> float:
        if self._given_up_at is None:
            self._given_up_at = time.monotonic() + _GRACE_S
        return self._given_up_at

    def _post(self, event: str) -> bool:
        body = {"type": "ledger", "severity": "INFO", "message": "ledger"}
        payload = {"id": event, "padding": "x" * self._plan.padding_bytes}
        headers = {"Content-Type": "application/json", "X-Api-Key": self._api_key, "X-Request-Id": event}
        if self._keyed:
            headers["Idempotency-Key"] = event
        sent_at = time.monotonic()
        status, code, job_id = self._exchange(json.dumps(body | {"payload": payload}).encode(), headers)
        ended_at = time.monotonic()
        self.answers.append(Answer(event, self._name, self._keyed, sent_at, ended_at, status, code, job_id))
        return status == ACCEPTED

    def _exchange(self, body: bytes, headers: dict[str, str]) -> tuple[int, str, str]:
        try:
            self._connection.request("POST", "/ingest/events", body, headers)
            response = self._connection.getresponse()
            text = response.read()
        except (OSError, HTTPException) as error:
            self._connection.close()
            return UNANSWERED, type(error).__name__, ""
        try:
            answer = json.loads(text)
            return response.status, str(answer.get("code", "")), str(answer.get("jobId", ""))
        except ValueError:
            return response.status, "not JSON", ""


def main(folder: Path) -> None:
    """Send according to FOLDER/plan.json until SIGTERM."""
    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    # Ctrl-C reaches every process of the terminal, but the ledger stops this one itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    plan = Plan(*json.loads((folder / "plan.json").read_text()))
    senders = [Sender(plan, name, api_key, keyed, ending) for name, api_key, keyed in plan.connections]
    threads = [threading.Thread(target=sender.run) for sender in senders]
    for thread in threads:
        thread.start()
    parent, until = os.getppid(), time.monotonic() + _MAX_S
    while not ending.wait(0.5):
        if os.getppid() != parent or time.monotonic() > until:
            ending.set()
    for thread in threads:
        thread.join()
    write_answers(folder / "answers.jsonl", (answer for sender in senders for answer in sender.answers))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
