"""Every refusal: its word, what it means, and what to do; answers, pages and openapi.json read it here."""

from vigilry_ingest.refusals.failures import BROKER, NGINX, SERVICE
from vigilry_ingest.refusals.mistakes import MISTAKES
from vigilry_ingest.refusals.refusal import Refusal, page_of

__all__ = ["BROKER", "NGINX", "REFUSALS", "Refusal", "page_of"]

REFUSALS = MISTAKES | SERVICE | BROKER | NGINX
