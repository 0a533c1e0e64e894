"""Group commit: concurrent callers of one process share one exchange with the broker."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from vigilry_ingest.stream.errors import PublishError, not_answered, not_sent

Item = TypeVar("Item")
Reply = TypeVar("Reply")

# So that one exchange stays far below the deadline whatever has piled up behind a slow one.
MOST_IN_GROUP = 256


class _Member(Generic[Item, Reply]):
    """One caller: it waits at its gate until it is answered, or is told to lead a group."""

    __slots__ = ("answer", "gate", "group", "item")

    def __init__(self, item: Item) -> None:
        self.item = item
        self.gate = threading.Lock()
        self.gate.acquire()
        self.group: list[_Member[Item, Reply]] | None = None
        self.answer: Reply | PublishError | None = None


class GroupCommit(Generic[Item, Reply]):
    """Whoever finds nobody leading becomes the leader, exchanges all that waits, and passes the lead on.

    A caller that is alone exchanges at once; there is no timer and no thread. Nothing but locks is used, so
    it is right under threads, under gevent (whose locks replace these), and in a synchronous worker.
    ``exchange`` gets the items of a group and a deadline on the monotonic clock; it returns an answer for
    each, a PublishError being that item's alone, or raises PublishError for all of them.
    """

    def __init__(self, exchange: Callable[[Sequence[Item], float], Sequence[Reply | PublishError]]) -> None:
        self._exchange = exchange
        self._mutex = threading.Lock()
        self._led = False
        self._waiting: list[_Member[Item, Reply]] = []

    def submit(self, item: Item, deadline: float) -> Reply:
        """Exchange one item, alone or in a group, and return its reply by the deadline.

        Raises PublishError: the item's own, the group's, or ``broker_timeout``.
        """
        member: _Member[Item, Reply] = _Member(item)
        is_first = False
        with self._mutex:
            if self._led:
                self._waiting.append(member)
            else:
                self._led = True
                is_first = True
        if is_first: self._gather(member)
        else:
            self._wait(member, deadline)
        if member.group is not None:
            self._lead(member.group, deadline)
        if member.answer is None:
            raise not_answered()
        if isinstance(member.answer, PublishError):
            raise member.answer
        return member.answer

    def _gather(self, member):
        try:
            time.sleep(0)
        except BaseException:
            self._pass_on()
            raise
        with self._mutex:
            member.group = [member, *self._waiting[: MOST_IN_GROUP - 1]]
            del self._waiting[: MOST_IN_GROUP - 1]

    def _wait(self, member: _Member[Item, Reply], deadline: float) -> None:
        try:
            is_called = member.gate.acquire(timeout=max(deadline - time.monotonic(), 0))
        except BaseException:
            # The caller is being stopped, by a signal or by gevent. Was it just told to lead, then somebody
            # else must, or nobody ever would again.
            self._leave(member)
            if member.group is not None:
                self._settle(member.group, [not_sent()] * len(member.group))
            raise
        if not is_called:
            self._leave(member)

    def _leave(self, member: _Member[Item, Reply]) -> None:
        with self._mutex:
            if member in self._waiting:
                self._waiting.remove(member)
                member.answer = not_sent("The broker is too slow; the event was not sent.")

    def _lead(self, group: list[_Member[Item, Reply]], deadline: float) -> None:
        answers: Sequence[Reply | PublishError] = [not_answered()] * len(group)
        try:
            answers = self._exchange([member.item for member in group], deadline)
        except PublishError as error:
            answers = [error] * len(group)
        finally:
            # Also when the leader is being stopped in the middle: nobody is left to wait for it.
            self._settle(group, answers)

    def _settle(self, group: list[_Member[Item, Reply]], answers: Sequence[Reply | PublishError]) -> None:
        """Pass the lead on first, so that the next group is under way, and hand out the answers."""
        self._pass_on()
        for member, answer in zip(group, answers, strict=True):
            member.answer = answer
            if member.gate.locked():
                member.gate.release()

    def _pass_on(self) -> None:
        with self._mutex:
            if not self._waiting:
                self._led = False
                return
            group = self._waiting[:MOST_IN_GROUP]
            del self._waiting[:MOST_IN_GROUP]
            # The youngest leads, because it has the most time left: an elder's deadline must not cut short
            # the exchange of those who came after it.
            leader = group[-1]
            leader.group = group
            leader.gate.release()
