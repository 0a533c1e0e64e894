"""The candidates: running servers that accept the contract's first example, each with its own broker."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil  # type: ignore[import-untyped]  # psutil ships no types

from benchmarks.wrk import EVENT, write_script
from tests.fixtures.servers.gunicorn import ROOT, Service
from tests.fixtures.servers.process import Process
from tests.fixtures.servers.valkey import Valkey
from tests.fixtures.servers.waiting import free_port

PEERS = ROOT / "benchmarks" / "peers"
_PEER_KEY = "vig_live_0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Candidate:
    """A running server: its address, its process and its broker's if any, an API key, a script for wrk."""

    name: str
    address: str
    pid: int
    broker_pid: int | None
    key: str
    script: Path

    @property
    def url(self) -> str:
        """Return the URL of the endpoint."""
        return f"http://{self.address}/ingest/events"

    def cpu_s(self) -> tuple[float, float]:
        """Return the CPU time in seconds of the server's processes, and of the broker's."""
        return _cpu_s(self.pid), 0.0 if self.broker_pid is None else _cpu_s(self.broker_pid)


def _cpu_s(pid: int) -> float:
    root = psutil.Process(pid)
    times = [each.cpu_times() for each in (root, *root.children(recursive=True))]
    return float(sum(each.user + each.system for each in times))


@contextmanager
def service(
    name: str = "this service",
    *,
    app: str = "wsgi:app",
    workers: int = 2,
    worker_class: str = "gevent",
    valkey: Valkey | None = None,
    settings: dict[str, str | int] | None = None,
) -> Iterator[Candidate]:
    """Run an application under the service's own gunicorn.conf.py."""
    with ExitStack() as stack:
        broker = stack.enter_context(valkey or Valkey())
        running = Service(
            {"VIGILRY_REDIS_URL": broker.url, "VIGILRY_STREAM_MAX_ENTRIES": 10**9, **(settings or {})},
            workers=workers,
            worker_class=worker_class,
            app=app,
        )
        env = {**(running.env or {}), "VIGILRY_DATABASE_URL": f"sqlite:///{running.folder}/vigilry.db"}
        running.env = env
        stack.enter_context(running)
        key = _mint(env)
        yield _checked(
            Candidate(name, running.bind, running.pid, broker.pid, key, write_script(running.folder, key)),
            refuses=app == "wsgi:app",
        )


def _mint(env: dict[str, str]) -> str:
    def flask(*words: str) -> str:
        command = [sys.executable, "-m", "flask", *words]
        return subprocess.run(command, cwd=ROOT, env=env, check=True, capture_output=True, text=True).stdout

    flask("db", "upgrade")
    return str(json.loads(flask("keys", "mint", "benchmark", "--json"))["api_key"])


@contextmanager
def fastapi(workers: int) -> Iterator[Candidate]:
    """Run FastAPI under uvicorn, with uvloop and httptools."""
    python = _peer_python()
    command = [str(python), "-m", "uvicorn", "main:app", "--workers", str(workers)]
    command += ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]
    with _peer("FastAPI + uvicorn", PEERS / "fastapi", command, workers, with_port=True) as candidate:
        yield candidate


@contextmanager
def bare_flask(name: str, workers: int) -> Iterator[Candidate]:
    """Run a bare Flask view under gunicorn's own gevent worker and default settings."""
    running = Service(
        workers=workers, worker_class="gevent", app="benchmarks.peers.flask_bare:app", config=None
    )
    with running:
        script = write_script(running.folder, _PEER_KEY)
        candidate = Candidate(name, running.bind, running.pid, None, _PEER_KEY, script)
        yield _checked(candidate, refuses=False)


def express(workers: int) -> AbstractContextManager[Candidate]:
    """Run Express with BullMQ, with one process per worker."""
    return _node("Express + BullMQ", PEERS / "express", workers)


def fastify(workers: int) -> AbstractContextManager[Candidate]:
    """Run Fastify with ioredis, with one process per worker."""
    return _node("Fastify + ioredis", PEERS / "fastify", workers)


@contextmanager
def _node(name: str, folder: Path, workers: int) -> Iterator[Candidate]:
    if not (folder / "node_modules").exists():
        _report(f"installing {name}")
        subprocess.run(
            ["npm", "ci", "--no-audit", "--no-fund", "--silent"], cwd=folder, check=True, capture_output=True
        )
    command = [str(shutil.which("node")), "server.js"]
    with _peer(name, folder, command, workers) as candidate:
        yield candidate


def has_node() -> bool:
    """Return whether Node is installed."""
    return bool(shutil.which("node") and shutil.which("npm"))


def _peer_python() -> Path:
    """Return the Python of the peer's own environment; create it if necessary."""
    home = PEERS / "fastapi" / ".venv"
    python = home / "bin" / "python"
    # Created with the interpreter that runs the service, so that both are measured with the same one.
    mark = home / ".installed"
    if not mark.exists() or mark.read_text() != sys.base_prefix:
        _report("installing the FastAPI peer")
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
        requirements = PEERS / "fastapi" / "requirements.txt"
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--require-hashes", "-r", str(requirements)], check=True)
        mark.write_text(sys.base_prefix)
    return python


def _report(what: str) -> None:
    print(f"{what} …", file=sys.stderr)


class _Peer(Process):
    def __init__(self, command: list[str], cwd: Path, env: dict[str, str], address: str) -> None:
        super().__init__(command, cwd=cwd, env=env)
        self.address = address

    def wait_ready(self) -> None:
        url = f"http://{self.address}/health/live"
        self.wait_for(
            lambda: httpx.get(url, trust_env=False).is_success, url, ignoring=(httpx.TransportError,)
        )


@contextmanager
def _peer(
    name: str, cwd: Path, command: list[str], workers: int, *, with_port: bool = False
) -> Iterator[Candidate]:
    address = f"127.0.0.1:{free_port()}"
    if with_port:
        command = [*command, "--port", address.partition(":")[2]]
    with Valkey() as valkey:
        env = os.environ | {
            "PEER_KEY_DIGEST": hashlib.sha256(_PEER_KEY.encode()).hexdigest(),
            "PEER_SOCKET": str(valkey.socket_path),
            "PEER_BIND": address,
            "PEER_WORKERS": str(workers),
            "NODE_ENV": "production",
        }
        with _Peer(command, cwd, env, address) as peer:
            script = write_script(peer.folder, _PEER_KEY)
            yield _checked(Candidate(name, address, peer.pid, valkey.pid, _PEER_KEY, script), refuses=True)


def _checked(candidate: Candidate, *, refuses: bool) -> Candidate:
    """Verify before a measurement that a candidate does the work: it accepts, and refuses what it should."""

    def status(event: dict[str, Any], key: str) -> int:
        headers = {"X-Api-Key": key}
        return httpx.post(candidate.url, json=event, headers=headers, trust_env=False).status_code

    expected: list[tuple[dict[str, Any], str, set[int]]] = [(EVENT, candidate.key, {202})]
    if refuses:
        expected += [
            (EVENT, candidate.key[:-1] + "!", {401}),
            (EVENT | {"unknown": 1}, candidate.key, {400, 422}),
            (EVENT | {"severity": "error"}, candidate.key, {400, 422}),
        ]
    for event, key, statuses in expected:
        if (found := status(event, key)) not in statuses:
            raise SystemExit(f"{candidate.name} responded with {found}, not {statuses}, to {event}")
    return candidate
