"""A lake on object storage over real HTTP: exported to, asked, raced for, cut off, and silent about its key."""

from __future__ import annotations

import asyncio
import copy
import itertools
import logging
import pickle
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import kalshi_lab as kl
from kalshi_lab.store import Store, bucket, lake_export, lease, ranged
from kalshi_lab.store.lake import LakeStore
from kalshi_lab.store.places import Version
from tests.export import synthetic
from tests.export.samples import DAY, add, put
from tests.export.service import KEY_ID, SECRET, Service
from tests.export.test_lake import days, ids, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from kalshi_lab.sim import Exchange

NUMBERS = itertools.count()
SOME = ("trades", "series")  # each dataset is some requests more
SIXTH = [("t6", "KXFED-26DEC-C25", DAY + timedelta(hours=4), "0.5", "1")]


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    running = Service()
    yield running
    running.stop()


@pytest.fixture
def lake(service: Service) -> Iterator[kl.Lake]:
    """An empty bucket of its own."""
    name = service.bucket(f"bucket-{next(NUMBERS)}")
    service.asked.clear()
    yield kl.Lake(f"s3://{name}/some/lake", credentials=service.keys)
    service.fault = lambda _method, _path: ""


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few attempts, at once."""
    backoff = {"init_backoff": timedelta(milliseconds=1), "max_backoff": timedelta(milliseconds=5)}
    monkeypatch.setattr(bucket, "RETRY", {**bucket.RETRY, "max_retries": 2, "backoff": backoff})


def objects(lake: kl.Lake) -> dict[str, str]:
    """The ETag of every object."""
    return {name: state.version.mark for name, state in lake.place.listed().items()}


def again(lake: kl.Lake, **words: Any) -> kl.Lake:
    """The same lake for another machine."""
    return kl.Lake(lake.path, credentials=lake.place._access, **words)


def test_only_days_that_changed_are_uploaded_and_read_back(store: Store, lake: kl.Lake, service: Service) -> None:
    """DB-9: the first export writes all, the second nothing, a new row its day, a lost object is written anew."""
    wrote = write(store, lake, SOME)
    name = "some/lake/trades/owner=main/date=2026-11-21/part.parquet"
    assert wrote["file"][0] == f"s3://{lake.place._name}/{name}"
    assert lake.owners("trades") == ("main",)
    assert lake.frame().row(0)[:3] == ("trades", "main", 3)
    before = objects(lake)
    assert not [one for one in before if one.endswith((".part", ".lock"))]
    service.asked.clear()
    assert write(store, lake, SOME).height == 0
    assert objects(lake) == before
    assert {path.split("/")[-1] for method, path in service.asked if method == "PUT"} == {lease.NAME}
    add(store, SIXTH)
    assert days(write(store, lake, SOME)) == ["date=2026-11-22"]
    after = objects(lake)
    changed = {name for name in after if after[name] != before[name]}
    assert {one for one in changed if one.endswith(".parquet")} == {
        "trades/owner=main/date=2026-11-22/part.parquet"
    }  # fmt: skip
    lake.place.delete("trades/owner=main/date=2026-11-21/part.parquet")
    assert days(write(store, lake, SOME)) == ["date=2026-11-21"]
    assert ids(lake) == ["t1", "t2", "t3", "t4", "t5", "t6"]


def test_an_object_that_does_not_hold_what_it_should_takes_no_place(
    store: Store, lake: kl.Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DB-9: it is uploaded under another name, read back, counted and hashed; the old one stands, and nothing is left behind."""
    write(store, lake, SOME)
    before = objects(lake)
    add(store, SIXTH)
    real = lake_export.parquet
    with monkeypatch.context() as patch:
        patch.setattr(
            lake_export, "parquet", lambda rows, group: real(rows.with_columns(count=pl.col("count") + 1), group=group)
        )
        with pytest.raises(kl.StoreError, match="other hashes"):
            write(store, lake, SOME)
    assert objects(lake) == before
    lake.place.put("trades/owner=main/.part.parquet.dead.part", b"of one that was killed")
    assert days(write(store, lake, SOME)) == ["date=2026-11-22"]
    assert not [one for one in objects(lake) if one.endswith(".part")]


