"""`sync` brings each dataset into the store: all of it, once, with counts that add up."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from kalshi_lab import UsageError
from kalshi_lab.sim.wire import DAY, SECOND
from tests.ingest import truth

if TYPE_CHECKING:
    from kalshi_lab import Lab
    from kalshi_lab.sim import Exchange, World

SERIES = "KXHIGHNY"
CASES: list[tuple[str, dict[str, Any], str]] = [
    ("series", {}, "series"),
    ("events", {"series": SERIES}, "events"),
    ("events", {"series": SERIES, "status": "open", "nested": True}, "events"),
    ("markets", {"series": SERIES}, "markets"),
    ("markets", {"status": "open"}, "markets"),
    ("trades", {"since": "2d"}, "trades"),
    ("candlesticks", {"series": SERIES, "status": "open", "interval": "1d"}, "candlesticks"),
]


@pytest.mark.parametrize(("dataset", "filters", "table"), CASES)
def test_a_sync_stores_what_it_received_once(lab: Lab, dataset: Any, filters: dict[str, Any], table: str) -> None:
    """Every row received is stored, and a second sync adds no row and reads no more: the counts of both balance with ledger and table."""
    first = lab.sync(dataset, **filters)
    truth.balanced(lab, first)
    assert first.stored == truth.count(lab, table) > 0
    assert (first.duplicate, first.quarantined, first.resumed_pages) == (0, 0, 0)
    data = lab.table(table, exact=True).drop("run_id", "seen_at")
    second = lab.sync(dataset, **filters)
    truth.balanced(lab, second)
    assert second.run_id != first.run_id
    assert second.resumed_pages == 0
    assert second.received <= first.received
    assert second.received < first.received or dataset == "series" or filters.get("status") == "open"
    again = lab.table(table, exact=True).drop("run_id", "seen_at")
    assert again.sort(pl.all()).equals(data.sort(pl.all()), null_equal=True)


def test_markets_are_those_of_the_world(lab: Lab, upset: Exchange, world: World) -> None:
    """The union of live and historical markets has every market of a series, and each once; outcomes are those of the world."""
    done = lab.sync("markets", series=SERIES)
    kept = lab.table("markets")
    assert sorted(kept["ticker"]) == sorted(truth.markets(world, truth.now(upset), combos=False, series=SERIES))
    assert kept["series_ticker"].unique().to_list() == [SERIES]
    sides = lab.sql("SELECT DISTINCT split_part(next_cursor, ':', 1) FROM ledger WHERE run_id = ?", [done.run_id])
    assert "historical" in sides.to_series().to_list()
    results = lab.table("results", exact=True)
    assert results.height > 400
    assert all(
        float(paid) == world.outcome(ticker)
        for ticker, paid in results.select("ticker", "settlement_value").iter_rows()
    )


@pytest.mark.long
def test_combos_are_left_out_and_counted(lab: Lab, upset: Exchange, world: World) -> None:
    """Without being asked for, combos stay out and the result says how many; with combos=True they come."""
    now = truth.now(upset)
    plain, everything = (truth.markets(world, now, combos=combos) for combos in (False, True))
    done = lab.sync("markets")
    assert set(lab.table("markets")["ticker"]) == plain
    assert done.combos_left_out is not None
    assert 0 < done.combos_left_out <= len(everything - plain)
    assert done.combos_exact == (done.combos_left_out == len(everything - plain))
    assert "combos left out" in repr(done)
    more = lab.sync("markets", combos=True)
    assert set(lab.table("markets")["ticker"]) == everything
    assert more.combos_left_out is None
    assert "combos" not in repr(more)


def test_trades_on_both_sides_of_the_cutoff_are_one(lab: Lab, upset: Exchange, world: World) -> None:
    """A window across the cutoff holds every trade of the world in it, once each."""
    now = truth.now(upset)
    cutoff = world.cutoffs(now)["trades_created_ts"]
    since, until = (cutoff + step * DAY * SECOND // 4 for step in (-1, 1))
    window = {
        "since": datetime.fromtimestamp(since // SECOND, UTC),
        "until": datetime.fromtimestamp(until // SECOND, UTC),
    }
    done = lab.sync("trades", **window)  # type: ignore[arg-type] # since and until by name
    truth.balanced(lab, done)
    sql = """
        SELECT ticker, epoch(created_time)::BIGINT AS second, (yes_price * 10000)::BIGINT AS price, (count * 100)::BIGINT AS contracts
        FROM trades WHERE created_time >= ? AND created_time <= ?
    """
    kept = lab.sql(sql.replace("epoch(created_time)", "floor(epoch(created_time))"), list(window.values()))
    wanted = truth.trades(world, since, until)
    assert len(wanted) > 200
    assert sorted(kept.rows()) == wanted
    assert lab.sql("SELECT count(DISTINCT trade_id) FROM trades").item() == truth.count(lab, "trades")


def test_trades_of_markets_bring_their_markets(lab: Lab) -> None:
    """Trades of an event sync its markets first where they are not known, and are the trades of those markets."""
    event = lab.events(series=SERIES, limit=1)["event_ticker"][0]
    done = lab.sync("trades", event=event)
    names = set(lab.markets(event=event, status=None)["ticker"])
    assert set(lab.table("markets")["ticker"]) == names
    assert set(lab.table("trades")["ticker"]) <= names
    assert done.stored > 0


def test_candlesticks_are_those_of_the_look(lab: Lab) -> None:
    """The candlesticks kept of a market, live or archived, are those that a look at them shows, over its whole life."""
    lab.sync("markets", series=SERIES)
    ages = lab.sql("SELECT ticker FROM markets WHERE status <> 'initialized' ORDER BY open_time")["ticker"]
    chosen = [ages[0], ages[-1]]
    done = lab.sync("candlesticks", tickers=chosen)
    truth.balanced(lab, done)
    for ticker in chosen:
        opened = lab.sql("SELECT open_time FROM markets WHERE ticker = ?", [ticker]).item()
        seen = lab.candlesticks(ticker, since=opened)
        kept = lab.sql(
            "SELECT * EXCLUDE (run_id, seen_at) FROM candlesticks WHERE ticker = ? ORDER BY end_time", [ticker]
        )
        assert kept.height == seen.height > 0
        assert kept.equals(seen, null_equal=True)


def test_nested_events_bring_their_markets(lab: Lab) -> None:
    """With nested=True the markets inside the events are kept too, with their series."""
    lab.sync("events", series=SERIES, status="open", nested=True)
    kept = lab.table("markets")
    assert sorted(kept["ticker"]) == sorted(lab.markets(series=SERIES, status="open")["ticker"])
    assert kept["series_ticker"].unique().to_list() == [SERIES]


def test_a_sync_into_an_empty_store_works_in_any_order(lab: Lab) -> None:
    """Nothing needs its parents first: candlesticks, then trades, then events, then series."""
    ticker = lab.markets(series=SERIES, limit=1)["ticker"][0]
    for dataset, filters in [("candlesticks", {"tickers": ticker}), ("trades", {"tickers": ticker}), ("series", {})]:
        assert lab.sync(dataset, **filters).received > 0  # type: ignore[arg-type] # a dataset in the table


def test_progress_is_shown_where_it_is_wanted(lab: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    """progress=True draws a bar that counts the rows, False and (outside a notebook or terminal) None draw nothing."""
    lab.sync("series", progress=False)
    lab.sync("series")
    lab.snapshot(progress=False)
    assert capfd.readouterr().err == ""
    done = lab.sync("series", progress=True)
    said = capfd.readouterr().err
    assert "sync series" in said
    assert f"{done.received}.0 rows" in said or f"{done.received} rows" in said
    lab.snapshot(series=SERIES, progress=True)
    assert "snapshot" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("dataset", "filters", "said"),
    [
        ("marketz", {}, "Did you mean 'markets'"),
        ("orders", {}, "candlesticks, events, markets, series, trades"),
        ("markets", {"status": "opne"}, "Did you mean 'open'"),
        ("markets", {"since": "1d"}, "no time window"),
        ("events", {"until": "1d"}, "no time window"),
        ("series", {"since": "1d"}, "no time window"),
        ("trades", {"since": "1d", "until": "2d"}, "empty"),
        ("trades", {"since": datetime(2026, 11, 1)}, "no time zone"),  # noqa: DTZ001 - that is the mistake
        ("trades", {"since": "yesterday"}, "is no time"),
        ("trades", {"tickers": ["kxhighny-1"]}, "upper case"),
        ("trades", {"tickers": []}, "at least one"),
        ("trades", {"series": "KX HIGH"}, "malformed"),
        ("trades", {"tickers": "KXNOSUCH-26NOV20-X"}, "does not know KXNOSUCH"),
        ("candlesticks", {}, "needs tickers, an event or a series"),
        ("candlesticks", {"series": SERIES, "interval": "2h"}, "Allowed: 1m, 1h, 1d"),
    ],
)
def test_a_wrong_question_is_refused_with_a_reason(lab: Lab, dataset: Any, filters: dict[str, Any], said: str) -> None:
    """What cannot be asked is a UsageError that says what is allowed, and nothing is stored."""
    with pytest.raises(UsageError) as caught:
        lab.sync(dataset, **filters)
    assert said in str(caught.value)
    assert truth.count(lab, "trades") == truth.count(lab, "candlesticks") == 0
