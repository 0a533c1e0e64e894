"""Programs for browsers, bundled by esbuild."""

import subprocess
from pathlib import Path


def bundle(folder: Path, program: str, *options: str) -> Path:
    """Bundle a program of a folder with the packages that it imports, and return the script."""
    script = folder / f"{Path(program).stem}.bundle.js"
    command = [
        str(folder / "node_modules/.bin/esbuild"),
        program,
        "--bundle",
        f"--outfile={script}",
        *options,
    ]
    subprocess.run([*command, "--log-level=error"], cwd=folder, check=True, timeout=60)
    return script
