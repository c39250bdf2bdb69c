"""How each dataset is decoded into rows of tables, and walked where it has no cursor of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import polars as pl

from kalshi_lab import frames
from kalshi_lab.ingest.loader import Decoded, Part, Walk
from kalshi_lab.kalshi.pages import Arrived, AsyncPages, bad_payload, decode
from kalshi_lab.models import Market

if TYPE_CHECKING:
    from kalshi_lab.kalshi.pages import Listing
    from kalshi_lab.store import Store

RESULT = ("ticker", "event_ticker", "result", "settlement_value", "close_time", "settlement_ts")
Decode = Callable[["Listing[Any]", Arrived], Decoded]

KNOWN = """
SELECT markets.ticker, markets.status, markets.open_time, markets.close_time, markets.settlement_ts, markets.volume,
       coalesce(markets.series_ticker, events.series_ticker) AS series_ticker
FROM markets LEFT JOIN events USING (event_ticker)
WHERE ($1 IS NULL OR coalesce(markets.series_ticker, events.series_ticker) = $1)
  AND ($2 IS NULL OR markets.event_ticker = $2) AND ($3 IS NULL OR list_contains($3, markets.ticker))
ORDER BY markets.ticker
"""


def listed(name: str, pages: AsyncPages[Any], read: Decode) -> Walk:
    """A walk over a listing."""
    return Walk(
        name, lambda cursor, seen: pages.arrivals(cursor, seen=seen), lambda arrived: read(pages.listing, arrived)
    )


async def known_markets(
    store: Store, series: str | None, event: str | None, tickers: Sequence[str]
) -> list[dict[str, Any]]:
    """What the store knows of the markets that are wanted."""
    return (await store.read(KNOWN, [series, event, list(tickers) or None])).to_dicts()


def series(listing: Listing[Any], arrived: Arrived) -> Decoded:
    """A page of series."""
    batch = decode(listing, arrived.reply)
    return Decoded((Part("series", ("ticker",), batch.frame, refresh=True),), batch.refused, batch.received)


def trades(listing: Listing[Any], arrived: Arrived) -> Decoded:
    """A page of trades, which never change."""
    batch = decode(listing, arrived.reply)
    part = Part("trades", ("trade_id",), batch.frame, refresh=False, within="created_time")
    return Decoded((part,), batch.refused, batch.received)


def markets_of(series_ticker: str | None) -> Decode:
    """Pages of markets, whose series is known where the listing asked for one."""

    def read(listing: Listing[Any], arrived: Arrived) -> Decoded:
        batch = decode(listing, arrived.reply)
        return Decoded(market_parts(batch.frame, series_ticker), batch.refused, batch.received)

    return read


def market_parts(frame: pl.DataFrame, series_ticker: str | None) -> tuple[Part, ...]:
    """Markets, and the outcomes among them."""
    named = frame.with_columns(series_ticker=pl.lit(series_ticker, pl.String))
    decided = frame.select(RESULT).filter(pl.col("result") != "")
    return (Part("markets", ("ticker",), named, refresh=True), Part("results", ("ticker",), decided, refresh=True))


def events(listing: Listing[Any], arrived: Arrived) -> Decoded:
    """A page of events, and the markets nested in them."""
    batch = decode(listing, arrived.reply)
    nested = _nested(arrived)
    parts = [part for ticker, rows in nested for part in market_parts(rows.frame, ticker)]
    refused = (*batch.refused, *(row for _, rows in nested for row in rows.refused))
    bad = sum(len(rows.refused) for _, rows in nested)
    merged = _merged(parts)
    return Decoded(
        (Part("events", ("event_ticker",), batch.frame, refresh=True), *merged), refused, batch.received + bad
    )


def _nested(arrived: Arrived) -> list[tuple[str | None, frames.Batch]]:
    """The markets inside each event of a page, with the event's series."""
    try:
        rows = msgspec.json.decode(arrived.reply.body, type=_Events).events or []
    except ValueError as error:
        raise bad_payload(arrived.reply, str(error)) from None
    return [(row.series_ticker, frames.rows_to_batch(Market, row.markets)) for row in rows if row.markets]


class _Event(msgspec.Struct):
    series_ticker: str | None = None
    markets: list[msgspec.Raw] | None = None


class _Events(msgspec.Struct):
    events: list[_Event] | None = None


def _merged(parts: Sequence[Part]) -> list[Part]:
    """One part for each table."""
    tables = {part.table: part for part in parts}
    return [
        Part(table, first.keys, pl.concat([part.frame for part in parts if part.table == table]), refresh=first.refresh)
        for table, first in tables.items()
    ]
