"""Edge: what a contract is worth to you beyond what it costs, at prices that can be paid and net of fees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import polars as pl

from kalshi_lab.analysis.base import Basis, Result
from kalshi_lab.analysis.given import given
from kalshi_lab.analysis.ladder import repaired
from kalshi_lab.analysis.recalibration import Recalibration
from kalshi_lab.analysis.scan import dollars, micro
from kalshi_lab.errors import UsageError, one_of
from kalshi_lab.fees import TAKER, FeeSchedule
from kalshi_lab.models import quote
from kalshi_lab.money import MICRO

if TYPE_CHECKING:
    from collections.abc import Mapping

NEEDED = ("ticker", "probability", "yes_bid", "yes_ask")
WITHOUT = {
    "thesis": "without your probability", "calibration": "without a price to mend", "ladder": "that are no rung of a ladder with others",
}  # fmt: skip
STANDARD = ("quadratic", 1)  # the fee of most series
CERTAIN = 0.20  # a difference between two probabilities, in dollars, of which an edge record is fully confident
TEXTS = ("event_ticker", "title", "yes_sub_title")
TABLE = (
    "ticker", "event_ticker", "title", "yes_sub_title", "type", "side", "probability", "market", "price", "size", "fee", "cost", "ev",
    "return", "confidence", "mutually_exclusive",
)  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Edge(Result):
    """Contracts worth more to you than they cost, the best expected return first.

    `considered` has ticker and ev of the better side of every market that could be judged, worth its cost or not.
    """

    considered: pl.DataFrame
    chart: ClassVar[str] = "edge"

    @property
    def conclusion(self) -> str:
        """The best of them in words."""
        if self.table.is_empty():
            return "nothing is worth more than it costs"
        row = self.table.row(0, named=True)
        return (
            f"{self.table.height:,} worth more than they cost, best {row['ticker']}: {row['side'].upper()} at "
            f"{100 * row['price']:.4g}c and {100 * row['fee']:.3g}c fee is worth {100 * row['probability']:.4g}c"
        )


def edge(
    markets: pl.DataFrame,
    *,
    fees: FeeSchedule | tuple[str, Any] | Mapping[str, FeeSchedule] = STANDARD,
    by: Recalibration | Literal["ladder"] | None = None,
    min_ev: float = 0.0,
) -> Edge:
    """The side of each market that is worth more than it costs, by your probabilities, by what prices have meant, or by its ladder.

    `markets` has ticker, probability (yours, of YES), yes_bid and yes_ask (dollars), and perhaps event_ticker, mutually_exclusive,
    yes_bid_size and yes_ask_size. `by` takes probabilities from elsewhere, and then no column is needed for them: a result of
    `kl.recalibrate` gives what prices like the mid have meant; "ladder" gives each market with strikes the price that it has in the
    distribution closest to all markets of its event (`kl.ladder`, whose columns it needs). What such an estimate calls an edge is as good
    as the estimate; what pays whatever happens is `kl.arbitrage`. A wide spread, much volume or a large move are no probability, and so
    no edge: `kl.scan` and `kl.movers` find them.
     YES costs its ask and NO costs 1 - YES bid; to that comes the taker's fee, 0.07 x multiplier x P x
    (1 - P) a contract, without the rounding of an order, which is at most a hundredth of a cent for direct members (see `kl.fee`).
    `fees` is one schedule for all, ("quadratic", 1) where nothing is said, or one for each ticker. Kept is what is worth more than
    `min_ev` dollars a contract after all that. Markets without a probability or without a real quote are left out and counted; a
    probability of 0 or 1 is one.

    Table: ticker, event_ticker, title, yes_sub_title, type ("thesis", "calibration" or "ladder": whose
    probability it is), side String; probability of the side, market (its mid price),
    price, fee, cost (price + fee), ev (probability - cost), all Float64 dollars a contract; return (ev / cost), confidence (how far your
    probability is from the market's, 1 from 20 cents on) Float64; size Float64 contracts at that price (null where not known);
    mutually_exclusive Boolean (null where not known). Formula: EV = p - P - fee, a fair bet having EV 0 (J. L. Kelly, 1956). Raises
    UsageError for a missing column, a price or a probability outside [0, 1], a market with two rows, and unknown fees.
    """
    markets = given(markets, *(name for name in NEEDED if by is None or name != "probability"))
    doubled = markets.height - markets["ticker"].n_unique()
    if doubled:
        raise UsageError(f"column 'ticker': {doubled:,} rows repeat a market", hint="Give one row for each market")
    kind, estimated = _estimated(markets, by)
    rows = _ready(estimated, _rates(markets, fees))
    known = rows.filter(pl.col("probability").is_not_null())
    real = known.filter("priced")
    both = pl.concat([_side(real, "yes"), _side(real, "no")])
    best = both.sort("ev", "side", descending=[True, True]).unique("ticker", keep="first", maintain_order=True)
    found = best.filter(pl.col("ev") > min_ev).sort("return", "ticker", descending=[True, False])
    excluded = {
        WITHOUT[kind]: rows.height - known.height,
        "without a real quote": known.height - real.height,
        "not worth their cost": real.height - found.height,
    }
    basis = Basis(
        n=rows.height, unit="market", weighting="a contract each", horizon="now, held to settlement", excluded=excluded
    )
    table = found.with_columns(type=pl.lit(kind)).select(TABLE)
    return Edge(table=table, basis=basis, considered=best.select("ticker", "ev"))


def _estimated(markets: pl.DataFrame, by: Recalibration | str | None) -> tuple[str, pl.DataFrame]:
    """Whose probabilities, and the markets with them."""
    if by is None:
        return "thesis", markets
    if isinstance(by, Recalibration):
        real = markets.select(
            quote.priced(), mid=dollars(micro(pl.col("yes_bid")) + micro(pl.col("yes_ask")), 2 * MICRO)
        )
        mids = pl.Series([mid if priced else None for priced, mid in real.iter_rows()], dtype=pl.Float64)
        mended = pl.DataFrame({"mid": mids.drop_nulls().unique()}).with_columns(
            probability=pl.col("mid").map_batches(by.apply, return_dtype=pl.Float64)
        )
        joined = pl.DataFrame({"mid": mids}).join(mended, on="mid", how="left", maintain_order="left")
        return "calibration", markets.with_columns(joined["probability"])
    one_of("by", by, ("ladder",))
    found = repaired(markets.drop("probability", strict=False))
    return "ladder", markets.drop("probability", strict=False).join(
        found, on="ticker", how="left", maintain_order="left"
    )


def _ready(markets: pl.DataFrame, rates: pl.Series) -> pl.DataFrame:
    absent = [pl.lit(None, pl.String).alias(name) for name in TEXTS if name not in markets.columns]
    for name, kind in (("yes_bid_size", pl.Float64), ("yes_ask_size", pl.Float64), ("mutually_exclusive", pl.Boolean)):
        absent += [pl.lit(None, kind).alias(name)] if name not in markets.columns else []
    rows = markets.with_columns(absent).with_columns(
        pl.col("probability", "yes_bid_size", "yes_ask_size").cast(pl.Float64),
        rates, bid=micro(pl.col("yes_bid")), ask=micro(pl.col("yes_ask")), priced=quote.priced(),
    )  # fmt: skip
    for name, inside in (("probability", pl.col("probability").is_between(0, 1)),
                         ("yes_bid", pl.col("bid").is_between(0, MICRO)), ("yes_ask", pl.col("ask").is_between(0, MICRO))):  # fmt: skip
        wrong = rows.filter(~inside).height
        if wrong:
            raise UsageError(
                f"column {name!r}: {wrong:,} rows hold nothing in [0, 1]", hint="Divide percent and cents by 100"
            )
    return rows


def _rates(markets: pl.DataFrame, fees: FeeSchedule | tuple[str, Any] | Mapping[str, FeeSchedule]) -> pl.Series:
    """The fee's coefficient of P x (1 - P) of each row."""
    if isinstance(fees, FeeSchedule | tuple):
        schedule = fees if isinstance(fees, FeeSchedule) else FeeSchedule.of(fees)
        return pl.repeat(float(TAKER * schedule.terms()[1]), markets.height, dtype=pl.Float64, eager=True).alias("rate")
    tickers = markets["ticker"].to_list()
    missing = [ticker for ticker in tickers if ticker not in fees]
    if missing:
        raise UsageError(
            f"{len(missing):,} markets have no fee schedule, the first {missing[0]}", hint="Give one for each ticker"
        )
    rates = {ticker: float(TAKER * fees[ticker].terms()[1]) for ticker in set(tickers)}
    return pl.Series("rate", [rates[ticker] for ticker in tickers], dtype=pl.Float64)


def _side(rows: pl.DataFrame, side: str) -> pl.DataFrame:
    """Each market as a contract of one side."""
    yes = side == "yes"
    price = dollars(pl.col("ask") if yes else MICRO - pl.col("bid"))
    mid = dollars(pl.col("bid") + pl.col("ask"), 2 * MICRO)
    chance = pl.col("probability") if yes else 1 - pl.col("probability")
    fee = pl.col("rate") * price * (1 - price)
    made = rows.select(
        "ticker", *TEXTS, "mutually_exclusive", side=pl.lit(side), probability=chance,
        market=mid if yes else 1 - mid, price=price, size=pl.col("yes_ask_size" if yes else "yes_bid_size"), fee=fee, cost=price + fee,
        confidence=((chance - (mid if yes else 1 - mid)).abs() / CERTAIN).clip(0, 1),
    )  # fmt: skip
    return made.with_columns(ev=pl.col("probability") - pl.col("cost")).with_columns(
        (pl.col("ev") / pl.col("cost")).alias("return")
    )
