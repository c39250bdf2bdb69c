"""A store for several people: DuckLake on a real PostgreSQL, several processes, one of them killed."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import subprocess
import sys
import time
import traceback
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl
import pytest

import kalshi_lab as kl
from kalshi_lab.store import Store, team
from kalshi_lab.store.gate import Job
from kalshi_lab.store.store import LETTING_GO
from kalshi_lab.store.team import DuckLake, TeamStore
from kalshi_lab.store.versions import SCHEMAS
from tests.safety import pages
from tests.team import postgres
from tests.team.writer import COMMON, keep, work

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.team
START = datetime(2026, 11, 22, 14, tzinfo=UTC)
ROOT = Path(__file__).parents[2]
SEED, KILLS, COUNT = 20261124, 10, 40


def absent(why: str) -> None:
    """Skip, or fail where it may not be left out."""
    if os.environ.get("KALSHI_LAB_TEAM") == "required":
        pytest.fail(why)
    pytest.skip(why)


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Server]:
    if postgres.programs() is None:
        absent("there is no PostgreSQL: apt-get install postgresql")
    try:
        team._load(duckdb.connect(":memory:"), "ducklake")
    except kl.UsageError as error:
        absent(str(error))
    with postgres.running() as made:
        yield made


@pytest.fixture
def lake(server: postgres.Server, tmp_path: Path, request: pytest.FixtureRequest) -> DuckLake:
    return DuckLake(server.database(f"t{abs(hash(request.node.name))}"), tmp_path / "rows")


def store(lake: DuckLake, home: Path, wait: float = 20) -> TeamStore:
    return TeamStore(lake, home / "kalshi.ducklake", wait=wait)


def ask(made: Store, sql: str) -> list[Any]:
    return asyncio.run(made.read(sql)).rows()


def writer(lake: DuckLake, home: Path, name: str) -> subprocess.Popen[str]:
    home.mkdir(exist_ok=True)
    words = [lake.catalogue, str(lake.data), str(home), name, str(COUNT)]
    command = [sys.executable, "-m", "tests.team.writer", *words]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def kept(process: subprocess.Popen[str], pages_: int | None = None, after: float = 0) -> tuple[bool, set[int]]:
    """The pages that it said were kept; killed so long after so many of them, and whether it was."""
    assert process.stdout is not None
    told, killed = set[int](), False
    for line in process.stdout:
        told |= {int(line.split()[1])} if line.endswith("\n") else set()
        if not killed and len(told) == pages_:
            time.sleep(after)
            killed = process.poll() is None
            process.kill()
    process.stdout.close()
    process.wait()
    assert killed or process.returncode == 0
    return killed, told


@pytest.mark.timeout(600)
def test_two_write_and_one_is_killed_again_and_again(lake: DuckLake, tmp_path: Path) -> None:
    """Nothing that was acknowledged is lost, nothing stands twice: rows of one, rows of both, and a number that both change."""
    mine = store(lake, tmp_path)
    asyncio.run(mine.write(lambda connection: connection.execute("INSERT INTO meta VALUES ('counted', '0')") and None))
    chance, kills, said = random.Random(SEED), 0, {"steady": set[int](), "killed": set[int]()}
    steady = writer(lake, tmp_path / "steady", "steady")
    for _ in range(KILLS):
        killed, told = kept(writer(lake, tmp_path / "killed", "killed"), chance.randint(1, 3), chance.uniform(0, 0.3))
        kills, said["killed"] = kills + killed, said["killed"] | told
    said["killed"] |= kept(writer(lake, tmp_path / "killed", "killed"))[1]
    said["steady"] |= kept(steady)[1]
    print(f"{kills} kills")
    assert kills >= 3
    for name, told in said.items():
        assert [row[0] for row in ask(mine, f"SELECT page FROM ledger WHERE run_id = '{name}' ORDER BY page")] == [
            *range(1, COUNT + 1)
        ]
        assert told <= {*range(1, COUNT + 1)}
    assert ask(mine, "SELECT value FROM meta WHERE key = 'counted'") == [(str(2 * COUNT),)]
    wanted = (2 * COUNT * pages.ROWS + COUNT * COMMON,) * 2
    assert ask(mine, "SELECT count(*), count(DISTINCT trade_id) FROM trades") == [wanted]


def test_two_labs_share_what_they_keep(lake: DuckLake, tmp_path: Path) -> None:
    """The verbs of one find what those of the other kept; what both brought stands once, and an alert fires once between them."""
    world: dict[str, Any] = {"start": START, "clock": "frozen", "markets": 100}
    with kl.Lab("sim", home=tmp_path / "ann", store=lake, world=world) as ann:
        assert ann.simulated is not None
        with kl.Lab("sim", home=tmp_path / "bob", store=lake, base_url=ann.simulated.url) as bob:
            ann.sync("markets", series="KXHIGHNY", progress=False)
            assert bob.sync("markets", series="KXHIGHNY", status="settled", progress=False).stored >= 0
            for one in (ann, bob):
                one.sync("trades", series="KXHIGHNY", progress=False)
            once = "SELECT count(*) - count(DISTINCT trade_id), count(*) > 0 FROM trades"
            assert bob.sql(once).row(0) == (0, True)
            ticker = str(
                ann.markets(series="KXHIGHNY").filter(pl.col("yes_bid") > 0, pl.col("yes_ask") < 1)["ticker"][0]
            )
            ann.alerts.add(kl.above(ticker, 0.0001))
            assert bob.alerts.check().height + ann.alerts.check().height == 1
            assert ann.alerts.history().height == bob.alerts.history().height == 1
            bob.thesis("shared", tickers=ticker, probability=0.5, because="a test")
            assert ann.theses()["name"].to_list() == ["shared"]
            assert ann.calibration(series="KXHIGHNY").brier == bob.calibration(series="KXHIGHNY").brier
            for wrong in ("SELECT * FROM read_csv('/etc/passwd')", "SELECT * FROM postgres_query('x', 'SELECT 1')"):
                with pytest.raises(kl.UsageError):
                    bob.sql(wrong)
            with pytest.raises(kl.UsageError, match="no file of one lab"):
                ann.store.backup(tmp_path / "copy")


def test_who_waits_too_long_is_told_who_holds_it(lake: DuckLake, tmp_path: Path) -> None:
    """A wait is bounded, and the error names whoever has the turn."""
    first, second = store(lake, tmp_path), store(lake, tmp_path, wait=0.3)
    pages.keep(first, 1)
    pages.keep(second, 2)
    with first._turn(Job()), pytest.raises(kl.StoreBusy, match=f"held by kalshi_lab of .*, PID {os.getpid()}"):
        pages.keep(second, 3)
    pages.keep(second, 3)
    assert ask(first, "SELECT count(*) FROM trades") == [(3 * pages.ROWS,)]


def test_what_fails_leaves_nothing(lake: DuckLake, tmp_path: Path) -> None:
    """An error in the middle of a transaction undoes all of it, and the next one works."""
    made = store(lake, tmp_path)
    pages.keep(made, 1)

    def fails(connection: Any) -> None:
        connection.execute("DELETE FROM trades")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(made.write(fails))
    assert ask(made, "SELECT count(*) FROM trades") == [(pages.ROWS,)]
    pages.keep(made, 2)


def test_a_vacuum_puts_small_files_together(lake: DuckLake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty pages are one file afterwards; what is old enough is deleted, and no row is another one."""
    made = store(lake, tmp_path)
    pages.keep(made, *range(1, 21))
    before = ask(made, "SELECT * FROM trades ORDER BY ALL")
    assert asyncio.run(made.vacuum()).dry_run
    files = len(list(lake.data.rglob("*.parquet")))
    monkeypatch.setattr(team, "CLEAN", "SELECT count(*) FROM ducklake_cleanup_old_files('store', cleanup_all => true)")
    monkeypatch.setattr(team, "EXPIRE", "SELECT count(*) FROM ducklake_expire_snapshots('store', older_than => now())")
    done = asyncio.run(made.vacuum(dry_run=False))
    assert done.after < done.before
    assert len(list(lake.data.rglob("*.parquet"))) < files / 5
    assert ask(store(lake, tmp_path), "SELECT * FROM trades ORDER BY ALL") == before
    pages.keep(made, 21)


