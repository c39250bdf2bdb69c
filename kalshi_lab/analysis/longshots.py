"""The favourite-longshot curve: how often contracts won over what they cost, every trade counted from both sides.

A trade at p is a contract of YES bought at p and one of NO bought at 1 - p: of the two one wins. Were prices honest, contracts bought at c
would win c of the time. J. Becker, "The Microstructure of Wealth Transfer in Prediction Markets" (2026), counts trades so.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any, ClassVar

import polars as pl

from kalshi_lab.analysis import ratio
from kalshi_lab.analysis.base import Basis, Result
from kalshi_lab.analysis.engine import default_engine
from kalshi_lab.analysis.given import framed
from kalshi_lab.analysis.scores import wilson
from kalshi_lab.analysis.tape import TRADED, banded, edges, flags, texts, weighting, whole
from kalshi_lab.errors import one_of
from kalshi_lab.money import CENTI, MICRO

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from kalshi_lab.analysis.engine import Engine

# Reads `tape`: price, won, and as asked size and cluster.
REDUCTION = """
SELECT {cluster}price, won, COUNT(*) AS n{size} FROM tape GROUP BY {cluster}price, won
"""
MEANS = ("mean_price", "win_rate", "gap")
SHOWN = (
    "low_price",
    "high_price",
    "n",
    "clusters",
    "mean_price",
    "win_rate",
    "low",
    "high",
    "gap",
    "gap_low",
    "gap_high",
    "expected_return",
)


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Longshots(Result):
    """How often contracts won over what they cost.

    `table`: low_price, high_price (of the contract, YES or NO; the lower edge included), n Int64 contracts bought (two a trade),
    clusters, mean_price, win_rate with its interval low, high; gap (win_rate - mean_price) with gap_low, gap_high; expected_return
    (gap / mean_price). `slope` is that of won - price on the price, with its interval: above 0, long shots cost too much.
    """

    slope: tuple[float, float, float] | None
    chart: ClassVar[str] = "longshots"

    @property
    def conclusion(self) -> str:
        """Whether long shots cost too much."""
        if self.table.is_empty():
            return "no trades"
        first = self.table.row(0, named=True)
        band = f"contracts of {100 * first['low_price']:g}-{100 * first['high_price']:g}c"
        said = f"{band} win {100 * first['win_rate']:.2f}% and cost {100 * first['mean_price']:.2f}c"
        if self.slope is None:
            return said
        slope, low, high = self.slope
        bias = "long shots cost too much" if low > 0 else "favourites cost too much" if high < 0 else "no clear bias"
        return f"{bias}: slope {slope:+.3f} ({low:+.3f} to {high:+.3f}); {said}"


@dataclass(frozen=True, slots=True)
class Part:
    """The sums of some clusters, numbered from 0 in the order of their names: for each band, and for the line through all."""

    means: pl.DataFrame
    lines: pl.DataFrame
    left: dict[str, int]
    n: int
    clusters: int


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked, checked."""

    weight: str
    bands: list[float]
    confidence: float
    clustered: bool

    @property
    def fields(self) -> tuple[str, ...]:
        """What the reduction reads of the tape."""
        return (*(["cluster"] if self.clustered else []), "price", *([] if self.weight == "trade" else ["size"]), "won")

    def sql(self, source: str = "") -> str:
        """The reduction, over a SELECT that gives the tape, or over a table of that name."""
        size = "" if self.weight == "trade" else ", CAST(SUM(size) AS BIGINT) AS size"
        made = REDUCTION.format(cluster="cluster, " if self.clustered else "", size=size)
        return f"WITH tape AS ({source}) {made}" if source else made

    def result(self, reduced: pl.DataFrame) -> Longshots:
        """From the reduced rows to the result."""
        return self.whole([self.part(reduced)])

    def part(self, reduced: pl.DataFrame) -> Part:
        """What the result needs of the reduced rows of some clusters, a fraction of them."""
        reason = (
            pl.when(pl.col("won").is_null()).then(pl.lit("trades without a yes or no result"))
            .when(~pl.col("price").is_between(1, MICRO - 1).fill_null(value=False)).then(pl.lit("trades without a price between 0 and 1"))
        )  # fmt: skip
        marked = reduced.with_columns(reason=reason)
        left = marked.drop_nulls("reason").group_by("reason").agg(pl.col("n").sum())
        good = marked.filter(pl.col("reason").is_null())
        good = ratio.numbered(good) if self.clustered else good.with_columns(cluster=pl.lit(None, pl.UInt32))
        other = good.with_columns(price=MICRO - pl.col("price"), won=1 - pl.col("won"))
        sided = pl.concat([good.with_columns(sign=1.0), other.with_columns(sign=-1.0)])
        both = sided.with_columns(banded("price", self.bands).alias("band")).drop_nulls("band")
        cost, won = pl.col("price") / MICRO, pl.col("won").cast(pl.Float64)
        held = both.sort("cluster", "price", "won", "n").with_columns(
            weight=pl.col("n").cast(pl.Float64) if self.weight == "trade" else pl.col("size") / CENTI,
            cost=cost,
            gain=won - cost,
        )
        w = pl.col("weight")
        means = held.select(
            "band", "cluster", "n", "weight", mean_price=w * pl.col("cost"), win_rate=w * won, gap=w * pl.col("gain")
        )
        lines = held.select(
            "cluster", w=w, wx=w * cost, wxx=w * cost * cost, wy=w * pl.col("gain"), wxy=w * cost * pl.col("gain"),
            v=w * pl.col("sign"), vx=w * cost * pl.col("sign"),
        )  # fmt: skip
        return Part(
            means=ratio.by_cluster(means, ["band"], MEANS),
            lines=ratio.sums(lines, ["cluster"], *lines.columns[1:]) if self.clustered else lines.clear(),
            left=dict(left.iter_rows()),
            n=int(good["n"].sum()),
            clusters=good["cluster"].n_unique() if good.height else 0,
        )

    def whole(self, parts: Sequence[Part]) -> Longshots:
        """The result of all parts, which follow one another in the order of their clusters' names."""
        before = [0, *accumulate(part.clusters for part in parts)]
        means, lines = (
            pl.concat(
                [
                    each.with_columns(pl.col("cluster").cast(pl.UInt32) + first)
                    for each, first in zip(some, before, strict=False)
                ]
            )
            for some in ([part.means for part in parts], [part.lines for part in parts])
        )
        found = ratio.of_clusters(means, ["band"], MEANS, self.confidence)
        found = (
            ratio.certain(found, ["win_rate", "gap"], self.confidence)
            if self.clustered
            else _unclustered(found, self.confidence)
        )
        low, high = (
            pl.col("band").replace_strict(dict(enumerate(ends)), return_dtype=pl.Float64)
            for ends in (self.bands[:-1], self.bands[1:])
        )
        table = found.sort("band").with_columns(
            low_price=low, high_price=high, low=pl.col("win_rate_low").clip(0, 1), high=pl.col("win_rate_high").clip(0, 1),
            expected_return=pl.col("gap") / pl.col("mean_price"),
        )  # fmt: skip
        line = ratio.slope(lines, self.confidence) if self.clustered else None
        return Longshots(table=table.select(SHOWN), slope=line and line[1:], basis=self._basis(parts))

    def _basis(self, parts: Sequence[Part]) -> Basis:
        level = f"{self.confidence * 100:g}%"
        how = (
            f"{level} clustered by event ({sum(part.clusters for part in parts):,} clusters)"
            if self.clustered
            else f"{level} by Wilson, trades taken as independent"
        )
        left = Counter[str]()
        for part in parts:
            left.update(part.left)
        said = f"{weighting(self.weight)}, from both sides"
        return Basis(
            sum(part.n for part in parts), "trade", said, "the trade's own time", how, dict(sorted(left.items()))
        )


