"""Projects with an API key each, created through the command line in a temporary database."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple

from tests.fixtures.servers.gunicorn import ROOT

_FOREIGN = ("VIGILRY_", "FLASK_")


class Projects(NamedTuple):
    """The database's URL, and an API key of each project."""

    database_url: str
    api_keys: list[str]


@contextmanager
def new_projects(count: int) -> Iterator[Projects]:
    """Create a temporary SQLite database with ``count`` projects, and an API key for each."""
    with tempfile.TemporaryDirectory(prefix="vgledger") as folder:
        url = f"sqlite:///{folder}/vigilry.db"
        _flask(url, "db", "upgrade")
        with ThreadPoolExecutor(2) as pool:
            minted = pool.map(lambda n: _flask(url, "keys", "mint", f"ledger {n}", "--json"), range(count))
            api_keys = [str(json.loads(line)["api_key"]) for line in minted]
        yield Projects(url, api_keys)


def _flask(database_url: str, *words: str) -> str:
    env = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    done = subprocess.run(
        [sys.executable, "-m", "flask", *words],
        check=True,
        cwd=ROOT,
        env=env | {"VIGILRY_DATABASE_URL": database_url},
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
    )
    return done.stdout
