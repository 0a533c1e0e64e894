"""Report errors in a loop for two seconds, at most 5,000 a second, and check that the SDK holds them back."""

import os
import time

import sentry_sdk

lost: list[str] = []
sentry_sdk.init(os.environ["SENTRY_DSN"])
transport = sentry_sdk.get_client().transport
assert transport is not None
transport.record_lost_event = lambda reason, *_args, **_options: lost.append(reason)  # type: ignore[method-assign]
until = time.monotonic() + 2
while time.monotonic() < until:
    sentry_sdk.capture_message("again")
    time.sleep(0.0002)
sentry_sdk.flush()
assert "ratelimit_backoff" in lost, set(lost)
