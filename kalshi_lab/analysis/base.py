"""What every analysis gives back: a table, a picture, and words that say what it rests on."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, cast

from kalshi_lab import markup, money

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from kalshi_lab.analysis.engine import Drawing

SHOWN = 40  # rows of a table in a notebook


@dataclass(frozen=True, slots=True)
class Basis:
    """What a result rests on: how many of what, what counts how much, as of when, how intervals were made, what was left out and why."""

    n: int
    unit: str = "row"
    weighting: str = "each row counts once"
    horizon: str = "none"
    interval: str = "none"
    excluded: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def many(self) -> str:
        """The number of things with their name."""
        if self.n == 1:
            return f"1 {self.unit}"
        return f"{self.n:,} {self.unit[:-1]}ies" if self.unit.endswith("ry") else f"{self.n:,} {self.unit}s"

    @property
    def left_out(self) -> str:
        """What was left out, by reason."""
        return ", ".join(f"{count:,} {reason}" for reason, count in self.excluded.items() if count) or "none"

    def facts(self) -> dict[str, str]:
        """The same as names and words."""
        return {
            "n": self.many,
            "weighting": self.weighting,
            "horizon": self.horizon,
            "interval": self.interval,
            "excluded": self.left_out,
        }


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Result(ABC):
    """A table with what it rests on; it says its conclusion, and draws itself.

    A kind of result names its picture, a function of `kalshi_lab.charts`, and says its conclusion.
    """

    table: pl.DataFrame
    basis: Basis
    chart: ClassVar[str]

    @property
    @abstractmethod
    def conclusion(self) -> str:
        """What the table says, in words."""

    def frame(self) -> pl.DataFrame:
        """The table; for its columns, dtypes and units see the function or verb that made it, as `kl.edge?` for an `Edge`."""
        return self.table

    def plot(self, **options: Any) -> Drawing:
        """The picture."""
        # charts stand on a floor above analyses and know their results, so a result reaches its chart by name, when asked
        return cast("Drawing", getattr(importlib.import_module("kalshi_lab.charts"), self.chart)(self, **options))

    def __repr__(self) -> str:
        facts = self.basis.facts()
        said = ", ".join(f"{name} {facts[name]}" for name in ("weighting", "horizon", "interval"))
        return f"<{type(self).__name__} of {facts['n']}: {said}; excluded: {facts['excluded']}; {self.conclusion}>"

    def _facts(self) -> dict[str, str]:
        """What the card says above the table."""
        return self.basis.facts()

    def _repr_html_(self) -> str:
        shown = self.table.head(SHOWN)
        below = markup.table(shown.columns, [[_cell(value) for value in row] for row in shown.iter_rows()])
        more = self.table.height - shown.height
        facts = self._facts() | {"conclusion": self.conclusion}
        return markup.card(
            f"{type(self).__name__} of {self.basis.many}", facts, below, f"and {more:,} more rows" if more else ""
        )


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.3f}".rstrip("0").rstrip(".")
    if isinstance(value, Decimal):
        return money.plain(value)
    return "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
