"""Report the error of a Celery task, which a worker would run in the same way."""

import os

import sentry_sdk
from celery import Celery

sentry_sdk.init(os.environ["SENTRY_DSN"], release="shop@1.4.2", server_name="web-1")
app = Celery("shop", broker="memory://")


@app.task  # type: ignore[untyped-decorator]  # Celery has no annotations
def checkout() -> str:
    sentry_sdk.set_user({"id": "usr_99"})
    sentry_sdk.set_tag("order_id", "ord_4421")
    return str(dict[str, str]()["cart"])


checkout.apply()
sentry_sdk.flush()