@pytest.mark.long
def test_a_lab_over_a_bucket_thinks_what_one_over_the_store_thinks(
    lake: kl.Lake, exchange: Exchange, tmp_path: Path
) -> None:
    """DB-9: the same verbs, the same digits; read-only, and nothing is copied to this machine."""
    with kl.Lab("sim", base_url=exchange.url, home=tmp_path / "home") as lab:
        synthetic.fill(Store(lab.store.path), 1_500, 4)
        lab.sync("events", series="KXHIGHNY", nested=True, progress=False)
        lab.sync("trades", series="KXHIGHNY", since="1d", progress=False)
        lab.export(lake)
        with kl.Lab("sim", base_url=exchange.url, home=tmp_path / "none", store=lake) as over:
            ticker = synthetic.names(lab, 1)[0]
            asked: list[Callable[[kl.Lab], pl.DataFrame]] = [
                lambda one: one.calibration(horizon="1h", price="last").table, lambda one: one.bars(every="1d").table,
                lambda one: one.tape(ticker, exact=True), lambda one: one.longshots().table, lambda one: one.table("results"),
                lambda one: one.coverage(),
            ]  # fmt: skip
            for ask in asked:
                local, there = (ask(one).drop("run_id", strict=False) for one in (lab, over))
                assert local.height
                assert_frame_equal(local.sort(local.columns), there.sort(local.columns), check_exact=True)
            with pytest.raises(kl.UsageError, match="only read"):
                over.snapshot()
            assert str(lake.path) in repr(over)
    assert not [path for path in (tmp_path / "none").rglob("*") if path.is_file()]


@pytest.mark.long
def test_several_owners_write_into_a_bucket_and_a_row_is_one(tmp_path: Path, store: Store, lake: kl.Lake) -> None:
    """DB-9: each its own folders; what both brought is one, as it was seen last."""
    other = Store(tmp_path / "other" / "kalshi.duckdb")
    add(other, [("t1", "KXHIGHNY-26NOV21-B50.5", DAY - timedelta(hours=5), "0.123456", "0.01"), *SIXTH])
    put(other, "series", [{"ticker": "S0", "title": "later", "seen_at": DAY + timedelta(days=1)}])
    write(other, again(lake, owner="other"), SOME)
    write(store, lake, SOME)
    assert ids(lake) == ["t1", "t2", "t3", "t4", "t5", "t6"]
    assert asyncio.run(LakeStore(lake).read("SELECT title FROM series WHERE ticker = 'S0'")).item() == "later"
    assert lake.owners("trades") == ("main", "other")


def test_a_query_over_a_bucket_reaches_nothing_but_the_lake(held: Store, lake: kl.Lake, tmp_path: Path) -> None:
    """DB-9: no other object of the same bucket, no file, no address, no setting, no writing; below the guard of `sql`, too."""
    write(held, lake, ("trades",))
    root = kl.Lake(f"s3://{lake.place._name}", credentials=lake.place._access)
    root.place.put("other/x.parquet", lake.place.read("trades/owner=main/date=2026-11-21/part.parquet") or b"")
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "x.parquet")
    connection = LakeStore(lake)._views.connection()
    assert connection.execute("SELECT count(*) FROM trades").fetchall() == [(5,)]
    names = (
        "lake://../../other/x.parquet", "lake:///other/x.parquet", "lake://*/x.parquet", f"s3://{lake.place._name}/other/x.parquet",
        f"{lake.place._service}/{lake.place._name}/other/x.parquet", f"{tmp_path}/x.parquet", "file:///etc/passwd",
    )  # fmt: skip
    for name in names:
        with pytest.raises(Exception, match=r"(?i)permission|no files|could not"):
            connection.execute(f"SELECT * FROM read_parquet('{name}')")
    before = objects(lake)
    for sql in (
        "SET enable_external_access = true",
        "COPY (SELECT 1) TO 'lake://x.parquet'",
        "SET allowed_directories = []",
    ):
        with pytest.raises(Exception, match=r"(?i)cannot|only read|not implemented|locked"):
            connection.execute(sql)
    assert objects(lake) == before
    connection.close()


