"""The load: sender processes against one service, and their recorded answers."""

import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Self
from uuid import uuid4

from benchmarks.ledger.answer import Answer, read_answers
from benchmarks.ledger.sender import Plan
from tests.fixtures.servers.gunicorn import ROOT, Service
from tests.fixtures.servers.process import Process

_PROCESSES = 2
_CONNECTIONS = 24
# The fourth of each project's four connections sends Idempotency-Keys.
_KEYED_OF = 4


class _SenderProcess(Process):
    """Run benchmarks.ledger.sender in the repository's root."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(cwd=ROOT)
        self.command = [sys.executable, "-m", "benchmarks.ledger.sender", str(self.folder)]
        (self.folder / "plan.json").write_text(json.dumps(plan))

    def answers(self) -> list[Answer]:
        """Return the recorded answers; the process must have exited."""
        path = self.folder / "answers.jsonl"
        if not path.exists():
            raise RuntimeError(f"a sender exited without its answers\n{self.log_text()}")
        return list(read_answers(path))


class Load:
    """Run senders, as a context manager; ``finish`` stops them and returns their answers."""

    def __init__(
        self,
        service: Service,
        api_keys: Sequence[str],
        *,
        pause_s: float = 0.015,
        padding_bytes: int = 0,
        blind: bool = False,
    ) -> None:
        host, _, port = service.bind.rpartition(":")
        run = uuid4().hex[:8]
        projects = len(api_keys)
        connections = [
            (
                f"{run}.{number}",
                api_keys[number % projects],
                (number // projects) % _KEYED_OF == _KEYED_OF - 1,
            )
            for number in range(_CONNECTIONS)
        ]
        if blind:
            connections = [(name, api_key, False) for name, api_key, _ in connections]
        self._processes = [
            _SenderProcess(
                Plan(host, int(port), connections[first::_PROCESSES], pause_s, padding_bytes, blind)
            )
            for first in range(_PROCESSES)
        ]
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for process in self._processes:
                stack.enter_context(process)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    def finish(self) -> list[Answer]:
        """Stop the senders after their current requests, and return all answers."""
        for process in self._processes:
            if not process.alive:
                raise RuntimeError(f"a sender exited too early\n{process.log_text()}")
        for process in self._processes:
            process.stop()
        return [answer for process in self._processes for answer in process.answers()]
