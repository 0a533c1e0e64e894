"""What each endpoint accepts, and how a body becomes an Event; importing this registers the kinds."""

from vigilry_ingest.api.schemas import events, server_error, stripe, webhook
from vigilry_ingest.domain.event_kinds import register

# In the order in which the specs and the pages list them.
for _module in (events, server_error, webhook, stripe):
    register(_module.KIND)
