"""Routes and hooks of every kind, to be added to two applications and compared."""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Flask, Response, request


class Calls:
    """The names of the hooks and views that were called, in order."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def named(self, name: str, result: Any = None) -> Callable[..., Any]:
        """Make a hook that adds its name."""

        def hook(*_: Any, **__: Any) -> Any:
            self.names.append(name)
            return result

        return hook

    def after(self, name: str) -> Callable[[Response], Response]:
        """Make a hook that is called with the response."""

        def hook(response: Response) -> Response:
            self.names.append(name)
            return response

        return hook


def add_to(app: Flask, calls: Calls) -> None:
    """Add a nested blueprint, a plain route and hooks at every level."""
    outer, inner = Blueprint("outer", __name__), Blueprint("inner", __name__)

    @inner.post("/outer/inner/<what>")
    def view(what: str) -> str:
        calls.names.append(f"view of {what}")
        return str(1 / 0) if what == "fail" else what

    inner.before_request(
        lambda: calls.named("stopped", "stopped")() if request.path.endswith("stop") else None
    )
    for level, name in ((inner, "inner"), (outer, "outer")):
        _add_hooks(level, name, calls)
    outer.register_blueprint(inner)
    _add_hooks(app, "application", calls)
    app.register_blueprint(outer)
    app.add_url_rule("/plain", "plain", calls.named("plain view", "plain"), methods=["POST"])


def _add_hooks(level: Flask | Blueprint, name: str, calls: Calls) -> None:
    for number in (1, 2):
        level.url_value_preprocessor(calls.named(f"{name} values {number}"))
        level.before_request(calls.named(f"{name} before {number}"))
        level.after_request(calls.after(f"{name} after {number}"))
        level.teardown_request(calls.named(f"{name} teardown {number}"))
