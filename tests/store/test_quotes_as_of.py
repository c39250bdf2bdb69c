"""Quotes kept as changes answer every question about a moment as if every look had been kept whole."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kalshi_lab import frames
from kalshi_lab.ingest import quotes
from kalshi_lab.models import Market
from kalshi_lab.store import Store
from kalshi_lab.store.queries import QUOTE, as_of, quotes_as_of

if TYPE_CHECKING:
    from pathlib import Path

START = datetime(2026, 11, 1, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)
Look = tuple[str, int, dict[str, int | None]]  # a scope, hours since the look before, and the bid of each market in it
STEPS = st.sampled_from([0, 0, 1, 3, 5, 26])
LISTED = st.dictionaries(st.sampled_from("ABCD"), st.none() | st.integers(0, 2), max_size=4)
LOOKS = st.lists(st.tuples(st.sampled_from(["one", "two", "three"]), STEPS, LISTED), min_size=1, max_size=9)


@dataclass
class Naive:
    """Every look kept whole: a row for each market in it, and one for each that was in the scope's last look and is not any more."""

    rows: list[tuple[datetime, bool, str, str, int | None]] = field(default_factory=list)
    listed: dict[str, set[str]] = field(default_factory=dict)

    def keep(self, time: datetime, scope: str, bids: dict[str, int | None]) -> None:
        gone = self.listed.get(scope, set()) - set(bids)
        self.rows += [(time, False, scope, ticker, bid) for ticker, bid in bids.items()]
        self.rows += [(time, True, scope, ticker, None) for ticker in gone]
        self.listed[scope] = set(bids)

    def at(self, time: datetime) -> dict[str, int | None]:
        """The last row of each market; at one instant a market that is there goes before one that left, then by scope."""
        last: dict[str, tuple[datetime, bool, str, str, int | None]] = {}
        for row in sorted(self.rows, key=lambda row: (-row[0].timestamp(), row[1], row[2])):
            if row[0] <= time:
                last.setdefault(row[3], row)
        return {ticker: row[4] for ticker, row in last.items() if not row[1]}


def listing(bids: dict[str, int | None]) -> pl.DataFrame:
    rows = [{"ticker": ticker, "status": "active", "yes_bid": bid} for ticker, bid in bids.items()]
    return pl.DataFrame(rows, schema=frames.schema(Market))


def look(rows: pl.DataFrame) -> quotes.Look:
    return quotes.Look(rows.select("ticker", *QUOTE), rows)


