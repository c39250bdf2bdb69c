"""Rows by their natural keys: nothing twice, nothing blanked, counts that are right."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kalshi_lab.store import writes

if TYPE_CHECKING:
    from kalshi_lab.store import Store

START = datetime(2026, 11, 1, tzinfo=UTC)
SCHEMA: dict[str, Any] = {"ticker": pl.String, "title": pl.String, "status": pl.String}
UNLIMITED = settings(deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
ROWS = st.lists(
    st.tuples(st.sampled_from("ABCD"), st.none() | st.sampled_from("xy"), st.none() | st.sampled_from("uv")), max_size=8
)


def upserted(store: Store, *batches: list[tuple[Any, ...]]) -> list[int]:
    """How many rows each batch of (ticker, title, status) added."""

    async def work() -> list[int]:
        made = [pl.DataFrame(batch, schema=SCHEMA, orient="row") for batch in batches]
        return [
            await store.write(lambda connection, rows=rows: writes.upsert(connection, "markets", ["ticker"], rows))  # type: ignore[misc]
            for rows in made
        ]

    return asyncio.run(work())


def markets(store: Store) -> list[tuple[Any, ...]]:
    return asyncio.run(store.read("SELECT ticker, title, status FROM markets ORDER BY ticker")).rows()


def test_a_poorer_answer_blanks_nothing(store: Store) -> None:
    """F40: a value that a later answer lacks stays; one that it has is taken over."""
    assert upserted(store, [("A", "title", "active")], [("A", None, "closed"), ("B", None, None)]) == [1, 1]
    assert markets(store) == [("A", "title", "closed"), ("B", None, None)]


def test_a_poorer_answer_in_the_same_batch_blanks_nothing(store: Store) -> None:
    """The same holds for two answers that are written at once."""
    assert upserted(store, [("A", "title", "active"), ("A", None, "closed")]) == [1]
    assert markets(store) == [("A", "title", "closed")]


@UNLIMITED
@given(batches=st.lists(ROWS, max_size=4))
def test_upsert_keeps_the_last_known_value_of_each_column(store: Store, batches: list[list[tuple[Any, ...]]]) -> None:
    """However rows are cut into batches, each column holds its last value that was not null, and only new keys count."""
    asyncio.run(store.write(lambda connection: connection.execute("DELETE FROM markets")))
    model: dict[str, list[Any]] = {}
    new = []
    for batch in batches:
        before = len(model)
        for key, *values in batch:
            kept = model.setdefault(key, [None, None])
            model[key] = [old if value is None else value for value, old in zip(values, kept, strict=True)]
        new.append(len(model) - before)
    assert upserted(store, *batches) == new
    assert markets(store) == [(key, *model[key]) for key in sorted(model)]


def trades(*keys: tuple[str, int]) -> pl.DataFrame:
    schema: dict[str, Any] = {"trade_id": pl.String, "created_time": pl.Datetime("us", "UTC")}
    rows = [(key, START + timedelta(hours=hour)) for key, hour in keys]
    return pl.DataFrame(rows, schema=schema, orient="row")


@pytest.mark.parametrize("within", ["", "created_time"])
def test_known_keys_are_not_added_again(store: Store, within: str) -> None:
    """Rows whose key is known, or comes twice in the batch, are left out and not counted, with and without a time bound."""

    def add(*keys: tuple[str, int]) -> int:
        work = lambda connection: writes.insert_new(connection, "trades", ["trade_id"], trades(*keys), within=within)  # noqa: E731
        return asyncio.run(store.write(work))

    assert add(("a", 0), ("b", 5), ("b", 5)) == 2
    assert add(("b", 5), ("c", 5), ("a", 0)) == 1
    assert add() == 0
    assert asyncio.run(store.read("SELECT trade_id FROM trades ORDER BY 1"))["trade_id"].to_list() == ["a", "b", "c"]


def test_a_time_bound_does_not_hide_rows_without_a_time(store: Store) -> None:
    """A batch with an unknown time is compared with the whole table."""
    unknown = trades(("a", 0), ("b", 0)).with_columns(
        created_time=pl.when(pl.col("trade_id") == "a").then("created_time")
    )
    for added in (2, 0):
        assert (
            asyncio.run(
                store.write(
                    lambda connection: writes.insert_new(
                        connection, "trades", ["trade_id"], unknown, within="created_time"
                    )
                )
            )
            == added
        )


def test_a_transaction_is_all_or_nothing(store: Store) -> None:
    """What was written before an error in the same transaction is not there afterwards, and the store goes on."""

    def half(connection: Any) -> None:
        writes.insert(connection, "trades", trades(("a", 0)))
        writes.put_aside(connection, [{"dataset": "trades", "run_id": "r"}])

    with pytest.raises(Exception, match="NOT NULL"):
        asyncio.run(store.write(half))
    assert asyncio.run(store.table("trades")).is_empty()
    asyncio.run(store.write(lambda connection: writes.insert(connection, "trades", trades(("b", 0)))))
    assert asyncio.run(store.table("trades"))["trade_id"].to_list() == ["b"]


def test_an_error_of_the_work_itself_comes_through(store: Store) -> None:
    """An error that is not the database's rolls back too and arrives as it was."""

    def fails(connection: Any) -> None:
        writes.insert(connection, "trades", trades(("a", 0)))
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        asyncio.run(store.write(fails))
    assert asyncio.run(store.table("trades")).is_empty()
