"""All of it as deploy/ says: nginx, the service, the worker, Valkey and PostgreSQL."""

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, text

from tests.servers.gunicorn import ROOT
from tests.servers.nginx import Nginx
from tests.servers.postgres import Postgres
from tests.servers.units import WebUnit, WorkerUnit, settings_file
from tests.servers.valkey import Valkey


class Site:
    """The servers of one deployment, and a key for them."""

    def __init__(self, stack: ExitStack, folder: Path, postgres: Postgres) -> None:
        self.valkey = stack.enter_context(Valkey(tcp=True))
        self.database_url = postgres.new_database()
        redis_url = f"redis://{self.valkey.address[0]}:{self.valkey.address[1]}/0"
        changes = {"VIGILRY_DATABASE_URL": self.database_url, "VIGILRY_REDIS_URL": redis_url}
        self.settings = {"VIGILRY_ENV_FILE": str(settings_file(folder, changes))}
        self._flask("db", "upgrade")
        self.api_key = str(json.loads(self._flask("keys", "mint", "walk", "--json"))["api_key"])
        self.web = stack.enter_context(WebUnit(self.settings))
        self.worker = stack.enter_context(WorkerUnit(self.settings))
        # A sender that stalls is to be cut off within a test, and not ten seconds later.
        self.nginx = stack.enter_context(
            Nginx(self.web.bind, changes={"client_body_timeout   10s;": "client_body_timeout 1s;"})
        )

    @property
    def key(self) -> dict[str, str]:
        """Return the headers of a request with the key."""
        return {"X-Api-Key": self.api_key, "Content-Type": "application/json"}

    def stored(self) -> dict[int, tuple[str, Any]]:
        """Return the kind and the payload of every event in the SQL table, by its jobId's number."""
        engine = create_engine(self.database_url)
        with engine.connect() as connection:
            rows = connection.execute(text("SELECT job_number, kind, payload FROM events")).all()
        engine.dispose()
        return {number: (kind, payload) for number, kind, payload in rows}

    def published(self) -> int:
        """Count what the stream has ever taken."""
        with self.valkey.client() as client:
            return int(client.xinfo_stream("vigilry:{0}:events")["entries-added"])

    def _flask(self, *words: str) -> str:
        env = {name: value for name, value in os.environ.items() if not name.startswith("VIGILRY_")}
        done = subprocess.run(
            [sys.executable, "-m", "flask", *words],
            check=True,
            cwd=ROOT,
            env=env | self.settings,
            stdout=subprocess.PIPE,
            text=True,
            timeout=60,
        )
        return done.stdout
