"""Alertmanager's and Grafana's notifications.

By https://prometheus.io/docs/alerting/latest/configuration/#webhook_config and
https://grafana.com/docs/grafana/latest/alerting/configure-notifications/manage-contact-points/integrations/webhook-notifier
(read in November 2026); both send the same body. Neither signs it in a way of its own, so they authenticate.
"""

import hashlib
import json

import msgspec

from vigilry_ingest.domain.lenient_json import read
from vigilry_ingest.webhooks.delivery import Delivery, Reading
from vigilry_ingest.webhooks.provider import Example, Provider
from vigilry_ingest.webhooks.tokens import Authorization

_SEVERITIES = {
    "critical": "CRITICAL", "page": "CRITICAL", "error": "ERROR", "high": "ERROR", "warning": "WARN",
    "warn": "WARN", "info": "INFO", "none": "INFO",
}  # fmt: skip


class _Labels(msgspec.Struct):
    severity: str | None = None
    alertname: str | None = None


class _Body(msgspec.Struct, rename="camel"):
    status: str | None = None
    group_key: str | None = None
    receiver: str | None = None
    common_labels: _Labels | None = None
    alerts: msgspec.Raw = msgspec.Raw()


def _read(_delivery: Delivery, text: bytes) -> Reading:
    body = read(text, _Body, _Body())
    labels = body.common_labels or _Labels()
    severity = "INFO"
    if body.status != "resolved":
        severity = _SEVERITIES.get((labels.severity or "").lower(), "WARN")
    correlation = {"group_key": body.group_key, "receiver": body.receiver}
    return Reading(
        body.status or "webhook",
        _delivery_id(body),
        subject=labels.alertname,
        severity=severity,
        correlation={name: value for name, value in correlation.items() if value is not None},
    )


def _delivery_id(body: _Body) -> str | None:
    """Return a digest of the group and its alerts with their times, because a notification has no id."""
    if body.group_key is None:
        return None
    head = f"{body.group_key}\n{body.receiver}\n{body.status}\n".encode()
    return hashlib.blake2b(head + bytes(body.alerts), digest_size=16).hexdigest()


def _example(id_: str, _now: float) -> bytes:
    alert = {
        "status": "firing",
        "labels": {"alertname": "HighLatency", "severity": "critical"},
        "startsAt": "2026-11-27T09:00:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "fingerprint": id_,
    }
    return json.dumps(
        {
            "version": "4",
            "groupKey": f'{{}}:{{alertname="{id_}"}}',
            "status": "firing",
            "receiver": "vigilry",
            "commonLabels": alert["labels"],
            "alerts": [alert],
        }
    ).encode()


def _provider(name: str, title: str, where: str) -> Provider:
    return Provider(
        name=name,
        title=title,
        scheme=Authorization(),
        read=_read,
        secret_is_chosen=True,
        example=Example(body=_example, headers={"Content-Type": "application/json"}),
        where=where,
    )


ALERTMANAGER = _provider(
    "alertmanager",
    "Alertmanager",
    "url of a webhook_config, with http_config.basic_auth for a secret user:password, or "
    "http_config.authorization for a token.",
)
GRAFANA = _provider(
    "grafana",
    "Grafana",
    "Alerting → Contact points → Webhook: set the URL, and under optional settings the user and password of "
    "a secret user:password, or the authorization credentials for a token.",
)
