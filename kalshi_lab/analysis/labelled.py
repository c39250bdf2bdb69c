"""Outcome-labelled data: what each settled market cost at a fixed time before its end, and how it ended.

The one text below answers `lab.forecasts` and, below a reduction, `lab.calibration`. Nothing that happened after the decision can be in
its rows: every source is cut at the decision before the newest of it is taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from kalshi_lab.analysis.tape import SERIES_OF_EVENT
from kalshi_lab.clock import span
from kalshi_lab.errors import UsageError, one_of
from kalshi_lab.fees import TAKER, FeeSchedule
from kalshi_lab.models.quote import priced, priced_sql

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kalshi_lab.store import Store

PRICES: Final = ("mid", "last", "executable")
WEIGHTS: Final = {
    "contract-day": "each market counts once at each horizon (contract-day)",
    "trade": "by the trades so far",
    "dollar": "by the dollars traded so far",
}
BY: Final = ("ticker", "event_ticker", "series_ticker", "category", "horizon", "size", "price_band")
EASTERN: Final = "America/New_York"

# A market ends when it closes, or earlier, when it was determined or settled before: a decision is counted back from that moment.
_SETTLED = """
horizons AS (SELECT * FROM (VALUES {horizons}) AS asked(horizon, seconds)),
told AS (
    SELECT ticker, MIN(time) AS time FROM lifecycle WHERE event_type IN ('determined', 'settled') AND ticker IS NOT NULL GROUP BY ticker
),
settled AS (
    SELECT results.ticker, results.event_ticker, results.close_time,
           CASE results.result WHEN 'yes' THEN 1 WHEN 'no' THEN 0 END AS won,
           LEAST(results.close_time, results.settlement_ts, told.time) AS ended_at, markets.open_time, markets.fee_waiver_expiration_time,
           COALESCE(markets.series_ticker, events.series_ticker, {series}) AS series_ticker,
           COALESCE(events.category, series.category) AS category,
           COALESCE(events.fee_type_override, series.fee_type) AS fee_type,
           COALESCE(events.fee_multiplier_override, series.fee_multiplier) AS fee_multiplier
    FROM results
    LEFT JOIN told ON told.ticker = results.ticker
    LEFT JOIN markets ON markets.ticker = results.ticker
    LEFT JOIN events ON events.event_ticker = results.event_ticker
    LEFT JOIN series
      ON series.ticker = COALESCE(markets.series_ticker, events.series_ticker, {series})
),
decisions AS (
    SELECT settled.*, horizons.horizon, horizons.seconds, ended_at - seconds * INTERVAL '1' SECOND AS decided_at
    FROM settled CROSS JOIN horizons WHERE {where}
)"""
# Quotes: the closes of candlesticks that had ended, and kept changes; a market that had left its listing has no quote.
_SOURCES = """
quoted AS (
    SELECT ticker, end_time AS time, 2 AS place, yes_bid_close AS yes_bid, yes_ask_close AS yes_ask FROM candlesticks
    UNION ALL
    SELECT ticker, time, 1, CASE WHEN gone THEN NULL ELSE yes_bid END, CASE WHEN gone THEN NULL ELSE yes_ask END FROM quotes
),
paid AS (
    SELECT ticker, end_time AS time, 3 AS place, COALESCE(price_close, price_previous) AS last_price, '' AS trade_id FROM candlesticks
    UNION ALL
    SELECT ticker, time, 2, last_price, '' FROM quotes WHERE NOT gone
    UNION ALL
    SELECT ticker, created_time, 1, yes_price, trade_id FROM trades
),
book AS (
    SELECT decisions.ticker, decisions.horizon, quoted.time, quoted.yes_bid, quoted.yes_ask, ROW_NUMBER() OVER (
        PARTITION BY decisions.ticker, decisions.horizon
        ORDER BY quoted.time DESC, quoted.place, quoted.yes_bid DESC NULLS LAST, quoted.yes_ask NULLS LAST
    ) AS newest
    FROM decisions JOIN quoted ON quoted.ticker = decisions.ticker AND quoted.time <= decisions.decided_at
),
last_paid AS (
    SELECT decisions.ticker, decisions.horizon, paid.time, paid.last_price, ROW_NUMBER() OVER (
        PARTITION BY decisions.ticker, decisions.horizon ORDER BY paid.time DESC, paid.place, paid.trade_id DESC, paid.last_price
    ) AS newest
    FROM decisions JOIN paid ON paid.ticker = decisions.ticker AND paid.time <= decisions.decided_at
    WHERE paid.last_price IS NOT NULL
)"""
# What had been traded: the most that any source knows. Candlesticks of several lengths would count a trade twice.
_VOLUMES = """
volumes AS (
    SELECT ticker, horizon, MAX(volume) AS volume FROM (
        SELECT decisions.ticker, decisions.horizon, SUM(bars.volume) AS volume
        FROM decisions JOIN candlesticks AS bars ON bars.ticker = decisions.ticker AND bars.end_time <= decisions.decided_at
        GROUP BY decisions.ticker, decisions.horizon, bars.interval_minutes
        UNION ALL
        SELECT decisions.ticker, decisions.horizon, MAX(quotes.volume)
        FROM decisions JOIN quotes ON quotes.ticker = decisions.ticker AND quotes.time <= decisions.decided_at
        GROUP BY decisions.ticker, decisions.horizon
    ) AS told_volumes GROUP BY ticker, horizon
),
traded AS (
    SELECT decisions.ticker, decisions.horizon, COUNT(*) AS trades, SUM(trades.count) AS contracts,
           SUM(trades.count * CASE WHEN COALESCE(trades.taker_outcome_side, trades.taker_side) = 'no'
                                   THEN 1 - trades.yes_price ELSE trades.yes_price END) AS dollars
    FROM decisions JOIN trades ON trades.ticker = decisions.ticker AND trades.created_time <= decisions.decided_at
    GROUP BY decisions.ticker, decisions.horizon
)"""
_KNOWN = f"""
known AS (
    SELECT decisions.*, book.yes_bid, book.yes_ask, book.time AS quoted_at, last_paid.last_price, last_paid.time AS paid_at,
           traded.trades, traded.dollars, COALESCE(GREATEST(volumes.volume, traded.contracts), 0) AS volume,
           CASE WHEN {priced_sql("book.yes_bid", "book.yes_ask")} THEN 1 ELSE 0 END AS is_real
    FROM decisions
    LEFT JOIN book ON book.ticker = decisions.ticker AND book.horizon = decisions.horizon AND book.newest = 1
    LEFT JOIN last_paid ON last_paid.ticker = decisions.ticker AND last_paid.horizon = decisions.horizon AND last_paid.newest = 1
    LEFT JOIN volumes ON volumes.ticker = decisions.ticker AND volumes.horizon = decisions.horizon
    LEFT JOIN traded ON traded.ticker = decisions.ticker AND traded.horizon = decisions.horizon
),
labelled AS (
    SELECT *, CAST({{price}} AS DECIMAL(9, 6)) AS price, CAST({{weight}} AS DECIMAL(18, 6)) AS weight, {{at}} AS priced_at,
           CASE WHEN volume = 0 THEN '0' WHEN volume < 100 THEN '1-99' WHEN volume < 1000 THEN '100-999'
                WHEN volume < 10000 THEN '1,000-9,999' ELSE '10,000 and more' END AS size
    FROM known
),
banded AS (
    SELECT *, CASE WHEN price < 0.1 THEN '0-10c' WHEN price < 0.35 THEN '10-35c' WHEN price < 0.65 THEN '35-65c'
                   WHEN price < 0.9 THEN '65-90c' WHEN price <= 1 THEN '90-100c' END AS price_band
    FROM labelled
)"""  # noqa: S608 - our own words
_PRICE = {
    "mid": ("CASE WHEN is_real = 1 THEN (yes_bid + yes_ask) * CAST(0.5 AS DECIMAL(2, 1)) END", "quoted_at"),
    "last": ("last_price", "paid_at"),
    "executable": ("CASE WHEN is_real = 1 THEN yes_ask END", "quoted_at"),
}
_WEIGHT = {"contract-day": "1", "trade": "COALESCE(trades, 0)", "dollar": "COALESCE(dollars, 0)"}
_COLUMNS = (
    "ticker", "event_ticker", "series_ticker", "category", "horizon", "price", "yes_bid", "yes_ask", "last_price", "won", "weight",
    "volume", "size", "price_band", "open_time", "decided_at", "priced_at", "ended_at", "close_time", "fee_type", "fee_multiplier",
    "fee_waiver_expiration_time",
)  # fmt: skip
_SHOWN = (
    "ticker", "event_ticker", "series_ticker", "category", "horizon", "price", "yes_bid", "yes_ask", "last_price", "outcome", "weight",
    "fee", "volume", "size", "price_band", "open_time", "decided_at", "priced_at", "ended_at", "close_time", "decided_date_et",
    "close_date_et",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Labelled:
    """Which forecasts of the store: `source` is the text that gives them, `parameters` what it is given."""

    horizons: tuple[tuple[str, int], ...]
    price: str
    weight: str
    series: str | None

    @classmethod
    def asked(
        cls, horizon: str | timedelta | Sequence[str | timedelta], price: str, weight: str, series: str | None
    ) -> Labelled:
        """The question, checked."""
        several = [horizon] if isinstance(horizon, str | timedelta) else list(horizon)
        if not several:
            raise UsageError("no horizon was given", hint='Write horizon="1d" or horizon=["1h", "1d", "7d"]')
        found: dict[str, int] = {}
        for one in several:
            seconds = span(one, what="horizon").total_seconds()
            if seconds < 1:
                raise UsageError(f"horizon {one!r} is no time before the end", hint='Write it like "1d"')
            name = f"{seconds:g}s" if isinstance(one, timedelta) else one.strip().lower()
            found[name] = int(seconds)
        one_of("price", price, PRICES)
        one_of("weight", weight, WEIGHTS)
        return cls(tuple(found.items()), price, weight, series)

    @property
    def parameters(self) -> list[Any]:
        """What its numbered parameters are."""
        return [name for name, _ in self.horizons] + ([self.series] if self.series is not None else [])

    @property
    def said(self) -> str:
        """The horizon in words."""
        return f"{', '.join(name for name, _ in self.horizons)} before the end, at the {self.price} price"

    def source(self, columns: Sequence[str] = _COLUMNS, *, where: str = "") -> str:
        """A SELECT of the forecasts, a row for each market and horizon."""
        values = ", ".join(f"(${place}, {seconds})" for place, (_, seconds) in enumerate(self.horizons, 1))
        chosen = "true" if self.series is None else f"settled.series_ticker = ${len(self.horizons) + 1}"
        price, at = _PRICE[self.price]
        parts = (
            _SETTLED.format(horizons=values, where=chosen, series=SERIES_OF_EVENT),
            _SOURCES,
            _VOLUMES,
            _KNOWN.format(price=price, at=at, weight=_WEIGHT[self.weight]),
        )
        return f"WITH {','.join(parts)} SELECT {', '.join(columns)} FROM banded {where}"  # noqa: S608 - our own words

    def reduced(self, by: Sequence[str]) -> str:
        """The same as a calibration's reduction reads it, clustered by event."""
        keys = [f"{one_of('by', name, BY)} AS by_{place}" for place, name in enumerate(by)]
        return self.source(["price", "won", "COALESCE(event_ticker, ticker) AS cluster", "weight", *keys])


