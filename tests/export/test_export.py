"""Exports: a Parquet lake that follows the store, and CSV that is safe to open; read back by other readers than the writer."""

from __future__ import annotations

import asyncio
import csv
import errno
import os
import stat
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl
import pytest

from kalshi_lab import DiskFull, Lab, StoreError, UsageError
from kalshi_lab.store import TABLES, Store, export, files
from tests.export.samples import DAY, TITLES, TRADES, add

if TYPE_CHECKING:
    from kalshi_lab.sim import Exchange

HOME = "__HIVE_DEFAULT_PARTITION__"


def write(store: Store, path: Path, dataset: str = "trades", form: str = "parquet", **what: Any) -> pl.DataFrame:
    asked = export.chosen(dataset, what.get("since"), what.get("until"), what.get("series"))
    return asyncio.run(export.export(store, path, asked, form))


def places(wrote: pl.DataFrame, lake: Path) -> set[str]:
    return {str(Path(file).relative_to(lake).parent) for file in wrote["file"]}


def lake_rows(lake: Path) -> list[tuple[Any, ...]]:
    """The rows of a lake as DuckDB reads it, with the partition that each is in."""
    sql = f"""
SELECT date::VARCHAR, series, trade_id, yes_price, count, epoch_us(created_time)
FROM read_parquet('{lake}/trades/**/*.parquet', hive_partitioning = true, hive_types_autocast = false) ORDER BY trade_id"""
    with duckdb.connect() as connection:
        return connection.execute(sql).fetchall()


def test_a_lake_is_partitioned_by_day_and_series_and_exact(held: Store, tmp_path: Path) -> None:
    """DB-9: Hive folders by UTC day and series, decimals and microseconds exact, rows without a day or a plain series apart."""
    write(held, tmp_path / "lake")
    rows = {row[2]: row for row in lake_rows(tmp_path / "lake")}
    assert {name: row[:2] for name, row in rows.items()} == {
        "t1": ("2026-11-21", "KXHIGHNY"), "t3": ("2026-11-21", "KXHIGHNY"), "t2": ("2026-11-22", None),
        "t4": ("2026-11-22", "KXFED"), "t5": (None, "KXFED"),
    }  # fmt: skip
    assert {row[0]: rows[row[0]][3:5] for row in TRADES} == {
        row[0]: (row[3] and Decimal(row[3]), row[4] and Decimal(row[4])) for row in TRADES
    }
    assert {row[0]: rows[row[0]][5] for row in TRADES} == {
        row[0]: row[2] and round(row[2].timestamp() * 1_000_000) for row in TRADES
    }
    one = pl.read_parquet(
        tmp_path / "lake/trades/date=2026-11-21/series=KXHIGHNY/trades.parquet", hive_partitioning=False
    )
    assert one["trade_id"].to_list() == ["t1", "t3"]
    assert (one.schema["yes_price"], one.schema["created_time"]) == (pl.Decimal(9, 6), pl.Datetime("us", "UTC"))
    assert not {"run_id", "seen_at", "_place"} & set(one.columns)


def test_only_what_changed_is_written_again(store: Store, tmp_path: Path) -> None:
    """DB-9: the second export writes nothing, a new row its partition alone, a changed row too, a lost file is written anew."""
    lake = tmp_path / "lake"
    assert write(store, lake).height == 4
    before = {path: path.stat().st_ino for path in lake.rglob("*.parquet")}
    assert write(store, lake).height == 0
    assert {path: path.stat().st_ino for path in lake.rglob("*.parquet")} == before
    add(store, [("t6", "KXFED-26DEC-C25", DAY + timedelta(hours=4), "0.5", "1")])
    assert places(write(store, lake), lake) == {"trades/date=2026-11-22/series=KXFED"}
    asyncio.run(
        store.write(lambda connection: connection.execute("UPDATE trades SET count = 2 WHERE trade_id = 't1'") and None)
    )
    assert places(write(store, lake), lake) == {"trades/date=2026-11-21/series=KXHIGHNY"}
    (lake / "trades/date=2026-11-22/series=KXFED/trades.parquet").unlink()
    assert places(write(store, lake), lake) == {"trades/date=2026-11-22/series=KXFED"}
    assert [row[2] for row in lake_rows(lake)] == ["t1", "t2", "t3", "t4", "t5", "t6"]


