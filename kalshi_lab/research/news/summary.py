"""How news lean on the whole, with the uncertainty of few stories."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

import polars as pl

from kalshi_lab.analysis.base import Basis, Result
from kalshi_lab.analysis.ratio import level, student
from kalshi_lab.clock import spelled

if TYPE_CHECKING:
    from datetime import timedelta

TABLE: Final[dict[str, Any]] = {
    "window": pl.String, "mean": pl.Float64, "low": pl.Float64, "high": pl.Float64, "median": pl.Float64, "stories": pl.Int64,
    "articles": pl.Int64, "silent": pl.Int64,
}  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class NewsSentiment(Result):
    """How the news of a market lean towards YES.

    frame(): a row for the last window and one for the window before: mean of the stories' scores (-1 to 1, null without one), low and high
    of its interval (Student's t over stories, null under two), median, stories, articles (copies of stories too), silent (stories that do
    not say). `change` is the difference of the two means, None where either is unknown. `articles` are the rows behind it.
    """

    chart: ClassVar[str] = "news"
    target: str
    articles: pl.DataFrame

    @property
    def mean(self) -> float | None:
        """The mean of the last window."""
        return _number(self.table["mean"][0])

    @property
    def change(self) -> float | None:
        """How the mean changed from the window before."""
        now, before = self.table["mean"].to_list()
        return None if now is None or before is None else now - before

    @property
    def conclusion(self) -> str:
        """What the news say, where they say anything."""
        row = self.table.row(0, named=True)
        if row["mean"] is None:
            return "nothing was said of it"
        if row["low"] is None:
            return f"one story, leaning {row['mean']:+.2f}: too few to say more"
        lean = "towards YES" if row["low"] > 0 else "towards NO" if row["high"] < 0 else "neither way beyond chance"
        return f"the news lean {lean}: {row['mean']:+.2f} [{row['low']:+.2f}, {row['high']:+.2f}] over {row['stories']} stories"


def summed(
    target: str, now: pl.DataFrame, before: pl.DataFrame, *, length: timedelta, confidence: float
) -> NewsSentiment:
    """The figures of two windows of articles."""
    level(confidence)
    table = pl.DataFrame([_window("last", now, confidence), _window("before", before, confidence)], schema=TABLE)
    basis = Basis(
        int(table["stories"][0]), "story", "each story counts once", f"two windows of {spelled(length)}",
        f"{confidence:.0%}, Student's t over stories",
        {"stories that do not say": int(table["silent"][0])},
    )  # fmt: skip
    return NewsSentiment(table=table, basis=basis, target=target, articles=now)


def _window(name: str, rows: pl.DataFrame, confidence: float) -> dict[str, Any]:
    """One window: a story's score is the mean of its copies'."""
    stories = rows.group_by("story", maintain_order=True).agg(pl.col("score").mean())["score"]
    scores = stories.drop_nulls().to_list()
    n = len(scores)
    mean = math.fsum(scores) / n if n else None
    half = None
    if n > 1 and mean is not None:
        half = student(confidence, n - 1) * math.sqrt(math.fsum((one - mean) ** 2 for one in scores) / (n - 1) / n)
    return {
        "window": name, "mean": mean, "low": None if half is None or mean is None else max(mean - half, -1.0),
        "high": None if half is None or mean is None else min(mean + half, 1.0), "median": stories.median() if n else None, "stories": n,
        "articles": rows.height, "silent": stories.null_count(),
    }  # fmt: skip


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
