"""Report through the old client for Python."""

import os
import sys

from raven import Client
from raven.transport.http import HTTPTransport

client = Client(os.environ["SENTRY_DSN"], transport=HTTPTransport, release="shop@1.4.2", name="web-1")
for number in range(int(sys.argv[1])):
    client.user_context({"id": f"usr_{number}"} if number % 3 else {})
    client.tags_context({"order_id": f"ord_{number}", "region": "eu"})
    if number % 2:
        try:
            dict[str, int]()["cart"]
        except KeyError:
            client.captureException(level=["error", "fatal"][number % 4 // 2])
    else:
        client.captureMessage("%s is late", params=(f"order {number}",), level="warning", extra={"n": number})
