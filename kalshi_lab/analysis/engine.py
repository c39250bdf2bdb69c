"""What an analysis asks of its surroundings: something that runs its SQL, and something that shows its result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import polars as pl


class Engine(Protocol):
    """Runs a reduction: DuckDB in memory, the lab's store, or Spark."""

    def run(self, sql: str, **frames: pl.DataFrame) -> pl.DataFrame:
        """The rows of one SELECT, in which each keyword frame is a table under its name."""


class FarEngine(Protocol):
    """Runs a reduction over tables that it reaches by itself, as `kl.Spark` does over a lake, instead of the lab's store."""

    def read(self, sql: str, parameters: Sequence[Any] = ()) -> pl.DataFrame:
        """The rows of one SELECT with `$1`, `$2`, ... taken from the parameters."""


class Drawing(Protocol):
    """A finished picture, as `kalshi_lab.charts` makes it: Jupyter shows it, `save` writes it."""

    figure: Any

    def png(self) -> bytes:
        """The picture as PNG."""

    def save(self, path: str | Path) -> Path:
        """Write the picture; the suffix names the format."""


def default_engine() -> Engine:
    """DuckDB in memory."""
    from kalshi_lab.store import memory

    return memory
