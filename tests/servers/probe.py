"""A stand-in WSGI application, with which the tests of `Service` run where the product is not wanted."""

import os
from collections.abc import Callable, Iterable
from typing import Any


def app(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    """Answer any request with the worker's process id and the settings that it sees."""
    settings = sorted(f"{name}={value}" for name, value in os.environ.items() if name.startswith("VIGILRY_"))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return ["\n".join([str(os.getpid()), environ["PATH_INFO"], *settings]).encode()]
