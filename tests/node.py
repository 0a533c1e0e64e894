"""Programs in Node that the tests run, and the packages that they need."""

import shutil
import subprocess
from pathlib import Path

from tests.servers.waiting import require


def install(folder: Path, *arguments: str) -> Path:
    """Run npm in a folder, ``ci`` by default, and return the folder; without npm the test is left out."""
    npm = shutil.which("npm")
    if npm is None or not shutil.which("node"):
        require("node and npm are not installed")
    done = subprocess.run(
        [npm, *(arguments or ("ci",)), "--no-audit", "--no-fund", "--silent"],
        cwd=folder, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    if done.returncode:
        require(f"npm cannot install: {done.stderr[-500:]}")
    return folder