def kept(connection: Any, looks: list[Look]) -> tuple[Naive, list[datetime]]:
    """The looks in the store and in the model, made in turns of two by two processes; the instants at which they were kept."""
    memories: list[quotes.Memory] = [{}, {}]
    naive, times, now = Naive(), [], START
    connection.execute("DELETE FROM quotes; DELETE FROM snapshots; DELETE FROM markets")
    for scope, hours, bids in looks:
        now += hours * HOUR
        seen, memory = look(listing(bids)), memories[len(times) // 2 % 2]
        time, _, _ = quotes.keep(connection, seen, scope, now, run_id=f"run {len(times)}", memory=memory)
        naive.keep(time, scope, bids)
        times.append(time)
    return naive, times


def compare(connection: Any, looks: list[Look]) -> None:
    naive, times = kept(connection, looks)
    instants = sorted({moment for time in times for moment in (time, time - HOUR / 2, time + HOUR * 30)})
    for moment in instants:
        found = as_of(connection, moment, None)
        assert dict(found.select("ticker", pl.col("yes_bid").cast(pl.Int64)).iter_rows()) == naive.at(moment)
        one = as_of(connection, moment, ["A"])
        assert one.equals(found.filter(pl.col("ticker") == "A"), null_equal=True)


@pytest.mark.long
@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(looks=LOOKS)
@example(
    looks=[("one", 0, {"A": 1}), ("two", 1, {"A": 2}), ("one", 1, {"A": 1})]
)  # unchanged for one, news against two
@example(
    looks=[("two", 0, {"A": 1}), ("one", 1, {"A": 1}), ("one", 1, {}), ("one", 26, {})]
)  # left before the keyframe
@example(
    looks=[("one", 0, {"A": 1}), ("two", 0, {"A": 1}), ("two", 1, {}), ("one", 1, {"A": 1})]
)  # left one listing only
@example(
    looks=[("one", 0, {"A": 1}), ("one", 0, {}), ("one", 0, {"A": 1}), ("one", 26, {"A": 1})]
)  # left and came back
@example(
    looks=[("one", 0, {"A": 1}), ("one", 0, {"A": 1}), ("one", 1, {"A": 2}), ("one", 0, {"A": 2}), ("one", 1, {"A": 1})]
)  # another process looked meanwhile
def test_changes_answer_as_whole_looks_do(path: Path, looks: list[Look]) -> None:
    """Over several scopes and days, with markets that leave, return and stand still, as-of equals the model at every instant."""
    asyncio.run(Store(path).write(lambda connection: compare(connection, looks)))


def test_only_changes_are_kept(store: Store) -> None:
    """A look at an unchanged listing keeps no quotes; a day's first look keeps all."""

    async def work() -> list[tuple[Any, ...]]:
        steady: dict[str, int | None] = {"A": 1, "B": 2}
        looks: list[Look] = [("one", hours, steady) for hours in (0, 1, 1, 3)] + [("one", 1, {"A": 1, "B": 0})]
        await store.write(lambda connection: kept(connection, looks))
        return (await store.read("SELECT markets, changed, keyframe FROM snapshots ORDER BY time")).rows()

    first, unchanged = (2, 2, True), (2, 0, False)
    assert asyncio.run(work()) == [first, unchanged, unchanged, first, (2, 1, False)]


def test_a_day_that_is_over_lies_market_by_market(store: Store) -> None:
    """The first look of a day puts the rows of the day before in order, of its own listing alone, and loses none of them."""
    looks: list[Look] = [("two", 0, {"B": 1, "A": 1})]
    looks += [("one", hours, {"B": bid, "A": bid}) for bid, hours in enumerate((0, 1, 1))] + [("one", 5, {"A": 0})]

    async def work() -> list[tuple[Any, ...]]:
        await store.write(lambda connection: kept(connection, looks))
        sql = "SELECT ticker, yes_bid::BIGINT FROM quotes WHERE scope = 'one' ORDER BY rowid"
        return (await store.read(sql)).rows()

    over, now = [("A", 0), ("A", 1), ("A", 2), ("B", 0), ("B", 1), ("B", 2)], [("A", 0), ("B", 2)]
    assert asyncio.run(work()) == over + now


def test_a_clock_that_stands_still_orders_the_looks(store: Store) -> None:
    """Looks at one instant are kept in their order, a microsecond apart."""
    looks: list[Look] = [("one", 0, {"A": bid}) for bid in range(3)]
    _, times = asyncio.run(store.write(lambda connection: kept(connection, looks)))
    assert times == [START + timedelta(microseconds=step) for step in range(3)]


@pytest.mark.parametrize(
    "field_name", ["yes_bid_size", "yes_ask", "yes_ask_size", "last_price", "volume", "open_interest", "status"]
)
def test_every_part_of_a_quote_counts_as_a_change(store: Store, field_name: str) -> None:
    """A change in any column of a quote is a row, also from and to null; a change in another column of the market is none."""

    def changed(connection: Any, values: list[dict[str, Any]]) -> list[int]:
        made = [pl.DataFrame([{"ticker": "A", **row}], schema=frames.schema(Market)) for row in values]
        memory: quotes.Memory = {}
        return [quotes.keep(connection, look(frame), "s", START, run_id="r", memory=memory)[1] for frame in made]

    one, two = ("active", "closed") if field_name == "status" else (1, 2)
    steps: list[dict[str, Any]] = [{field_name: value} for value in (None, one, one, two, None, None)]
    assert asyncio.run(store.write(lambda connection: changed(connection, steps))) == [1, 1, 0, 1, 1, 0]
    others = [{field_name: None, "volume_24h": 5, "title": "new", "updated_time": START}]
    assert asyncio.run(store.write(lambda connection: changed(connection, others))) == [0]


def test_a_store_that_was_never_looked_into_has_no_quotes(path: Path) -> None:
    """An empty store answers with an empty frame of the same columns."""
    store = Store(path)
    empty = asyncio.run(quotes_as_of(store, START, None))
    asyncio.run(store.write(lambda connection: kept(connection, [("one", 0, {"A": 1})])))
    found = asyncio.run(quotes_as_of(store, START, None))
    assert empty.is_empty()
    assert empty.schema == found.schema
    assert found.height == 1
