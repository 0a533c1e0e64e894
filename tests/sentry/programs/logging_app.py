"""Report an error of logging, as sentry-sdk's documentation shows it."""

import logging
import os

import sentry_sdk

sentry_sdk.init(os.environ["SENTRY_DSN"], release="shop@1.4.2", server_name="web-1")
sentry_sdk.set_user({"id": "usr_99"})
sentry_sdk.set_tag("order_id", "ord_4421")
try:
    dict[str, str]()["cart"]
except KeyError:
    logging.exception("checkout failed")
sentry_sdk.flush()
