"""GitHub's webhooks, by https://docs.github.com/en/webhooks (read in November 2026).

The id of a delivery is not signed, so who has seen a delivery can repeat it under another id.
"""

import json

import msgspec

from vigilry_ingest.domain.lenient_json import read
from vigilry_ingest.webhooks.delivery import Delivery, Reading
from vigilry_ingest.webhooks.provider import Example, Provider
from vigilry_ingest.webhooks.signatures import Hmac

_FAILURES = {"failure", "timed_out", "startup_failure", "action_required"}


class _Repository(msgspec.Struct):
    full_name: str | None = None


class _Run(msgspec.Struct):
    conclusion: str | None = None


class _Body(msgspec.Struct):
    action: str | None = None
    repository: _Repository | None = None
    workflow_run: _Run | None = None
    check_run: _Run | None = None


def _read(delivery: Delivery, text: bytes) -> Reading:
    body = read(text, _Body, _Body())
    run = body.workflow_run or body.check_run
    hook_id = delivery.optional_name("X-GitHub-Hook-ID")
    return Reading(
        delivery.name("X-GitHub-Event"),
        delivery.name("X-GitHub-Delivery"),
        action=body.action,
        subject=body.repository.full_name if body.repository else None,
        severity="WARN" if run and run.conclusion in _FAILURES else "INFO",
        correlation={} if hook_id is None else {"hook_id": hook_id},
    )


def _example(_id: str, _now: float) -> bytes:
    return json.dumps(
        {
            "zen": "Responsive is better than fast.",
            "hook_id": 1,
            "repository": {"full_name": "octocat/hello-world"},
        }
    ).encode()


PROVIDER = Provider(
    name="github",
    title="GitHub",
    scheme=Hmac(header="X-Hub-Signature-256", label="sha256="),
    read=_read,
    secret_is_chosen=True,
    example=Example(
        body=_example,
        headers={
            "Content-Type": "application/json",
            "X-GitHub-Event": "ping",
            "X-GitHub-Delivery": "{id}",
            "X-GitHub-Hook-ID": "1",
        },
    ),
    form_member="payload",
    where="Settings → Webhooks → Add webhook, of a repository or an organization: set the payload URL and "
    "the secret.",
)