async def labelled(store: Store, asked: Labelled) -> pl.DataFrame:
    """A row for each settled market in the store and each horizon; see `AsyncLab.forecasts` for the columns."""
    found = await store.read(asked.source(where="ORDER BY ticker, seconds"), asked.parameters)
    dated = found.with_columns(
        _day("decided_at").alias("decided_date_et"),
        # A market that closes on the stroke of midnight belongs to the day that ends then
        _day("close_time", timedelta(microseconds=1)).alias("close_date_et"),
        _fees(found),
    )
    plain = dated.with_columns(pl.col("won").cast(pl.Int8).alias("outcome")).select(_SHOWN)
    return plain.cast({pl.Decimal: pl.Float64})


def _day(name: str, before: timedelta = timedelta(0)) -> pl.Expr:
    return (pl.col(name) - before).dt.convert_time_zone(EASTERN).dt.date()


def _fees(found: pl.DataFrame) -> pl.Series:
    """What a taker pays for a contract at the executable price, before rounding; null without a real quote or known terms."""
    terms = found.select("fee_type", "fee_multiplier").unique()
    rates = [_rate(*each) for each in terms.iter_rows()]
    known = found.join(
        terms.with_columns(pl.Series("rate", rates, pl.Float64)),
        on=["fee_type", "fee_multiplier"],
        how="left",
        nulls_equal=True,
        maintain_order="left",
    )
    ask = pl.col("yes_ask").cast(pl.Float64)
    waived = pl.col("fee_waiver_expiration_time") > pl.col("decided_at")
    rate = pl.when(waived.fill_null(value=False)).then(0.0).otherwise("rate")
    return known.select(pl.when(priced()).then(rate * ask * (1 - ask)).alias("fee")).to_series()


def _rate(kind: str | None, multiplier: float | None) -> float | None:
    if kind is None or multiplier is None:
        return None
    try:
        return float(TAKER * FeeSchedule.of((kind, Decimal(str(multiplier)))).terms()[1])
    except UsageError:  # terms without a published formula: the fee is unknown, not zero
        return None
