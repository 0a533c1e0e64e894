"""Report errors with Sentry's SDK for Python."""

# pip install sentry-sdk
import os

import sentry_sdk

sentry_sdk.init(
    dsn=os.environ["SENTRY_DSN"],
    # Add data like request headers and IP for users.
    send_default_pii=True,
)

division_by_zero = 1 / 0
