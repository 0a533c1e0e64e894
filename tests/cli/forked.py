"""``flask`` in processes forked from one that has loaded the product: to load it takes a command a second."""

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.reduction import DupFd
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from flask.cli import main

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["__main__", "vigilry_ingest.app", "vigilry_ingest.storage.migrate"])


class _Inherited:
    """A file descriptor that the new process is given; read it there with `take`."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> tuple[Callable[[Any], int], tuple[Any]]:
        return _take, (DupFd(self.number),)


def _take(given: Any) -> int:
    taken: int = given.detach()
    return taken


def run(
    words: Sequence[str], env: Mapping[str, str], cwd: Path, timeout_s: float
) -> subprocess.CompletedProcess[str]:
    """Run ``flask`` as subprocess.run would, with nothing on its standard input.

    Raises subprocess.TimeoutExpired.
    """
    with TemporaryFile("w+") as stdout, TemporaryFile("w+") as stderr:
        process = _context.Process(
            target=_become_flask,
            args=(words, dict(env), cwd, _Inherited(stdout.fileno()), _Inherited(stderr.fileno())),
        )
        process.start()
        process.join(timeout_s)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(["flask", *words], timeout_s)
        stdout.seek(0)
        stderr.seek(0)
        return subprocess.CompletedProcess(words, process.exitcode, stdout.read(), stderr.read())


def _become_flask(words: Sequence[str], env: Mapping[str, str], cwd: Path, stdout: int, stderr: int) -> None:
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.argv = ["flask", *words]
    main()
