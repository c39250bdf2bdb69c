"""How often an alert would have fired, by the quotes that the store has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from kalshi_lab import frames
from kalshi_lab.alerts.engine import FIRED, Alert, Engine, Happening
from kalshi_lab.alerts.seen import Quote
from kalshi_lab.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime, timedelta
    from decimal import Decimal

    from kalshi_lab.alerts.conditions import Condition
    from kalshi_lab.store import Store

QUOTES = """
SELECT ticker, time, status, yes_bid, yes_ask, volume FROM quotes
WHERE NOT gone AND (ticker IN (SELECT unnest($1::VARCHAR[])) OR ticker LIKE $2 ESCAPE '\\')
  AND ($3::TIMESTAMPTZ IS NULL OR time >= $3) AND ($4::TIMESTAMPTZ IS NULL OR time < $4)
ORDER BY time, ticker
"""
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
    quotes = await store.read(QUOTES, [list(condition.tickers), like, *bounds])
    alert = Alert("backtest", condition, repeat=repeat, cooldown=cooldown, hysteresis=hysteresis)
    rows = [{name: getattr(one, name) for name in SHOWN} for one in _walk(alert, quotes) if one.what == FIRED]
    return frames.floats(pl.DataFrame(rows, schema=SHOWN))


def _walk(alert: Alert, quotes: pl.DataFrame) -> Iterator[Happening]:
    """What happens as the quotes are seen in the order of their times."""
    engine = Engine()
    engine.load([alert], {})
    for ticker, time, status, bid, ask, volume in quotes.iter_rows():
        engine.see(Quote(ticker, bid, ask, status, volume), time)
        for change in engine.changes():
            yield from change.events
