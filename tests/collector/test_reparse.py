"""What could not be read is recovered by a mended model as if it had been read the first time."""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from kalshi_lab import Lab, SchemaDrift, frames, money
from kalshi_lab.ingest.drift import ENOUGH, MOST
from kalshi_lab.models import fields
from kalshi_lab.store.queries import QUOTE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from kalshi_lab.sim import Exchange

STAMPS = ("run_id", "seen_at")
UNBALANCED = "SELECT * FROM ledger WHERE received <> stored + duplicate + quarantined"
TRADES = "/markets/trades"


def read_cents(text: str) -> Any:
    """The mended reader: a price may also be written as "56 cents"."""
    value = str(text)
    return money.price(f"0.{int(value.removesuffix(' cents')):02d}" if value.endswith(" cents") else value)


@pytest.fixture
def mended(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Mends the models: from then on prices like "56 cents" are read."""
    exact = frames._exact

    def reads(text: pl.Series, kind: str) -> pl.Series:
        cents = text.str.extract(r"^(\d+) cents$")
        written = pl.select(
            pl.when(cents.is_not_null()).then(pl.lit("0.") + cents.str.zfill(2)).otherwise(text)
        ).to_series()
        return exact(written, kind)

    def mend() -> None:
        monkeypatch.setitem(fields.READERS, "price", read_cents)
        monkeypatch.setitem(frames._READ_TEXT, "price", reads)

    return mend


@pytest.fixture
def labs(upset: Exchange, tmp_path: Path) -> Iterator[Callable[..., Lab]]:
    """Makes labs, each with a store of its own name."""
    made: list[Lab] = []

    def make(name: str = "store", **options: Any) -> Lab:
        made.append(Lab("sim", base_url=upset.url, home=tmp_path / name, attempts=1, **options))
        return made[-1]

    yield make
    for lab in made:
        lab.close()


def answer(exchange: Exchange, path: str, key: str, rows: list[Any]) -> None:
    """Have every request to a path answered with these rows, and none to another."""
    exchange.faults()
    exchange.faults(path, "status", status=200, body={key: rows, "cursor": ""}, times=99)


def trade(number: int, price: str = "0.5600") -> dict[str, str]:
    return {"trade_id": f"t{number}", "ticker": "A-1", "yes_price_dollars": price, "count_fp": "1.00"}


def market(ticker: str, bid: str, **more: Any) -> dict[str, Any]:
    return {"ticker": ticker, "event_ticker": ticker[0], "yes_bid_dollars": bid, "status": "active", **more}


def plain(lab: Lab, name: str, drop: tuple[str, ...] = STAMPS) -> pl.DataFrame:
    """A table in one order, without what tells one run from another."""
    frame = lab.table(name, exact=True)
    return frame.drop([one for one in drop if one in frame.columns]).sort(pl.all())


def same(one: Lab, other: Lab, names: tuple[str, ...]) -> None:
    for name in names:
        drop = (*STAMPS, "time", "sha256", "request_id") if name in {"ledger", "snapshots", "quotes"} else STAMPS
        assert plain(one, name, drop).equals(plain(other, name, drop), null_equal=True), name


def test_golden_a_mended_model_recovers_rows_as_if_read_the_first_time(
    upset: Exchange, labs: Callable[..., Lab], mended: Callable[[], None]
) -> None:
    """F16, P3: refused rows of trades, markets and events with their markets are recovered, in tables and ledger as if read at once."""
    trades = [trade(1), trade(2, "56 cents"), trade(2, "56 cents"), {"no": "key"}, trade(1)]
    markets = [market("A-1", "0.5000"), market("B-1", "5 cents", rules_primary="If so.", result="yes")]
    events = [
        {"event_ticker": "E", "series_ticker": "S", "markets": [market("E-1", "7 cents"), market("E-2", "0.1000")]},
        {"series_ticker": "S"},
    ]

    def read(lab: Lab) -> None:
        answer(upset, TRADES, "trades", trades)
        lab.sync("trades", since="9m")
        answer(upset, "/markets", "markets", markets)
        lab.sync("markets", tickers=["A-1", "B-1"], status="open")
        answer(upset, "/events", "events", events)
        lab.sync("events", series="S", nested=True)

    early, late = labs("early"), labs("late")
    read(early)
    assert early.table("quarantine").height == 6
    mended()
    done = early.reparse()
    read(late)
    assert (done.recovered, done.known, done.left) == (3, 1, 2)
    assert repr(done).startswith("<Reparsed: 3 rows recovered (1 known), 2 still unreadable")
    assert {reason for _, reason, _ in done.reasons} == {"no trade_id", "no event_ticker"}
    same(early, late, ("trades", "markets", "results", "events", "ledger"))
    assert early.sql(UNBALANCED).is_empty()
    assert early.table("quarantine")["raw"].sort().to_list() == late.table("quarantine")["raw"].sort().to_list()
    runs = early.sql("SELECT run_id FROM trades WHERE trade_id = 't2'")["run_id"].to_list()
    assert runs == early.sql("SELECT DISTINCT run_id FROM ledger WHERE dataset = 'trades'")["run_id"].to_list()
    again = early.reparse()
    assert (again.recovered, again.known, again.left) == (0, 0, 2)
    assert "still unreadable" in repr(again)
    assert "no trade_id" in again._repr_html_()


def test_candlesticks_are_recovered_under_their_market(
    upset: Exchange, labs: Callable[..., Lab], mended: Callable[[], None]
) -> None:
    """A candlestick says neither its market nor its interval; the ledger knows both."""
    lab = labs()
    ticker = lab.markets(series="KXHIGHNY", status="settled")["ticker"][0]
    lab.sync("markets", tickers=[ticker])
    series = "KXHIGHNY"
    path = f"/series/{series}/markets/{ticker}/candlesticks"
    bars = [
        {"end_period_ts": 1_763_800_000 + 3600 * n, "yes_bid": {"open_dollars": "9 cents" if n else "0.0900"}}
        for n in range(3)
    ]
    for one in (path, "/markets/candlesticks", f"/historical/markets/{ticker}/candlesticks"):
        body: dict[str, Any] = {"candlesticks": bars}
        if one == "/markets/candlesticks":
            body = {"markets": [{"market_ticker": ticker, "candlesticks": bars}]}
        upset.faults(one, "status", status=200, body=body, times=99)
    lab.sync("candlesticks", tickers=[ticker], interval="1h")
    upset.faults()
    before = lab.table("candlesticks").height
    aside = lab.table("quarantine").height
    assert aside >= 2
    mended()
    done = lab.reparse()
    assert (done.left, done.recovered + done.known) == (0, aside)
    kept = lab.table("candlesticks")
    assert kept.height == before + done.recovered == 3
    assert set(kept["ticker"]) == {ticker}
    assert set(kept["interval_minutes"]) == {60}
    assert kept["yes_bid_open"].to_list() == [0.09] * 3
    assert lab.sql(UNBALANCED).is_empty()


def test_what_came_later_is_not_overwritten(
    upset: Exchange, labs: Callable[..., Lab], mended: Callable[[], None]
) -> None:
    """A row recovered after a later run saw the market again fills only what that run did not tell."""
    lab = labs()
    answer(upset, "/markets", "markets", [market("B-1", "5 cents", rules_primary="If so.", title="Old")])
    lab.sync("markets", tickers=["B-1"], status="open")
    upset.advance(60)
    answer(upset, "/markets", "markets", [market("B-1", "0.9000", title="New")])
    lab.sync("markets", tickers=["B-1"], status="open")
    mended()
    assert lab.reparse().recovered == 1
    row = lab.sql("SELECT title, yes_bid, rules_primary FROM markets").row(0)
    assert row == ("New", 0.9, "If so.")


# the bid of a market in each of four snapshots: as written, or None where it is not listed
LOOKS = {
    "changed, then as before": ["0.5000", "55 cents", "0.5000", "0.5000"],
    "changed and stays": ["0.5000", "55 cents", "0.5500", "0.5500"],
    "as before": ["0.5000", "50 cents", "0.6000", "0.6000"],
    "new, then changed": [None, "55 cents", "0.6000", "0.6000"],
    "new, then the same": [None, "55 cents", "0.5500", "0.5500"],
    "new, then gone": [None, "55 cents", None, None],
    "twice unread": ["0.5000", "55 cents", "56 cents", "0.5000"],
    "unread, then gone": ["0.5000", "55 cents", None, "0.5000"],
    "new, unread twice, then gone": [None, "55 cents", "56 cents", None],
    "unread twice alike": ["0.5000", "55 cents", "55 cents", "0.5000"],
    "unread to the end": ["0.5000", "55 cents", "55 cents", "57 cents"],
    "unread from the start": ["55 cents", "55 cents", "0.7000", "0.7000"],
}


def test_quotes_of_snapshots_are_recovered(
    upset: Exchange, labs: Callable[..., Lab], mended: Callable[[], None]
) -> None:
    """The changes of a listing are those that snapshots with the mended model would have kept, and the quotes at each moment too."""
    cases = {f"B-{n}": name for n, name in enumerate(LOOKS)}
    listings = [
        [
            market("Z-1", "0.1000"),
            *(market(ticker, bid) for ticker, name in cases.items() if (bid := LOOKS[name][n]) is not None),
        ]
        for n in range(4)
    ]

    def look(lab: Lab) -> list[Any]:
        times = []
        for rows in listings:
            answer(upset, "/markets", "markets", rows)
            with suppress(SchemaDrift):
                lab.snapshot(series="B")
            times.append(lab.sql("SELECT max(time) FROM snapshots").item())
        return times

    early, late = labs("early"), labs("late")
    times = look(early)
    mended()
    done = early.reparse()
    later = look(late)
    assert done.left == 0
    assert done.recovered == sum(bid is not None and "cents" in bid for bids in LOOKS.values() for bid in bids)
    columns = ["ticker", *QUOTE, "gone"]
    kept = [lab.table("quotes", exact=True).sort("ticker", "time").select(columns) for lab in (early, late)]
    for ticker, name in cases.items():
        mine, theirs = (frame.filter(ticker=ticker) for frame in kept)
        assert mine.equals(theirs, null_equal=True), name
    for time, then in zip(times, later, strict=True):
        at = [lab.quotes(as_of=moment).drop("time") for lab, moment in ((early, time), (late, then))]
        assert at[0].equals(at[1], null_equal=True)
    counted = [lab.table("snapshots").sort("time").select("markets", "changed", "keyframe") for lab in (early, late)]
    assert counted[0].equals(counted[1])


def test_too_many_unreadable_rows_are_a_changed_format(
    upset: Exchange, labs: Callable[..., Lab], mended: Callable[[], None]
) -> None:
    """F16: more than 5% of a run's rows put aside, or more than 100, is SchemaDrift with the reasons, after everything is kept."""
    lab = labs()
    rows = [trade(n, "56 cents" if n < 2 else "0.5600") for n in range(ENOUGH)]
    answer(upset, TRADES, "trades", rows)
    with pytest.raises(
        SchemaDrift, match=r"2 of 20 rows of trades could not be read.*unreadable yes_price_dollars \(2 rows\)"
    ) as caught:
        lab.sync("trades", since="9m")
    assert "lab.reparse()" in str(caught.value)
    assert lab.sql("SELECT count(*) FROM trades").item() == ENOUGH - 2
    assert lab.sql("SELECT count(*) FROM ledger WHERE walk = ''").item() == 1, "the run came to its end"
    answer(upset, TRADES, "trades", [trade(100 + n, "56 cents" if n == 0 else "0.5600") for n in range(ENOUGH)])
    assert lab.sync("trades", since="8m").quarantined == 1, "5% are few"
    many = [trade(1000 + n, "56 cents" if n <= MOST else "0.5600") for n in range(40 * MOST)]
    answer(upset, TRADES, "trades", many)
    with pytest.raises(SchemaDrift, match=r"101 of 4,000 rows"):
        lab.sync("trades", since="7m")
    mended()
    assert lab.reparse().left == 0
    assert lab.sync("trades", since="9m").received > 0


def test_a_snapshot_of_a_changed_format_says_so(upset: Exchange, labs: Callable[..., Lab]) -> None:
    """F16: a snapshot that could not read most of its listing keeps what it read and what it could not, and raises SchemaDrift."""
    lab = labs()
    answer(upset, "/markets", "markets", [market(f"M-{n}", "56 cents" if n % 2 else "0.5600") for n in range(ENOUGH)])
    with pytest.raises(SchemaDrift, match="10 of 20 rows of quotes"):
        lab.snapshot(tickers=[f"M-{n}" for n in range(ENOUGH)])
    assert (lab.table("snapshots").height, lab.table("quotes").height, lab.table("quarantine").height) == (1, 10, 10)


def test_a_new_field_is_told_once(upset: Exchange, labs: Callable[..., Lab], caplog: pytest.LogCaptureFixture) -> None:
    """F15: a field that the model does not know is a warning, once for each model and field, however many rows and runs have it."""
    frames.tell_new.cache_clear()
    lab = labs()
    for turn in range(2):
        answer(upset, TRADES, "trades", [trade(10 * turn + n) | {"shade": "blue", "tint": 3} for n in range(3)])
        assert lab.sync("trades", since="9m").stored == 3
    told = [record.getMessage() for record in caplog.records if record.name == "kalshi_lab.frames"]
    assert sorted(told) == [f"Trade has a new field '{name}', which is kept in `extra`" for name in ("shade", "tint")]
    assert caplog.records[0].levelno == logging.WARNING
    assert set(lab.table("trades")["extra"]) == {'{"shade":"blue","tint":3}'}


def test_answers_are_kept_as_received_when_asked_for(labs: Callable[..., Lab]) -> None:
    """P1: with keep_bodies=True every page is kept with its rows, gzipped, under the hash that the ledger has; else none is."""
    without = labs("without")
    without.sync("trades", since="1d")
    without.snapshot(series="KXHIGHNY")
    assert without.table("bodies").is_empty()
    lab = labs("kept", keep_bodies=True)
    done = lab.sync("trades", since="1d")
    look = lab.snapshot(series="KXHIGHNY")
    kept = lab.sql(
        "SELECT bodies.*, ledger.sha256 AS entered FROM bodies LEFT JOIN ledger USING (run_id, walk, page) ORDER BY page"
    )
    pages = kept.filter(dataset="trades")
    assert pages.height == done.pages > 1
    assert pages["sha256"].equals(pages["entered"].rename("sha256"))
    assert set(pages["path"]) == {TRADES}
    received = 0
    for row in kept.to_dicts():
        body = gzip.decompress(row["body"])
        assert hashlib.sha256(body).hexdigest() == row["sha256"]
        received += len(json.loads(body).get("trades", []))
    assert received == done.received
    quotes = kept.filter(dataset="quotes")
    rows = [json.loads(gzip.decompress(body))["markets"] for body in quotes["body"]]
    assert sum(len(page) for page in rows) == look.markets
    assert quotes["run_id"].unique().to_list() == lab.table("snapshots")["run_id"].to_list()


def test_bodies_are_kept_with_their_rows_or_not_at_all(labs: Callable[..., Lab]) -> None:
    """P1: a transaction that fails leaves neither rows nor ledger nor answers."""
    lab = labs(keep_bodies=True)

    points = []

    def fails(point: str) -> None:
        points.append(point)
        if point == "written" and "ledger" in points:
            raise RuntimeError("here")

    lab._twin.store.reached = fails
    with pytest.raises(RuntimeError, match="here"):
        lab.sync("trades", since="1d")
    assert [lab.table(name).height for name in ("bodies", "trades", "ledger")] == [0, 0, 0]


def test_rows_are_refreshed_from_kept_answers(
    upset: Exchange, labs: Callable[..., Lab], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With keep_bodies=True a model that misread a field is mended afterwards: reparse(bodies=True) corrects the rows of that answer."""
    lab = labs(keep_bodies=True)
    with monkeypatch.context() as wrong:
        exact = frames._exact
        wrong.setitem(
            frames._READ_TEXT,
            "price",
            lambda text, kind: exact(pl.Series(["0.1111"] * len(text), dtype=pl.String), kind),
        )
        answer(upset, "/markets", "markets", [market("A-1", "0.5000"), market("B-1", "0.6000")])
        lab.sync("markets", tickers=["A-1", "B-1"], status="open")
    assert set(lab.table("markets")["yes_bid"]) == {0.1111}
    upset.advance(60)
    answer(upset, "/markets", "markets", [market("B-1", "0.7000")])
    lab.sync("markets", tickers=["B-1"], status="open")
    done = lab.reparse(bodies=True)
    assert (done.answers, done.rows, done.recovered) == (2, 3, 0)
    assert dict(lab.sql("SELECT ticker, yes_bid FROM markets").iter_rows()) == {"A-1": 0.5, "B-1": 0.7}
    assert lab.sql(UNBALANCED).is_empty()
