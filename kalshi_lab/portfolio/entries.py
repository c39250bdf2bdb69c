"""What a ledger is made of, as whole numbers: fills, settlements and what the exchange says is held.

Prices are in 1/1,000,000 dollar, contracts in 1/100, money in their product, 1/100,000,000 dollar.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import polars as pl

from kalshi_lab.analysis import given as frames
from kalshi_lab.errors import UsageError
from kalshi_lab.money import CENTI, MICRO
from kalshi_lab.portfolio.lots import UNIT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

TIME: Final = pl.Datetime("us", "UTC")
PLACE: Final = ("subaccount_number", "ticker")
VOIDED: Final = ("void", "voided", "canceled", "cancelled")
FILL: Final[Mapping[str, Any]] = {
    "fill_id": pl.String, "order_id": pl.String, "ticker": pl.String, "outcome_side": pl.String, "side": pl.String, "action": pl.String,
    "is_taker": pl.Boolean, "created_time": TIME, "subaccount_number": pl.Int64,
}  # fmt: skip
SETTLEMENT: Final[Mapping[str, Any]] = {
    "ticker": pl.String, "event_ticker": pl.String, "market_result": pl.String, "settled_time": TIME, "subaccount_number": pl.Int64,
}  # fmt: skip
POSITION: Final[Mapping[str, Any]] = {"ticker": pl.String, "time": TIME, "subaccount_number": pl.Int64}


def fills(given: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, int]]:
    """Fills as whole numbers in the order in which they happened, and how many rows could not be used, by reason.

    Of fills at one moment the order is the book's: who takes reaches the best price first.
    """
    given = need("fills", given, ("fill_id", "ticker", "count", "created_time"))
    made = _typed(given, FILL).with_columns(
        pl.col("subaccount_number").fill_null(0),
        exposure=pl.coalesce("outcome_side", "side"),
        contracts=whole(given, "count", CENTI),
        yes=pl.coalesce(whole(given, "yes_price", MICRO), MICRO - whole(given, "no_price", MICRO)),
        fee=whole(given, "fee_cost", UNIT),
    )
    why = (
        pl.when(~pl.col("exposure").is_in(["yes", "no"]).fill_null(value=False)).then(pl.lit("without a side"))
        .when(pl.col("yes").is_null() | ~pl.col("yes").is_between(0, MICRO)).then(pl.lit("without a price"))
        .when(pl.col("contracts").is_null() | (pl.col("contracts") <= 0)).then(pl.lit("without a count"))
        .when(pl.col("ticker").is_null() | pl.col("created_time").is_null()).then(pl.lit("without a market or time"))
    )  # fmt: skip
    made = made.with_columns(why=why)
    bad = {why: n for why, n in made.group_by("why").len().sort("why").iter_rows() if why is not None}
    good = made.filter(pl.col("why").is_null()).unique(["subaccount_number", "fill_id"], keep="first")
    if twice := made.height - sum(bad.values()) - good.height:
        bad["given twice"] = twice
    gained = pl.col("exposure") == "yes"
    rising = gained == pl.col("is_taker").fill_null(value=True)
    return good.select(
        *PLACE, "fill_id", "order_id", "created_time", "fee", "action", "is_taker", "contracts",
        legacy=pl.col("outcome_side").is_null(),
        change=pl.when(gained).then("contracts").otherwise(-pl.col("contracts")),
        price=pl.when(gained).then("yes").otherwise(MICRO - pl.col("yes")),
        walk=pl.when(rising).then("yes").otherwise(-pl.col("yes")),
    ).sort(*PLACE, "created_time", "walk", "order_id", "fill_id", nulls_last=True), bad  # fmt: skip


def settlements(given: pl.DataFrame | None) -> pl.DataFrame:
    """Settlements as whole numbers; `value` is what YES paid, null where that is not known."""
    if given is None:
        given = pl.DataFrame(schema={"ticker": pl.String})
    given = need("settlements", given, ("ticker",))
    made = _typed(given, SETTLEMENT).with_columns(
        yes=whole(given, "yes_count", CENTI), no=whole(given, "no_count", CENTI),
        yes_cost=whole(given, "yes_total_cost", UNIT), no_cost=whole(given, "no_total_cost", UNIT),
        paid=whole(given, "revenue_cents", UNIT // 100), told=whole(given, "value_cents", MICRO // 100),
        exact=whole(given, "settlement_value", MICRO), settled_fee=whole(given, "fee_cost", UNIT),
    )  # fmt: skip
    result = pl.col("market_result")
    value = (
        pl.when(result == "yes").then(MICRO)
        .when(result == "no").then(0)
        .when(~result.is_in(VOIDED)).then(pl.coalesce("exact", "told"))
    )  # fmt: skip
    return (
        made.with_columns(value=value, void=result.is_in(VOIDED).fill_null(value=False))
        .drop("told", "exact")
        .sort("settled_time", nulls_last=False)
    )


def assigned(paid: pl.DataFrame, totals: pl.DataFrame) -> pl.DataFrame:
    """One settlement for each place that was paid: the exchange does not say which subaccount a settlement was for.

    totals: subaccount_number, ticker, total. It is the place whose contracts are the settlement's. Where several could be meant and none
    fits, they share the value, and what was paid to each is not known.
    """
    own = paid.filter(pl.col("subaccount_number").is_not_null())
    open_ = (
        paid.filter(pl.col("subaccount_number").is_null())
        .drop("subaccount_number")
        .join(totals, on="ticker", how="left")
    )
    told = open_.with_columns(
        pl.col("subaccount_number").fill_null(0),
        fits=(pl.col("yes") - pl.col("no") == pl.col("total")).fill_null(value=False),
        places=pl.col("subaccount_number").n_unique().over("ticker"),
    )
    vague = ~pl.col("fits") & (pl.col("places") > 1)
    amounts = ("yes", "no", "yes_cost", "no_cost", "paid", "settled_fee")
    best = told.sort("fits", "settled_time").with_columns(
        pl.when(~vague).then(pl.col(name)).alias(name) for name in amounts
    )
    both = pl.concat([own, best.select(own.columns)])
    return both.unique(PLACE, keep="last", maintain_order=True)


def positions(given: pl.DataFrame | None) -> pl.DataFrame:
    """What the exchange said is held, the last look at each market."""
    if given is None:
        given = pl.DataFrame(schema={"ticker": pl.String, "time": TIME})
    given = need("positions", given, ("ticker", "time"))
    made = _typed(given, POSITION).with_columns(
        pl.col("subaccount_number").fill_null(0), told=whole(given, "position", CENTI)
    )
    return made.drop_nulls("told").sort("time").unique(PLACE, keep="last", maintain_order=True)


def whole(frame: pl.DataFrame, name: str, parts: int) -> pl.Expr:
    """A column as a whole number of such parts; null where there is none."""
    if name not in frame.columns:
        return pl.lit(None, pl.Int64)
    made = pl.col(name) * parts
    return (made.round() if frame.schema[name].is_float() else made).cast(pl.Int64)


def exact(column: str | pl.Expr, parts: int = UNIT) -> pl.Expr:
    """Whole parts of a dollar (or contract) as an exact decimal of it."""
    places, given = len(str(parts)) - 1, pl.col(column) if isinstance(column, str) else column
    return given.cast(pl.Decimal(38, places)) * pl.lit(f"{1 / parts:.{places}f}").cast(pl.Decimal(38, places))


def total(column: pl.Series) -> Decimal:
    """The exact sum of a column; 0 of none."""
    return cast("Decimal", column.sum())


def need(what: str, rows: Any, names: tuple[str, ...]) -> pl.DataFrame:
    """A frame of Polars; refused where it is none or lacks a column."""
    frame = frames.given(rows)
    if missing := [name for name in names if name not in frame.columns]:
        raise UsageError(
            f"{what} lack {', '.join(missing)}", hint=f"columns found: {', '.join(frame.columns[:20]) or 'none'}"
        )
    return frame


def _typed(given: pl.DataFrame, kinds: Mapping[str, Any]) -> pl.DataFrame:
    """The frame with every plain column that it may have."""
    return given.with_columns(
        pl.col(name).cast(kind) if name in given.columns else pl.lit(None, kind).alias(name)
        for name, kind in kinds.items()
    )
