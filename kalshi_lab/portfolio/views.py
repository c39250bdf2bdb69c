"""What is held, at what it could be sold for, and what all of it made: by market, event, series, thesis or time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

import polars as pl

from kalshi_lab.analysis.base import Basis, Result
from kalshi_lab.errors import UsageError, one_of
from kalshi_lab.models.quote import priced
from kalshi_lab.portfolio.entries import PLACE, need

if TYPE_CHECKING:
    from kalshi_lab.portfolio.ledger import Ledger

By = Literal["total", "ticker", "event", "series", "thesis", "day", "week", "month", "year"]
PERIODS: Final = {"day": "1d", "week": "1w", "month": "1mo", "year": "1y"}
NAMES: Final = {"ticker": "ticker", "event": "event_ticker", "series": "series_ticker", "thesis": "thesis"}
MONEY: Final = pl.Decimal(38, 8)


def positions(ledger: Ledger, quotes: pl.DataFrame) -> pl.DataFrame:
    """What is held, a row for each market and subaccount, at the price at which it could be sold and at the middle.

    quotes: ticker, yes_bid, yes_ask (dollars). Columns, all exact: subaccount_number, ticker, event_ticker, side, contracts,
    average_price, cost (dollars without fees), fees (paid for what is held), bid (of the side that is held: what a seller gets), mid
    (null unless both sides are really quoted), value and unrealized (at the bid), value_mid and unrealized_mid; unrealized profit is
    before the fees of selling and after those of buying. complete: whether the fills explain the position. Unknown is null: no bid, no
    mid, a cost that is not known.
    """
    need("quotes", quotes, ("ticker", "yes_bid", "yes_ask"))
    fees = ledger.open.group_by(PLACE).agg(
        held_fees=pl.when(pl.col("fees").null_count() == 0).then(pl.col("fees").sum()), side=pl.col("side").first()
    )
    price = pl.Decimal(9, 6)
    told = quotes.select("ticker", pl.col("yes_bid", "yes_ask").cast(price)).unique("ticker", keep="last")
    yes, one = pl.col("side") == "yes", pl.lit(1).cast(price)
    real = pl.col("yes_bid").is_between(0, 1, closed="none"), pl.col("yes_ask").is_between(0, 1, closed="none")
    made = (
        ledger.table.filter(pl.col("position") != 0).join(fees, on=PLACE, how="left").join(told, on="ticker", how="left")
        .with_columns(
            contracts=pl.col("position").abs(),
            bid=pl.when(yes & real[0]).then("yes_bid").when(~yes & real[1]).then(one - pl.col("yes_ask")),
            middle=pl.when(priced()).then((pl.col("yes_bid") + pl.col("yes_ask")).cast(MONEY) / 2),
        )
        .with_columns(mid=pl.when(yes).then("middle").otherwise(pl.lit(1).cast(MONEY) - pl.col("middle")).cast(MONEY))
        .with_columns(value=(pl.col("contracts") * pl.col("bid")).cast(MONEY), value_mid=(pl.col("contracts") * pl.col("mid")).cast(MONEY))
    )  # fmt: skip
    basis = pl.col("cost") + pl.col("held_fees")
    return made.select(
        *PLACE, "event_ticker", "side", "contracts", "average_price", "cost", fees="held_fees", bid="bid", mid="mid", value="value",
        unrealized=pl.col("value") - basis, value_mid="value_mid", unrealized_mid=pl.col("value_mid") - basis, complete="complete",
    ).sort("value", *PLACE, descending=[True, False, False], nulls_last=True)  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class ProfitAndLoss(Result):
    """What closed, summed up. All sums are exact Decimal dollars.

    frame(): a row for each key ("total", a ticker, ...): closings, wins, losses (a closing is all that one fill, or one settlement,
    closed in a market; it is won or lost by its net profit, and neither at exactly 0), contracts, gross, fees, net, average_win,
    average_loss, best, worst, win_rate (Float64; null without a win or a loss), profit_factor (won dollars by lost dollars; null without
    losses), unknown (contracts that closed at an unknown profit, in no sum). equity: time, net (of that moment), realized (so far),
    drawdown (below the highest so far, dollars), at_risk (what was held at cost then; null where that is unknown).
    """

    chart: ClassVar[str] = "profit_and_loss"
    equity: pl.DataFrame
    by: By

    @property
    def net(self) -> Any:
        """Realised profit, fees paid."""
        return self.equity["net"].sum()

    @property
    def drawdown(self) -> Any:
        """The deepest fall of the realised profit below its highest, dollars."""
        return self.equity["drawdown"].max()

    @property
    def capital(self) -> Any:
        """The most that was held at cost at one time, dollars; null where that is never known."""
        return self.equity["at_risk"].max()

    @property
    def return_on_capital(self) -> float | None:
        """Net profit by the most that was at risk at one time."""
        return float(self.net) / float(self.capital) if self.capital and not self.equity.is_empty() else None

    @property
    def conclusion(self) -> str:
        """The sum in words."""
        if self.equity.is_empty():
            return "nothing has closed"
        back = self.return_on_capital
        share = "" if back is None else f", {back:+.1%} on {self.capital:,.2f} dollars at risk at most"
        return f"net {self.net:+,.2f} dollars, deepest drawdown {self.drawdown:,.2f}{share}"


def profit_and_loss(
    ledger: Ledger, by: By = "total", *, names: pl.DataFrame | None = None, zone: str = "UTC"
) -> ProfitAndLoss:
    """What closed, summed up by a key.

    by: "total", "ticker", "event", "series", "thesis", or "day", "week", "month", "year" of the closing in `zone`. names: ticker with
    event_ticker, series_ticker or thesis, where the key is one of these; a ticker of two theses counts in both, so that their rows need not
    add up; what has no name has the key null. Raises UsageError for other keys and for names that are missing.
    """
    one_of("by", by, ("total", *NAMES, *PERIODS))
    deals = _deals(ledger)
    keyed = deals.with_columns(key=pl.lit("total"))
    if by in PERIODS:
        local = pl.col("closed_time").dt.convert_time_zone(zone)
        keyed = deals.with_columns(key=local.dt.truncate(PERIODS[by]).dt.date().cast(pl.String))
    elif by != "total":
        keyed = _named(deals, NAMES[by], names).with_columns(key=pl.col(NAMES[by]))
    table = _summed(keyed).sort("key" if by in PERIODS else "net", descending=by not in PERIODS, nulls_last=True)
    equity = _equity(ledger)
    basis = Basis(
        deals.height, "closing", f"lots {ledger.method}, each closing counts once", "from opening to closing", "none",
        {"closings of unknown profit (not in the sums)": int(deals["net"].null_count())},
    )  # fmt: skip
    return ProfitAndLoss(table=table, basis=basis, equity=equity, by=by)


def _deals(ledger: Ledger) -> pl.DataFrame:
    """What one fill, or one settlement, closed in a market."""
    group = [*PLACE, "event_ticker", "how", "closed_by", "closed_time"]
    known = pl.col("net").null_count() == 0
    return ledger.closings.group_by(group, maintain_order=True).agg(
        *(pl.when(known).then(pl.col(name).sum()).alias(name) for name in ("gross", "fees", "net")),
        contracts=pl.col("contracts").sum(),
    )


def _named(deals: pl.DataFrame, column: str, names: pl.DataFrame | None) -> pl.DataFrame:
    if column == "ticker" or (names is None and column == "event_ticker"):
        return deals
    if names is None:
        raise UsageError(f"no names for {column}", hint=f"Give names=, a frame of ticker and {column}")
    need("names", names, ("ticker", column))
    return deals.drop(column, strict=False).join(names.select("ticker", column).unique(), on="ticker", how="left")


def _summed(keyed: pl.DataFrame) -> pl.DataFrame:
    net = pl.col("net")
    won, lost = net.filter(net > 0), net.filter(net < 0)
    sums = keyed.group_by("key").agg(
        closings=pl.len(), wins=won.len(), losses=lost.len(), contracts=pl.col("contracts").sum(),
        **{name: pl.when(net.count() > 0).then(pl.col(name).filter(net.is_not_null()).sum()) for name in ("gross", "fees", "net")},
        won=won.sum(), lost=lost.sum(), best=net.max(), worst=net.min(), unknown=pl.col("contracts").filter(net.is_null()).sum(),
    )  # fmt: skip
    decided = pl.col("wins") + pl.col("losses")
    return sums.select(
        "key", "closings", "wins", "losses", "contracts", "gross", "fees", "net",
        average_win=pl.when(pl.col("wins") > 0).then((pl.col("won") / pl.col("wins").cast(MONEY)).cast(MONEY)),
        average_loss=pl.when(pl.col("losses") > 0).then((pl.col("lost") / pl.col("losses").cast(MONEY)).cast(MONEY)),
        best="best", worst="worst", win_rate=pl.when(decided > 0).then(pl.col("wins") / decided),
        profit_factor=pl.when(pl.col("losses") > 0).then(-pl.col("won").cast(pl.Float64) / pl.col("lost").cast(pl.Float64)),
        unknown="unknown",
    )  # fmt: skip


def _equity(ledger: Ledger) -> pl.DataFrame:
    """The realised profit over time, and what was held at cost."""
    closed = ledger.closings
    opened = pl.concat([closed.select(*_LOT), ledger.open.select(*_LOT)])
    flows = pl.concat([
        opened.select(time="opened_time", net=pl.lit(0).cast(MONEY), cost="cost"),
        closed.select(time="closed_time", net=pl.col("net").fill_null(0), cost=-pl.col("cost")),
    ])  # fmt: skip
    unknown = bool(opened["cost"].null_count() or opened["opened_time"].null_count())
    steps = flows.drop_nulls("time").group_by("time").agg(pl.col("net").sum(), pl.col("cost").sum()).sort("time")
    realized = pl.col("net").cum_sum()
    made = steps.with_columns(
        realized=realized, drawdown=pl.max_horizontal(realized.cum_max(), pl.lit(0).cast(MONEY)) - realized
    )
    risk = pl.lit(None, MONEY) if unknown else pl.col("cost").cum_sum()
    return made.select("time", "net", "realized", "drawdown", at_risk=risk)


_LOT: Final = ("opened_time", "cost")
