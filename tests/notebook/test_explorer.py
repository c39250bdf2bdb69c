"""The explorer and the live book as models, over a simulated exchange."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

import kalshi_lab as kl
from kalshi_lab import markup
from kalshi_lab.notebook import explorer
from tests.notebook.conftest import until

if TYPE_CHECKING:
    from pathlib import Path


def test_words_and_numbers_filter_and_a_wrong_number_is_said(lab: Any) -> None:
    explorer = lab.panels.explorer()
    every = explorer.table.total
    one = explorer.table.rows.row(0, named=True)
    explorer.search.value = one["ticker"]
    assert explorer.table.rows["ticker"].to_list() == [one["ticker"]]
    explorer.search.value = ""
    explorer.volume.value = str(explorer.table.rows["volume"].max())
    assert 0 < explorer.table.total < every
    explorer.volume.value = "much"
    assert "'much' is no number" in explorer.table.foot
    assert explorer.table.total == every
    explorer.volume.value, explorer.series.value = "", one["series"]
    assert explorer.table.rows["series"].unique().to_list() == [one["series"]]


def test_prices_categories_and_real_quotes_filter(lab: Any) -> None:
    """Each filter leaves out what it should, by the frame that the exchange gave; the number of markets stands once."""
    panel = lab.panels.explorer()
    until(lambda: len(panel.category.options) > 1)
    whole, rows = panel._frame, lambda: panel.table.rows
    panel.low.value, panel.high.value = "0.3", "0.6"
    assert rows().height == whole.filter(pl.col("middle").is_between(0.3, 0.6)).height > 0
    panel.low.value = panel.high.value = ""
    panel.quoted.value = True
    assert rows().height == whole.drop_nulls(["yes_bid", "yes_ask"]).height
    panel.quoted.value = False
    panel.category.value = "Sports"
    wanted = lab.series(category="Sports")["ticker"].to_list()
    assert rows()["series"].unique().sort().to_list() == sorted(set(wanted) & set(whole["series"].to_list()))
    assert 0 < rows().height < whole.height
    shown = panel._repr_mimebundle_()["text/html"]
    assert shown.count("markets</div>") == 1


def test_a_cut_listing_says_that_there_may_be_more(lab: Any) -> None:
    assert "the first 7" in lab.panels.explorer(limit=7).word.value


def test_markets_in_sight_get_their_past_in_one_request(lab: Any) -> None:
    lab.panels.stop()
    asked = lab.stats("attempt").height
    explorer = lab.panels.explorer()
    until(lambda: explorer.table.rows["past"].drop_nulls().len() > 50)
    answered = lab.stats("attempt").slice(asked).drop_nulls("status")  # panels that were stopped took theirs back
    said = answered["operation"].to_list()
    assert said.count("batch_get_market_candlesticks") <= -(-explorer.table.total // 50)


def test_a_pick_shows_the_market_and_its_book(lab: Any) -> None:
    explorer = lab.panels.explorer()
    ticker = explorer.table.window["rows"][0][0]
    explorer.table._heard(None, {"do": "pick", "row": 0, "version": explorer.table.version}, None)
    until(lambda: "YES price" in explorer.detail.value)
    assert ticker in explorer.detail.value
    assert 'aria-label="' + ticker + ", 7 days" in explorer.detail.value
    assert "<polyline" in explorer.detail.value
    assert "<polyline" in explorer._repr_mimebundle_()["text/html"]


def test_an_error_is_shown_with_its_request_and_a_refresh_mends_it(lab: Any) -> None:
    lab.simulated.faults("/markets", kind="status", status=404, times=100)
    try:
        explorer = lab.panels.explorer()
        assert "request" in explorer.trouble.value
        assert 'role="alert"' in explorer.trouble.value
    finally:
        lab.simulated.faults()
    explorer.begin(explorer.load())
    until(lambda: explorer.table.total and not explorer.trouble.value)


def test_a_saved_notebook_shows_rows_without_a_kernel(lab: Any) -> None:
    explorer = lab.panels.explorer()
    shown = explorer._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in shown
    assert explorer.table.rows.sort("volume", descending=True, nulls_last=True)["ticker"][0] in shown["text/html"]
    assert shown["text/plain"].startswith("<Explorer")


def test_panels_of_an_async_lab_work_in_the_notebook_s_own_loop(lab: Any, tmp_path: Path) -> None:
    async def story() -> int:
        async with kl.AsyncLab("sim", base_url=lab.settings.url, home=tmp_path) as mine:
            explorer = await mine.panels.explorer()
            explorer.begin(explorer.load())
            await asyncio.sleep(0)
            return explorer.table.total

    assert asyncio.run(story()) > 0


def test_the_live_book_draws_what_the_stream_brings_and_says_when_it_is_cut(lab: Any, tickers: list[str]) -> None:
    book = lab.panels.book(tickers[0])
    try:
        assert book.state == "live"
        assert {cells[1] for cells in book.ladder.window["rows"]} >= {f"{lab.orderbook(tickers[0]).yes_bid:f}"}
        drawn = book.ladder.version
        lab.simulated.stir(200, [tickers[0]])
        until(lambda: book.ladder.version > drawn)
        lab.simulated.stir(0)
        trade = {"trade_id": "t1", "market_ticker": tickers[0], "yes_price_dollars": "0.4100", "no_price_dollars": "0.5900",
                 "count_fp": "3.00", "taker_outcome_side": "no", "ts_ms": 1_795_356_000_000}  # fmt: skip
        lab.simulated.publish("trade", "trade", trade, market=tickers[0])
        until(lambda: book.tape.total)
        assert book.tape.window["rows"][0][1:] == ["0.41", "3", "no"]
        lab.simulated.stream_faults("drop")
        until(lambda: book.state.startswith("live again"))
    finally:
        lab.simulated.stir(0)
        book.stop()


def test_without_a_stream_the_book_is_the_one_of_this_moment_and_says_so(lab: Any, tickers: list[str]) -> None:
    lab.simulated.stream_faults("refuse", times=100, status=401)
    try:
        book = lab.panels.book(tickers[0])
        assert "no live book" in book.ladder.foot
        assert book.ladder.total
        assert book.trouble.value
    finally:
        lab.simulated.stream_faults()
        book.stop()


def test_what_is_no_ticker_is_refused_before_anything_is_asked(lab: Any) -> None:
    with pytest.raises(kl.UsageError):
        lab.panels.book("a b!")


def test_an_empty_side_is_no_price() -> None:
    """A market without a bid or an ask shows none, has no spread, and its past has only middles of real quotes."""
    rows = {
        "ticker": ["A-1", "B-1"],
        "title": ["a", "b"],
        "yes_sub_title": ["", ""],
        "event_ticker": ["A", "B"],
        "volume": [1.0, 2.0],
    }
    found = pl.DataFrame(
        rows | {"yes_bid": [0.0, 0.4], "yes_ask": [1.0, 0.5], "close_time": [None, None]},
        schema_overrides={"close_time": pl.Datetime("us", "UTC")},
    )
    assert explorer._shown(found, {}).select("yes_bid", "yes_ask", "spread").rows() == [
        (None, None, None),
        (0.4, 0.5, 0.1),
    ]
    candles = pl.DataFrame({"ticker": ["A-1", "A-1"], "yes_bid_close": [0.0, 0.2], "yes_ask_close": [1.0, 0.4]})
    assert explorer._lines(candles) == {"A-1": [0.3]}


def test_a_trend_has_a_gap_where_nothing_is_known_and_a_flat_one_stays_flat() -> None:
    """Two runs are two lines; without a price there are words; one tick of movement does not fill the picture."""
    hours = [datetime(2026, 11, 22, hour, tzinfo=UTC) for hour in range(5)]
    drawn = markup.trend(list(zip(hours, (0.4, 0.5, None, 0.5, 0.4), strict=True)), "A")
    assert drawn.count("<polyline") == 2
    assert "lowest 0.4, highest 0.5" in drawn
    assert "no real quote" in markup.trend([(hours[0], None)], "A")
    assert "<polyline" not in markup.trend([], "A")
    flat = markup.trend([(hours[0], 0.4), (hours[4], 0.401)], "A")
    heights = [float(point.split(",")[1]) for point in re.findall(r"points=\"([^\"]+)\"", flat)[0].split()]
    assert max(heights) - min(heights) < 10
