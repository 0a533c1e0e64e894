"""The contract's own examples, one for each kind of event."""

from typing import Any

EXAMPLES: dict[str, dict[str, Any]] = {
    "event": {
        "type": "checkout_failed",
        "severity": "ERROR",
        "message": "Payment gateway returned 402",
        "source": "checkout-service",
        "correlation": {"user_id": "usr_99", "order_id": "ord_4421"},
        "payload": {"gateway": "stripe", "code": "card_declined"},
    },
    "server_error": {
        "status_code": 500,
        "path": "/api/orders",
        "method": "POST",
        "error_message": "Cannot read properties of undefined",
        "stack": "TypeError: Cannot read properties of undefined\n  at processOrder (/app/orders.js:42:15)",
        "correlation": {"user_id": "usr_99", "order_id": "ord_4421"},
    },
    "webhook": {
        "source": "github",
        "event": "push",
        "severity": "INFO",
        "payload": {"ref": "refs/heads/main", "pusher": {"name": "alice"}},
    },
    "stripe": {
        "id": "evt_1ABC...",
        "type": "payment_intent.payment_failed",
        "data": {
            "object": {
                "id": "pi_1ABC...",
                "amount": 2999,
                "currency": "usd",
                "last_payment_error": {"code": "card_declined"},
            }
        },
    },
}
JOB_ID = "bull-1795429837634000000"
EVENT_ID = "evt_01M83ZAAT09981GBARPB87MAEB"
REQUEST_ID = "req_01M83ZAHE4A47BCCBF73SRTPGA"
