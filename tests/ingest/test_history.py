"""History at full size: both sides of a moving cutoff, only what is new on later runs, and what is known to be missing."""

from __future__ import annotations

import asyncio
import logging
import random
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import polars as pl
import pytest

from kalshi_lab import CursorLoop, Lab, Unavailable
from kalshi_lab.ingest import progress, trades
from kalshi_lab.ingest.progress import Progress
from kalshi_lab.ingest.sides import MovingCutoff
from kalshi_lab.sim import World, process
from kalshi_lab.sim.wire import DAY, SECOND
from tests.ingest import truth

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from kalshi_lab.sim import Exchange

SERIES = "KXHIGHNY"
LIVE, ARCHIVE, BATCH = "/markets/trades", "/historical/trades", "/markets/candlesticks"


@pytest.fixture(scope="module")
def moving() -> Iterator[Exchange]:
    """An exchange for tests that move its clock by days; those that move it by months come last."""
    with process.start(markets=300, clock="frozen") as started:
        started.advance(7200)
        yield started


@pytest.fixture
def own(moving: Exchange) -> Iterator[Exchange]:
    """That exchange with nothing wrong and nothing logged yet."""
    moving.faults()
    moving.reset_log()
    yield moving
    moving.faults()


@pytest.fixture
def far(own: Exchange, tmp_path: Path) -> Iterator[Lab]:
    with Lab("sim", base_url=own.url, home=tmp_path, attempts=1) as made:
        yield made


def asked(exchange: Exchange, path: str) -> list[dict[str, list[str]]]:
    """The queries of the requests to a path that were answered, in order."""
    return [parse_qs(one["query"]) for one in exchange.requests() if one["path"] == path and one["status"] == 200]


def kept(lab: Lab) -> list[tuple[str, int, int, int]]:
    sql = """
        SELECT ticker, floor(epoch(created_time))::BIGINT, (yes_price * 10000)::BIGINT, (count * 100)::BIGINT FROM trades
    """
    return sorted(lab.sql(sql).rows())


