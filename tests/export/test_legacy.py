"""The earlier tool's SQLite file: a database of its schema with all that was odd about it, brought in whole."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from kalshi_lab import UsageError
from kalshi_lab.models import quote
from kalshi_lab.store import Store, legacy, writes
from kalshi_lab.store.imports import import_file
from kalshi_lab.store.queries import quotes_as_of

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
STAMP = "2026-01-10 12:00:00.000000"
SCHEMA = """
CREATE TABLE events (ticker VARCHAR PRIMARY KEY, series_ticker VARCHAR NOT NULL, title VARCHAR NOT NULL, status VARCHAR, category VARCHAR,
    mutually_exclusive BOOLEAN, created_at DATETIME, updated_at DATETIME);
CREATE TABLE markets (ticker VARCHAR PRIMARY KEY, event_ticker VARCHAR NOT NULL REFERENCES events,
    series_ticker VARCHAR, title VARCHAR NOT NULL,
    subtitle VARCHAR, status VARCHAR NOT NULL, result VARCHAR, open_time DATETIME, close_time DATETIME, expiration_time DATETIME,
    category VARCHAR, subcategory VARCHAR, created_at DATETIME, updated_at DATETIME);
CREATE TABLE price_snapshots (id INTEGER PRIMARY KEY AUTOINCREMENT, ticker VARCHAR NOT NULL REFERENCES markets,
    snapshot_time DATETIME NOT NULL,
    yes_bid INTEGER, yes_ask INTEGER, no_bid INTEGER, no_ask INTEGER, last_price INTEGER, volume INTEGER, volume_24h INTEGER,
    open_interest INTEGER, liquidity INTEGER);
CREATE TABLE settlements (ticker VARCHAR PRIMARY KEY, event_ticker VARCHAR, settled_at DATETIME, result VARCHAR, final_yes_price INTEGER,
    final_no_price INTEGER, yes_payout INTEGER, no_payout INTEGER);
CREATE TABLE tracked_items (id INTEGER PRIMARY KEY, ticker VARCHAR UNIQUE, item_type VARCHAR, search_queries TEXT, is_active BOOLEAN);
CREATE TABLE news_articles (id INTEGER PRIMARY KEY, url VARCHAR UNIQUE, url_hash VARCHAR, title VARCHAR, full_text TEXT);
CREATE TABLE news_article_markets (article_id INTEGER, ticker VARCHAR, PRIMARY KEY (article_id, ticker));
CREATE TABLE news_article_events (article_id INTEGER, event_ticker VARCHAR, PRIMARY KEY (article_id, event_ticker));
CREATE TABLE news_sentiments (id INTEGER PRIMARY KEY, article_id INTEGER, score FLOAT, label VARCHAR);
CREATE TABLE positions (id INTEGER PRIMARY KEY, ticker VARCHAR, side VARCHAR, quantity INTEGER, avg_price_cents INTEGER);
CREATE TABLE trades (id INTEGER PRIMARY KEY, kalshi_trade_id VARCHAR UNIQUE, ticker VARCHAR, side VARCHAR, action VARCHAR, quantity INTEGER,
    price_cents INTEGER, executed_at DATETIME);
CREATE TABLE portfolio_settlements (id INTEGER PRIMARY KEY, ticker VARCHAR, settled_at DATETIME, revenue INTEGER,
    UNIQUE (ticker, settled_at));
