"""The tape: trades as exact integers, from a user's frame or from the store, as the reductions over trades read them.

A reduction over trades reads a table `tape`, a row for each trade: ticker, cluster (text; the event), time (microseconds since 1970),
price (of YES, in millionths of a dollar), size (in hundredths of a contract), yes (1: the taker bought YES, 0: NO, -1: a block trade,
null: unknown), won (1: YES paid a dollar, 0: nothing, null: neither or not yet), taker_rate and maker_rate (the fee's coefficient of
C x P x (1 - P), in millionths; null where the terms are unknown), then what one analysis alone asks for.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import polars as pl

from kalshi_lab.errors import UsageError, one_of
from kalshi_lab.fees import MAKERS, TAKER, FeeSchedule
from kalshi_lab.money import CENTI, MICRO

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from decimal import Decimal

WEIGHTS: Final = ("contract", "trade", "dollar")
TRADED = {"price": "yes_price", "side": "taker_outcome_side", "count": "count"}
_MAKER = " ".join(f"WHEN '{kind}' THEN {float(TAKER * share)}" for kind, share in MAKERS.items())
_RATE = f"CASE fee_type {_MAKER} END * fee_multiplier * {MICRO}"

# The series of an event whose record is not kept: what stands before the first hyphen, in words that every engine knows.
SERIES_OF_EVENT = (
    "CASE WHEN position('-' IN results.event_ticker) > 0 "
    "THEN substring(results.event_ticker, 1, position('-' IN results.event_ticker) - 1) ELSE results.event_ticker END"
)
# What the store knows of each market: its outcome, its event, and what its trades cost; an event's terms win over its series'.
# The rates are those of the last terms seen: the store keeps no history of them.
MARKETS = f"""
    SELECT ticker, cluster, won,
           CAST(round({float(TAKER)} * (CASE WHEN fee_type IN {tuple(MAKERS)} THEN fee_multiplier END) * {MICRO}) AS INTEGER) AS taker_rate,
           CAST(round({_RATE}) AS INTEGER) AS maker_rate
    FROM (
        SELECT results.ticker, coalesce(results.event_ticker, results.ticker) AS cluster,
               CASE results.result WHEN 'yes' THEN 1 WHEN 'no' THEN 0 END AS won,
               coalesce(events.fee_type_override, series.fee_type) AS fee_type,
               coalesce(events.fee_multiplier_override, series.fee_multiplier) AS fee_multiplier
        FROM results
        LEFT JOIN events ON events.event_ticker = results.event_ticker
        LEFT JOIN series ON series.ticker = coalesce(events.series_ticker, {SERIES_OF_EVENT})
    )
"""  # noqa: S608 - our own words
# The same without the fees, which need three tables more.
OUTCOMES = """
    SELECT ticker, coalesce(event_ticker, ticker) AS cluster, CASE result WHEN 'yes' THEN 1 WHEN 'no' THEN 0 END AS won FROM results
"""
SIDE = """CASE WHEN trades.is_block_trade THEN -1
               WHEN coalesce(trades.taker_outcome_side, trades.taker_side) = 'yes' THEN 1
               WHEN coalesce(trades.taker_outcome_side, trades.taker_side) = 'no' THEN 0 END"""
FIELDS = {
    "ticker": "trades.ticker",
    "cluster": "known.cluster",
    "time": "epoch_us(trades.created_time)",
    "price": f"CAST(trades.yes_price * {MICRO} AS INTEGER)",
    "size": f"CAST(trades.count * {CENTI} AS BIGINT)",
    "yes": SIDE,
    "won": "known.won",
    "taker_rate": "known.taker_rate",
    "maker_rate": "known.maker_rate",
}
KNOWN = "trades.yes_price IS NOT NULL AND trades.count IS NOT NULL AND trades.created_time IS NOT NULL"
# Quotes as they were kept: changes, departures, and the closes of candlesticks.
SEEN = f"""
    SELECT ticker, epoch_us(time) AS time, CASE WHEN gone THEN 0 ELSE CAST(coalesce(yes_bid, 0) * {MICRO} AS BIGINT) END AS bid,
           CASE WHEN gone THEN {MICRO} ELSE CAST(coalesce(yes_ask, 1) * {MICRO} AS BIGINT) END AS ask
    FROM quotes WHERE {{where}}
    UNION ALL
    SELECT ticker, epoch_us(end_time), CAST(coalesce(yes_bid_close, 0) * {MICRO} AS BIGINT),
           CAST(coalesce(yes_ask_close, 1) * {MICRO} AS BIGINT)
    FROM candlesticks WHERE {{where}}