def test_an_export_of_a_part_never_cuts_a_file_short(held: Store, tmp_path: Path) -> None:
    """DB-9, lesson 42: bounds are widened to whole days; a series alone; what is not chosen stays as it is."""
    lake = tmp_path / "lake"
    assert places(write(held, lake, series="KXFED"), lake) == {
        f"trades/date={HOME}/series=KXFED",
        "trades/date=2026-11-22/series=KXFED",
    }
    assert places(write(held, lake, since=DAY, until=DAY + timedelta(microseconds=1)), lake) == {
        "trades/date=2026-11-21/series=KXHIGHNY"
    }
    assert {row[2] for row in lake_rows(lake)} == {"t1", "t3", "t4", "t5"}
    write(held, lake)
    assert len(lake_rows(lake)) == 5


@pytest.mark.long
def test_every_table_can_be_exported(exchange: Exchange, tmp_path: Path) -> None:
    """DB-9: any table, both formats, also where nothing is held; markets and events by series."""
    with Lab("sim", base_url=exchange.url, home=tmp_path / "home") as lab:
        lab.sync("events", series="KXHIGHNY", nested=True, progress=False)
        for table in TABLES:
            wrote = lab.export(tmp_path / "lake", table)
            assert int(wrote["rows"].sum()) == lab.sql(f"SELECT count(*) FROM {table}").item(), table
        for table in ("markets", "bodies", "recordings"):
            assert lab.export(tmp_path / f"{table}.csv", table)["rows"].item() == lab.table(table).height
            assert lab.export(tmp_path / "lake", table).height == 0
        assert (tmp_path / "lake/markets/series=KXHIGHNY/markets.parquet").is_file()


