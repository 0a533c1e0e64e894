"""Load over HTTP: senders that keep their connections, and note what came back of every request."""

import json
import threading
import time
from collections import Counter
from http.client import HTTPConnection, HTTPException
from types import TracebackType
from typing import NamedTuple, Self
from urllib.parse import urlsplit

# Far above what a request may take, so that the slowest is measured and not cut off.
_PATIENCE_S = 40.0


class Sent(NamedTuple):
    """One request: the status or the error that came back, and the seconds that it took."""

    outcome: int | str
    took_s: float


class Load:
    """Post events to `url` from several connections, as a context manager; no request is tried twice."""

    def __init__(self, url: str, api_key: str, *, connections: int = 8, pause_s: float = 0.0) -> None:
        self.sent: list[Sent] = []
        self._address = urlsplit(url).netloc
        self._headers = {"Content-Type": "application/json", "X-Api-Key": api_key}
        self._pause_s = pause_s
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._send, args=(n,)) for n in range(connections)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()

    def outcomes(self) -> Counter[int | str]:
        """Count what came back so far."""
        return Counter(sent.outcome for sent in self.sent)

    def _send(self, name: int) -> None:
        connection = HTTPConnection(self._address, timeout=_PATIENCE_S)
        number = 0
        while not self._ending.is_set():
            number += 1
            body = json.dumps({"type": "load", "severity": "INFO", "message": f"{name}-{number}"})
            began = time.monotonic()
            outcome = self._post(connection, body)
            self.sent.append(Sent(outcome, time.monotonic() - began))
            self._ending.wait(self._pause_s)
        connection.close()

    def _post(self, connection: HTTPConnection, body: str) -> int | str:
        try:
            connection.request("POST", "/ingest/events", body, self._headers)
            answer = connection.getresponse()
            answer.read()
        except (OSError, HTTPException) as error:
            connection.close()
            return repr(error)
        return answer.status
