"""A signed example of a provider, sent to a source through HTTP."""

import http.client
import json
import time
from typing import NamedTuple
from urllib.parse import urlsplit

import click

from vigilry_ingest.administration.database.sources import source_url
from vigilry_ingest.administration.remote.connection import connection_to
from vigilry_ingest.domain.ids import new_ulid
from vigilry_ingest.services import services
from vigilry_ingest.storage.event_queries import find_job
from vigilry_ingest.storage.models import Source
from vigilry_ingest.stream.redis_keys import job_number_of
from vigilry_ingest.webhooks.delivery import Draft
from vigilry_ingest.webhooks.providers import provider_of

_TIMEOUT_S = 10.0
_PAUSE_S = 0.1
_MAX_ANSWER_BYTES = 65_536


class TestOutcome(NamedTuple):
    """What became of an example: ``processed``, ``queued`` if that took too long, or ``refused``."""

    state: str
    url: str
    status: int
    job_id: str | None
    event_id: str | None
    detail: str | None

    def describe(self) -> str:
        """Return the outcome in words."""
        sent = f"POST {self.url} → {self.status}"
        if self.state == "refused":
            return f"{sent}: {self.detail}"
        if self.state == "queued":
            return f"{sent}: {self.job_id} was not processed within {_TIMEOUT_S:g} s: is a worker running?"
        return f"{sent}: {self.job_id} was processed. See: flask events show {self.job_id}"


def send_example(source: Source, secret: str, origin: str | None) -> TestOutcome:
    """Send a signed example to a source, and wait until it is processed.

    Raises ClickException if it cannot be sent, and DatabaseError.
    """
    provider = provider_of(source.provider, source.options)
    url = source_url(services().config, source.id, origin)
    now, id_ = time.time(), new_ulid()
    body = provider.example.body(id_, now)
    headers = {name: value.format(id=id_) for name, value in provider.example.headers.items()}
    try:
        headers |= provider.scheme.sign(Draft(body, url, id_, now), secret)
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    status, answer = _post(url, body, headers, is_local=origin is None)
    job_id = answer.get("jobId")
    if not isinstance(job_id, str):
        detail = answer.get("detail") or "the answer is not one of this service"
        return TestOutcome("refused", url, status, None, None, str(detail))
    event_id = _wait_for(source, job_id)
    state = "queued" if event_id is None else "processed"
    return TestOutcome(state, url, status, job_id, event_id, None)


def _post(url: str, body: bytes, headers: dict[str, str], *, is_local: bool) -> tuple[int, dict[str, object]]:
    parts = urlsplit(url)
    bind = services().config.bind
    try:
        is_socket = is_local and not services().config.public_url and bind.startswith("unix:")
        connection = connection_to(bind if is_socket else url, _TIMEOUT_S)
        connection.request("POST", parts.path, body, headers)
        response = connection.getresponse()
        text = response.read(_MAX_ANSWER_BYTES)
        connection.close()
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise click.ClickException(f"{url} cannot be reached: {error}. Is the service running?") from error
    try:
        answer = json.loads(text)
    except ValueError:
        answer = None
    return response.status, answer if isinstance(answer, dict) else {}


def _wait_for(source: Source, job_id: str) -> str | None:
    """Return the id of a processed event, or None if it is not processed in time."""
    deadline = time.monotonic() + _TIMEOUT_S
    number = job_number_of(job_id)
    while number is not None and time.monotonic() < deadline:
        row = find_job(services().engine, source.project_id, source.environment, number)
        if row is not None:
            return row.id
        time.sleep(_PAUSE_S)
    return None
