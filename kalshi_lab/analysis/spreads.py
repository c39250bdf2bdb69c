"""Effective and realised spread: what takers paid above the middle of the quotes, and how much of it the makers kept.

For a trade at price P whose taker bought YES (D = 1) or NO (D = -1), with the middle M of the last real quote before it and M' of the last
one at most some time after it: effective spread 2 D (P - M), realised spread 2 D (P - M'), price impact 2 D (M' - M), so that effective =
realised + impact. Dollars; a taker pays half the effective spread. R. D. Huang, H. R. Stoll, "Dealer versus auction markets", Journal of
Financial Economics 41 (1996); SEC Rule 605 of Regulation NMS has the same definitions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import polars as pl

from kalshi_lab.analysis import ratio
from kalshi_lab.analysis.base import Basis, Result
from kalshi_lab.analysis.engine import default_engine
from kalshi_lab.analysis.given import framed
from kalshi_lab.analysis.tape import (
    TRADED,
    banded,
    edges,
    flags,
    instants,
    texts,
    weighting,
    whole,
)
from kalshi_lab.clock import span
from kalshi_lab.errors import UsageError
from kalshi_lab.money import CENTI, MICRO

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from kalshi_lab.analysis.engine import Engine

# Reads `tape` (cluster, ticker, time, price, size, yes) and `seen` (ticker, time, bid, ask in millionths). The quote that stood at a
# moment is the last of its market up to there: quotes and moments on one line, told apart by odd and even places, a running maximum.
REDUCTION = """
, told AS (SELECT ticker, time, MIN(bid) AS bid, MAX(ask) AS ask FROM seen GROUP BY ticker, time),
moments AS (SELECT ticker, time FROM tape GROUP BY ticker, time),
line AS (
    SELECT ticker, 2 * time AS place, time AS quoted, 0 AS kind, time AS moment FROM told
    UNION ALL SELECT ticker, 2 * time - 1, CAST(NULL AS BIGINT), 1, time FROM moments
    UNION ALL SELECT ticker, 2 * (time + {after}) + 1, CAST(NULL AS BIGINT), 2, time FROM moments
),
stood AS (
    SELECT ticker, kind, moment,
           MAX(quoted) OVER (PARTITION BY ticker ORDER BY place ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS quoted
    FROM line
),
mids AS (
    SELECT stood.ticker, stood.kind, stood.moment,
           CASE WHEN bid > 0 AND bid < ask AND ask < 1000000
                 AND stood.moment + (CASE stood.kind WHEN 2 THEN {after} ELSE 0 END) - told.time <= {oldest}
                THEN bid + ask END AS twice,
           ask - bid AS width
    FROM stood LEFT JOIN told ON told.ticker = stood.ticker AND told.time = stood.quoted
    WHERE stood.kind > 0
)
SELECT cluster, price,
       CASE WHEN yes IN (0, 1) THEN CASE WHEN earlier.twice IS NULL THEN 'before' WHEN later.twice IS NULL THEN 'after' ELSE '' END
            WHEN yes = -1 THEN 'block' ELSE 'side' END AS missing,
       COUNT(*) AS n, CAST(SUM(size) AS BIGINT) AS size,
       {sums}
FROM tape
LEFT JOIN mids AS earlier ON earlier.ticker = tape.ticker AND earlier.moment = tape.time AND earlier.kind = 1
LEFT JOIN mids AS later ON later.ticker = tape.ticker AND later.moment = tape.time AND later.kind = 2
GROUP BY 1, 2, 3
"""
FIELDS = ("cluster", "ticker", "time", "price", "size", "yes")
_SIGN = "(CASE yes WHEN 1 THEN 1 ELSE -1 END)"
_PARTS = {
    "quoted": "earlier.width",
    "effective": f"{_SIGN} * (2 * price - earlier.twice)",
    "realised": f"{_SIGN} * (2 * price - later.twice)",
    "impact": f"{_SIGN} * (later.twice - earlier.twice)",
}
_WHY = {
    "before": "without a real quote before",
    "after": "without a real quote after",
    "block": "block trades",
    "side": "without the taker's side",
}


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Spreads(Result):
    """What takers paid above the middle, and what makers kept of it.

    `table`: low_price, high_price (of YES), n, contracts, clusters, then quoted, effective, realised, impact in dollars, each with its
    interval (effective_low, effective_high, ...); `overall` the same over all prices, one row.
    """

    overall: pl.DataFrame
    after: timedelta
    chart: ClassVar[str] = "spreads"

    @property
    def conclusion(self) -> str:
        """How wide, and who has it."""
        if self.overall.is_empty():
            return "no trade with quotes around it"
        one = self.overall.row(0, named=True)
        between = (
            ""
            if one["realised_low"] is None
            else f" ({100 * one['realised_low']:+.2f}c to {100 * one['realised_high']:+.2f}c)"
        )
        kept = f"makers keep {100 * one['realised']:+.2f}c of it after {self.after}{between}"
        moves = f"the price moves {100 * one['impact']:+.2f}c the taker's way"
        return f"effective spread {100 * one['effective']:.2f}c, quoted {100 * one['quoted']:.2f}c; {kept}, {moves}"


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked, checked."""

    after: timedelta
    oldest: timedelta
    weight: str = "contract"
    bands: list[float] = field(default_factory=lambda: edges(10))
    confidence: float = 0.95

    def sql(self, tape: str, seen: str) -> str:
        """The reduction over two SELECTs."""
        times = "* size" if self.weight == "contract" else ""
        sums = ", ".join(f"CAST(SUM({part} {times}) AS BIGINT) AS {name}" for name, part in _PARTS.items())
        late, old = (each // timedelta(microseconds=1) for each in (self.after, self.oldest))
        return f"WITH tape AS ({tape}), seen AS ({seen})" + REDUCTION.format(after=late, oldest=old, sums=sums)

    def result(self, reduced: pl.DataFrame) -> Spreads:
        """From the reduced rows to the result."""
        left = reduced.filter(pl.col("missing") != "").group_by("missing").agg(pl.col("n").sum()).sort("missing")
        unit = CENTI if self.weight == "contract" else 1
        good = (
            reduced.filter(pl.col("missing") == "")
            .with_columns(banded("price", self.bands).alias("band"))
            .drop_nulls("band")
        )
        good = good.sort("cluster", "price").with_columns(
            (pl.col("size") / CENTI).alias("contracts"), *((pl.col(name) / (unit * MICRO)).alias(name) for name in _PARTS),
        ).with_columns(weight=pl.col("contracts") if self.weight == "contract" else pl.col("n").cast(pl.Float64))  # fmt: skip
        names = list(_PARTS)
        shown = ["n", "contracts", "clusters", *(f"{name}{end}" for name in names for end in ("", "_low", "_high"))]
        table = ratio.means(good, ["band"], names, self.confidence)
        table = table.join(ratio.sums(good, ["band"], "contracts"), on="band", how="left").sort("band")
        low, high = (
            pl.col("band").replace_strict(dict(enumerate(ends)), return_dtype=pl.Float64)
            for ends in (self.bands[:-1], self.bands[1:])
        )
        whole_n = int(good["n"].sum())
        overall = (
            ratio.means(good, [], names, self.confidence)
            .with_columns(contracts=pl.lit(good["contracts"].sum()))
            .select(shown)
        )
        clusters = good["cluster"].n_unique() if good.height else 0
        basis = Basis(
            whole_n, "trade", weighting(self.weight), f"middles before and {self.after} after, none older than {self.oldest}",
            f"{self.confidence * 100:g}% clustered by event ({clusters:,} clusters)", {_WHY[why]: n for why, n in left.iter_rows()},
        )  # fmt: skip
        return Spreads(
            table=table.select(low.alias("low_price"), high.alias("high_price"), *shown),
            overall=overall,
            after=self.after,
            basis=basis,
        )


def asked(
    after: str | timedelta,
    oldest: str | timedelta,
    weight: str,
    bins: int | Sequence[float | Decimal],
    confidence: float,
) -> Question:
    """The question, checked."""
    late, old = span(after, what="after"), span(oldest, what="oldest")
    if late <= timedelta(0) or old <= timedelta(0):
        raise UsageError("after and oldest are lengths of time above 0")
    if weight not in {"contract", "trade"}:
        raise UsageError(f"weight {weight!r} is not known here", hint='"contract" or "trade"')
    return Question(late, old, weight, edges(bins), ratio.level(confidence))


def spreads(
    trades: Any,
    quotes: Any,
    *,
    after: str | timedelta = "5m",
    oldest: str | timedelta = "1h",
    cluster: str = "event_ticker",
    ticker: str = "ticker",
    time: str = "created_time",
    price: str = TRADED["price"],
    side: str = TRADED["side"],
    count: str = TRADED["count"],
    quote_time: str = "time",
    bid: str = "yes_bid",
    ask: str = "yes_ask",
    weight: str = "contract",
    bins: int | Sequence[float | Decimal] = 10,
    confidence: float = 0.95,
    engine: Engine | None = None,
) -> Spreads:
    """Effective spread, realised spread and price impact of trades, from quotes around them (the module has the formulas).

    `quotes` has `ticker`, `quote_time`, and bid and ask of YES in dollars; the quote before a trade is the last one earlier than it, the
    one after it the last one up to `after` later. Quotes that are not real (`models.quote.is_priced`) or stood longer than `oldest` are
    none. `weight`: "contract" or "trade". Left out and counted: trades without a real quote before or after, without the taker's side,
    block trades. See `Spreads` for the table. Raises UsageError for a missing column and for values that are no price, side, count or time.
    """
    question = asked(after, oldest, weight, bins, confidence)
    rows = framed(
        trades, {"cluster": cluster, "ticker": ticker, "time": time, "price": price, "side": side, "count": count}
    )
    seen = framed(quotes, {"ticker": ticker, "time": quote_time, "bid": bid, "ask": ask})
    tape = pl.DataFrame({
        "cluster": texts(rows["cluster"], name=cluster),
        "ticker": texts(rows["ticker"], name=ticker),
        "time": instants(rows["time"], name=time),
        "price": whole(rows["price"], MICRO, what="price in [0, 1]", name=price, highest=1),
        "size": whole(rows["count"], CENTI, what="count of contracts", name=count, highest=10**9),
        "yes": flags(rows["side"], what="side", name=side),
    })  # fmt: skip
    known = pl.DataFrame({
        "ticker": texts(seen["ticker"], name=ticker),
        "time": instants(seen["time"], name=quote_time),
        "bid": whole(seen["bid"], MICRO, what="price in [0, 1]", name=bid, highest=1),
        "ask": whole(seen["ask"], MICRO, what="price in [0, 1]", name=ask, highest=1),
    })  # fmt: skip
    made = question.sql("SELECT * FROM given_trades", "SELECT * FROM given_quotes")
    return question.result((engine or default_engine()).run(made, given_trades=tape, given_quotes=known))
