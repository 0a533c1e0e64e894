"""Sentry's webhooks.

By https://docs.sentry.io/organization/integrations/integration-platform/webhooks (read in November 2026).
"""

import json

import msgspec

from vigilry_ingest.domain.lenient_json import read
from vigilry_ingest.webhooks.delivery import Delivery, Reading
from vigilry_ingest.webhooks.provider import Example, Provider
from vigilry_ingest.webhooks.signatures import Hmac

_SEVERITIES = {"fatal": "CRITICAL", "error": "ERROR", "warning": "WARN"}


class _Resource(msgspec.Struct):
    title: str | None = None
    level: str | None = None


class _Data(msgspec.Struct):
    issue: _Resource | None = None
    event: _Resource | None = None
    error: _Resource | None = None
    metric_alert: _Resource | None = None


class _Body(msgspec.Struct):
    action: str | None = None
    data: _Data | None = None


def _read(delivery: Delivery, text: bytes) -> Reading:
    body = read(text, _Body, _Body())
    data = body.data or _Data()
    resource = data.issue or data.event or data.error or data.metric_alert or _Resource()
    event = delivery.name("Sentry-Hook-Resource")
    # What has no level may be critical or a warning by its action, as metric alerts are.
    level = resource.level or body.action or ""
    return Reading(
        f"{event}.{body.action}" if body.action else event,
        delivery.name("Request-ID"),
        subject=resource.title,
        severity="CRITICAL" if level == "critical" else _SEVERITIES.get(level, "INFO"),
    )


def _example(_id: str, _now: float) -> bytes:
    issue = {"id": "1170820242", "title": "ReferenceError: heck is not defined", "level": "error"}
    return json.dumps({"action": "created", "data": {"issue": issue}}).encode()


PROVIDER = Provider(
    name="sentry",
    title="Sentry",
    scheme=Hmac(header="Sentry-Hook-Signature"),
    read=_read,
    example=Example(
        body=_example,
        headers={
            "Content-Type": "application/json",
            "Sentry-Hook-Resource": "issue",
            "Request-ID": "{id}",
        },
    ),
    where="Settings → Custom Integrations → your integration → Webhook URL. The secret is its client secret.",
)
