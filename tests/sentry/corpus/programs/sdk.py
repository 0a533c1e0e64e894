"""Report errors of many forms, and items of other types, through sentry-sdk."""

import logging
import os
import sys
from collections.abc import Callable
from typing import Any

import sentry_sdk
import sentry_sdk.logger as sentry_logger
from sentry_sdk.crons import capture_checkin

LEVELS: list[Any] = ["fatal", "error", "warning", "info", "debug", None]

STATUSES: list[Any] = ["ok", "error"]


class CheckoutFailed(Exception):
    """An error with a cause."""


def pay(number: int) -> int:
    return {"items": number}["cart"]


def caused(number: int) -> None:
    try:
        pay(number)
    except KeyError as cause:
        raise CheckoutFailed(f"order {number} was not paid") from cause


def grouped(number: int) -> None:
    raise ExceptionGroup(f"of {number}", [ValueError("first"), ExceptionGroup("inner", [OSError(2, "no")])])


def deep(number: int) -> float:
    return deep(number - 1) if number else 1 / 0


def report_error(work: Callable[[int], object], number: int) -> None:
    try:
        work(number)
    except Exception:
        sentry_sdk.capture_exception()


def in_a_transaction(number: int) -> None:
    transaction = sentry_sdk.start_transaction(op="http.server", name=f"GET /orders/{number}")
    with transaction, sentry_sdk.start_span(op="db", name="SELECT 1"):
        report_error(pay, number)


SCENARIOS: list[Callable[[int], object]] = [
    lambda number: report_error(pay, number),
    lambda number: report_error(caused, number),
    lambda number: report_error(grouped, number),
    lambda number: report_error(deep, number % 60),
    lambda number: sentry_sdk.capture_message(f"order {number} is late", LEVELS[number % 6]),
    lambda number: sentry_sdk.capture_message(
        ["Größe 😀", "half \ud83d", "x" * 9000, "", '\0\t\n"\\'][number % 5]
    ),
    lambda number: logging.error("order %s of %s is lost", number, 9, extra={"number": number}),
    lambda number: sentry_sdk.capture_event(
        {"message": f"event {number}", "tags": {"a": "1", "b": str(number)}}
    ),
    lambda number: sentry_sdk.capture_event(
        {"logentry": {"message": "%s", "params": [number]}, "level": "info"}
    ),
    lambda number: capture_checkin(monitor_slug="nightly", status=STATUSES[number % 2], duration=1.5),
    in_a_transaction,
    lambda number: sentry_logger.warning("log {number}", attributes={"number": number}),
    lambda number: sentry_sdk.metrics.count("orders", number),
]


def describe(scope: sentry_sdk.Scope, number: int) -> None:
    if number % 3:
        scope.set_user({"id": f"usr_{number}" if number % 2 else number, "email": "a@shop.example"})
    if number % 4:
        scope.set_tags({"order_id": f"ord_{number}", "long": "y" * (10 if number % 8 else 2000)})
    if number % 5 == 0:
        scope.set_context("cart", {"items": number, "nested": {"list": [1, "two", None]}})
    if number % 6 == 0:
        scope.fingerprint = ["{{ default }}", f"group {number % 4}"]
    if number % 7 == 0:
        scope.add_breadcrumb(category="auth", message=f"signed in {number}", level="info")
    if number % 8 == 0:
        scope.set_transaction_name(f"POST /checkout/{number}")
    if number % 9 == 0:
        scope.add_attachment(bytes=f"line\nline {number}\n".encode(), filename="cart.txt")


sentry_sdk.init(
    os.environ["SENTRY_DSN"],
    release="shop@1.4.2",
    environment="live",
    server_name="web-1",
    traces_sample_rate=1.0,
    profiles_sample_rate=0.2,
    enable_logs=True,
    attach_stacktrace=True,
)
for number in range(int(sys.argv[1])):
    with sentry_sdk.new_scope() as scope:
        describe(scope, number)
        SCENARIOS[number % len(SCENARIOS)](number)
    if number % 20 == 19:
        sentry_sdk.flush()
sentry_sdk.flush()
