"""Books at chosen moments, as backtests read them: those that `lab.book` gives, one by one."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

import kalshi_lab as kl
from kalshi_lab.ingest.replay import sampled
from kalshi_lab.research.backtest.books import kept
from kalshi_lab.store import recorded
from tests.book.recorded import capture, captures
from tests.fakes import FakeClock
from tests.recorder.conftest import until
from tests.recorder.desk import A, Desk, levels
from tests.recorder.test_replay import troubled

if TYPE_CHECKING:
    from pathlib import Path

FRAMES = 4_000


def test_sampled_books_are_the_books_of_those_moments(recording_on: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """WS-3: through gaps, lost connections and unreadable messages; where one is stale, or before and after all, there is none."""
    monkeypatch.setattr(recorded, "CHUNK", 20)
    desk = Desk(seed=8)

    async def work() -> None:
        await troubled(recording_on, desk, 80)
        async with kl.AsyncLab("demo", home=recording_on.home, clock=FakeClock()) as lab:
            times = sorted({time for time, _ in desk.moments[A]})
            draw = random.Random(3)
            chosen = sorted([*draw.sample(times, 16), times[0] - timedelta(hours=1), times[-1] + timedelta(days=9)])
            spans = await recorded.recorded_books(lab.store, A)
            found = [
                (time, None if book is None else levels(book))
                async for time, book in sampled(lab.store, A, spans, chosen)
            ]
            assert [time for time, _ in found] == chosen
            assert found[0][1] is found[-1][1] is None
            known = 0
            for time, held in found[1:-1]:
                book = await lab.book(A, time)
                assert held == (None if book.stale else levels(book))
                assert held is None or held == desk.at(A, time)
                known += held is not None
            assert 4 < known < 16

    asyncio.run(work())


@pytest.mark.recordings
def test_a_real_book_is_walked_as_it_was_recorded(recording_on: Any, recordings: Path) -> None:
    """TH-7: a capture of quarter-hour markets through recorder, store and backtest; each fill is a level of the book of its moment."""
    frames = capture(captures(recordings)[1]).frames[:FRAMES]

    async def work() -> None:
        async with recording_on(channels=("orderbook_delta",)) as (_, recording, stream):
            stream.send(*frames)
            await until(lambda: stream.queue.empty() and not recording.stats.waiting)
        async with kl.AsyncLab("demo", home=recording_on.home, clock=FakeClock()) as lab:
            changes = await lab.store.read("SELECT ticker, time FROM book_changes ORDER BY time")
            ticker = changes["ticker"].value_counts(sort=True)["ticker"][0]
            mine = changes.filter(ticker=ticker)["time"].unique().sort()
            moments = [mine[len(mine) * part // 10] for part in range(1, 10)]
            books = await kept(lab.store, [ticker], moments)
            assert books is not None
            bought = {time: await lab.book(ticker, time) for time in moments}
        made = walked(ticker, books, moments)
        assert set(made.trades["filled_by"]) == {"book"}
        first = made.trades.filter(time=moments[0])
        cost = bought[moments[0]].cost_to_fill(8_000)
        assert first.height > cost.levels > 5  # the second order went on where the first one ended, within a level
        assert (first["count"] * first["price"]).sum() == pytest.approx(float(cost.cost))
        for time, book in bought.items():  # what was taken before is missing from the levels that still stand
            offered = {float(price): float(size) for price, size in book.asks()}
            had = made.trades.filter(time=time).group_by("price").agg(pl.col("count").sum())
            assert all(count <= offered[price] for price, count in had.iter_rows())

    asyncio.run(work())


def walked(ticker: str, books: pl.DataFrame, moments: list[Any]) -> kl.Backtest:
    """Four thousand contracts are bought twice at each moment."""
    schema = {"ticker": pl.String, "time": pl.Datetime("us", "UTC")}
    quotes = pl.DataFrame(schema=schema | {"yes_bid": pl.Float64, "yes_ask": pl.Float64})
    results = pl.DataFrame(schema=schema | {"result": pl.String})
    order: dict[str, Any] = {"books": books, "times": moments, "capital": 10**6}
    return kl.backtest(lambda view: [view.buy(ticker, 4_000) for _ in range(2)], quotes, results, **order)
