"""Requests in the forms of platforms whose SDKs cannot be recorded here.

https://develop.sentry.dev/sdk/foundations/transport/envelopes/
"""

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from tests.sentry.corpus import KEY, Recorded

_ENVELOPE_TYPE = "application/x-sentry-envelope"
_FRAME = {"function": "pay", "filename": "shop", "lineno": 42, "in_app": True}
_ERROR = {"type": "CheckoutFailed", "value": "no cart", "stacktrace": {"frames": [_FRAME]}}

# By the name of the SDK: the platform, and what an event of it has beside its id.
_EVENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "sentry.java/8.20.0": (
        "java",
        {
            "timestamp": "2026-01-02T03:04:05.678Z",
            "exception": {
                "values": [
                    _ERROR | {"module": "com.example.shop", "thread_id": 1, "mechanism": {"handled": False}}
                ]
            },
            "threads": {"values": [{"id": 1, "name": "main", "crashed": True, "stacktrace": {"frames": []}}]},
            "modules": {"org.slf4j:slf4j-api": "2.0.16"},
            "server_name": "web-1",
            "contexts": {"trace": {"trace_id": "8c" * 16, "span_id": "ab" * 8, "op": "http.server"}},
        },
    ),
    "sentry.go/0.35.0": (
        "go",
        {
            "level": "error",
            "exception": [
                {"type": "*errors.errorString", "value": "no cart", "stacktrace": {"frames": [_FRAME]}}
            ],
            "contexts": {"device": {"arch": "amd64"}, "trace": {"trace_id": "8c" * 16, "span_id": "ab" * 8}},
            "user": {},
            "server_name": "web-1",
        },
    ),
    "sentry.dotnet/5.11.0": (
        "csharp",
        {
            "level": "warning",
            "logentry": {"message": "{0} is late", "formatted": "order 7 is late"},
            "user": {"id": "usr_99", "ip_address": "{{auto}}"},
            "tags": {"RequestId": "0HN", "culture": "de-DE"},
            "debug_meta": {"images": [{"type": "pe_dotnet", "debug_id": "1" * 32}]},
        },
    ),
    "sentry.php/4.15.0": (
        "php",
        {
            "timestamp": 1767323045.67,
            "exception": {"values": [_ERROR | {"type": "Shop\\CheckoutFailed"}]},
            "breadcrumbs": {"values": [{"category": "sql", "level": "info", "timestamp": 1767323045.1}]},
            "request": {
                "method": "POST",
                "url": "https://shop.example/checkout",
                "env": {"REMOTE_ADDR": "::1"},
            },
            "tags": {"order_id": "ord_4421"},
        },
    ),
    "sentry.ruby/5.27.0": (
        "ruby",
        {
            "exception": {
                "values": [{"type": "KeyError", "value": "key not found: :cart (KeyError)"}, _ERROR]
            },
            "transaction": "OrdersController#create",
            "transaction_info": {"source": "view"},
            "tags": {"active": True, "none": None, "count": 3},
            "level": "fatal",
        },
    ),
    "sentry.native/0.11.0": (
        "native",
        {
            "level": "fatal",
            "exception": {
                "values": [
                    {
                        "type": "SIGSEGV",
                        "value": "Segfault",
                        "mechanism": {"type": "signalhandler", "handled": False},
                        "stacktrace": {"frames": [{"instruction_addr": "0x7f00"}]},
                    }
                ]
            },
            "debug_meta": {"images": [{"type": "elf", "code_file": "/app/shop", "image_addr": "0x400000"}]},
        },
    ),
    "sentry.cocoa/8.56.0": (
        "cocoa",
        {
            "level": "error",
            "message": {"formatted": "no cart", "message": "no %s", "params": ["cart"]},
            "dist": "7",
        },
    ),
    "sentry.rust/0.42.0": (
        "native",
        {"level": "info", "logger": "shop", "message": "late", "extra": {}, "release": "shop@1.4.2"},
    ),
    "sentry.dart.flutter/9.6.0": (
        "dart",
        {
            "exception": {"values": [_ERROR | {"type": "StateError"}]},
            "environment": "live",
            "tags": {"os": "iOS"},
        },
    ),
    "sentry.elixir/11.0.4": (
        "elixir",
        {"message": {"formatted": "no cart"}, "exception": [], "tags": {}, "level": None, "user": {"id": 99}},
    ),
}
_BROKEN = (
    b"", b"{", b"[]\n", b'{"event_id":', b'{}\n{"length":3}\n{}\n', b'{}\n{"type":"event","length":99}\n{}\n',
    b'{}\n{"type":"event","length":1}\n{}\n', b'{}\n{"type":"event"}\n{"message":}\n',
    b'{}\n{"type":"event"}\n[]\n',
    b'{}\n{"type":"event"}\n', b'{}\n{"type":"event"}\nnull\n', b'{}\n{"type":"event"}\n{"a":1,"a":2\n',
    b'{}\n{"type":7}\n{}\n', b'\xff\xfe{}\n', b'{}\n{"type":"event","length":-1}\n{}\n',
)  # fmt: skip
_EMPTY = (b"{}", b"{}\n", b"{}\n\n\n", b'{}\r\n{"type":"of_later"}\r\n{}\r\n', b'{}\n{"type":"session"}\n')


def facts() -> Iterator[Recorded]:
    """Yield events of each platform in each form, and envelopes that are broken or without events."""
    number = 0
    for sdk, (platform, event) in _EVENTS.items():
        for form in ("lengths", "lines", "attachment", "store"):
            number += 1
            event_id = UUID(int=number).hex
            members = {"event_id": event_id, "platform": platform} | event | {"sdk": _named(sdk)}
            yield _request(sdk, "store" if form == "store" else "envelope", _body(form, event_id, members))
    for body in _BROKEN:
        yield _request("broken/1.0", "envelope", body)._replace(status=400)
    for body in _EMPTY:
        yield _request("empty/1.0", "envelope", body)


def _named(sdk: str) -> dict[str, str]:
    name, _, version = sdk.partition("/")
    return {"name": name, "version": version}


def _body(form: str, event_id: str, members: dict[str, Any]) -> bytes:
    text = json.dumps(members, ensure_ascii=False).encode()
    if form == "store":
        return text
    header = {"event_id": event_id, "sent_at": "2026-01-02T03:04:06Z", "sdk": members["sdk"]}
    first = json.dumps(header).encode() + b"\n"
    if form == "lines":
        return first + b'{"type":"event"}\n' + text
    event = b'{"type":"event","content_type":"application/json","length":%d}\n%b\n' % (len(text), text)
    if form == "attachment":
        log = b"a log\nof two lines"
        event += b'{"type":"attachment","filename":"a.log","length":%d}\n%b\n' % (len(log), log)
    return first + event


def _request(sdk: str, form: str, body: bytes) -> Recorded:
    auth = f"Sentry sentry_version=7, sentry_client={sdk}, sentry_key={KEY}"
    type_ = "application/json" if form == "store" else _ENVELOPE_TYPE
    return Recorded(sdk, form, "", {"Content-Type": type_, "X-Sentry-Auth": auth}, body)
