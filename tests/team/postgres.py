"""A PostgreSQL server of the tests' own, on loopback, in a folder that goes with it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

NEEDED = ("initdb", "pg_ctl", "createdb", "psql")
PLACES = ("/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt")


def programs() -> Path | None:
    """The folder with PostgreSQL's programs; None where there are none."""
    found = shutil.which("pg_ctl")
    made = [
        *sorted(one for place in PLACES for one in Path(place).glob("*/bin")),
        *([Path(found).parent] if found else []),
    ]
    return next((one for one in reversed(made) if all((one / name).exists() for name in NEEDED)), None)


class Server:
    """A server; `words` reach it as libpq wants them."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._programs = folder, programs()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._run("initdb", "-D", str(folder / "data"), "-A", "trust", "-U", "postgres", "--no-sync")
        self.start()

    def words(self, database: str) -> str:
        return f"host=127.0.0.1 port={self.port} user=postgres dbname={database}"

    def database(self, name: str) -> str:
        """Make a database; its words."""
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", name)
        return self.words(name)

    def sql(self, *statements: str) -> None:
        """Run statements as the server's owner."""
        for statement in statements:
            self._run("psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-qAt", "-c", statement)

    def asks_for_passwords(self) -> None:
        """Let everybody but the server's owner in by password alone."""
        rules = "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
        (self._folder / "data" / "pg_hba.conf").write_text(rules)
        self.stop()
        self.start()

    def start(self) -> None:
        options = f"-p {self.port} -k {self._folder} -c listen_addresses=127.0.0.1"
        self._run(
            "pg_ctl", "-D", str(self._folder / "data"), "-l", str(self._folder / "log"), "-o", options, "-w", "start"
        )

    def stop(self) -> None:
        self._run("pg_ctl", "-D", str(self._folder / "data"), "-m", "immediate", "-w", "stop")

    def _run(self, program: str, *words: str) -> None:
        """It refuses to be run as root, who lends it a name of its own."""
        user = {"user": "postgres"} if os.geteuid() == 0 else {}
        subprocess.run([f"{self._programs}/{program}", *words], check=True, stdout=subprocess.DEVNULL, cwd="/", **user)


@contextmanager
def running() -> Iterator[Server]:
    """A server, for as long as it is needed."""
    folder = Path(tempfile.mkdtemp(prefix="kl-pg-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    server = Server(folder)
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)