CREATE VIRTUAL TABLE market_fts USING fts5(title);
"""
LOOKS = {  # a look at the prices: time, and for each market bid, ask, last, volume
    "2026-01-10 12:00:00.000000": {"A": (40, 45, 42, 10), "B": (0, 100, None, 0), "C": (7, 9, 8, 1)},
    "2026-01-10 12:15:00.000000": {"A": (40, 45, 42, 10), "B": (0, 100, None, 0), "C": (7, 9, 8, 1)},
    "2026-01-10 12:30:00.000000": {"A": (41, 45, 42, 11), "B": (0, 100, None, 0)},
    "2026-01-11 00:00:00.000000": {"A": (41, 45, 42, 11), "B": (1, 99, 0, 0)},
}


def rows_of(look: dict[str, tuple[Any, ...]], looked: str) -> list[tuple[Any, ...]]:
    return [
        (f"KXFED-26JAN-{name}", looked, b, a, 100 - a, 100 - b, last, volume, 5, 3, 0)
        for name, (b, a, last, volume) in look.items()
    ]


def filled(path: Path) -> Path:
    with sqlite3.connect(path) as made:
        made.executescript(SCHEMA)
        made.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?)", [
            ("KXFED-26JAN", "KXFED", "Fed in January", "open", "Economics", 0, STAMP, STAMP),
            ("KXGONE-26", "KXGONE-26", "KXGONE-26", None, None, 0, STAMP, STAMP),
        ])  # fmt: skip
        made.executemany("INSERT INTO markets VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", [
            (f"KXFED-26JAN-{name}", "KXFED-26JAN", None, f"Will the Fed {name}?", None, "active", "", STAMP, STAMP,
             "2026-02-01 00:00:00.000000", category, None, STAMP, STAMP)
            for name, category in (("A", "Economics"), ("B", None), ("C", None))
        ])  # fmt: skip
        for looked, look in LOOKS.items():
            made.executemany(
                "INSERT INTO price_snapshots (ticker, snapshot_time, yes_bid, yes_ask, no_bid, no_ask, last_price, volume, volume_24h,"
                " open_interest, liquidity) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows_of(look, looked),
            )  # fmt: skip
        made.executemany("INSERT INTO settlements VALUES (?, ?, ?, ?, ?, ?, ?, ?)", [
            ("KXFED-26JAN-A", "KXFED-26JAN", "2026-01-28 19:00:00.500000", "yes", None, None, None, None),
            ("KXFED-26JAN-C", "KXFED-26JAN", "2026-02-01 00:00:00.000000", "no", None, None, 0, 100),
        ])  # fmt: skip
        made.execute("INSERT INTO news_articles VALUES (1, 'https://x.org/a', 'h', '\u00e9 <b>', 'text')")
        made.execute("INSERT INTO trades VALUES (1, 'f1', 'KXFED-26JAN-A', 'yes', 'buy', 3, 41, ?)", [STAMP])
        made.execute("INSERT INTO market_fts VALUES ('Will the Fed')")
    return path


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return filled(tmp_path / "kalshi.db")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home" / "kalshi.duckdb")


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Path, pl.DataFrame]:
    """A store into which the file was brought once, the file, and what was told; no test changes them."""
    folder = tmp_path_factory.mktemp("first")
    store, old = Store(folder / "home" / "kalshi.duckdb"), filled(folder / "kalshi.db")
    return store, old, brought(store, old)


def brought(store: Store, path: Path) -> pl.DataFrame:
    return asyncio.run(import_file(store, path, NOW))


def table(store: Store, name: str) -> pl.DataFrame:
    return asyncio.run(store.table(name))


def test_every_row_of_every_table_is_kept_whole(first: tuple[Store, Path, pl.DataFrame]) -> None:
    """DB-1: the JSON of each row is what SQLite says, tables without a table here included, the text index's own left out."""
    store, old, _ = first
    kept = table(store, "imported")
    with sqlite3.connect(f"file:{old}?mode=ro", uri=True) as source:
        source.row_factory = sqlite3.Row
        names = [name for name in kept["name"].unique() if not name.startswith("market_fts")]
        assert set(names) == {"markets", "trades", "price_snapshots", "settlements", "news_articles", "events"}
        for name in names:
            wanted = [dict(row) for row in source.execute(f"SELECT * FROM {name}")]
            found = [json.loads(row) for row in kept.filter(name=name)["row"]]
            assert sorted(found, key=str) == sorted(
                ({key: row[key] for key in sorted(row)} for row in wanted), key=str
            ), name
    assert not [name for name in kept["name"] if name.startswith("market_fts")]
    assert table(store, "trades").is_empty()  # own fills are no public trades


def test_counts_balance(first: tuple[Store, Path, pl.DataFrame]) -> None:
    """DB-1: received = stored + duplicate + quarantined, for each table and where it went."""
    store, _, told = first
    assert told.filter(pl.col("received") != pl.col("stored") + pl.col("duplicate") + pl.col("quarantined")).is_empty()
    homes = {(row["table"], row["into"]): (row["received"], row["stored"]) for row in told.iter_rows(named=True)}
    assert homes["events", "events"] == (2, 2)
    assert homes["markets", "markets"] == (3, 3)
    assert homes["settlements", "results"] == (2, 2)
    assert homes["price_snapshots", "quotes"] == (10, 6)
    assert homes["trades", "imported"] == (1, 1)
    assert (
        sum(received for (_, into), (received, _) in homes.items() if into == "imported")
        == table(store, "imported").height
    )


