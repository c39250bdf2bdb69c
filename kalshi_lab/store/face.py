"""The store's blocking face: `lab.store`, and `kl.Store(path)` alone, for a script that needs no exchange."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kalshi_lab.portal import Facade, blocking
from kalshi_lab.store.store import Store as AsyncStore

if TYPE_CHECKING:
    import os

__all__ = ["AsyncStore", "Store", "face"]


class Store(Facade):
    """A store by itself, blocking: `kl.Store("kalshi.duckdb")` opens one, and makes it where there is none. See `AsyncStore`.

    wait: seconds for which another process that holds it is waited for. Raises UsageError for a folder that cannot be written.
    """

    _twin: AsyncStore

    def __init__(self, path: str | os.PathLike[str], *, wait: float = 10.0) -> None:
        super().__init__(AsyncStore(Path(path).expanduser().absolute(), wait=wait))

    select = blocking(AsyncStore.select)
    table = blocking(AsyncStore.table)
    statistics = blocking(AsyncStore.statistics)
    verify = blocking(AsyncStore.verify)
    backup = blocking(AsyncStore.backup)
    restore = blocking(AsyncStore.restore)
    recover = blocking(AsyncStore.recover)
    prune = blocking(AsyncStore.prune)
    compact = blocking(AsyncStore.compact)
    vacuum = blocking(AsyncStore.vacuum)

    @property
    def path(self) -> Path:
        """The store's file."""
        return self._twin.path

    def __repr__(self) -> str:
        return repr(self._twin)


def face(twin: AsyncStore) -> Store:
    """The blocking face of a store that is there."""
    made = Store.__new__(Store)
    Facade.__init__(made, twin)
    return made
