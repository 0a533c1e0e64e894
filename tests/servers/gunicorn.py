"""The product itself, run by gunicorn as an operator runs it."""

import os
import re
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from tests.servers.process import Process
from tests.servers.waiting import free_port

ROOT = Path(__file__).parents[2]
# What must not leak in from the developer's shell.
_FOREIGN = ("VIGILRY_", "FLASK_", "GUNICORN_")


class Service(Process):
    """Run gunicorn with the product in the repository's root.

    `settings` are whole names, such as VIGILRY_REDIS_URL. `bind` is "host:port", "unix:/path" or, for a
    socket in the service's own folder, "unix"; by default it is a free port of 127.0.0.1. With `config=None`
    no gunicorn.conf.py is read, and the command line says it all.
    """

    stop_timeout_s = 40.0

    def __init__(
        self,
        settings: Mapping[str, str | int] | None = None,
        *,
        workers: int = 1,
        worker_class: str = "gevent",
        bind: str | None = None,
        app: str = "wsgi:app",
        config: Path | None = ROOT / "gunicorn.conf.py",
    ) -> None:
        super().__init__(cwd=ROOT)
        self.workers = workers
        # gunicorn itself does not.
        self._tells_of_workers = config is not None
        self.bind = bind or f"127.0.0.1:{free_port()}"
        if bind == "unix":
            self.bind = f"unix:{self.folder}/http.sock"
        self.env = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
        # What it was given, for another service that is to share its broker and its database.
        self.settings: dict[str, str | int] = dict(settings or {})
        self.env |= {name: str(value) for name, value in self.settings.items()}
        self.env |= {
            "VIGILRY_BIND": self.bind,
            "VIGILRY_WORKERS": str(workers),
            "VIGILRY_WORKER_CLASS": worker_class,
            # Gunicorn puts its control socket here; two services must not share it.
            "XDG_RUNTIME_DIR": str(self.folder),
        }
        self.command = [sys.executable, "-m", "gunicorn", "-c", str(config or os.devnull), app]
        if config is None:
            self.command += ["-b", self.bind, "-w", str(workers), "-k", worker_class]

    @property
    def url(self) -> str:
        """Return the address without a final slash; on a unix socket only `client` can use it."""
        return "http://localhost" if self.bind.startswith("unix:") else f"http://{self.bind}"

    def client(self, **options: Any) -> httpx.Client:
        """Return an HTTP client of the service; the caller closes it."""
        path = self.bind.removeprefix("unix:") if self.bind.startswith("unix:") else None
        return httpx.Client(
            base_url=self.url, transport=httpx.HTTPTransport(uds=path, verify=False), **options
        )

    def wait_ready(self) -> None:
        """Wait until every worker answers, and GET /health/live with 200."""
        self.wait_for(self._is_whole, "all workers run")
        with self.client(timeout=2.0) as client:
            self.wait_for(
                lambda: client.get("/health/live").status_code == httpx.codes.OK,
                "the service is live",
                ignoring=(httpx.TransportError,),
            )

    def _is_whole(self) -> bool:
        pids = set(self.worker_pids())
        ready = {int(pid) for pid in re.findall(r"Worker ready with pid: (\d+)", self.log_text())}
        return len(pids) >= self.workers and (not self._tells_of_workers or pids <= ready)

    def worker_pids(self) -> list[int]:
        """Return the process ids of the workers."""
        return self.children()

    def reload(self) -> None:
        """Ask for new workers (HUP) and return at once; the old ones finish what they have begun."""
        os.kill(self.pid, signal.SIGHUP)
