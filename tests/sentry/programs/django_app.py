"""Report the error of a Django view."""

import os

import django
import sentry_sdk
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path

sentry_sdk.init(os.environ["SENTRY_DSN"], release="shop@1.4.2", server_name="web-1")


def checkout(_request: HttpRequest) -> HttpResponse:
    sentry_sdk.set_user({"id": "usr_99"})
    sentry_sdk.set_tag("order_id", "ord_4421")
    return HttpResponse(str(dict[str, str]()["cart"]))


urlpatterns = [path("checkout", checkout)]
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="of a test")
django.setup()
Client(raise_request_exception=False).get("/checkout")
sentry_sdk.flush()
