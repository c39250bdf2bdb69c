"""The ledger of an account: what each lot cost, what closed it, and what that made, to the last digit, from fills and settlements alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

import polars as pl

from kalshi_lab.analysis.base import Basis, Result
from kalshi_lab.errors import one_of
from kalshi_lab.money import CENTI, MICRO
from kalshi_lab.portfolio import entries
from kalshi_lab.portfolio.entries import PLACE
from kalshi_lab.portfolio.lots import (
    CLOSING,
    NETTED,
    REFUNDED,
    SETTLED,
    UNIT,
    UNKNOWN,
    UNVALUED,
    Lots,
    Method,
)

if TYPE_CHECKING:
    from kalshi_lab.portfolio.explanation import Explanation

METHODS: Final = ("fifo", "lifo", "average")
CENT: Final = UNIT // 100
HOW: Final = {SETTLED: "settlement", REFUNDED: "void", UNVALUED: "settlement of unknown value", NETTED: "pairs"}
SUMS: Final = ("cost", "proceeds", "gross", "opening_fee", "closing_fee", "fees", "net")
Row = dict[str, Any]


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Ledger(Result):
    """Lots, what closed them, and the sums by market. All figures are exact: Decimal dollars and contracts.

    frame(): a row for each market and subaccount: subaccount_number, ticker, event_ticker, position (contracts, negative: NO), cost (of
    what is held, dollars without fees; null where part of it is unknown), average_price (a contract), gross (realised, before fees),
    fees (all that were paid; those of the settlement where fills are missing), net (realised, with the fees of both ends of what is
    closed), traded (dollars), fills, opened_time, closed_time (of the last closing), result, settled_time, unknown (contracts whose
    profit cannot be known, since what opened or valued them is not), complete (whether fills explain all that the exchange says).
    closings: a row for each part of a lot that was closed: subaccount_number, ticker, event_ticker, side, contracts, opened_time,
    closed_time, how ("fill", "settlement", "void", "pairs", ...), entry_price, exit_price, cost, proceeds, gross, opening_fee,
    closing_fee, fees (of both), net, opened_by and closed_by (fill ids; null for none). open: the lots that are held: the same as far as
    it applies. Unknown is null, and the contracts of it are counted.
    """

    chart: ClassVar[str] = "ledger"
    closings: pl.DataFrame
    open: pl.DataFrame
    method: Method

    @property
    def net(self) -> Any:
        """Realised profit of all markets, fees paid, dollars; null where none is known."""
        return self.table["net"].sum() if self.table["net"].count() else None

    @property
    def conclusion(self) -> str:
        """The sum, and how much of it is not known."""
        unknown = self.table["unknown"].sum()
        held = self.table.filter(pl.col("position") != 0).height
        said = "nothing realised" if self.net is None else f"realised {self.net:+,.2f} dollars net of fees"
        part = f"; {unknown:,.2f} contracts of unknown profit" if unknown else ""
        return f"{said} in {self.table.height:,} markets, {held:,} held ({self.method}){part}"

    def explain(self, ticker: str) -> Explanation:
        """How the figures of a market come about, down to its fills. Raises UsageError for a market that the ledger has not."""
        from kalshi_lab.portfolio.explanation import explained

        return explained(self, ticker)


def ledger(
    fills: pl.DataFrame,
    settlements: pl.DataFrame | None = None,
    *,
    positions: pl.DataFrame | None = None,
    method: Method = "fifo",
) -> Ledger:
    """Lots, closings and profit of an account from its fills.

    fills: fill_id, ticker, outcome_side (or side, of older records), count, yes_price (or no_price), fee_cost, created_time, and where
    there are subaccounts subaccount_number; as `lab.portfolio.fills()` gives them, in any order, doubles are taken once. settlements:
    ticker, market_result, revenue_cents, value_cents, settled_time, counts and costs. positions: ticker, position, time: what the exchange
    said; with it history that is missing is noticed. method: which lot a closing takes: "fifo" the oldest, "lifo" the newest, "average"
    all alike.

    A fill that gains one side closes what is held of the other, at the price's complement, and realises at once. A settlement closes what
    is left: at 1 or 0 dollars, at the value of a scalar result, at cost where the market was void. Fees are those of the fills, once; a
    settlement's fee, which repeats them, only stands in where fills are missing. Contracts whose opening is missing close at an unknown
    profit (null) and are counted. Raises UsageError for missing columns and other methods.
    """
    one_of("method", method, METHODS)
    good, bad = entries.fills(fills)
    paid, told = entries.settlements(settlements), entries.positions(positions)
    places = _places(good, paid, told)
    out, left = _walked(good, places, method)
    closings, held = _closings(good, places, out), _held(good, places, left)
    table = _table(places, closings, held)
    missing = table.filter(~pl.col("complete")).height
    basis = Basis(
        good.height, "fill", f"lots {method}", "from each fill to what closed it", "none",
        {**{f"fills {why}": n for why, n in bad.items()}, "markets with incomplete history (not left out)": missing},
    )  # fmt: skip
    return Ledger(table=table, basis=basis, closings=closings, open=held, method=method)


def _places(good: pl.DataFrame, paid: pl.DataFrame, told: pl.DataFrame) -> pl.DataFrame:
    """Every market of every subaccount with its settlement, what was looked at, and the contracts whose opening is missing."""
    sums = good.group_by(PLACE).agg(
        total=pl.col("change").sum(), n=pl.len(), first=pl.col("created_time").min(), fees=pl.col("fee").sum(),
        feeless=pl.col("fee").null_count(), traded=(pl.col("price") * pl.col("contracts")).sum(),
    )  # fmt: skip
    sums = sums.join(_sold_short(good), on=PLACE, how="left")
    paid = entries.assigned(paid, sums.select(*PLACE, "total"))
    looked = good.join(told.select(*PLACE, "time"), on=PLACE).filter(pl.col("created_time") <= pl.col("time"))
    seen = looked.group_by(PLACE).agg(then=pl.col("change").sum())
    known = pl.concat([sums.select(PLACE), paid.select(PLACE), told.filter(pl.col("told") != 0).select(PLACE)]).unique()
    made = (
        known.join(sums, on=PLACE, how="left").join(paid, on=PLACE, how="left")
        .join(told.select(*PLACE, "told", "time"), on=PLACE, how="left").join(seen, on=PLACE, how="left").sort(PLACE)
    )  # fmt: skip
    total, net = pl.col("total").fill_null(0), pl.col("yes") - pl.col("no")
    worth = pl.when(total > 0).then(total * pl.col("value")).otherwise(-total * (MICRO - pl.col("value")))
    fits = (worth // CENT * CENT == pl.col("paid")) & (pl.col("paid") > 0)
    by_look = pl.when(pl.col("settled_time").is_null()).then(pl.col("told") - pl.col("then").fill_null(0))
    anchored = pl.col("told").is_not_null() | net.is_not_null()
    return made.with_columns(
        missing=pl.when(pl.col("n").is_null() & net.is_not_null()).then(0)  # told by the settlement alone
        .when(net.is_not_null() & (net != total) & ~fits.fill_null(value=False)).then(net - total)
        .when(anchored).then(by_look.fill_null(0)).otherwise(pl.col("short").fill_null(0)),
        recalled=pl.col("n").is_null() & net.is_not_null(),
    )  # fmt: skip


def _sold_short(good: pl.DataFrame) -> pl.DataFrame:
    """What must have been held before the first fill, since a sale closed it: older records say for sure what was a sale."""
    before, count = pl.col("change").cum_sum().over(PLACE) - pl.col("change"), pl.col("contracts")
    sign = pl.col("change").sign()
    lacking = (count + before * sign).clip(lower_bound=0)  # a sale of NO, which gains YES, closes NO that is held
    sold = good.select(*PLACE, "legacy", "action", short=-sign * lacking).filter(
        pl.col("legacy") & (pl.col("action") == "sell")
    )
    return sold.group_by(PLACE).agg(pl.col("short").sort_by(pl.col("short").abs()).last())


def _walked(good: pl.DataFrame, places: pl.DataFrame, method: Method) -> tuple[list[int], list[tuple[int, Lots]]]:
    """Book every market's fills and its settlement; what was closed, and the lots that are left."""
    fees = good["fee"].fill_null(0)
    out: list[int] = []
    left: list[tuple[int, Lots]] = []
    at = 0
    for number, place in enumerate(places.iter_rows(named=True)):
        lots = Lots(number, method, out, place["missing"])
        count = place["n"] or 0
        own = slice(at, at + count)
        lots.take(zip(range(at, at + count), good["change"][own], good["price"][own], fees[own], strict=True))
        at += count
        if place["recalled"]:
            yes, no = ((place[side] or 0, place[f"{side}_cost"] or 0) for side in ("yes", "no"))
            lots.recall(yes, no, place["settled_fee"] or 0)
        if place["settled_time"] is not None or place["market_result"] is not None:
            _settle(lots, place)
        if lots.held:
            left.append((number, lots))
    return out, left