"""  # noqa: S608 - our own words
_OF_MARKETS = {"cluster", "won", "taker_rate", "maker_rate"}
_CHOSEN = {
    "tickers": "list_contains({}, trades.ticker)",
    "series": "starts_with(trades.ticker, {} || '-')",
    "start": "trades.created_time >= {}",
    "end": "trades.created_time < {}",
}


class Chosen(NamedTuple):
    """Which trades of the store: a condition, its parameters, and what they are."""

    where: str
    parameters: list[Any]
    names: tuple[str, ...] = ()

    @property
    def of_all(self) -> bool:
        """Whether the trades are those of all markets."""
        return set(self.names) <= {"start", "end"}

    def within(self, start: datetime, end: datetime) -> Chosen:
        """Those of them in [start, end) too."""
        asked = dict(zip(self.names, self.parameters, strict=True))
        both = {"start": max(start, asked.get("start", start)), "end": min(end, asked.get("end", end))}
        return chosen(**(asked | both))


def chosen(**asked: Any) -> Chosen:
    """The trades of some tickers, of a series, in [start, end); None is no condition."""
    wanted = {name: value for name, value in asked.items() if value is not None}
    parts = [_CHOSEN[name].format(f"${place}") for place, name in enumerate(wanted, 1)]
    return Chosen(" AND ".join(parts) or "true", list(wanted.values()), tuple(wanted))


def from_store(fields: Sequence[str], which: Chosen, *, known: bool = False) -> str:
    """The tape over the store: a SELECT of these fields; markets are joined only where a field needs them.

    `known`: only trades with a price, a count and a time.
    """
    columns = ", ".join(f"{FIELDS[name]} AS {name}" for name in fields)
    join = (
        f"LEFT JOIN ({_markets(fields)}) AS known ON known.ticker = trades.ticker" if _OF_MARKETS & set(fields) else ""
    )
    return f"SELECT {columns} FROM trades {join} WHERE {which.where}{f' AND {KNOWN}' if known else ''}"  # noqa: S608 - our own words


# The same fields over the copy in whole numbers, whose markets go by number
_COMPACT = {name: f"trades.{name}" for name in ("time", "price", "size", "yes")} | {
    name: f"known.{name}" for name in _OF_MARKETS
}
_COMPACT["ticker"] = "trades.market"
_COMPACT_CHOSEN = {
    "tickers": "trades.market IN (SELECT market FROM tape.markets WHERE list_contains({}, ticker))",
    "series": "trades.market IN (SELECT market FROM tape.markets WHERE starts_with(ticker, {} || '-'))",
    "start": "trades.time >= epoch_us({}::TIMESTAMPTZ)",
    "end": "trades.time < epoch_us({}::TIMESTAMPTZ)",
}
_COMPACT_KNOWN = "trades.price IS NOT NULL AND trades.size IS NOT NULL AND trades.time IS NOT NULL"


def _markets(fields: Sequence[str]) -> str:
    return MARKETS if {"taker_rate", "maker_rate"} & set(fields) else OUTCOMES


def from_compact(fields: Sequence[str], which: Chosen, *, known: bool = False) -> str:
    """The same over the copy in whole numbers, whose rows lie market by market; a ticker is the market's number."""
    columns = ", ".join(f"{_COMPACT[name]} AS {name}" for name in fields)
    outcomes = f"LEFT JOIN ({_markets(fields)}) AS known ON known.ticker = numbered.ticker"
    named = f"SELECT market, known.* EXCLUDE (ticker) FROM tape.markets AS numbered {outcomes}"  # noqa: S608 - our own words
    join = f"JOIN ({named}) AS known ON known.market = trades.market" if _OF_MARKETS & set(fields) else ""
    parts = [_COMPACT_CHOSEN[name].format(f"${place}") for place, name in enumerate(which.names, 1)]
    where = " AND ".join([*parts, *([_COMPACT_KNOWN] if known else [])]) or "true"
    return f"SELECT {columns} FROM tape.trades AS trades {join} WHERE {where}"  # noqa: S608 - our own words


# One market's trades as the exchange would show them; the copy does not know their ids.
ONE_MARKET = """
SELECT time, CAST(price * CAST(0.000001 AS DECIMAL(7, 6)) AS DECIMAL(9, 6)) AS yes_price,
       CAST(size * CAST(0.01 AS DECIMAL(3, 2)) AS DECIMAL(18, 2)) AS count,
       CASE yes WHEN 1 THEN 'yes' WHEN 0 THEN 'no' END AS taker_outcome_side, coalesce(yes = -1, false) AS is_block_trade
FROM ({tape}) AS tape ORDER BY time, yes_price, count, yes
"""


def unknown_in_store(which: Chosen) -> str:
    """How many trades `known` leaves out."""
    return f"SELECT count(*) FROM trades WHERE {which.where} AND NOT ({KNOWN})"  # noqa: S608 - our own words