def _unclustered(found: pl.DataFrame, confidence: float) -> pl.DataFrame:
    """Wilson's interval of the win rate from the number of trades, and the gap's moved along."""
    ends = [wilson(rate, n, confidence) for rate, n in found.select("win_rate", "n").iter_rows()]
    low, high = (pl.Series([each and each[place] for each in ends], dtype=pl.Float64) for place in (0, 1))
    return found.with_columns(
        clusters=pl.lit(None, pl.UInt32),
        win_rate_low=low,
        win_rate_high=high,
        gap_low=low - found["mean_price"],
        gap_high=high - found["mean_price"],
    )


def asked(weight: str, bins: int | Sequence[float | Decimal], confidence: float, *, clustered: bool) -> Question:
    """The question, checked."""
    return Question(one_of("weight", weight, ("trade", "contract")), edges(bins), ratio.level(confidence), clustered)


def longshots(
    trades: Any,
    *,
    outcome: str = "result",
    cluster: str | None = "event_ticker",
    price: str = TRADED["price"],
    count: str = TRADED["count"],
    weight: str = "trade",
    bins: int | Sequence[float | Decimal] = 20,
    confidence: float = 0.95,
    engine: Engine | None = None,
) -> Longshots:
    """How often the contracts of trades with known results won over what they cost, each trade counted as a buy of YES and one of NO.

    `price` is that of YES in dollars, `outcome` yes/no, True/False or 1/0, `cluster` the event (None: Wilson's intervals, which take
    trades for independent and are far too narrow where they are not), `count` contracts, read where each "contract" counts once instead
    of each "trade". `bins` is a number of bands or their edges. See `Longshots` for the table, `ratio.means` and `ratio.certain` for
    the intervals. Trades without a result or a price between 0 and 1 are left out and counted. Raises UsageError for a missing column
    and for values that are no price, outcome or count.
    """
    question = asked(weight, bins, confidence, clustered=cluster is not None)
    named = {"price": price, "won": outcome, "cluster": cluster} | ({"size": count} if weight == "contract" else {})
    rows = framed(trades, named)
    made = {
        "price": whole(rows["price"], MICRO, what="price in [0, 1]", name=price, highest=1),
        "won": flags(rows["won"], what="outcome", name=outcome),
    }
    if cluster:
        made["cluster"] = texts(rows["cluster"], name=cluster)
    if weight == "contract":
        made["size"] = whole(rows["size"], CENTI, what="count of contracts", name=count, highest=10**9)
    return question.result((engine or default_engine()).run(question.sql(), tape=pl.DataFrame(made)))
