"""Schemas of the event kinds, and builders that turn a body into an Event; importing it registers them."""

from vigilry_ingest.api.schemas import events, sentry, server_error, stripe, webhook
from vigilry_ingest.domain.event_kinds import register

# The specs and the documentation pages list the kinds in this order.
for _module in (events, server_error, webhook, stripe, sentry):
    register(_module.KIND)