def test_it_goes_on_when_the_catalogue_is_back(server: postgres.Server, lake: DuckLake, tmp_path: Path) -> None:
    """While PostgreSQL is away an error of ours says so; once it is back the same store works."""
    made = store(lake, tmp_path)
    pages.keep(made, 1)
    server.stop()
    try:
        for _ in range(2):
            with pytest.raises(kl.StoreError):
                pages.keep(made, 2)
            with pytest.raises(kl.StoreError):
                ask(made, "SELECT count(*) FROM trades")
    finally:
        server.start()
    pages.keep(made, 2)
    assert ask(made, "SELECT count(*), count(DISTINCT trade_id) FROM trades") == [(2 * pages.ROWS,) * 2]


def test_a_later_version_is_refused(lake: DuckLake, tmp_path: Path) -> None:
    """A store that a later library made is left alone."""
    made = store(lake, tmp_path)
    later = f"UPDATE meta SET value = '{len(SCHEMAS) + 1}' WHERE key = 'schema_version'"
    asyncio.run(made.write(lambda connection: connection.execute(later) and None))
    with pytest.raises(kl.StoreError, match="was made by"):
        pages.keep(store(lake, tmp_path), 1)


def test_nobody_at_the_address_is_told_with_what_to_do(server: postgres.Server, tmp_path: Path) -> None:
    """A database that is not there, and no server at all."""
    for words in (server.words("nothing"), "host=127.0.0.1 port=1 dbname=x user=y"):
        with pytest.raises(kl.StoreError, match="createdb"):
            ask(store(DuckLake(words, tmp_path / "rows"), tmp_path), "SELECT 1")