def test_a_second_import_adds_nothing(store: Store, old: Path) -> None:
    """DB-1, lesson 41: idempotent; and what the file gained since is added."""
    brought(store, old)
    before = {
        name: table(store, name)
        for name in ("events", "markets", "quotes", "snapshots", "results", "imported", "quarantine")
    }
    told = brought(store, old)
    assert told["stored"].sum() == 0
    assert all(table(store, name).equals(held) for name, held in before.items())
    with sqlite3.connect(old) as more:
        more.execute(
            "INSERT INTO price_snapshots VALUES (99, 'KXFED-26JAN-A', '2026-01-11 00:15:00.000000', 50, 52, 48, 50, 51, 12, 0, 3, 0)"
        )
    again = brought(store, old)
    assert again.filter(into="quotes")["stored"].item() == 1
    assert table(store, "quotes").height == before["quotes"].height + 2  # its quote, and B that was not there any more


def test_times_are_utc_and_prices_exact_dollars(first: tuple[Store, Path, pl.DataFrame]) -> None:
    """DB-1, lessons 22 and 41: naive times mean UTC, cents become dollars, 0 and 100 stay as sent and are no price."""
    store = first[0]
    held = table(store, "quotes").filter(ticker="KXFED-26JAN-A").sort("time")
    assert held["time"].to_list() == [
        datetime(2026, 1, 10, 12, tzinfo=UTC),
        datetime(2026, 1, 10, 12, 30, tzinfo=UTC),
        datetime(2026, 1, 11, tzinfo=UTC),
    ]
    assert held["yes_bid"].to_list() == [Decimal("0.40"), Decimal("0.41"), Decimal("0.41")]
    empty = table(store, "quotes").filter(ticker="KXFED-26JAN-B").sort("time").row(0, named=True)
    assert (empty["yes_bid"], empty["yes_ask"], empty["last_price"], empty["volume"]) == (0, 1, None, 0)
    assert not quote.is_priced(empty["yes_bid"], empty["yes_ask"])


