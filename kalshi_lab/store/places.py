"""Where the files of a lake are: a folder of this machine here, a bucket of object storage in bucket.py, and one way to use them.

A file is named by its path below the lake, with slashes. It is there whole or not at all, and each version of it can be told from the
next one.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from kalshi_lab.store import files
from kalshi_lab.store.export import alone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from kalshi_lab.store.connection import Connection

FILE = "part.parquet"  # each file of a lake that holds rows


class Version(NamedTuple):
    """One state of a file: its size in bytes, and what no other state of it has."""

    size: int
    mark: str


class Place(Protocol):
    """The files of one lake. Everything raises StoreError where the disk or the service does not do it."""

    @property
    def at_once(self) -> int:
        """How many files are best written at the same time."""

    @property
    def exists(self) -> bool:
        """Whether there is such a place, be it empty."""

    def parts(self, below: str = "") -> dict[str, Version]:
        """The files of rows that are there now, below a name."""

    def read(self, name: str) -> bytes | None:
        """What a file holds; None where it is not there."""

    def publish(self, name: str, data: bytes, check: Callable[[str], object] | None = None) -> str:
        """Write a file, whole or not at all, and say where it is.

        `check` is given the source of what was written before it takes its place, and may raise: then the old one stands.
        """

    def alone(self, below: str) -> AbstractContextManager[None]:
        """One export at a time below a name, which finds nothing half done. Raises StoreError where another is at work."""

    def source(self, name: str) -> str:
        """The path of a file, or the pattern of several, as a connection reads it that this place was opened to."""

    def open_to(self, connection: Connection) -> None:
        """Let a connection read the sources of this place."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of this machine."""

    path: Path
    at_once: int = 1

    @property
    def exists(self) -> bool:
        """Whether the folder is there."""
        return self.path.is_dir()

    def parts(self, below: str = "") -> dict[str, Version]:
        """The files of rows; another file of the same name has another mark."""
        found = dict[str, Version]()
        for folder, _, names in os.walk(self.path / below):
            if FILE in names:
                path = Path(folder, FILE)
                with suppress(FileNotFoundError):
                    state = path.stat()
                    mark = f"{state.st_ino} {state.st_mtime_ns}"
                    found[path.relative_to(self.path).as_posix()] = Version(state.st_size, mark)
        return found

    def read(self, name: str) -> bytes | None:
        """What a file holds; None where it is not there."""
        path = self.path / name
        with files.told(path):
            return path.read_bytes() if path.exists() else None

    def publish(self, name: str, data: bytes, check: Callable[[str], object] | None = None) -> str:
        """Write a file beside its place, look at it, and let it take its place."""
        *folders, last = name.split("/")
        target = files.make_folders(self.path, *folders) / last
        files.publish(target, data, None if check is None else lambda path: check(str(path)))
        return str(target)

    @contextmanager
    def alone(self, below: str) -> Iterator[None]:
        """Hold the folder's lock; what was left behind by those who were killed is removed."""
        folder = files.make_folders(self.path, *below.split("/"))
        with alone(folder):
            files.sweep(folder)
            yield

    def source(self, name: str) -> str:
        """The path."""
        return f"{self.path}/{name}"

    def open_to(self, connection: Connection) -> None:
        """Nothing: it reads this machine's files."""

    def __str__(self) -> str:
        return str(self.path)
