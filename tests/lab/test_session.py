"""A session: one lab for many threads, several labs side by side, and its end."""

from __future__ import annotations

import multiprocessing
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from kalshi_lab import Lab, UsageError
from kalshi_lab.sim import World, process

if TYPE_CHECKING:
    from pathlib import Path

    from kalshi_lab.sim import Exchange

WEATHER = "KXHIGHNY"


def loops() -> set[threading.Thread]:
    """The threads that run a portal's loop."""
    return {thread for thread in threading.enumerate() if thread.name == "kalshi-lab"}


def test_threads_share_a_lab(lab: Lab) -> None:
    """Many threads look, keep and ask through one lab at once, and each gets its own answer."""

    def work(number: int) -> tuple[int, int, int]:
        found = lab.markets(limit=number + 1).height
        lab.sync("series", progress=False)
        return found, int(lab.sql("SELECT $1::INTEGER AS n", [number]).item()), lab.table("series").height

    lab.status()
    before = loops()
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(16))) == [(number + 1, number, 14) for number in range(16)]
    assert lab.sql("SELECT count(DISTINCT ticker), count(*) FROM series").row(0) == (14, 14)
    assert loops() == before, "no thread started a loop of its own"


def test_two_labs_never_mix(exchange: Exchange, tmp_path: Path) -> None:
    """Two labs on two exchanges keep their answers and their stores apart, also when they work at the same time."""
    with (
        process.start(markets=200, seed=11, clock="frozen") as other,
        Lab("sim", base_url=exchange.url, home=tmp_path / "one") as one,
        Lab("sim", base_url=other.url, home=tmp_path / "two") as two,
        ThreadPoolExecutor(2) as pool,
    ):
        kept = list(pool.map(lambda lab: lab.snapshot(progress=False).markets, [one, two] * 3))
        assert kept == [one.markets().height, two.markets().height] * 3 == [270, 180] * 3
        for lab in (one, two):
            assert sorted(lab.quotes()["ticker"]) == sorted(lab.markets()["ticker"])
        assert not set(one.table("quotes")["scope"]) ^ set(two.table("quotes")["scope"])
        truth = World(11, open_markets=200)
        assert {ticker for ticker in two.quotes()["ticker"] if truth.names.find_market(ticker) is None} == set()


def test_two_labs_share_a_store(exchange: Exchange, tmp_path: Path) -> None:
    """What one lab keeps another on the same folder asks for at once."""
    with (
        Lab("sim", base_url=exchange.url, home=tmp_path) as one,
        Lab("sim", base_url=exchange.url, home=tmp_path) as two,
    ):
        one.sync("series", progress=False)
        assert two.table("series").height == 14


def test_a_lab_starts_its_own_exchange(tmp_path: Path) -> None:
    """Without an address the sim starts for this lab and ends with it."""
    with Lab("sim", home=tmp_path) as lab:
        running = lab._twin._started
        assert running is not None
        assert repr(lab.status()) == "<ExchangeStatus up, trading on>"
        assert running.running
    assert not running.running


def test_a_simulated_exchange_is_steered_from_the_lab(exchange: Exchange, tmp_path: Path) -> None:
    """`lab.simulated` moves the clock of an exchange that somebody else started; at a real one there is nothing to steer."""
    with Lab("sim", base_url=exchange.url, home=tmp_path) as lab:
        assert lab.simulated is not None
        before = lab.simulated.now()
        assert lab.simulated.advance(60) == exchange.now() > before
        assert repr(lab.simulated) == f"Controls({exchange.url!r})"
    with Lab("prod", home=tmp_path) as real:
        assert real.simulated is None


def test_the_end_of_a_session(exchange: Exchange, tmp_path: Path) -> None:
    """Leaving the block gives back the connections, also after an error; closing twice does no harm."""
    lab = Lab("sim", base_url=exchange.url, home=tmp_path)
    with pytest.raises(UsageError), lab:
        lab.sync("markets", status="opne")
    lab.close()


def test_a_lab_says_what_it_is(lab: Lab, tmp_path: Path) -> None:
    """Its text names the environment and the store; its HTML is escaped."""
    assert repr(lab) == f"<Lab sim, store {tmp_path / 'kalshi.duckdb'}>"
    assert "AsyncLab" not in lab._repr_html_()
    assert str(tmp_path / "kalshi.duckdb") in lab._repr_html_()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_is_noticed(lab: Lab) -> None:
    """A lab made before the process forked says so in the child instead of hanging."""
    lab.status()
    queue: multiprocessing.SimpleQueue[str] = multiprocessing.get_context("fork").SimpleQueue()

    def child() -> None:
        try:
            queue.put(repr(lab.status()))
        except UsageError as error:
            queue.put(str(error))

    forked = multiprocessing.get_context("fork").Process(target=child)
    forked.start()
    forked.join(20)
    assert forked.exitcode == 0
    assert "before the process forked" in queue.get()


def test_calibration_of_settled_weather(lab: Lab) -> None:
    """From the exchange to the table: each settled market counts once, with its own outcome and the price known a day before."""
    lab.sync("markets", series=WEATHER, status="settled", progress=False)
    settled = lab.sql("SELECT ticker, event_ticker FROM results ORDER BY close_time DESC, ticker LIMIT 90")
    lab.sync("candlesticks", tickers=settled["ticker"].to_list(), progress=False)
    known = lab.forecasts(series=WEATHER, horizon="12h")
    priced = known.drop_nulls(["price", "outcome"])
    assert priced.height > 60
    assert set(priced["ticker"]) <= set(settled["ticker"])
    world = World(7, open_markets=300)
    assert all(world.outcome(ticker) == outcome for ticker, outcome in priced.select("ticker", "outcome").iter_rows())
    assert (priced["priced_at"] <= priced["decided_at"]).all()
    assert (priced["decided_at"].dt.offset_by("12h") == priced["close_time"]).all()
    made = lab.calibration(series=WEATHER, horizon="12h")
    assert made.n == priced.height
    assert made.clusters == priced["event_ticker"].n_unique()
    assert made.frame()["n"].sum() == priced.height
    assert made.n + sum(made.excluded.values()) == known.height
    brier = ((priced["price"] - priced["outcome"]) ** 2).mean()
    assert made.brier == pytest.approx(brier)
    assert made.skill is not None
    assert made.skill > 0.2, "the simulated makers know something"