def test_where_the_machine_stands_does_not_matter(store: Store, old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DB-1, DB-2, lesson 41: a naive time is UTC on a machine in New York, too."""
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        brought(store, old)
        assert table(store, "snapshots")["time"].min() == datetime(2026, 1, 10, 12, tzinfo=UTC)
        assert table(store, "markets")["open_time"].unique().to_list() == [datetime(2026, 1, 10, 12, tzinfo=UTC)]
    finally:
        monkeypatch.undo()
        time.tzset()


def test_quotes_answer_as_if_every_look_had_been_kept_whole(first: tuple[Store, Path, pl.DataFrame]) -> None:
    """DB-1: at each look the quotes are what it found, markets that it did not find left out."""
    store = first[0]
    for looked, look in LOOKS.items():
        at = datetime.fromisoformat(looked).replace(tzinfo=UTC)
        found = asyncio.run(quotes_as_of(store, at, None))
        wanted = {f"KXFED-26JAN-{name}": Decimal(row[0]) / 100 for name, row in look.items()}
        assert dict(found.select("ticker", "yes_bid").iter_rows()) == wanted
    assert table(store, "snapshots").sort("time")["keyframe"].to_list() == [True, False, False, True]


def test_placeholders_and_fallbacks_are_not_taken_for_facts(first: tuple[Store, Path, pl.DataFrame]) -> None:
    """DB-1, DB-3, DB-4, DB-6, lesson 15: a ticker is no title, false is not known, an expiration is no settlement."""
    store = first[0]
    gone = table(store, "events").filter(event_ticker="KXGONE-26").row(0, named=True)
    assert (gone["title"], gone["series_ticker"], gone["mutually_exclusive"]) == (None, None, None)
    results = {row["ticker"]: row for row in table(store, "results").iter_rows(named=True)}
    assert results["KXFED-26JAN-A"]["settlement_ts"] == datetime(2026, 1, 28, 19, 0, 0, 500_000, tzinfo=UTC)
    assert (results["KXFED-26JAN-C"]["settlement_ts"], results["KXFED-26JAN-C"]["settlement_value"]) == (
        None,
        Decimal(0),
    )
    assert (results["KXFED-26JAN-A"]["settlement_value"], results["KXFED-26JAN-A"]["result"]) == (None, "yes")
    assert table(store, "markets").filter(ticker="KXFED-26JAN-A").item(0, "extra") == '{"category": "Economics"}'


def test_what_is_held_is_never_blanked_or_made_older(store: Store, old: Path) -> None:
    """DB-3, lesson 45: known values stand, unknown ones are filled."""
    row = {
        "ticker": "KXFED-26JAN-A",
        "title": "Newer title",
        "status": "finalized",
        "result": "no",
        "rules_primary": "kept",
        "seen_at": NOW,
    }
    event = {"event_ticker": "KXFED-26JAN", "mutually_exclusive": True, "category": "Politics"}
    asyncio.run(
        store.write(lambda connection: writes.upsert(connection, "markets", ["ticker"], pl.DataFrame([row])) and None)
    )
    asyncio.run(
        store.write(
            lambda connection: writes.upsert(connection, "events", ["event_ticker"], pl.DataFrame([event])) and None
        )
    )
    told = brought(store, old)
    held = table(store, "markets").filter(ticker="KXFED-26JAN-A").row(0, named=True)
    assert {name: held[name] for name in row} == row
    assert held["event_ticker"] == "KXFED-26JAN"
    now = table(store, "events").filter(event_ticker="KXFED-26JAN").row(0, named=True)
    assert (now["mutually_exclusive"], now["category"], now["title"]) == (True, "Politics", "Fed in January")
    assert told.filter(into="markets")["duplicate"].item() == 1


def test_rows_that_cannot_be_read_are_put_aside_once(store: Store, old: Path) -> None:
    """DB-1: an impossible price or time is quarantined with its row and reason, and kept whole like the others."""
    with sqlite3.connect(old) as more:
        more.execute(
            "INSERT INTO price_snapshots VALUES (97, 'KXFED-26JAN-A', '2026-01-10 13:00:00', 4000, 45, 0, 0, 1, 1, 1, 1, 1)"
        )
        more.execute("INSERT INTO price_snapshots VALUES (98, 'KXFED-26JAN-A', 'noon', 40, 45, 0, 0, 1, 1, 1, 1, 1)")
    told = brought(store, old).filter(into="quotes").row(0, named=True)
    assert (told["received"], told["quarantined"]) == (12, 2)
    assert {row[0][:6] for row in table(store, "quarantine").select("reason").iter_rows()} == {"4000 i", "Invali"}
    brought(store, old)
    assert table(store, "quarantine").height == 2
    assert table(store, "imported").filter(name="price_snapshots").height == 12


def test_an_interrupted_import_is_carried_on(store: Store, old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DB-1: in small transactions; what was kept when it broke off is there, the next import brings the rest and nothing twice."""
    monkeypatch.setattr(legacy, "AT_ONCE", 4)
    whole = Store(store.path.parent / "whole" / "kalshi.duckdb")
    brought(whole, old)
    real: Any = store.write
    left = iter(range(6))

    async def breaking(work: Any) -> Any:
        if next(left, None) is None:
            raise OSError("the lid was closed")
        return await real(work)

    with monkeypatch.context() as patch:
        patch.setattr(store, "write", breaking)
        with pytest.raises(OSError, match="lid"):
            brought(store, old)
    assert 0 < table(store, "imported").height < table(whole, "imported").height
    brought(store, old)
    for name in ("events", "markets", "results", "quotes", "snapshots", "imported"):
        columns = [column for column in table(whole, name).columns if column != "time" or name != "imported"]
        assert (
            table(store, name).select(columns).sort(columns).equals(table(whole, name).select(columns).sort(columns))
        ), name


def test_other_databases_are_told_apart(store: Store, old: Path, tmp_path: Path) -> None:
    """DB-1: which table or column is missing; a garbled file; and the file itself is never changed."""
    before = old.read_bytes()
    brought(store, old)
    assert old.read_bytes() == before
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("CREATE TABLE events (ticker, series_ticker)")
    with pytest.raises(UsageError, match=r"no table markets.*no column events\.title"):
        brought(store, tmp_path / "other.db")
    (tmp_path / "bad.db").write_bytes(before[:100] + b"\xff" * 5000)
    with pytest.raises(UsageError, match="be read"):
        brought(store, tmp_path / "bad.db")