CUT = """SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
WHERE locktype = 'advisory' AND granted AND datname = '{}'"""


def counted(made: Store) -> None:
    asyncio.run(made.write(lambda connection: connection.execute("INSERT INTO meta VALUES ('counted', '0')") and None))


def test_a_writer_whose_lock_was_cut_keeps_nothing_that_stands_already(
    server: postgres.Server, lake: DuckLake, tmp_path: Path
) -> None:
    """The lock's connection is gone while its writer goes on, and another one brings the same rows: they stand once."""
    first, second = store(lake, tmp_path / "first"), store(lake, tmp_path / "second")
    counted(first)
    assert ask(second, "SELECT count(*) FROM ledger") == [(0,)]

    def slow(connection: Any) -> None:
        keep(connection, "one", 1)
        server.sql(CUT.format(lake.catalogue.rpartition("=")[2]))
        asyncio.run(second.write(lambda other: keep(other, "one", 1)))

    with pytest.raises(kl.StoreBusy, match="came in between, and nothing of this transaction is kept"):
        asyncio.run(first.write(slow))
    rows = pages.ROWS + COMMON
    assert ask(first, "SELECT count(*), count(DISTINCT trade_id) FROM trades") == [(rows, rows)]
    assert ask(first, "SELECT page FROM ledger") == [(1,)]
    asyncio.run(work(first, "one", 2))
    assert ask(first, "SELECT value FROM meta WHERE key = 'counted'") == [("2",)]


