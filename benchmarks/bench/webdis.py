"""webdis, an HTTP server in C that forwards commands to Redis: an upper bound for HTTP to XADD."""

import json
import shutil
from pathlib import Path

import httpx

from benchmarks.bench.candidates import Candidate
from benchmarks.bench.rounds import Plan, Run, load_on
from benchmarks.wrk import EVENT
from tests.fixtures.servers.process import Process
from tests.fixtures.servers.valkey import Valkey
from tests.fixtures.servers.waiting import free_port


class Webdis(Process):
    """Run webdis with its own broker; it appends without any checks."""

    def __init__(self, threads: int) -> None:
        super().__init__()
        self._port = free_port()
        self._valkey = Valkey(tcp=True, unix=False)
        settings = {
            "redis_host": "127.0.0.1",
            "redis_port": self._valkey.port,
            "http_host": "127.0.0.1",
            "http_port": self._port,
            "threads": threads,
            "pool_size": 20,
            "daemonize": False,
            "websockets": False,
            "database": 0,
            "verbosity": 0,
            "logfile": "webdis.log",
            "acl": [{"disabled": []}],
        }
        (self.folder / "webdis.json").write_text(json.dumps(settings))
        self.command = [str(shutil.which("webdis")), "webdis.json"]

    def start(self) -> None:
        """Start the broker and webdis."""
        self._valkey.__enter__()
        super().start()

    def close(self) -> None:
        """Stop both."""
        super().close()
        self._valkey.close()

    def wait_ready(self) -> None:
        """Wait until webdis responds."""
        url = f"http://127.0.0.1:{self._port}/PING"
        self.wait_for(
            lambda: httpx.get(url, trust_env=False).is_success,
            "webdis responds",
            ignoring=(httpx.TransportError,),
        )

    def load(self, plan: Plan) -> Run:
        """Return a function that runs a round of single appends of the contract's first example."""
        fields = [part for name, value in EVENT.items() for part in (name, value)]
        words = ["XADD", "events", "*", *(each if isinstance(each, str) else "{}" for each in fields)]
        script = Path(self.folder) / "post.lua"
        body = "/".join(word.replace(" ", "%20") for word in words)
        script.write_text(f"wrk.method = 'POST'\nwrk.body = '{body}'\n")
        address = f"127.0.0.1:{self._port}"
        candidate = Candidate("webdis", address, self.pid, self._valkey.pid, "", script)
        return load_on(candidate, plan, url=f"http://{address}/")