@pytest.mark.long
def test_an_answer_from_two_versions_of_an_object_is_never_given(store: Store, lake: kl.Lake, service: Service) -> None:
    """DB-9: each read names the version that was listed; one that was replaced meanwhile is asked for anew."""
    write(store, lake, SOME)
    reader, replaced = LakeStore(lake), []
    part = "trades/owner=main/date=2026-11-22/part.parquet"

    def replace(method: str, path: str) -> str:
        if method == "GET" and path.endswith(part) and not replaced:
            replaced.append(1)
            add(store, SIXTH)
            write(store, again(lake), SOME)
        return ""

    service.fault = replace
    assert asyncio.run(reader.read("SELECT count(*) FROM trades")).item() == 6
    assert replaced


def test_a_version_that_is_gone_is_not_read(lake: kl.Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """DB-9: nor a part of it; what is there now is another version."""
    monkeypatch.setattr(bucket, "SMALL", 0)
    name, place = "trades/owner=main/part.parquet", lake.place
    place.put(name, b"first, of ten or more")
    version = place.parts()[name]
    assert place.stretch(name, version, 0, 5) == b"first"
    place.put(name, b"other, of ten or more")
    with pytest.raises(kl.StoreError, match="replaced meanwhile"):
        place.stretch(name, version, 7, 10)


def test_what_was_read_of_a_version_is_not_asked_for_twice(
    store: Store, lake: kl.Lake, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DB-9: a second question lists and reads nothing; what changed is read; what is kept has a bound."""
    write(store, lake, ("trades",))
    sql, reader = "SELECT count(*), sum(count) FROM trades", LakeStore(again(lake))
    first = asyncio.run(reader.read(sql))
    service.asked.clear()
    assert asyncio.run(reader.read(sql)).equals(first)
    assert service.count("GET", ".parquet") == 0
    add(store, SIXTH)
    write(store, lake, ("trades",))
    service.asked.clear()
    assert asyncio.run(reader.read(sql)).item(0, 0) == 6
    assert service.count("GET", ".parquet") == 1
    kept, version = bucket._Kept(), Version(9, "x")
    monkeypatch.setattr(bucket, "KEPT", 20)
    for name in "abc":
        kept.keep((name, version, 0, 9), b"123456789")
        assert kept.find(("a", version, 0, 9)) == b"123456789"  # asked for, so not the oldest
    assert [kept.find((name, version, 0, 9)) is None for name in "abc"] == [False, True, False]


def test_threads_that_share_a_file_read_each_its_own_stretch(lake: kl.Lake) -> None:
    """DB-9: DuckDB seeks before it reads, in several threads on one file."""
    lake.place.put("x", b"0123456789")
    state = lake.place.state("x")
    assert state is not None
    file = ranged.Stretches(lake.place, "x", state.version)
    file.seek(2)
    with ThreadPoolExecutor(1) as other:
        assert other.submit(lambda: (file.seek(7), file.read(2))).result() == (7, b"78")
    assert (file.read(3), file.tell(), file.seek(-1, 2), file.read()) == (b"234", 5, 9, b"9")


@pytest.mark.usefixtures("hasty")
def test_a_busy_service_and_a_lost_connection_are_asked_again(held: Store, lake: kl.Lake, service: Service) -> None:
    """DB-9: each name fails once, by turns busy and cut; the export is whole all the same, and so is the reader."""
    seen, lake = set[tuple[str, str]](), again(lake)

    def once(method: str, path: str) -> str:
        new = (method, path) not in seen
        seen.add((method, path))
        return ("503", "cut")[len(seen) % 2] if new and method != "POST" else ""

    service.fault = once
    assert write(held, lake, ("trades", "series")).height == 4
    assert ids(lake) == ["t1", "t2", "t3", "t4", "t5"]
    assert len(seen) > 10


def failures(service: Service, lake: kl.Lake) -> Iterator[tuple[str, type[kl.LabError], Callable[[], object]]]:
    """What the service may say, as the words and the class that it becomes."""
    name = lake.place._name
    for use in (
        lambda one: one.frame(),
        lambda one: one.place.put("x", b""),
        lambda one: one.place.read("x"),
        LakeStore,
    ):
        yield (
            "no such bucket",
            kl.UsageError,
            lambda use=use: use(kl.Lake("s3://nowhere/lake", credentials=service.keys)),
        )
    far = kl.S3(endpoint="http://127.0.0.1:1", key_id=KEY_ID, secret=SECRET)
    yield "could not be reached, after 3 attempts", kl.StoreError, kl.Lake(f"s3://{name}", credentials=far).frame
    with service.strict() as nobody:
        wrong = kl.S3(endpoint=service.url, key_id=nobody._key_id, secret=SECRET)
        yield "key is not accepted", kl.StoreError, kl.Lake(f"s3://{name}", credentials=wrong).frame
        for use in (lambda one: one.frame(), lambda one: one.place.put("x", b""), LakeStore):
            yield "key is not accepted", kl.StoreError, lambda use=use: use(again(lake))
        yield "may not do this", kl.StoreError, kl.Lake(f"s3://{name}", credentials=nobody).frame
    yield "there is no lake", kl.UsageError, lambda: LakeStore(again(lake))
    service.fault = lambda _method, _path: "echo"
    yield r"not accepted \(SignatureDoesNotMatch\)", kl.StoreError, again(lake).frame
    service.fault = lambda _method, _path: "503"
    yield "busy", kl.StoreError, again(lake).frame
    service.fault = lambda _method, _path: "cut"
    yield "could not be reached", kl.StoreError, again(lake).frame


def told(problem: BaseException) -> list[str]:
    """An error and everything that it came from, as they may be shown; the tests' own frames have the key in them."""
    shown, error = list[str](), cast("BaseException | None", problem)
    while error is not None:
        frames = traceback.TracebackException.from_exception(error, capture_locals=True).stack.format()
        shown += [str(error), repr(error), *(frame for frame in frames if "tests/" not in frame)]
        error = error.__context__
    return shown


@pytest.mark.usefixtures("hasty")
def test_what_the_service_says_becomes_an_error_of_ours_and_never_shows_a_key(
    held: Store, lake: kl.Lake, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    """S1, DB-9: what happened, to which request, what to do; no key in an error, its contexts, a traceback, a log or a repr."""
    caplog.set_level(logging.DEBUG)
    shown = []
    for words, kind, ask in failures(service, lake):
        with pytest.raises(kind, match=words) as caught:
            ask()
        assert "s3://" in str(caught.value)
        assert caught.value.hint
        shown += told(caught.value)
    for given in ({"key_id": KEY_ID}, {"key_id": KEY_ID, "secret": SECRET, "endpoint": f"https://a:{SECRET}@x"}):
        with pytest.raises(kl.UsageError) as caught:
            kl.S3(**given)
        shown += told(caught.value)
    service.fault = lambda _method, _path: ""
    reader = LakeStore(again(lake)) if write(held, again(lake), ("series",)).height else None
    access = service.keys
    for thing in (lake, lake.place, access, reader, copy.deepcopy(access), {"access": [access]}, lake.place._store):
        shown += [repr(thing), str(thing)]
    text = "\n".join([*shown, *(one.getMessage() for one in caplog.records if one.name.startswith("kalshi_lab"))])
    assert "no such bucket" in text
    for secret in (SECRET, SECRET[:12], KEY_ID, KEY_ID[:-4], "Signature="):
        assert secret not in text
    for thing in (lake, access):
        with pytest.raises(kl.UsageError, match="not pickled"):
            pickle.dumps(thing)


@pytest.mark.usefixtures("hasty")
def test_a_failure_amid_a_query_is_told_in_our_words(held: Store, lake: kl.Lake, service: Service) -> None:
    """DB-9: what DuckDB could not read says why and where, without a traceback in it."""
    lake = again(lake)
    write(held, lake, ("trades",))
    reader = LakeStore(lake)
    assert not reader.is_new
    service.fault = lambda method, path: "503" if method == "GET" and path.endswith(".parquet") else ""
    with pytest.raises(kl.StoreError, match=r"^could not read s3://\S+: the service is too busy") as caught:
        asyncio.run(reader.read("SELECT count(*), max(count) FROM trades"))
    assert "Traceback" not in str(caught.value)


def test_two_exports_of_an_owner_never_write_at_once(held: Store, lake: kl.Lake) -> None:
    """DB-9: the second is told who is at work; other owners are free; afterwards it is free again."""
    with lake.place.alone("trades/owner=main"):
        with pytest.raises(kl.StoreError, match=r"another export is writing .*PID"):
            write(held, again(lake), ("trades",))
        assert write(held, again(lake, owner="other"), ("trades",)).height == 3
    assert write(held, again(lake), ("trades",)).height == 3


def test_a_service_that_does_not_hear_conditions_is_refused(held: Store, lake: kl.Lake, service: Service) -> None:
    """DB-9: without them exports could not keep apart; said before anything is written."""
    service.deaf = True
    try:
        with pytest.raises(kl.StoreError, match="no conditional writes"):
            write(held, lake, SOME)
    finally:
        service.deaf = False
    assert not [name for name in objects(lake) if name.endswith(".parquet")]


def test_an_export_that_is_stopped_lets_go_once_its_files_are_whole(
    held: Store, lake: kl.Lake, service: Service
) -> None:
    """DB-9: the stop button in the middle of an upload: nobody else is at work afterwards, nothing is half done, the rest comes next."""
    reached = threading.Event()

    def tell(method: str, path: str) -> str:
        if method == "PUT" and path.endswith(".part"):
            reached.set()
        return ""

    async def stopped() -> None:
        exporting = asyncio.ensure_future(lake_export.export(held, lake, lake_export.asked(SOME, None, None)))
        assert await asyncio.to_thread(reached.wait, 60)
        exporting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await exporting

    service.fault = tell
    asyncio.run(stopped())
    before = objects(lake)
    assert not [name for name in before if name.endswith((".part", ".lock"))]
    write(held, again(lake), SOME)
    assert ids(lake) == ["t1", "t2", "t3", "t4", "t5"]


def test_a_large_file_goes_in_pieces_and_is_whole(lake: kl.Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """DB-9: as one object, of one step."""
    monkeypatch.setattr(bucket, "AT_ONCE", 1)
    monkeypatch.setattr(bucket, "PIECE", 5 * 1024 * 1024)
    data, sources = bytes(range(256)) * 24_000, list[str]()
    with pytest.raises(kl.StoreError, match="nobody holds its lease"):
        lake.place.publish("trades/owner=main/part.parquet", data)
    with lake.place.alone("trades/owner=main"):
        lake.place.publish("trades/owner=main/part.parquet", data, sources.append)
    assert lake.place.read("trades/owner=main/part.parquet") == data
    version = lake.place.parts()["trades/owner=main/part.parquet"]
    assert lake.place.stretch("trades/owner=main/part.parquet", version, 100, 300_100) == data[100:300_100]
    assert len(sources) == 1


def mark(lake: kl.Lake, **fields: Any) -> None:
    """Leave the lease of somebody who was killed."""
    holder = lease.Holder(**{"token": "x", "host": "elsewhere", "pid": 1} | fields)
    lake.place.put(f"trades/owner=main/{lease.NAME}", lease.msgspec.json.encode(holder))


def test_the_lease_of_one_that_was_killed_is_taken_over(
    held: Store, lake: kl.Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DB-9: at once where its process is known to be gone, else once the service's clock says that it was silent for long enough."""
    mark(lake)
    with pytest.raises(kl.StoreError, match="PID 1 on elsewhere"):
        write(held, lake, ("trades",))
    monkeypatch.setattr(lease, "LASTS", 0.0)
    assert write(held, lake, ("trades",)).height == 3
    monkeypatch.undo()
    if sys.platform != "win32":
        mark(lake, host=lease.platform.node(), pid=2**22 + 1)  # above what Linux gives
        assert write(held, lake, ("trades",)).height == 0


def test_one_that_was_away_for_too_long_writes_nothing_more(lake: kl.Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """DB-9: it finds out before it writes that another took over, and leaves that one's lease alone."""
    monkeypatch.setattr(lease, "FRESH", 0.0)
    name, first, second = "trades/owner=main/part.parquet", lake.place, again(lake).place
    with first.alone("trades/owner=main"):
        monkeypatch.setattr(lease, "LASTS", 0.0)
        with second.alone("trades/owner=main"):
            monkeypatch.setattr(lease, "LASTS", 60.0)
            for check in (None, lambda _source: None):
                with pytest.raises(kl.StoreError, match="took over"):
                    first.publish(name, b"of the first", check)
            second.publish(name, b"of the second")
    assert first.read(name) == b"of the second"
    assert list(objects(lake)) == [name]


def test_a_lease_is_renewed_while_it_is_held(lake: kl.Lake, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """DB-9: by itself, also where the service's answer to a renewal was lost."""
    monkeypatch.setattr(lease, "RENEWED", 0.01)
    place, name = lake.place, f"trades/owner=main/{lease.NAME}"
    with place.alone("trades/owner=main"):
        first, end = place.state(name), time.monotonic() + 30
        while place.state(name) == first and time.monotonic() < end:
            time.sleep(0.01)
        assert place.state(name) != first
        place._leases["trades/owner=main"]._mark = '"of an older state"'
        seen = list[int]()
        service.fault = lambda method, path: (
            "409" if method == "PUT" and path.endswith(name) and not seen.append(1) and len(seen) < 2 else ""
        )
        place.publish("trades/owner=main/part.parquet", b"")
    assert place.state(name) is None


def test_without_obstore_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """NB-2: the extra's name, at once."""
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(kl.UsageError, match=r'pip install "kalshi_lab\[s3\]"'):
        kl.Lake("s3://bucket/lake")


@pytest.mark.parametrize(
    "odd",
    [
        lambda: kl.Lake("s3://"), lambda: kl.Lake("s3://B/x"), lambda: kl.Lake("s3://bucket/../x"), lambda: kl.Lake("s3://bucket/a//b"),
        lambda: kl.Lake("s3://key:secret@bucket/x"), lambda: kl.Lake("s3://bucket", owner="a/b"),
        lambda: kl.Lake("lake", credentials=kl.S3()), lambda: kl.S3(key_id="x"), lambda: kl.S3(secret=SECRET), lambda: kl.S3(token=SECRET),
        lambda: kl.S3(key_id="", secret=""), lambda: kl.S3(endpoint="ftp://x"), lambda: kl.S3(endpoint="https://a:b@x"),
        lambda: kl.S3(endpoint="https://x/path"), lambda: kl.S3(key_id=7, secret=7),
    ],
)  # fmt: skip
def test_odd_places_and_half_a_key_are_refused(odd: Callable[[], object]) -> None:
    """S8: before anything is asked."""
    with pytest.raises(kl.UsageError):
        odd()


@pytest.mark.usefixtures("hasty")
def test_where_no_key_is_known_it_says_so(lake: kl.Lake, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """DB-9: neither given, nor in the environment, nor known to the machine."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(kl.StoreError, match="there is no key for http"):
        kl.Lake(lake.path, credentials=kl.S3(endpoint=service.url)).frame()


def test_polars_reads_a_bucket_as_it_is(held: Store, lake: kl.Lake, service: Service) -> None:
    """DB-9: Hive folders, exact decimals, by its own reader of object storage."""
    write(held, lake, ("trades",))
    options = {
        "aws_endpoint_url": service.url, "aws_access_key_id": KEY_ID, "aws_secret_access_key": SECRET, "aws_allow_http": "true",
        "aws_region": "us-east-1",
    }  # fmt: skip
    found = pl.scan_parquet(
        f"{lake.path}/trades/**/*.parquet", storage_options=options, hive_partitioning=True
    ).collect()
    assert sorted(found["trade_id"]) == ["t1", "t2", "t3", "t4", "t5"]
    assert found.schema["yes_price"] == pl.Decimal(9, 6)
    assert set(found["owner"]) == {"main"}


def test_the_key_of_the_environment_serves(
    held: Store, lake: kl.Lake, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DB-9: as AWS's own tools read it."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_ENDPOINT_URL": service.url, "AWS_ALLOW_HTTP": "true",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    plain = kl.Lake(lake.path)
    assert write(held, plain, ("trades",)).height == 3
    assert SECRET not in repr(plain) + repr(plain.place)
