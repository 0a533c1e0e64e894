"""Let Sentry's SDK for Python repeat what was not stored, with a transport that retries."""

import os
from typing import Any

import sentry_sdk
from sentry_sdk.transport import HttpTransport
from urllib3 import Retry


class RetryingTransport(HttpTransport):
    """Repeat a request that got no answer, or 502, 503 or 504, for about ten minutes.

    The service stores a repeated event once. Further events wait in the SDK's queue, which holds 100.
    """

    def _get_pool_options(self) -> dict[str, Any]:
        # 429 is left to the SDK, which then sends nothing for a while.
        retries = Retry(
            25,
            backoff_factor=0.5,
            backoff_max=30,
            status_forcelist=[502, 503, 504],
            allowed_methods=None,
            respect_retry_after_header=False,
        )
        return super()._get_pool_options() | {"retries": retries}


sentry_sdk.init(dsn=os.environ["SENTRY_DSN"], transport=RetryingTransport)

try:
    1 / 0  # noqa: B018  the error to report
except ZeroDivisionError as error:
    sentry_sdk.capture_exception(error)
sentry_sdk.flush(timeout=60)