def day_of(world: World, exchange: Exchange, name: str) -> datetime:
    return datetime.fromtimestamp(world.cutoffs(truth.now(exchange))[name] // SECOND, UTC)


@pytest.mark.long
def test_a_cutoff_that_moves_while_a_window_is_read_leaves_no_hole(own: Exchange, far: Lab, world: World) -> None:
    """F14: between two live pages the cutoff passes the window; what left the live side comes from the other, each trade once."""
    cutoff = day_of(world, own, "trades_created_ts")
    since, until = cutoff + timedelta(hours=2), cutoff + timedelta(days=4)
    wanted = truth.trades(world, int(since.timestamp()) * SECOND, int(until.timestamp()) * SECOND)
    assert len(wanted) > 3000
    own.faults(LIVE, "slow", seconds=1.5, times=1, after=5)  # four looks before, and the first page
    syncing = threading.Thread(target=lambda: far.sync("trades", since=since, until=until))
    syncing.start()
    while syncing.is_alive() and len(asked(own, LIVE)) < 6:
        syncing.join(0.01)
    own.advance(3 * 86_400)  # while that page is on its way
    syncing.join(60)
    assert asked(own, ARCHIVE), "the cutoff moved, so the other side is asked"
    assert kept(far) == wanted
    assert far.sql("SELECT count(DISTINCT trade_id) FROM trades").item() == len(wanted)
    noted = far.sql("SELECT DISTINCT cutoff FROM coverage WHERE complete").to_series().to_list()
    assert noted == [day_of(world, own, "trades_created_ts")]


def test_a_later_sync_reads_only_what_is_new(own: Exchange, far: Lab, world: World) -> None:
    """DB-14: trades from the newest that is held, with an hour of overlap: the second sync asks for that window and ends complete."""
    far.sync("trades", since="3d")
    begun = truth.now(own)
    own.reset_log()
    own.advance(7200)
    done = far.sync("trades", since="3d")
    assert [query["min_ts"] for query in asked(own, LIVE)] == [[str(begun // SECOND - 3600)]]
    first, last = begun - 3 * DAY * SECOND, truth.now(own)
    assert kept(far) == truth.trades(world, first, last)
    assert done.received < 600
    own.reset_log()
    assert far.sync("trades", since="1d", until="12h").received == 0
    assert not asked(own, LIVE), "all of that is held"


def test_an_old_unfinished_window_does_not_hide_the_new(own: Exchange, far: Lab, world: World) -> None:
    """A sync that carries on a day later ends complete up to its own now, not up to the now of the one that failed."""
    begun = truth.now(own)
    own.faults(LIVE, "status", status=503, times=99, after=6)
    with pytest.raises(Unavailable):
        far.sync("trades", since="3d")
    own.faults()
    own.advance(86_400)
    done = far.sync("trades", since="3d")
    assert done.resumed_pages == 2
    first, last = begun - 2 * DAY * SECOND, truth.now(own)
    assert [row for row in kept(far) if row[1] >= first // SECOND] == truth.trades(world, first, last)


def test_windows_are_walked_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many trades are read in several windows at once: their cursors advance together, and all come once."""
    monkeypatch.setattr(trades, "PAGES", 3)
    with (
        process.start(markets=300, clock="frozen", trades=12_000, history_days=30, read_tokens=1e9) as dense,
        Lab("sim", base_url=dense.url, home=tmp_path) as lab,
    ):
        estimated = lab.sync("trades", since="30d", dry_run=True)
        assert "dry run: about" in repr(estimated)
        assert 11_000 < (estimated.expected.rows or 0) < 13_000
        assert truth.count(lab, "trades") == truth.count(lab, "ledger") == 0
        dense.reset_log()
        done = lab.sync("trades", since="30d")
        order = lab.sql("SELECT walk FROM ledger WHERE walk <> '' ORDER BY rowid")["walk"].to_list()
        assert len(set(order)) >= 3
        assert len(set(order[: len(order) // 2])) > 1
        assert done.stored == lab.sql("SELECT count(DISTINCT trade_id) FROM trades").item() == 12_000
        assert done.expected.rows == estimated.expected.rows
        one = lab.trades(limit=1)["ticker"][0]
        assert lab.sync("trades", tickers=one, since="30d", resume=False).stored == 0


@pytest.mark.parametrize("seed", range(3))
def test_pages_that_shift_come_out_as_a_set(new_lab: Callable[[], Lab], upset: Exchange, seed: int) -> None:
    """F13: pages that overlap, come twice, are shuffled or have items put between them: set equality, and the counts balance."""
    chance = random.Random(seed)
    items = [trade(number) for number in range(60)]
    pages = [items[start : start + 12] for start in range(0, 60, 10)]  # two of each page stand on the next one, too
    pages.insert(chance.randrange(1, 6), list(chance.choice(pages)))  # a page twice
    for number in range(4):
        pages[chance.randrange(1, 7)].append(trade(100 + number))  # new ones among old ones
    for page in pages:
        chance.shuffle(page)
    for number, page in enumerate(pages):
        cursor = f"c{number + 1}" if number + 1 < len(pages) else ""
        upset.faults(LIVE, "status", status=200, body={"trades": page, "cursor": cursor})
    lab = new_lab()
    done = lab.sync("trades", since="5h")
    truth.balanced(lab, done)
    sent = [one["trade_id"] for page in pages for one in page]
    assert (done.received, done.stored) == (len(sent), len(set(sent)))
    assert sorted(lab.table("trades")["trade_id"]) == sorted(set(sent))


def trade(number: int) -> dict[str, Any]:
    return {
        "trade_id": f"t{number}", "ticker": "A-1", "yes_price_dollars": "0.5600", "count_fp": "1.00",
        "created_time": f"2026-11-20T15:{number // 60:02}:{number % 60:02}Z",
    }  # fmt: skip


def test_markets_that_changed_are_the_only_ones_asked_for(own: Exchange, far: Lab, world: World) -> None:
    """DB-5: after the first listing only what was updated, created or settled since is read, and the archive not again."""
    far.sync("markets", series=SERIES)
    own.reset_log()
    own.advance(2 * 86_400)
    done = far.sync("markets", series=SERIES)
    listed = [
        query for query in asked(own, "/markets") if query.get("mve_filter") == ["exclude"]
    ]  # and a count of the combos
    assert {name for query in listed for name in query if name.startswith("min_")} == {
        "min_created_ts", "min_updated_ts", "min_settled_ts",
    }  # fmt: skip
    assert all(any(name.startswith("min_") for name in query) for query in listed)
    assert not asked(own, "/historical/markets")
    held = far.table("markets")
    assert sorted(held["ticker"]) == sorted(truth.markets(world, truth.now(own), combos=False, series=SERIES))
    assert done.received < held.height / 4
    there = {row["ticker"]: row["status"] for row in far.markets(series=SERIES, status=None).to_dicts()}
    assert {name: status for name, status in held.select("ticker", "status").iter_rows() if name in there} == there


def test_candlesticks_come_many_markets_at_a_time_and_once(own: Exchange, far: Lab) -> None:
    """Live markets share requests; later only the last period is read again, and what is over and held is not."""
    far.sync("candlesticks", series=SERIES, status="open")
    tickers = {name for query in asked(own, BATCH) for name in query["market_tickers"][0].split(",")}
    assert len(tickers) >= 12
    assert len(asked(own, BATCH)) == 1
    begun = truth.now(own) // SECOND
    own.reset_log()
    own.advance(3 * 3600)
    done = far.sync("candlesticks", series=SERIES, status="open")
    assert [int(query["start_ts"][0]) for query in asked(own, BATCH)] == [begun - 3600]
    assert done.received <= 5 * len(tickers)
    for ticker in sorted(tickers)[:2]:
        opened = far.sql("SELECT open_time FROM markets WHERE ticker = ?", [ticker]).item()
        seen = far.candlesticks(ticker, since=opened)
        held = far.sql(
            "SELECT * EXCLUDE (run_id, seen_at) FROM candlesticks WHERE ticker = ? ORDER BY end_time", [ticker]
        )
        assert held.equals(seen, null_equal=True)


def test_coverage_tells_what_is_held_missing_and_old(own: Exchange, far: Lab) -> None:
    """P6: an interrupted sync leaves a hole that is named until it is filled, and what nobody looked at for long is counted."""
    assert far.coverage().is_empty()
    far.sync("markets", series=SERIES)
    own.faults(LIVE, "status", status=503, times=99, after=6)
    with pytest.raises(Unavailable):
        far.sync("trades", since="3d")
    row = far.coverage().filter(pl.col("series_ticker").is_null(), dataset="trades").row(0, named=True)
    assert (row["held_from"], row["holes"], row["missing"]) == (None, 1, timedelta(days=3))
    own.faults()
    far.sync("trades", since="3d")
    row = far.coverage().filter(pl.col("series_ticker").is_null(), dataset="trades").row(0, named=True)
    now = datetime.fromtimestamp(truth.now(own) // SECOND, UTC)
    assert (row["held_from"], row["held_to"], row["holes"], row["missing"]) == (
        now - timedelta(days=3), now, 0, timedelta(),
    )  # fmt: skip
    markets = far.coverage().filter(dataset="markets").row(0, named=True)
    assert (markets["rows"], markets["holes"], markets["stale"]) == (truth.count(far, "markets"), None, 0)
    assert far.coverage()["rows"].sum() == truth.count(far, "markets") + truth.count(far, "trades")
    own.advance(2 * 86_400)
    later = far.coverage().filter(dataset="markets").row(0, named=True)
    live = "status IN ('active', 'initialized', 'inactive')"
    assert later["stale"] == far.sql(f"SELECT count(*) FROM markets WHERE {live}").item() > 0
    assert later["age"] == timedelta(days=2)


def test_what_was_pruned_is_not_held_and_can_be_read_again(lab: Lab, upset: Exchange) -> None:
    """DB-11: a time whose trades were taken out is neither held nor missed; whoever asks for it gets it again."""
    lab.sync("trades", since="3d")
    whole, now = lab.sql("SELECT * FROM trades ORDER BY trade_id").drop("run_id", "seen_at"), truth.now(upset) // SECOND
    moment = datetime.fromtimestamp(now, UTC) - timedelta(days=1)
    lab.store.prune(trades=moment, dry_run=False)
    row = lab.coverage().filter(pl.col("series_ticker").is_null(), dataset="trades").row(0, named=True)
    assert (row["held_from"], row["holes"], row["missing"]) == (moment, 0, timedelta())
    assert 0 < truth.count(lab, "trades") < whole.height
    lab.sync("trades", since="3d")
    assert lab.sql("SELECT * FROM trades ORDER BY trade_id").drop("run_id", "seen_at").equals(whole)
    assert lab.store.verify().ok


def test_two_syncs_at_once_both_succeed(new_lab: Callable[[], Lab]) -> None:
    """Lesson 44: two sessions sync the same trades into one store at once; both end, and every trade is there once."""
    labs, results = [new_lab(), new_lab()], []
    threads = [threading.Thread(target=lambda lab=lab: results.append(lab.sync("trades", since="2d"))) for lab in labs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(results) == 2
    rows = truth.count(labs[0], "trades")
    assert rows == labs[0].sql("SELECT count(DISTINCT trade_id) FROM trades").item()
    assert sum(done.stored for done in results) == rows
    assert rows == len(labs[0].trades(since="2d", limit=None))


def test_a_cursor_that_is_refused_begins_its_window_anew(lab: Lab, upset: Exchange) -> None:
    """An interrupted walk whose cursor the exchange knows no longer is read from its beginning, and nothing is twice."""
    upset.faults(LIVE, "loop", times=1, after=1)
    with pytest.raises(CursorLoop):
        lab.sync("trades", since="3d")
    write = "UPDATE ledger SET next_cursor = 'live:nonsense' WHERE page = (SELECT max(page) FROM ledger)"
    lab._call(lab._twin.store.write(lambda connection: connection.execute(write)))
    lab.sync("trades", since="3d")
    assert truth.count(lab, "trades") == len(lab.trades(since="3d", limit=None))
    assert truth.count(lab, "trades") == lab.sql("SELECT count(DISTINCT trade_id) FROM trades").item()


def test_walks_share_a_question_for_the_cutoff(lab: Lab, upset: Exchange) -> None:
    """Ten walks that end together ask once or twice, not ten times, and each gets an answer that was asked for after it ended."""

    async def all_at_once() -> None:
        cut = MovingCutoff(lab._twin.kalshi, "trades_created_ts")
        await asyncio.gather(*(cut.fresh() for _ in range(10)))

    upset.reset_log()
    lab._call(all_at_once())
    assert 1 <= len(asked(upset, "/historical/cutoff")) <= 2


def test_a_long_work_tells_the_log_how_far_it_is(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Without a terminal a line comes every ten seconds: rows, rate and time left as far as the total is known; nothing on stdout."""
    clock = FakeClock()
    with caplog.at_level(logging.INFO, progress.__name__), Progress("sync trades", total=1000, clock=clock) as bar:
        bar.advance(100)
        clock.time += 20.0
        bar.advance(100)
        clock.time += 5.0
        bar.advance(100)
        clock.time += 75.0
        bar.advance(900)
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        "sync trades: 200 of about 1,000 rows, 10 a second, about 80 s left", "sync trades: 1,200 rows, 12 a second",
    ]  # fmt: skip
    assert capfd.readouterr().out == ""


def test_a_cutoff_that_moves_between_two_runs_leaves_no_hole(own: Exchange, far: Lab, world: World) -> None:
    """F14: an interrupted walk goes on at its cursor after the cutoff has passed it, and the rest comes from the other side."""
    cutoff = day_of(world, own, "trades_created_ts")
    since, until = cutoff + timedelta(hours=2), cutoff + timedelta(days=4)
    wanted = truth.trades(world, int(since.timestamp()) * SECOND, int(until.timestamp()) * SECOND)
    own.faults(LIVE, "status", status=503, times=99, after=6)
    with pytest.raises(Unavailable):
        far.sync("trades", since=since, until=until)
    assert 0 < truth.count(far, "trades") < len(wanted)
    own.faults()
    own.advance(10 * 86_400)
    assert far.sync("trades", since=since, until=until).resumed_pages == 2
    assert kept(far) == wanted


def test_a_market_that_leaves_the_live_side_meanwhile_is_found_on_the_other(own: Exchange, far: Lab) -> None:
    """F14 for candlesticks: the answer leaves out a market archived since it was listed; its candlesticks come from the archive."""
    far.sync("markets", series=SERIES, status="settled")
    live = set(far.markets(series=SERIES, status="settled")["ticker"])
    chosen = sorted(live)[:3]
    own.reset_log()
    own.faults("/historical/cutoff", "slow", seconds=1.5, times=1)
    syncing = threading.Thread(target=lambda: far.sync("candlesticks", tickers=chosen))
    syncing.start()
    while syncing.is_alive() and not asked(own, "/historical/cutoff"):
        syncing.join(0.01)
    own.advance(90 * 86_400)  # while the old cutoff is on its way
    syncing.join(60)
    assert asked(own, BATCH), "they were taken for live ones"
    held = far.sql("SELECT ticker, count(*) AS bars FROM candlesticks GROUP BY ALL ORDER BY ticker")
    assert held["ticker"].to_list() == chosen
    own.reset_log()
    assert far.sync("candlesticks", tickers=chosen).received == 0, "all of it is held"
    assert not asked(own, BATCH)


def test_an_archive_that_passed_the_last_look_is_walked_again(own: Exchange, far: Lab, world: World) -> None:
    """F14 for markets: what was settled and archived between two syncs is on the historical side alone, and is found there."""
    far.sync("markets", series=SERIES)
    own.reset_log()
    own.advance(60 * 86_400)
    far.sync("markets", series=SERIES)
    assert asked(own, "/historical/markets")
    wanted = truth.markets(world, truth.now(own), combos=False, series=SERIES)
    assert sorted(far.table("markets")["ticker"]) == sorted(wanted)
    final = far.sql("SELECT ticker, settlement_value FROM results", exact=True)
    assert final.height > 500
    assert all(float(paid) == world.outcome(ticker) for ticker, paid in final.iter_rows())


class FakeClock:
    time = 0.0

    def monotonic(self) -> float:
        return self.time
