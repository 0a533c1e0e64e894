"""GitLab's webhooks, by https://docs.gitlab.com/user/project/integrations/webhooks (November 2026)."""

import json
from collections.abc import Mapping, Sequence

import msgspec

from vigilry_ingest.domain.lenient_json import read
from vigilry_ingest.webhooks.delivery import Delivery, Draft, Reading
from vigilry_ingest.webhooks.provider import Example, Provider
from vigilry_ingest.webhooks.providers.standard import StandardSignature
from vigilry_ingest.webhooks.tokens import Token


class _TokenOrSignature:
    """The secret token itself, or a signature for a signing token, which begins with ``whsec_``."""

    _token = Token(header="X-Gitlab-Token")
    _signature = StandardSignature()

    def verify(self, delivery: Delivery, secrets: Sequence[str], now: float) -> None:
        """Return if a delivery was signed with a signing token, or carries a secret token."""
        signing = [secret for secret in secrets if secret.startswith("whsec_")]
        if signing and delivery.header("webhook-signature") is not None:
            self._signature.verify(delivery, signing, now)
        else:
            # A signing token is never sent itself.
            self._token.verify(delivery, [secret for secret in secrets if secret not in signing], now)

    def sign(self, draft: Draft, secret: str) -> Mapping[str, str]:
        """Return the headers that sign a delivery."""
        return self._of(secret).sign(draft, secret)

    def check_secret(self, secret: str) -> None:
        """Return if a secret has the form of one of both."""
        self._of(secret).check_secret(secret)

    def _of(self, secret: str) -> Token | StandardSignature:
        return self._signature if secret.startswith("whsec_") else self._token


class _Project(msgspec.Struct):
    path_with_namespace: str | None = None


class _Attributes(msgspec.Struct):
    action: str | None = None
    status: str | None = None


class _Body(msgspec.Struct):
    project: _Project | None = None
    object_attributes: _Attributes | None = None
    build_status: str | None = None


def _read(delivery: Delivery, text: bytes) -> Reading:
    body = read(text, _Body, _Body())
    attributes = body.object_attributes or _Attributes()
    return Reading(
        delivery.name("X-Gitlab-Event"),
        delivery.optional_name("Idempotency-Key") or delivery.optional_name("X-Gitlab-Event-UUID"),
        action=attributes.action,
        subject=body.project.path_with_namespace if body.project else None,
        severity="WARN" if "failed" in (attributes.status, body.build_status) else "INFO",
    )


def _example(_id: str, _now: float) -> bytes:
    return json.dumps(
        {
            "object_kind": "push",
            "ref": "refs/heads/main",
            "project": {"path_with_namespace": "mike/diaspora"},
        }
    ).encode()


PROVIDER = Provider(
    name="gitlab",
    title="GitLab",
    scheme=_TokenOrSignature(),
    read=_read,
    secret_is_chosen=True,
    example=Example(
        body=_example,
        headers={
            "Content-Type": "application/json",
            "X-Gitlab-Event": "Push Hook",
            "X-Gitlab-Event-UUID": "{id}",
            "Idempotency-Key": "{id}",
        },
    ),
    where="Settings → Webhooks → Add new webhook: set the URL, and the signing token (whsec_…) or the secret "
    "token.",
)
