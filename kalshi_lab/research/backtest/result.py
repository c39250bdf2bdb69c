"""What a backtest found: figures with intervals, the equity curve, and the list of every trade."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

import polars as pl

from kalshi_lab.analysis.base import Basis, Result
from kalshi_lab.analysis.ratio import certain, level, means

if TYPE_CHECKING:
    from collections.abc import Mapping

TIME: Final = pl.Datetime("us", "UTC")
_MONEY: Final = pl.Decimal(38, 12)
TRADES: Final[dict[str, Any]] = {
    "time": TIME, "ticker": pl.String, "event_ticker": pl.String, "action": pl.String, "side": pl.String, "asked": _MONEY, "count": _MONEY,
    "price": _MONEY, "fee": _MONEY, "cash": _MONEY, "short": pl.String, "reason": pl.String, "filled_by": pl.String,
}  # fmt: skip
REFUSED: Final[dict[str, Any]] = {
    "time": TIME, "ticker": pl.String, "action": pl.String, "side": pl.String, "count": _MONEY, "why": pl.String,
}  # fmt: skip
RESTED: Final[dict[str, Any]] = {
    "time": TIME, "ticker": pl.String, "action": pl.String, "side": pl.String, "limit": _MONEY, "count": _MONEY, "queue": _MONEY,
    "filled": _MONEY, "ended": TIME, "why": pl.String,
}  # fmt: skip
EQUITY: Final[dict[str, Any]] = {"time": TIME, "cash": _MONEY, "bound": _MONEY, "positions": _MONEY, "equity": _MONEY}
PAID: Final[dict[str, Any]] = {
    "ticker": pl.String, "settled_time": TIME, "result": pl.String, "value": _MONEY, "payout": _MONEY,
}  # fmt: skip
SUMS: Final[dict[str, Any]] = {
    "ticker": pl.String, "event_ticker": pl.String, "contracts": _MONEY, "staked": _MONEY, "fees": _MONEY, "gross": _MONEY, "open": _MONEY,
}  # fmt: skip
_CLOSED: Final = 1e-12


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Backtest(Result):
    """What a strategy would have made of the past.

    frame(): a row for each measure of the markets that were bought and are over: measure ("a dollar staked", "a contract"), gross and net
    profit in dollars, net_low and net_high (95%, or as asked, clustered by event), win_rate, markets, clusters. trades: every fill (time,
    ticker, event_ticker, action, side, asked, count, price of the side, fee, cash, short: why less than asked, reason, filled_by: "book"
    for a level of a recorded book, "quote" for a best quote, "tape" for an order that rested). refused: orders of which nothing was
    filled, and why. rested: orders that waited (time, ticker, action, side, limit, count, queue: contracts ahead when it came, null where
    no book said, filled, ended, why). markets: what each market took and gave (contracts, staked, fees, gross, net, open contracts,
    result, settled_time). equity: time, cash, bound (of the cash, by what rests), positions (at what they could be sold for), equity,
    drawdown (share of the highest so far). All Float64 dollars and contracts.
    """

    chart: ClassVar[str] = "backtest"
    trades: pl.DataFrame
    refused: pl.DataFrame
    rested: pl.DataFrame
    markets: pl.DataFrame
    equity: pl.DataFrame
    capital: float

    @property
    def profit(self) -> float:
        """Dollars gained or lost in all, fees paid, positions that are still open at what they could be sold for."""
        return 0.0 if self.equity.is_empty() else float(self.equity["equity"][-1]) - self.capital

    @property
    def drawdown(self) -> float:
        """The deepest fall below the highest equity so far, as a share of it."""
        return 0.0 if self.equity.is_empty() else float(self.equity["drawdown"].max())  # type: ignore[arg-type]

    @property
    def turnover(self) -> float:
        """Dollars traded, as a multiple of the capital."""
        return float((self.trades["count"] * self.trades["price"]).sum()) / self.capital

    @property
    def fees(self) -> float:
        """Dollars paid in fees."""
        return float(self.trades["fee"].sum())

    @property
    def conclusion(self) -> str:
        """Whether there was a profit beyond luck, and how large."""
        if self.table.is_empty():
            return "nothing was bought that is over: nothing can be said"
        row = self.table.row(0, named=True)
        if row["net_low"] is None:
            return f"net {row['net']:+.4f} a dollar staked, from one event: no interval, so nothing can be said"
        span = f"{row['net']:+.4f} [{row['net_low']:+.4f}, {row['net_high']:+.4f}] a dollar staked, net of fees"
        if row["net_low"] > 0:
            return f"a profit of {span}"
        return f"a loss of {span}" if row["net_high"] < 0 else f"no profit or loss beyond luck: {span}"

    def _facts(self) -> dict[str, str]:
        told = {
            "profit": f"{self.profit:+,.2f} dollars on {self.capital:,.0f} ({self.profit / self.capital:+.2%})",
            "deepest drawdown": f"{self.drawdown:.2%}",
            "turnover": f"{self.turnover:.2f} times the capital",
            "fees": f"{self.fees:,.2f} dollars",
            "trades": f"{self.trades.height:,}, {self.refused.height:,} orders without a fill",
        }
        return {**super()._facts(), **told}


def finished(told: Mapping[str, Any], *, confidence: float) -> Backtest:
    """The figures of a run."""
    level(confidence)
    markets = _markets(told)
    over = markets.filter(pl.col("open").abs() <= _CLOSED)
    counts = told["counts"]
    excluded = {
        "still open at the end": counts["open at the end"],
        "orders without a fill": len(told["refused"]),
    }
    if counts["fills of unknown size"]:
        excluded["fills at quotes of unknown size (not left out)"] = counts["fills of unknown size"]
    if counts["resting orders in markets without trades"]:
        excluded["resting orders in markets without trades (never filled)"] = counts[
            "resting orders in markets without trades"
        ]
    basis = Basis(
        over.height, "market", "each dollar staked counts once", f"from each fill to the result, or the sale; {_sources(told['trades'])}",
        f"{confidence:.0%}, clustered by event", excluded,
    )  # fmt: skip
    return Backtest(
        table=_figures(over, confidence), basis=basis, trades=_floats(told["trades"], TRADES), refused=_floats(told["refused"], REFUSED),
        rested=_floats(told["rested"], RESTED).sort("time", "ticker", maintain_order=True),
        markets=markets, equity=_equity(told), capital=float(told["capital"]),
    )  # fmt: skip


def _sources(trades: list[dict[str, Any]]) -> str:
    """Which share of the contracts was filled by what."""
    by: Counter[str] = Counter()
    for one in trades:
        by[one["filled_by"]] += one["count"]
    shares = [f"{float(count / by.total()):.0%} by {source}" for source, count in by.most_common()]
    return f"contracts filled {', '.join(shares)}" if shares else "nothing was filled"


def _markets(told: Mapping[str, Any]) -> pl.DataFrame:
    rows = [
        {
            "ticker": ticker, "event_ticker": told["events"].get(ticker, ticker), "contracts": one.opened, "staked": one.staked,
            "fees": one.fees, "gross": one.gross, "open": told["open"].get(ticker, 0),
        }
        for ticker, one in told["sums"].items()
    ]  # fmt: skip
    made = _floats(rows, SUMS).with_columns(net=pl.col("gross") - pl.col("fees"))
    return made.join(_floats(told["paid"], PAID).drop("payout"), on="ticker", how="left").sort("ticker")


def _figures(over: pl.DataFrame, confidence: float) -> pl.DataFrame:
    """Profit a dollar staked and a contract, each the ratio of two sums over events."""
    if over.is_empty():
        return pl.DataFrame(schema=_TABLE)
    won = (pl.col("net") > 0).cast(pl.Float64)
    made = []
    for measure, weight in (("a dollar staked", "staked"), ("a contract", "contracts")):
        rows = over.select(
            cluster=pl.col("event_ticker"), weight=pl.col(weight), n=pl.lit(1), gross=pl.col("gross"), net=pl.col("net"),
            win_rate=won * pl.col(weight),
        )  # fmt: skip
        found = certain(means(rows, [], ("gross", "net", "win_rate"), confidence), ("gross", "net"), confidence)
        made.append(found.with_columns(measure=pl.lit(measure), markets=pl.col("n")))
    return pl.concat(made).select(pl.col(name).cast(kind) for name, kind in _TABLE.items())


_TABLE: Final[dict[str, Any]] = {
    "measure": pl.String, "gross": pl.Float64, "net": pl.Float64, "net_low": pl.Float64, "net_high": pl.Float64, "win_rate": pl.Float64,
    "markets": pl.Int64, "clusters": pl.Int64,
}  # fmt: skip


def _equity(told: Mapping[str, Any]) -> pl.DataFrame:
    made = _floats(told["equity"], EQUITY).unique("time", keep="last", maintain_order=True)
    top = pl.max_horizontal(pl.col("equity").cum_max(), pl.lit(float(told["capital"])))
    return made.with_columns(drawdown=(1 - pl.col("equity") / top).clip(0.0, 1.0))


def _floats(rows: list[dict[str, Any]], schema: Mapping[str, Any]) -> pl.DataFrame:
    """Rows as floats, as analyses want them; they were exact until here."""
    kinds = {name: pl.Float64 if kind == _MONEY else kind for name, kind in schema.items()}
    exact = [name for name, kind in schema.items() if kind == _MONEY]
    plain = [
        {
            **{name: row.get(name) for name in schema},
            **{name: None if row.get(name) is None else float(row[name]) for name in exact},
        }
        for row in rows
    ]
    return pl.DataFrame(plain, schema=kinds)
