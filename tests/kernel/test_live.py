"""Streams, recordings and orders in a real kernel: in the background between cells, and under the stop button."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.kernel.conftest import Notebook

READY = """
def until(true, patience=20.0):
    end = time.monotonic() + patience
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)
live = lab.markets(series="KXHIGHNY", limit=200).sort("volume", "ticker", descending=True)["ticker"].head(3).to_list()
"""


@pytest.fixture(scope="module")
def desk(kernel: Notebook) -> Notebook:
    """The kernel with three tickers to watch, and a word for waiting."""
    cell = kernel.run(READY)
    assert cell.error == "", cell.message
    return kernel


@pytest.fixture
def stream(desk: Notebook) -> Iterator[Notebook]:
    """A stream of those markets that goes on in the background."""
    cell = desk.run("stream = lab.stream(['orderbook_delta', 'ticker', 'trade'], tickers=live).start()")
    assert cell.error == "", cell.message
    yield desk
    assert desk.run("stream.stop()").error == ""


def test_a_stream_goes_on_between_cells(stream: Notebook) -> None:
    """Books and ticks arrive while no cell runs, and each cell sees the newest."""
    assert stream.run("until(lambda: stream.books[live[0]].updated_at)").error == ""
    before = (
        "before = {one: stream.books[one].updated_at for one in live}\ncount = stream.frame('orderbook_delta').height"
    )
    assert stream.run(before).error == ""
    assert stream.run("now = lab.simulated.advance(3600)").error == ""
    found = stream.run(
        "until(lambda: stream.frame('orderbook_delta').height > count and stream.frame('ticker').height)"
    )
    assert (found.error, found.message) == ("", "")
    assert stream.run("print(any(stream.books[one].updated_at > before[one] for one in live))").said.strip() == "True"
    (shown,) = stream.run("stream.books[live[0]]").shown
    assert live_word(shown["text/html"])
    assert "text/html" in stream.run("stream").shown[0]


def live_word(html: str) -> bool:
    """Whether a ladder is a table of levels that fetches and runs nothing."""
    return "<table" in html and "<script" not in html and "src=" not in html


def test_the_stop_button_ends_a_loop_over_a_stream(stream: Notebook) -> None:
    """A cell that waits for the next message ends at once, and the stream goes on."""
    assert stream.run("until(lambda: all(stream.books[one].updated_at for one in live))").error == ""
    assert stream.run("seen = list(stream.messages(timeout=0.2)); print(len(seen) >= 3)").said.strip() == "True"
    cell = stream.run("for message in stream: pass", interrupt_after=0.7)
    assert (cell.error, cell.seconds < 10) == ("KeyboardInterrupt", True), cell
    assert stream.run("now = lab.simulated.advance(600); print(next(iter(stream)) is not None)").said.strip() == "True"


def test_an_awaited_stream_shares_the_loop_of_the_cell(desk: Notebook) -> None:
    """`async for` in a cell reads messages as they come, beside a blocking stream."""
    code = (
        "async with alab.stream('orderbook_delta', tickers=live) as mine:\n"
        "    async for message in mine:\n"
        "        break\n"
        "print(type(message).__name__)"
    )
    cell = desk.run(code)
    assert (cell.error, cell.said.strip()) == ("", "BookSnapshot")


def test_a_recording_runs_beside_cells(desk: Notebook) -> None:
    """It writes while other cells ask the store, shows how it goes, and what it kept is there after its end."""
    cell = desk.run("recording = lab.record(tickers=live)\nrecording")
    assert cell.error == "", cell.message
    assert "recording" in cell.shown[0]["text/html"]
    assert (
        desk.run(
            "now = lab.simulated.advance(1800)\nuntil(lambda: recording.stats.stored.get('book_changes', 0) > 3)"
        ).error
        == ""
    )
    assert desk.run("print(lab.table('book_changes').height > 3)").said.strip() == "True"
    assert desk.run("recording.stop(); print(recording.state, recording.stats.waiting)").said.strip() == "stopped 0"
    assert (
        desk.run("print(lab.book(live[0]).stale, sum(1 for _ in lab.replay(live[0])) > 0)").said.strip() == "False True"
    )


def test_a_write_is_refused_in_one_line(desk: Notebook) -> None:
    """A lab that was not opened for writing places no order, and says how to open one that does."""
    cell = desk.run("lab.kalshi.orders.create(kl.NewOrder(ticker=live[0], side='bid', count=1, price='0.01'))")
    assert cell.error == "TradingOff"
    assert "writable=True" in cell.message
