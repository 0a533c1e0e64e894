"""Description of the machine."""

import os
import platform
import subprocess
from pathlib import Path

from tests.fixtures.servers.valkey import valkey_binary


def describe_machine() -> dict[str, str | int]:
    """Return the machine's properties and the versions of the software."""
    version = subprocess.run(
        [valkey_binary(), "--version"], check=True, capture_output=True, text=True, timeout=10
    ).stdout
    return {
        "cores": os.cpu_count() or 0,
        "processor": _processor(),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "valkey": next(word[2:] for word in version.split() if word.startswith("v=")),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())
