"""The file system through which DuckDB reads a lake in a bucket: stretches of objects, one version of each, of this lake alone.

DuckDB's own reader of S3 is an extension that comes from the internet; this one needs none. A pattern becomes the versions that
there are now, and each version is a file of its own by its name, so that nothing that DuckDB keeps of it can be out of date.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from fsspec import AbstractFileSystem

from kalshi_lab.errors import UsageError
from kalshi_lab.store.places import Version

if TYPE_CHECKING:
    from kalshi_lab.store.bucket import Bucket

SCHEME = "lake://"
SAME = datetime(2000, 1, 1, tzinfo=UTC)  # a version never changes


class Ranged(AbstractFileSystem):  # type: ignore[misc] # fsspec has no types
    """What DuckDB asks of a file system, for reading alone."""

    protocol = "lake"
    cachable = False  # fsspec would keep every one ever made

    def __init__(self, bucket: Bucket) -> None:
        super().__init__()
        self._bucket = bucket

    def glob(self, path: str, **_: Any) -> list[str]:
        """The versions of the files that a pattern means."""
        name = path.removeprefix(SCHEME)
        if "*" in name:
            there = sorted(self._bucket.parts(name.partition("*")[0].rpartition("/")[0]).items())
            meant = [(each, version) for each, version in there if PurePosixPath(each).match(name)]
            self._bucket.warm(meant)
            return [_path(*one) for one in meant]
        state = self._bucket.state(name)
        return [] if state is None else [_path(name, state.version)]

    def open(self, path: str, mode: str = "rb", **_: Any) -> Stretches:
        """One version of a file."""
        if mode != "rb":
            raise UsageError("a lake is only read by a query")
        return Stretches(self._bucket, *_parsed(path))

    def size(self, path: str) -> int:
        """Its size in bytes."""
        return _parsed(path)[1].size

    def modified(self, path: str) -> datetime:  # noqa: ARG002 - as of any file
        """The same time for all."""
        return SAME

    def exists(self, path: str, **_: Any) -> bool:
        """Whether there is such a file."""
        return bool(self.glob(path))

    isfile = exists

    def isdir(self, path: str) -> bool:  # noqa: ARG002 - as of any file system
        """Object storage has no folders."""
        return False


class Stretches:
    """A file that is read at any place by several threads at once: DuckDB shares it among them, and seeks before it reads."""

    def __init__(self, bucket: Bucket, name: str, version: Version) -> None:
        self._bucket, self._name, self._version = bucket, name, version
        self._places = dict[int, int]()  # where each thread is
        self.closed = False

    def seek(self, offset: int, whence: int = 0) -> int:
        """Where this thread reads next."""
        place = offset + (0, self.tell(), self._version.size)[whence]
        self._places[threading.get_ident()] = place
        return place

    def tell(self) -> int:
        """Where this thread is."""
        return self._places.get(threading.get_ident(), 0)

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        start = self.tell()
        end = self._version.size if size < 0 else min(start + size, self._version.size)
        found = self._bucket.stretch(self._name, self._version, start, end) if end > start else b""
        self.seek(end)
        return found

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def close(self) -> None:
        """There is nothing to give back."""
        self.closed = True


def _path(name: str, version: Version) -> str:
    return f"{SCHEME}{name}#{version.size}#{version.mark}"


def _parsed(path: str) -> tuple[str, Version]:
    name, size, mark = path.removeprefix(SCHEME).split("#", 2)
    return name, Version(int(size), mark)
