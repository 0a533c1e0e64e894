"""The examples' programs: what they read, and how they are run."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import httpx

from tests.fixtures.sender import Sender
from tests.fixtures.servers.gunicorn import ROOT, Service
from tests.fixtures.servers.process import Process
from tests.fixtures.servers.waiting import free_port, require, wait_until

EXAMPLES = ROOT / "examples"
PROGRAMS = {".py": sys.executable, ".mjs": "node", ".sh": "sh"}
FILES = [each for each in sorted(EXAMPLES.iterdir()) if each.suffix in {*PROGRAMS, ".go", ".java"}]


def environment(service: Service, sender: Sender) -> dict[str, str]:
    """Return what an example reads."""
    return environment_of(service.url, sender.minted.api_key)


def environment_of(url: str, key: str = "any") -> dict[str, str]:
    """Return what an example reads, where it is not the service that it speaks to."""
    return dict(os.environ) | {
        "INGEST_URL": url,
        "INGEST_API_KEY": key,
        "PYTHONPATH": str(EXAMPLES),
    }


def run(name: str, env: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    """Run an example to its end."""
    program = shutil.which(PROGRAMS[Path(name).suffix])
    if program is None or (name == "send.sh" and not shutil.which("curl")):
        require(f"what runs {name} is not installed")
    return subprocess.run(
        [program, str(EXAMPLES / name), *options],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def run_well(name: str, env: dict[str, str], *options: str) -> str:
    """Run an example to its end, check that it ends well, and return what it prints."""
    done = run(name, env, *options)
    assert done.returncode == 0, done.stderr
    return done.stdout


class App(Process):
    """A web application of the examples, on a port of its own."""

    def __init__(self, command: list[str], env: dict[str, str], cwd: Path = EXAMPLES) -> None:
        self.port = free_port()
        super().__init__(
            [each.replace("PORT", str(self.port)) for each in command],
            env=env | {"PORT": str(self.port)},
            cwd=cwd,
        )

    @property
    def url(self) -> str:
        """Return its address."""
        return f"http://127.0.0.1:{self.port}"

    def wait_ready(self) -> None:
        """Wait until it answers."""
        self.wait_for(lambda: httpx.get(self.url), "it answers", ignoring=(httpx.TransportError,))


def flask_app(name: str, env: dict[str, str]) -> App:
    """Make a Flask application of the examples."""
    return App([sys.executable, "-m", "flask", "--app", name, "run", "--port", "PORT"], env)


def wait_for_one(sender: Sender) -> dict[bytes, bytes]:
    """Wait for one published event."""
    wait_until(lambda: bool(sender.published()), 10.0, "something is reported")
    (entry,) = sender.published()
    return entry
