"""A user's own SQL: one SELECT, bound parameters, nothing else."""

from __future__ import annotations

import asyncio
import atexit
import tempfile
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kalshi_lab.errors import LabError, StoreError, UsageError
from kalshi_lab.store import Store
from kalshi_lab.store.versions import SCHEMAS


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
    assert asyncio.run(store.read("SELECT value FROM meta WHERE key = 'schema_version'")).rows() == [
        (str(len(SCHEMAS)),)
    ]


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


REACHING = [
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM main.\"read_csv\" /* so */ ('x.csv')",
    "SELECT (SELECT content FROM READ_BLOB('x'))",
    "WITH a AS (SELECT * FROM sniff_csv('x')) FROM a",
    "FROM glob('/*')",
    "FROM parquet_scan('x')",
    "FROM read_duckdb('other.duckdb')",
    "SELECT * FROM query('SELECT * FROM read_text(''x'')')",
    "FROM query_table('trades')",
    "FROM json_execute_serialized_sql('{}')",
    "FROM checkpoint()",
    "FROM enable_logging()",
    "FROM disable_profiling()",
    "SELECT write_log('said')",
    "SELECT nextval('s')",
    "SELECT setseed(0.5)",
    "FROM duckdb_secrets()",
    "FROM which_secret('s3://a', 's3')",
]


@pytest.mark.parametrize("sql", REACHING)
def test_functions_that_reach_beyond_the_tables_are_named(path: Path, sql: str) -> None:
    """S7: a function that reads files, runs SQL out of a text, or changes the engine is refused by name, before anything is opened."""
    store = Store(path)
    with pytest.raises(UsageError, match=r"sql\(\) does not allow \w+\(\)"):
        asyncio.run(store.select(sql))
    assert store.is_new


@pytest.mark.parametrize("sql", ["SELECT * FROM read_text('{secret}')", "FROM read_csv('{secret}')", "FROM '{secret}'"])
def test_the_connection_itself_opens_no_files(store: Store, tmp_path: Path, sql: str) -> None:
    """S7: without the check of names the engine still refuses, with an error of ours."""
    secret = tmp_path / "secret.csv"
    secret.write_text("word\ncanary\n")
    with pytest.raises(UsageError) as caught:
        asyncio.run(store.read(sql.format(secret=secret)))
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "sql", ["SET threads = 1", "SET enable_external_access = true", "SET lock_configuration = false", "RESET threads"]
)
def test_the_connection_takes_no_settings(store: Store, sql: str) -> None:
    """S7: a reader's configuration is locked, for every reader of the process."""

    async def two() -> None:
        await asyncio.gather(*(store.look(lambda connection: connection.execute(sql)) for _ in range(2)))

    with pytest.raises(StoreError, match="locked"):
        asyncio.run(two())


def test_names_in_texts_and_comments_are_no_calls(store: Store) -> None:
    """A refused name in a text, in a comment or as a column is nothing but a word."""
    sql = "SELECT 'read_text(1)' AS glob, count(*) AS query -- checkpoint()\nFROM trades /* read_csv('x') */ WHERE ticker <> 'query (a)'"
    assert asyncio.run(store.select(sql)).rows() == [("read_text(1)", 0)]


@given(st.text(max_size=60))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example("'; DROP TABLE meta; --")
@example('Will the Fed\'s rate be > 5%? "yes" $1 ?')
def test_text_from_outside_is_a_value_or_an_error_of_ours(text: str) -> None:
    """S7: a thesis's or a market's text as a parameter comes back as it is; pasted as SQL it runs as one SELECT or is a UsageError."""
    store = _shared()
    if "\0" not in text and text.isprintable():
        assert asyncio.run(store.select("SELECT $1 AS said", [text])).item() == text
    for sql in (text, f"SELECT '{text}' AS said", f"SELECT 1 AS n -- {text}"):
        with suppress(LabError):
            asyncio.run(store.select(sql))
    assert asyncio.run(store.read("SELECT count(*) FROM meta")).item() == 2


@cache
def _shared() -> Store:
    """One store for all drawn texts."""
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    return Store(Path(folder.name) / "kalshi.duckdb")


LONG = "SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE (a.range * b.range) % 7 = 3"


def test_a_query_has_a_time_and_a_memory_limit(path: Path) -> None:
    """S7: a query that takes too long or too much ends in a StoreError that says so, and the store goes on."""
    quick = Store(path, sql_seconds=0.3)
    with pytest.raises(StoreError, match=r"stopped after 0\.3 s"):
        asyncio.run(quick.select(LONG))
    small = Store(path, sql_memory=40_000_000)
    with pytest.raises(StoreError, match=r"(?i)memory"):
        asyncio.run(small.select("SELECT list(range::VARCHAR || 'abcdefghijklmnop') FROM range(20000000)"))
    assert asyncio.run(small.select("SELECT 1 AS n")).item() == 1


def test_times_come_back_in_utc(store: Store) -> None:
    """Lesson 41: what went in with a zone comes out with it, from writers and readers alike."""
    moment = datetime(2026, 3, 8, 7, 30, 0, 123456, UTC)
    asyncio.run(
        store.write(
            lambda connection: connection.execute(
                "INSERT INTO trades (trade_id, created_time) VALUES ('a', ?)", [moment]
            )
        )
    )
    for _ in range(2):
        found = asyncio.run(store.select("SELECT created_time, created_time::VARCHAR AS said FROM trades"))
        assert found.row(0) == (moment, "2026-03-08 07:30:00.123456+00")
