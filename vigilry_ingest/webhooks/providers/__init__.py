"""The table of providers."""

from collections.abc import Callable, Mapping
from typing import Any

from vigilry_ingest.webhooks.provider import Provider
from vigilry_ingest.webhooks.providers import (
    alerts,
    github,
    gitlab,
    linear,
    paddle,
    pagerduty,
    sentry,
    shopify,
    slack,
    standard,
    stripe,
    twilio,
)
from vigilry_ingest.webhooks.providers.generic import basic_provider, hmac_provider, token_provider

_DECLARED = {
    provider.name: provider
    for provider in (
        stripe.PROVIDER,
        github.PROVIDER,
        standard.PROVIDER,
        gitlab.PROVIDER,
        pagerduty.PROVIDER,
        slack.PROVIDER,
        shopify.PROVIDER,
        sentry.PROVIDER,
        linear.PROVIDER,
        paddle.PROVIDER,
        twilio.PROVIDER,
        alerts.ALERTMANAGER,
        alerts.GRAFANA,
    )
}
_BY_OPTIONS: Mapping[str, Callable[[Mapping[str, Any]], Provider]] = {
    "hmac": hmac_provider,
    "basic": basic_provider,
    "token": token_provider,
}

PROVIDER_NAMES = (*_DECLARED, *_BY_OPTIONS)


def provider_of(name: str, options: Mapping[str, Any]) -> Provider:
    """Return a provider; options are only for those without a declaration of their own.

    Raises ValueError for a name that is unknown, and for options that do not fit.
    """
    if name in _BY_OPTIONS:
        return _BY_OPTIONS[name](options)
    if name not in _DECLARED:
        raise ValueError(f"There is no provider {name}.")
    if options:
        raise ValueError(
            f"{_DECLARED[name].title} has a fixed form: {', '.join(sorted(options))} cannot be set."
        )
    return _DECLARED[name]