def _settle(lots: Lots, place: Row) -> None:
    """Close what is left as the settlement says; what it paid counts where it is that of these very contracts."""
    value, paid = place["value"], place["paid"]
    if place["void"]:
        lots.refund(REFUNDED)
    elif value is not None:
        count, price = abs(lots.held), value if lots.held > 0 else MICRO - value
        # a settlement says a scalar value in whole cents only, and cuts what it pays to cents
        within = CENT + (count * MICRO // 100 if place["market_result"] not in {"yes", "no"} else 0)
        lots.settle(SETTLED, value, paid if paid is not None and abs(paid - count * price) < within else None)
    elif paid is not None and place["missing"] == 0 and lots.held and paid % abs(lots.held) == 0:
        each = paid // abs(lots.held)
        lots.settle(SETTLED, each if lots.held > 0 else MICRO - each)
    else:
        lots.settle(UNVALUED, 0)


def _closings(good: pl.DataFrame, places: pl.DataFrame, out: list[int]) -> pl.DataFrame:
    told = pl.Series(out, dtype=pl.Int64)
    raw = pl.DataFrame({name: told.gather_every(len(CLOSING), place) for place, name in enumerate(CLOSING)})
    made = raw.with_columns(_fill(good, raw, "opened"), _fill(good, raw, "closed"), _market(places, raw)).unnest(
        "opened_fill", "closed_fill", "place"
    )
    how = pl.col("closed").replace_strict(HOW, default="fill", return_dtype=pl.String)
    known, valued = pl.col("opened") != UNKNOWN, pl.col("closed") != UNVALUED
    cost, proceeds = pl.when(known).then("cost"), pl.when(valued).then("proceeds")
    fee_in = pl.when(known & ~pl.col("opened_feeless")).then("fee_in")
    fee_out = pl.when(~pl.col("closed_feeless")).then("fee_out")
    made = made.with_columns(
        cost=cost, proceeds=proceeds, opening_fee=fee_in, closing_fee=fee_out, fees=fee_in + fee_out, how=how,
        gross=proceeds - cost, net=proceeds - cost - fee_in - fee_out,
        closed_time=pl.coalesce("closed_time", "settled_time"),
    )  # fmt: skip
    return made.select(
        *PLACE, "event_ticker", _side(pl.col("side")), entries.exact("count", CENTI).alias("contracts"), "opened_time", "closed_time",
        "how", _each("cost", "entry_price"), _each("proceeds", "exit_price"),
        *(entries.exact(name).alias(name) for name in SUMS), "opened_by", "closed_by",
    )  # fmt: skip


def _held(good: pl.DataFrame, places: pl.DataFrame, left: list[tuple[int, Lots]]) -> pl.DataFrame:
    rows = [(number, 1 if lots.held > 0 else -1, *lot) for number, lots in left for lot in lots.open]
    names = ("market", "side", "opened", "count", "cost", "fee_in")
    raw = pl.DataFrame(rows, schema=dict.fromkeys(names, pl.Int64), orient="row")
    made = raw.with_columns(_fill(good, raw, "opened"), _market(places, raw)).unnest("opened_fill", "place")
    made = made.with_columns(
        cost=pl.when(pl.col("opened") != UNKNOWN).then("cost"),
        fees=pl.when((pl.col("opened") != UNKNOWN) & ~pl.col("opened_feeless")).then("fee_in"),
    )
    return made.select(
        *PLACE, "event_ticker", _side(pl.col("side")), entries.exact("count", CENTI).alias("contracts"), "opened_time",
        _each("cost", "entry_price"), entries.exact("cost").alias("cost"), entries.exact("fees").alias("fees"), "opened_by",
    )  # fmt: skip


def _fill(good: pl.DataFrame, raw: pl.DataFrame, end: str) -> pl.Series:
    """The fill at one end of each lot: its id, its time, and whether its fee is unknown."""
    rows = raw.select(pl.when(pl.col(end) >= 0).then(pl.col(end)).cast(pl.UInt32)).to_series()
    by, time, feeless = f"{end}_by", f"{end}_time", f"{end}_feeless"
    found = good.select(
        pl.col("fill_id").alias(by), pl.col("created_time").alias(time), pl.col("fee").is_null().alias(feeless)
    )
    taken = found.select(pl.all().gather(rows)).with_columns(pl.col(feeless).fill_null(value=False))
    return taken.to_struct(f"{end}_fill")


def _market(places: pl.DataFrame, raw: pl.DataFrame) -> pl.Series:
    return places.select(*PLACE, "event_ticker", "settled_time")[raw["market"]].to_struct("place")


def _side(sign: pl.Expr) -> pl.Expr:
    return pl.when(sign > 0).then(pl.lit("yes")).otherwise(pl.lit("no")).alias("side")


def _each(total: str, name: str) -> pl.Expr:
    """Dollars a contract; cut at the sixth decimal where it has more."""
    return entries.exact(pl.col(total) // pl.col("count"), MICRO).alias(name)


def _table(places: pl.DataFrame, closings: pl.DataFrame, held: pl.DataFrame) -> pl.DataFrame:
    """The sums by market."""
    sums = closings.group_by(PLACE).agg(
        gross=_sum("gross"), closed_net=_sum("net"), closed_time=pl.col("closed_time").max(),
        unknown=pl.col("contracts").filter(pl.col("gross").is_null()).sum(), closed=pl.len(), netless=pl.col("net").null_count(),
    )  # fmt: skip
    signed = pl.when(pl.col("side") == "yes").then("contracts").otherwise(-pl.col("contracts"))
    lots = held.group_by(PLACE).agg(
        position=signed.sum(), cost=pl.when(pl.col("cost").null_count() == 0).then(pl.col("cost").sum()),
        lost=pl.col("contracts").filter(pl.col("cost").is_null()).sum(),
    )  # fmt: skip
    zero, none = pl.lit(0).cast(pl.Decimal(38, 2)), pl.lit(None, pl.Decimal(38, 8))
    made = places.join(sums, on=PLACE, how="left").join(lots, on=PLACE, how="left").sort(PLACE)
    whole = (pl.col("missing") == 0) & ~pl.col("recalled")
    stands_in = pl.when(pl.col("settled_time").is_not_null()).then(entries.exact("settled_fee"))
    own = pl.when(pl.col("feeless") == 0).then(entries.exact("fees"))
    fees = pl.when(whole & (pl.col("feeless") == 0)).then(own).otherwise(pl.coalesce(stands_in, own, none))
    over = pl.col("position").is_null() & (pl.col("unknown").fill_null(zero) == 0)
    zero_money = pl.lit(0).cast(pl.Decimal(38, 8))
    position = pl.col("position").fill_null(zero)
    return made.with_columns(fees=fees, whole=whole, over=over).select(
        *PLACE, "event_ticker", position=position,
        cost=pl.when(position == zero).then(zero_money).otherwise("cost"),
        average_price=pl.when(position != zero).then((pl.col("cost") / position.abs()).cast(pl.Decimal(38, 8))),
        gross=pl.when(pl.col("closed").is_null()).then(zero_money).otherwise("gross"), fees="fees",
        net=pl.when(pl.col("closed").is_null()).then(zero_money).when(pl.col("over") & (~pl.col("whole") | (pl.col("netless") > 0)))
        .then(pl.col("gross") - pl.col("fees")).otherwise("closed_net"),
        traded=entries.exact("traded"), fills=pl.col("n").fill_null(0).cast(pl.Int64), opened_time="first", closed_time="closed_time",
        result="market_result", settled_time="settled_time",
        unknown=pl.col("unknown").fill_null(zero) + pl.col("lost").fill_null(zero), complete="whole",
    )  # fmt: skip


def _sum(name: str) -> pl.Expr:
    """A sum of what is known; null where nothing is."""
    return pl.when(pl.col(name).count() > 0).then(pl.col(name).sum()).alias(name)
