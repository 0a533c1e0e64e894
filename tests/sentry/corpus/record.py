"""Record what SDKs send: ``python -m tests.sentry.corpus.record [FOLDER]``.

The SDKs are installed from PyPI and npm in the folder, by default a temporary one. The requests replace those
of ``requests.ndjson.xz``.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.fixtures.node import install
from tests.fixtures.servers.gunicorn import ROOT
from tests.sentry.bundling import bundle
from tests.sentry.conftest import FROM_NOWHERE
from tests.sentry.corpus import KEY, Recorded, write
from tests.sentry.corpus.cleaning import cleaned
from tests.sentry.corpus.listener import Listener
from tests.sentry.corpus.protocol_facts import facts

_PROGRAMS = Path(__file__).parent / "programs"
_APPS = sorted((Path(__file__).parents[1] / "programs").glob("*_app.py"))
# How many requests are kept of each SDK.
_MAX_REQUESTS = 160


def main(folder: Path) -> None:
    """Record all SDKs, and write the file."""
    shutil.copytree(_PROGRAMS, folder, dirs_exist_ok=True)
    if not (folder / "node_modules").exists():
        install(folder, "install")
        old = ["raven==6.10.0", "setuptools<80"]
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "-q", "--target", str(folder / "old"), *old], check=True
        )
    requests: list[Recorded] = list(facts())
    for name, report in _reporters(folder).items():
        with Listener(KEY) as listener:
            report(listener.dsn)
        kept = _kept(filter(None, (cleaned(each, folder) for each in listener.requests)))
        print(name, len(listener.requests), len(kept), Counter(each.sdk for each in kept))
        requests += kept
    write(requests)
    print(len(requests), "requests of", len({each.sdk for each in requests}), "SDKs")


def _reporters(folder: Path) -> dict[str, Callable[[str], None]]:
    python = sys.executable
    commands = {
        "python": [python, "sdk.py", "200"],
        "raven for python": [python, "raven_python.py", "60"],
        "raven for node": ["node", "raven_node.cjs", "60"],
        **{each.name: [python, str(each)] for each in _APPS},
        **{
            name: ["node", "server.mjs", name, "140"]
            for name in ("node", "bun", "deno", "cloudflare", "vercel-edge")
        },
    }
    return {name: _program(command, folder) for name, command in commands.items()} | {
        "browser": _page("page.mjs", 150, folder),
        "raven for browsers": _page("raven_page.mjs", 60, folder),
    }


def _program(command: list[str], folder: Path) -> Callable[[str], None]:
    def run(dsn: str) -> None:
        env = dict(os.environ) | {"SENTRY_DSN": dsn, "PYTHONPATH": f"{ROOT}:{folder / 'old'}"}
        done = subprocess.run(
            command, cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False
        )
        if done.returncode:
            print(done.stderr[-2000:])

    return run


def _page(program: str, count: int, folder: Path) -> Callable[[str], None]:
    def run(dsn: str) -> None:
        with sync_playwright() as playwright:
            binary = shutil.which("chromium")
            chromium = playwright.chromium.launch(executable_path=binary, args=["--no-sandbox", FROM_NOWHERE])
            page = chromium.new_page()
            page.route(
                "http://127.0.0.1:3001/", lambda route: route.fulfill(body="Shop", content_type="text/html")
            )
            page.goto("http://127.0.0.1:3001/")
            page.add_script_tag(path=str(bundle(folder, program)))
            page.evaluate("([dsn, count]) => window.start(dsn, count)", [dsn, count])
            page.wait_for_timeout(1000)
            chromium.close()

    return run


def _kept(requests: Iterable[Recorded]) -> list[Recorded]:
    """Return as many of each SDK as are kept."""
    by_sdk: defaultdict[str, list[Recorded]] = defaultdict(list)
    for each in requests:
        by_sdk[each.sdk].append(each)
    return [each for group in by_sdk.values() for each in group[:_MAX_REQUESTS]]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        main(Path(sys.argv[1] if len(sys.argv) > 1 else temporary))
