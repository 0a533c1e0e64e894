"""The programs of ``examples/`` for the documentation pages, with titles and syntax highlighting."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_for_filename

# A symbolic link to the repository's folder; a built package contains a copy.
_FOLDER = Path(__file__).parent / "assets" / "examples"

GROUPS: Mapping[str, tuple[str, ...]] = {
    "Send an event": (
        "send.sh", "send_requests.py", "send_httpx.py", "send_standard_library.py", "send.mjs",
    ),
    "Send in batches, with retries": ("batch.py", "retry.py"),
    "Report an application's errors": ("flask_errors.py", "express_errors.mjs"),
    "Report errors with a Sentry SDK": (
        "sentry_python.py", "sentry_node.mjs", "sentry_browser.mjs", "sentry_go.go", "SentryJava.java",
        "sentry_retry.py", "sentry_retry.mjs",
    ),
}  # fmt: skip


class Program(NamedTuple):
    """An example program; its title is the first sentence of its file."""

    file_url: str
    title: str
    text: str


@cache
def programs() -> Mapping[str, Program]:
    """Return every program by its file name."""
    return {name: _read(name) for group in GROUPS.values() for name in group}


@cache
def highlighted(name: str) -> Markup:
    """Return a program's text as HTML with Pygments' classes; cached, because highlighting is slow."""
    html = highlight(programs()[name].text, get_lexer_for_filename(name), HtmlFormatter(nowrap=True))
    return Markup(html)  # noqa: S704  Pygments escapes the text


def _read(name: str) -> Program:
    text = (_FOLDER / name).read_text()
    first = next(line for line in text.splitlines() if not line.startswith("#!"))
    return Program(f"/docs/assets/examples/{name}", first.strip('"#/ '), text)