@contextmanager
def losing(
    server: postgres.Server, lake: DuckLake, home: Path, which: int = 0
) -> Iterator[tuple[TeamStore, Callable[[], list[str]]]]:
    """A store behind a wire that loses the answer to one commit of its transactions, counted from 0; what the wire said of it."""
    command = [sys.executable, "-m", "tests.team.wire", str(server.port)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as wire:
        assert wire.stdin is not None
        assert wire.stdout is not None
        words = lake.catalogue.replace(f"port={server.port}", f"port={int(wire.stdout.readline())}")
        far, said, written = store(DuckLake(words, lake.data), home), list[str](), count()

        def arm(step: str) -> None:
            if step == "written" and next(written) == which:
                print("arm", file=wire.stdin, flush=True)
                said.append(wire.stdout.readline())  # type: ignore[union-attr]  # asserted above

        far._prepare(Job())
        far.reached = arm
        try:
            yield far, lambda: [*said, wire.stdout.readline()]  # type: ignore[union-attr]  # asserted above
        finally:
            wire.kill()


def test_a_commit_whose_answer_was_lost_is_found_again(server: postgres.Server, lake: DuckLake, tmp_path: Path) -> None:
    """The server commits, its answer never comes: an error, and who goes on finds the page and does not keep it twice."""
    near = store(lake, tmp_path)
    counted(near)
    asyncio.run(work(near, "one", 1))
    with losing(server, lake, tmp_path / "far") as (far, said):
        with pytest.raises(kl.StoreError):
            asyncio.run(work(far, "one", 2))
        assert said() == ["armed\n", "lost\n"]
        assert ask(near, "SELECT page FROM ledger ORDER BY page") == [(1,), (2,)]
        asyncio.run(work(far, "one", 3))
    assert ask(near, "SELECT page FROM ledger ORDER BY page") == [(1,), (2,), (3,)]
    assert ask(near, "SELECT value FROM meta WHERE key = 'counted'") == [("3",)]
    rows = 3 * (pages.ROWS + COMMON)
    assert ask(near, "SELECT count(*), count(DISTINCT trade_id) FROM trades") == [(rows, rows)]


@pytest.mark.parametrize("which", [0, 1], ids=["small rows written out", "files merged"])
def test_a_vacuum_whose_answer_was_lost_costs_no_rows(
    server: postgres.Server, lake: DuckLake, tmp_path: Path, which: int
) -> None:
    """The server has the files that were put together, the answer never comes: they are still there, and every row with them."""
    near = store(lake, tmp_path)
    pages.keep(near, *range(1, 9))
    rows = [f"SELECT * FROM {table} ORDER BY ALL" for table in ("trades", "ledger", "meta")]
    before = [ask(near, one) for one in rows]
    with losing(server, lake, tmp_path / "far", which) as (far, said):
        with pytest.raises(kl.StoreError):
            asyncio.run(far.vacuum(dry_run=False))
        assert said() == ["armed\n", "lost\n"]
    assert [ask(store(lake, tmp_path), one) for one in rows] == before
    pages.keep(near, 9)


def test_who_is_stopped_while_waiting_writes_nothing(lake: DuckLake, tmp_path: Path) -> None:
    """The stop button ends the wait for a turn at once; what waited is not written later."""
    first, second = store(lake, tmp_path), store(lake, tmp_path, wait=60)
    pages.keep(first, 1)
    pages.keep(second, 2)

    async def stopped() -> float:
        waiting = asyncio.create_task(pages.kept(second, 3))
        await asyncio.sleep(0.5)
        began = time.monotonic()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        return time.monotonic() - began

    with first._turn(Job()):
        assert asyncio.run(stopped()) < LETTING_GO
    assert ask(first, "SELECT count(*) FROM ledger") == [(2,)]


def test_a_share_without_second_names_says_so(lake: DuckLake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some shares have no hard links: an error of ours, and nothing is kept."""
    made = store(lake, tmp_path)
    pages.keep(made, 1)

    def refused(*_: Any) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    with monkeypatch.context() as patch:
        patch.setattr(team.os, "link", refused)
        with pytest.raises(kl.StoreError, match="not supported"):
            pages.keep(made, 2)
    pages.keep(made, 2)
    assert ask(made, "SELECT count(*) FROM ledger") == [(2,)]


def test_a_password_is_in_nothing_that_is_shown(
    server: postgres.Server,
    lake: DuckLake,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """S1: a canary, given as libpq takes it: wrong, it is an error of ours without it; right, it is nowhere in the store."""
    canary, name = "canary-7f3a", lake.catalogue.rpartition("=")[2]
    server.sql(f"CREATE ROLE ann LOGIN PASSWORD '{canary}'", f"ALTER DATABASE {name} OWNER TO ann")
    server.asks_for_passwords()
    ann = DuckLake(lake.catalogue.replace("user=postgres", "user=ann"), lake.data)
    caplog.set_level(0)
    monkeypatch.setenv("PGPASSWORD", f"not-{canary}")
    with pytest.raises(kl.StoreError, match="password authentication failed") as told:
        pages.keep(store(ann, tmp_path), 1)
    shown = "".join(traceback.format_exception(told.value))
    monkeypatch.setenv("PGPASSWORD", canary)
    made = store(ann, tmp_path)
    pages.keep(made, 1)
    for sql in (
        "SELECT * FROM duckdb_databases()",
        "SELECT * FROM duckdb_settings()",
        "SELECT * FROM duckdb_secrets()",
    ):
        shown += str(ask(made, sql))
    assert canary not in shown + repr(made) + repr(ann) + caplog.text
    kept_ = [one.read_bytes() for one in tmp_path.rglob("*") if one.is_file()]
    assert kept_
    assert not any(canary.encode() in content for content in kept_)