def whole(column: pl.Series, unit: int, *, what: str, name: str, highest: float) -> pl.Series:
    """Numbers of [0, highest] as whole numbers of 1/unit; UsageError where one is out of range or finer than the unit."""
    kind, value = column.dtype, pl.col("value")
    if kind == pl.String:
        value = value.cast(pl.Decimal(38, 9), strict=False)
    elif not kind.is_numeric() and not kind.is_decimal() and kind != pl.Null:
        raise wrong(column, column.is_not_null(), name, what)
    scaled = value.cast(pl.Float64).mul(unit).round() if kind.is_float() else value.cast(pl.Decimal(38, 9)).mul(unit)
    fits = value.is_between(0, highest) & (True if kind.is_float() else scaled == scaled.round())
    made = column.to_frame("value").select(pl.when(fits).then(scaled).cast(pl.Int64)).to_series()
    return all_read(column, made, name, what)


def flags(column: pl.Series, *, what: str, name: str) -> pl.Series:
    """Yes or no, True or False, 1 or 0 as 1 and 0; UsageError for anything else but null."""
    kind, value = column.dtype, pl.col("value")
    if kind in (pl.Boolean, pl.Null):
        return column.cast(pl.Int32)
    if kind != pl.String and not kind.is_numeric():
        raise wrong(column, column.is_not_null(), name, what)
    yes, no = (value == "yes", value == "no") if kind == pl.String else (value == 1, value == 0)
    made = column.to_frame("value").select(pl.when(yes).then(1).when(no).then(0).cast(pl.Int32)).to_series()
    return all_read(column, made, name, what)


def instants(column: pl.Series, *, name: str) -> pl.Series:
    """Times with a zone as microseconds since 1970; UsageError for anything else, and for nulls."""
    kind = column.dtype
    if not isinstance(kind, pl.Datetime) or kind.time_zone is None:
        raise UsageError(
            f"column {name!r} of type {kind} holds no times with a zone", hint="Make it UTC: dt.replace_time_zone"
        )
    made = column.cast(pl.Datetime("us", "UTC")).to_physical()
    if made.null_count():
        raise UsageError(f"column {name!r}: {made.null_count():,} rows hold no time", hint="Leave them out")
    return made


def texts(column: pl.Series, *, name: str) -> pl.Series:
    """Text without nulls; UsageError where there are some."""
    if column.null_count():
        raise UsageError(f"column {name!r}: {column.null_count():,} rows hold nothing", hint="Leave them out")
    return column.cast(pl.String)


def all_read(column: pl.Series, read: pl.Series, name: str, what: str) -> pl.Series:
    """What was read, unless something could not be."""
    bad = column.is_not_null() & read.is_null()
    if bad.any():
        raise wrong(column, bad, name, what)
    return read


def wrong(column: pl.Series, bad: pl.Series, name: str, what: str) -> UsageError:
    """The error for values that are not what they should be."""
    count = int(bad.sum())
    first = f", the first of them {column.filter(bad)[0]!r}" if count else ""
    return UsageError(f"column {name!r}: {'1 row holds' if count == 1 else f'{count:,} rows hold'} no {what}{first}")


def rates(fees: tuple[str, Any] | FeeSchedule | None) -> dict[str, pl.Expr]:
    """The fee's coefficients as columns, the same for every trade; unknown without terms."""
    if fees is None:
        return {"taker_rate": pl.lit(None, pl.Int32), "maker_rate": pl.lit(None, pl.Int32)}
    kind, multiplier = (fees if isinstance(fees, FeeSchedule) else FeeSchedule.of(fees)).terms()
    taker = TAKER * multiplier * MICRO
    return {"taker_rate": pl.lit(int(taker), pl.Int32), "maker_rate": pl.lit(int(taker * MAKERS[kind]), pl.Int32)}


def edges(bins: int | Sequence[float | Decimal], *, top: float = 1.0) -> list[float]:
    """The edges of bands, from a number of bands of equal width or from rising edges."""
    if isinstance(bins, int) and not isinstance(bins, bool) and 1 <= bins <= 1000:  # noqa: PLR2004 - tenths of a cent
        return [top * place / bins for place in range(bins + 1)]
    try:
        made = [float(edge) for edge in bins]  # type: ignore[union-attr] # what is no sequence is caught
    except (TypeError, ValueError):
        made = []
    if len(made) < 2 or any(low >= high for low, high in pairwise(made)) or made[0] < 0 or made[-1] > top:  # noqa: PLR2004
        raise UsageError(
            f"bins={bins!r} are no bands", hint=f"Give a number of bands, or rising edges from 0 to {top:g}"
        )
    return made


def banded(column: str, bands: Sequence[float], unit: int = MICRO) -> pl.Expr:
    """The place of the band that holds a value, its lower edge included; the last holds both, and none is outside."""
    inner = [round(edge * unit) for edge in bands]
    place = pl.sum_horizontal(pl.lit(0, pl.Int32), *((pl.col(column) >= edge).cast(pl.Int32) for edge in inner[1:-1]))
    return pl.when(pl.col(column).is_between(inner[0], inner[-1])).then(place)


def weighting(weight: str) -> str:
    """What counts how much, in words."""
    return f"each {one_of('weight', weight, WEIGHTS)} counts once"
