"""A store with pages, looks and batches in it, as a sync, a snapshot and a recording leave them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from kalshi_lab.store import TABLES, Store, journal, writes
from kalshi_lab.store.connection import fetch

if TYPE_CHECKING:
    from collections.abc import Coroutine

NOW = datetime(2026, 11, 22, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ROWS = 100


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


def page(
    number: int, *, run_id: str = "r1", scope: str = "all", walk: str = "live", next_cursor: str = "c"
) -> writes.Page:
    at = NOW + number * MINUTE
    return writes.Page(
        run_id, "trades", scope, walk, number, next_cursor, ROWS, ROWS, 0, 0, f"{number:064x}", f"q{number}", at
    )


def trades(number: int, run_id: str) -> pl.DataFrame:
    stamp = {"run_id": pl.lit(run_id), "created_time": pl.lit(NOW + number * MINUTE, pl.Datetime("us", "UTC"))}
    names = [f"{run_id}-{number}-{row}" for row in range(ROWS)]
    return pl.DataFrame({"trade_id": names}).with_columns(**stamp)


async def kept(store: Store, number: int, *, run_id: str = "r1", scope: str = "all") -> None:
    """Keep a page with its trades in one transaction, acknowledged."""

    def work(connection: Any) -> list[writes.Page]:
        writes.insert(connection, "trades", trades(number, run_id))
        writes.enter(connection, [page(number, run_id=run_id, scope=scope)])
        return [page(number, run_id=run_id, scope=scope)]

    await store.write(work, journal.pages)


def keep(store: Store, *numbers: int, run_id: str = "r1", scope: str = "all") -> None:
    for number in numbers:
        run(kept(store, number, run_id=run_id, scope=scope))


def end(store: Store, *, run_id: str = "r1", scope: str = "all", after: int = 100) -> None:
    mark = writes.Page(run_id, "trades", scope, "", 0, "", 0, 0, 0, 0, "", "", NOW + after * MINUTE)
    run(store.write(lambda connection: writes.enter(connection, [mark]) or [mark], journal.pages))


def look(
    store: Store, number: int, tickers: tuple[str, ...] = ("A", "B"), *, keyframe: bool, scope: str = "open"
) -> None:
    """Keep a snapshot of some markets, acknowledged."""
    at = NOW + number * MINUTE
    quotes = [(ticker, at, scope, False) for ticker in tickers]
    row = (at, scope, len(tickers), len(tickers), True, keyframe, f"s{number}")

    def work(connection: Any) -> list[journal.Entry]:
        time = pl.Datetime("us", "UTC")
        columns = {"ticker": pl.String, "time": time, "scope": pl.String, "gone": pl.Boolean}
        writes.insert(connection, "quotes", pl.DataFrame(quotes, schema=columns, orient="row"))
        names = {"time": time, "scope": pl.String, "markets": pl.Int64, "changed": pl.Int64, "complete": pl.Boolean}
        names |= {"keyframe": pl.Boolean, "run_id": pl.String}
        writes.insert(connection, "snapshots", pl.DataFrame([row], schema=names, orient="row"))
        return [journal.Entry(journal.SNAPSHOT, f"s{number}", "quotes", scope, "", 0, 2, 2, time=at)]

    run(store.write(work, lambda lines: lines))


def whole(store: Store) -> dict[str, pl.DataFrame]:
    """Every table of a store, in one order."""

    def work(connection: Any) -> dict[str, pl.DataFrame]:
        return {name: fetch(connection, f"SELECT * FROM {name} ORDER BY ALL") for name in TABLES}

    return run(store.look(work))


def forget(store: Store, sql: str) -> None:
    """Take rows away behind the journal's back."""
    run(store.write(lambda connection: connection.execute(sql)))
