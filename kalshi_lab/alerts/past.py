"""How often an alert would have fired, by the quotes that the store has."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from kalshi_lab import frames
from kalshi_lab.alerts.engine import FIRED, Alert, Engine, Happening
from kalshi_lab.alerts.seen import Quote
from kalshi_lab.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from decimal import Decimal

    from kalshi_lab.alerts.conditions import Condition
    from kalshi_lab.store import Store

WHICH = """
FROM quotes WHERE NOT gone AND (ticker IN (SELECT unnest($1::VARCHAR[])) OR ticker LIKE $2 ESCAPE '\\')
  AND ($3::TIMESTAMPTZ IS NULL OR time >= $3) AND ($4::TIMESTAMPTZ IS NULL OR time < $4)
"""
QUOTES = "SELECT ticker, time, status, yes_bid, yes_ask, volume" + WHICH + "ORDER BY time, ticker"
TIMES = "SELECT time, count(*) AS quotes" + WHICH + "GROUP BY time ORDER BY time"
AT_ONCE = 500_000  # quotes in memory, or those of one moment
SHOWN: dict[str, Any] = {
    "time": frames.TIME, "ticker": pl.String, "yes_bid": frames.PRICE, "yes_ask": frames.PRICE, "message": pl.String,
}  # fmt: skip


async def fired_before(
    store: Store,
    condition: Condition,
    bounds: tuple[datetime | None, datetime | None],
    *,
    repeat: bool,
    cooldown: timedelta,
    hysteresis: Decimal,
) -> pl.DataFrame:
    """A row for each time; see `AsyncAlerts.backtest`."""
    if condition.facts or condition.lasting or not (condition.tickers or condition.pattern):
        raise UsageError(
            f"{condition}: the store's quotes do not decide it",
            hint="Backtests are for conditions on quotes and volume",
        )
    like = (condition.pattern or "").replace("\\", "\\\\").replace("_", "\\_").replace("%", "\\%").replace("*", "%")
    which = [list(condition.tickers), like]
    alert = Alert("backtest", condition, repeat=repeat, cooldown=cooldown, hysteresis=hysteresis)
    engine, rows = Engine(), list[dict[str, Any]]()
    engine.load([alert], {})
    for start, end in _stretches(await store.read(TIMES, [*which, *bounds])):
        quotes = await store.read(QUOTES, [*which, start, end])
        happened = await asyncio.to_thread(list, _walk(engine, quotes))
        rows += [{name: getattr(one, name) for name in SHOWN} for one in happened if one.what == FIRED]
    return frames.floats(pl.DataFrame(rows, schema=SHOWN))


def _stretches(times: pl.DataFrame) -> Iterator[tuple[datetime, datetime]]:
    """Stretches of time one after the other, each with as many quotes as fit into memory; every moment whole in one of them."""
    stretch = (times["quotes"].cum_sum() - 1) // AT_ONCE
    starts = times.group_by(stretch, maintain_order=True).agg(pl.first("time"), last=pl.last("time"))
    for _, start, last in starts.iter_rows():
        yield start, last + timedelta(microseconds=1)


def _walk(engine: Engine, quotes: pl.DataFrame) -> Iterator[Happening]:
    """What happens as the quotes are seen in the order of their times."""
    for ticker, time, status, bid, ask, volume in quotes.iter_rows():
        engine.see(Quote(ticker, bid, ask, status, volume), time)
        for change in engine.changes():
            yield from change.events
