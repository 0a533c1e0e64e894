"""Report the error of a Flask view."""

import os

import sentry_sdk
from flask import Flask

sentry_sdk.init(os.environ["SENTRY_DSN"], release="shop@1.4.2", server_name="web-1")
app = Flask(__name__)


@app.get("/checkout")
def checkout() -> str:
    sentry_sdk.set_user({"id": "usr_99"})
    sentry_sdk.set_tag("order_id", "ord_4421")
    return str(dict[str, str]()["cart"])


app.test_client().get("/checkout")
sentry_sdk.flush()