def test_a_csv_runs_nothing_and_loses_nothing(held: Store, tmp_path: Path) -> None:
    """S13: a text that begins like a formula gets an apostrophe; numbers, quotes, lines and accents come back as they were."""
    write(held, tmp_path / "s.csv", "series", "csv")
    with (tmp_path / "s.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["ticker"]: row for row in csv.DictReader(file)}
    shown = [rows[f"S{place}"]["title"] for place in range(len(TITLES))]
    assert shown == ["'" + title if title and title[0] in "=+-@\t\r" else title or "" for title in TITLES]
    assert {row["fee_multiplier"] for row in rows.values()} == {"-1.5"}


def test_a_csv_is_exact(held: Store, tmp_path: Path) -> None:
    """DB-9: half-open bounds to the microsecond, decimals in full, times in UTC, ordered by day, ticker and time."""
    write(held, tmp_path / "t.csv", "trades", "csv", since=DAY - timedelta(hours=5), until=DAY + timedelta(hours=3))
    with (tmp_path / "t.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["trade_id"] for row in rows] == ["t1", "t3", "t2"]
    assert [(row["yes_price"], row["count"]) for row in rows][::2] == [
        ("0.123456", "0.01"),
        ("0.010000", "100000000000.99"),
    ]
    assert [row["created_time"] for row in rows] == [
        "2026-11-21T18:59:59.999999Z",
        "2026-11-21T23:59:59.999999Z",
        "2026-11-22T00:00:00.000000Z",
    ]


ODD = [
    "../lake", "a/../../b", "a\x00b", "{home}", "CON", "a/nul.txt", "x" * 300, "a/\u202egnp.exe", "s3://bucket/lake", "", " ", "a|b",
    "-rf", "a?", "a\nb", "name.", "com1.parquet",
]  # fmt: skip


@pytest.mark.parametrize("path", ODD)
def test_odd_paths_are_refused(path: str) -> None:
    """S8: traversal, hidden characters, reserved and odd names are told and nothing is made."""
    with pytest.raises(UsageError, match="path"):
        files.checked(path, "path")


def test_plain_paths_are_taken(tmp_path: Path) -> None:
    """S8: relative and absolute ones, with letters of any language."""
    for path in (tmp_path / "lake", "exports/2026", tmp_path / "donn\u00e9es 1", "a.b/c.csv"):
        assert files.checked(path, "path") == Path(path)


def test_links_lead_nowhere(held: Store, tmp_path: Path) -> None:
    """S8: neither the path itself nor a folder of the lake may be a link to somewhere else."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="link"):
        files.checked(tmp_path / "link", "path")
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake" / "trades").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="link"):
        write(held, tmp_path / "lake")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_only_the_owner_can_read(held: Store, tmp_path: Path) -> None:
    """S19: files 0600 and folders 0700, whatever the umask."""
    old = os.umask(0)
    try:
        write(held, tmp_path / "lake")
        write(held, tmp_path / "lake" / "t.csv", form="csv")
    finally:
        os.umask(old)
    for path in [tmp_path / "lake", *(tmp_path / "lake").rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_a_full_disk_leaves_what_was_there(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """F25: DiskFull at any file; the old ones stand whole, no half file stays, and the next export makes it good."""
    target = tmp_path / ("t.csv" if form == "csv" else "lake")
    write(store, target, form=form)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and "home" not in path.parts}
    add(store, [("t6", "KXFED-26DEC-C25", DAY, "0.5", "1"), ("t7", "KXHIGHNY-26NOV21-B50.5", DAY, "0.5", "1")])
    real, calls = os.fsync, iter(range(100))
    with monkeypatch.context() as patch:
        for fails_at in range(1 if form == "csv" else 5):
            patch.setattr(
                os, "fsync", lambda handle, count=calls, at=fails_at: full() if next(count) >= at else real(handle)
            )
            with pytest.raises(DiskFull, match="disk is full"):
                write(store, target, form=form)
            calls = iter(range(100))
    assert not list(tmp_path.rglob("*.part"))
    now = {path: path.read_bytes() for path in before}
    assert all(now[path] == before[path] or path.suffix != ".csv" for path in before)
    assert all(pl.read_parquet(path).height for path in tmp_path.rglob("*.parquet"))
    write(store, target, form=form)
    if form == "parquet":
        assert len(lake_rows(target)) == 7
    else:
        assert len(pl.read_csv(target)) == 7


def full() -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_killed_export_leaves_whole_files_and_is_carried_on(
    held: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DB-9: whatever moment it ends at, each file is the old or the new one; left-overs are swept by the next export."""

    class KilledError(BaseException):
        """The process ends here."""

    real = Path.replace
    for at in (1, 2, 4):
        lake, count = tmp_path / f"lake{at}", iter(range(1, 100))

        def dying(self: Path, target: Path, *, at: int = at, count: Any = count) -> Path:
            if next(count) >= at:
                raise KilledError
            return real(self, target)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", dying)
            patch.setattr(Path, "unlink", lambda self, missing_ok=False: None)  # a killed process does not tidy up  # noqa: ARG005
            with pytest.raises(KilledError):
                write(held, lake)
        assert list(lake.rglob("*.part"))
        assert all(pl.read_parquet(path).height for path in lake.rglob("*.parquet"))
        write(held, lake)
        assert len(lake_rows(lake)) == 5
        assert not list(lake.rglob("*.part"))


def test_one_export_at_a_time(held: Store, tmp_path: Path) -> None:
    """DB-9: a second one into the same folder is told so instead of mixing with the first."""
    folder = files.make_folders(tmp_path / "lake", "trades")
    with export.alone(folder), pytest.raises(StoreError, match="another export"):
        write(held, tmp_path / "lake")


def test_notes_that_cannot_be_read_are_left_alone(held: Store, tmp_path: Path) -> None:
    """Lesson 48: a damaged note is an error with a way out, and is not overwritten."""
    write(held, tmp_path / "lake")
    notes = tmp_path / "lake/trades" / export.NOTES
    notes.write_bytes(b'{"half')
    with pytest.raises(StoreError, match="Delete it"):
        write(held, tmp_path / "lake")
    assert notes.read_bytes() == b'{"half'
    notes.unlink()
    assert write(held, tmp_path / "lake").height == 4


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (lambda lab, path: lab.export(path, "tradez"), "Did you mean 'trades'"),
        (lambda lab, path: lab.export(path, "markets", since="2d"), "no time to choose by"),
        (lambda lab, path: lab.export(path, "ledger", series="KXFED"), "no series to choose by"),
        (lambda lab, path: lab.export(path, "trades", format="xlsx"), "unknown format"),
        (lambda lab, path: lab.export(path, "trades", since="2026-11-22", until="2026-11-21"), "range is empty"),
        (lambda lab, path: lab.export(f"{path}/../x", "trades"), "upwards"),
        (lambda lab, path: lab.archive(f"{path}/CON"), "reserved"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(
    exchange: Exchange, tmp_path: Path, asked: Any, said: str
) -> None:
    """S8, DB-9: what is wrong is told, and no file is made."""
    with Lab("sim", base_url=exchange.url, home=tmp_path / "home") as lab, pytest.raises(UsageError, match=said):
        asked(lab, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_times_of_a_lake_are_utc_wherever_the_machine_is(held: Store, tmp_path: Path) -> None:
    """Lesson 41: a day is a UTC day."""
    since = datetime(2026, 11, 22, tzinfo=UTC)
    assert {
        place.split("/")[1] for place in places(write(held, tmp_path / "lake", since=since), tmp_path / "lake")
    } == {"date=2026-11-22"}
