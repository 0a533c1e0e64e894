"""The programs of ``examples/``, as the pages show them: with a title, and in colour."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_for_filename

# A link to the folder at the top, which a built package holds as a copy.
_FOLDER = Path(__file__).parent / "assets" / "examples"

GROUPS: Mapping[str, tuple[str, ...]] = {
    "Send an event": (
        "send.sh", "send_requests.py", "send_httpx.py", "send_standard_library.py", "send.mjs",
    ),
    "Send many, and lose none": ("batch.py", "retry.py"),
    "Report an application's errors": ("flask_errors.py", "express_errors.mjs"),
    "Pass webhooks on": ("github_forwarder.py", "stripe_forwarder.py"),
}  # fmt: skip


class Program(NamedTuple):
    """A program: the address of its file, the sentence that it begins with, and its text."""

    address: str
    title: str
    text: str


@cache
def programs() -> Mapping[str, Program]:
    """Read every program, by its name."""
    return {name: _read(name) for group in GROUPS.values() for name in group}


@cache
def in_colour(name: str) -> Markup:
    """Give a program's text as HTML; the classes are Pygments'. It takes 15 ms, and so is done once."""
    html = highlight(programs()[name].text, get_lexer_for_filename(name), HtmlFormatter(nowrap=True))
    return Markup(html)  # noqa: S704  Pygments escapes the text


def _read(name: str) -> Program:
    text = (_FOLDER / name).read_text()
    first = next(line for line in text.splitlines() if not line.startswith("#!"))
    return Program(f"/docs/assets/examples/{name}", first.strip('"#/ '), text)
