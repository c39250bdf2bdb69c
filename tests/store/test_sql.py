"""A user's own SQL: one SELECT, bound parameters, nothing else."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from kalshi_lab.errors import LabError, StoreError, UsageError
from kalshi_lab.store.versions import SCHEMAS

if TYPE_CHECKING:
    from pathlib import Path

    from kalshi_lab.store import Store


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TABLE markets",
        "drop table markets",
        "SELECT 1; DROP TABLE markets",
        "SELECT 1; SELECT 2",
        "COPY markets TO 'out.csv'",
        "COPY (SELECT 1) TO 'out.csv'",
        "ATTACH 'other.duckdb'",
        "SET enable_external_access = true",
        "PRAGMA disable_checkpoint_on_shutdown",
        "INSTALL httpfs",
        "LOAD httpfs",
        "INSERT INTO meta VALUES ('a', 'b')",
        "UPDATE meta SET value = '2'",
        "DELETE FROM markets",
        "CREATE TABLE mine (a INTEGER)",
        "CREATE TEMP TABLE mine AS SELECT 1",
        "CHECKPOINT",
        "EXPORT DATABASE 'out'",
        "VACUUM",
        "BEGIN",
        "CALL pragma_version()",
        "",
        "-- nothing but a comment",
        "no SQL at all",
    ],
)
def test_only_one_select_is_taken(store: Store, sql: str) -> None:
    """Anything but one SELECT is refused with what it was, and the store is unchanged."""
    with pytest.raises(UsageError):
        asyncio.run(store.select(sql))
    assert asyncio.run(store.read("SELECT value FROM meta")).rows() == [(str(len(SCHEMAS)),)]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('{secret}')",
        "SELECT * FROM read_csv('{secret}')",
        "SELECT * FROM read_blob('{secret}')",
        "SELECT * FROM read_json('{secret}')",
        "SELECT * FROM glob('{folder}/*')",
        "SELECT * FROM '{secret}'",
        "SELECT * FROM query('SELECT * FROM read_text(''{secret}'')')",
        "SELECT * FROM sniff_csv('{secret}')",
    ],
)
def test_a_select_reads_no_files(store: Store, tmp_path: Path, sql: str) -> None:
    """Functions that read files are shut, so that a query pasted from elsewhere reads the store alone."""
    secret = tmp_path / "secret.csv"
    secret.write_text("word\ncanary\n")
    with pytest.raises(LabError) as caught:
        asyncio.run(store.select(sql.format(secret=secret, folder=tmp_path)))
    assert "canary" not in str(caught.value)


def test_a_select_sees_no_python_variables(store: Store) -> None:
    """A name in a query is a table of the store and never a variable of the program."""
    import polars as pl

    hidden = pl.DataFrame({"a": [1]})
    with pytest.raises(UsageError, match="hidden"):
        asyncio.run(store.select("SELECT * FROM hidden"))
    assert hidden.height == 1


@pytest.mark.parametrize("text", ["x", "'; DROP TABLE meta; --", "100%", '"', "$1 ? :a", "naïve ✓", ""])
def test_parameters_are_bound(store: Store, text: str) -> None:
    """A value is never read as SQL."""
    found: Any = asyncio.run(store.select("SELECT $1 AS said", [text]))
    assert found.rows() == [(text,)]
    assert asyncio.run(store.select("SELECT ? AS said", [text])).rows() == [(text,)]


@pytest.mark.parametrize(
    "sql", ["SELECT 1 AS n", "WITH a AS (SELECT 1 AS n) FROM a", "FROM (VALUES (1)) AS a(n)", "SELECT 1 AS n;"]
)
def test_every_form_of_one_select_is_taken(store: Store, sql: str) -> None:
    """WITH, FROM first and a closing semicolon are still one SELECT."""
    assert asyncio.run(store.select(sql)).rows() == [(1,)]


def test_a_mistake_names_what_is_there(store: Store) -> None:
    """A table or column that does not exist is a UsageError that lists the tables; an unknown table name suggests the nearest."""
    with pytest.raises(UsageError, match="marketz") as caught:
        asyncio.run(store.select("SELECT * FROM marketz"))
    assert "candlesticks" in str(caught.value)
    with pytest.raises(UsageError, match="Did you mean 'trades'"):
        asyncio.run(store.table("trade"))


def test_a_query_that_fails_while_it_runs_is_ours(store: Store) -> None:
    """An error in the values is a StoreError, never DuckDB's own."""
    with pytest.raises(StoreError, match="Conversion"):
        asyncio.run(store.select("SELECT 'a'::INTEGER"))
