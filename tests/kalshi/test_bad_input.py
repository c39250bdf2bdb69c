"""Bad input is refused in one sentence that says what was wrong and what is allowed, before anything is sent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

import kalshi_lab as kl
from kalshi_lab import store
from kalshi_lab.clock import SystemClock
from kalshi_lab.settings import Settings
from tests.kalshi.scripted import Answer, Scripted

if TYPE_CHECKING:
    from pathlib import Path

T = "KXHIGHNY-26NOV22-B50.5"
LOOK = "Tickers look like KXHIGHNY-26NOV22-B50.5"
STATUSES = "Allowed: unopened, open, paused, closed, settled"
TIMES = 'Write it like "2026-11-22", "2026-11-22T14:00:00Z" or "7d"'
ROWS = "Give a whole number from 0, or None for all"
SETTINGS = f"Allowed: {', '.join(sorted(Settings.model_fields))}"
PROD = "external-api.kalshi.com, api.elections.kalshi.com"
DEMO = "external-api.demo.kalshi.co, demo-api.kalshi.co"
UNSAFE = "allow_unsafe_host=True accepts it, unsigned"
TABLES = ", ".join(store.TABLES)
ONE_FILTER = "historical markets take one filter. Give a series, an event or tickers"
Ask = Callable[[kl.Kalshi], Any]

QUESTIONS: list[tuple[Ask, str]] = [
    (lambda k: k.markets.list(status="opne"), f"unknown status 'opne'. Did you mean 'open'? {STATUSES}"),
    (lambda k: k.markets.list(status="finalised"), f"unknown status 'finalised'. Did you mean 'finalized'? {STATUSES}"),
    (lambda k: k.markets.list(status="xyz"), f"unknown status 'xyz'. {STATUSES}"),
    (
        lambda k: k.events.list(status="paused"),
        "unknown status 'paused'. Did you mean 'closed'? Allowed: unopened, open, closed, settled",
    ),
    (lambda k: k.markets.candlesticks(T, "5m"), "unknown interval '5m'. Did you mean '1m'? Allowed: 1m, 1h, 1d"),
    (lambda k: k.markets.candlesticks(T, 0), "unknown interval '0'. Did you mean '60m'? Allowed: 1m, 1h, 1d"),
    (lambda k: k.markets.one("KX HIGH"), f"ticker 'KX HIGH' is malformed. {LOOK}"),
    (lambda k: k.markets.one("../exchange/status"), f"ticker '../exchange/status' is malformed. {LOOK}"),
    (lambda k: k.markets.one(""), f"ticker '' is malformed. {LOOK}"),
    (lambda k: k.markets.one("KXHIGHNY\n"), f"ticker 'KXHIGHNY\\n' is malformed. {LOOK}"),
    (lambda k: k.markets.one(None), f"ticker 'None' is malformed. {LOOK}"),  # type: ignore[arg-type]  # the point
    (lambda k: k.markets.one(T.lower()), f"ticker '{T.lower()}' is not in upper case. Did you mean '{T}'?"),
    (lambda k: k.events.one("kxa"), "event 'kxa' is not in upper case. Did you mean 'KXA'?"),
    (lambda k: k.series.one("kxa"), "series 'kxa' is not in upper case. Did you mean 'KXA'?"),
    (lambda k: k.markets.list(series="kxa"), "series 'kxa' is not in upper case. Did you mean 'KXA'?"),
    (lambda k: k.markets.list(series=""), f"series '' is malformed. {LOOK}"),
    (lambda k: k.markets.trades(""), f"ticker '' is malformed. {LOOK}"),
    (lambda k: k.markets.list(tickers=[]), "0 tickers were given. Give at least one"),
    (lambda k: k.events.multivariate(collection="a b"), f"collection 'a b' is malformed. {LOOK}"),
    (lambda k: k.markets.orderbooks([T] * 101), "101 tickers were given. Give 1 to 100"),
    (
        lambda k: k.markets.trades(since="2026-11-22", until="2026-11-21"),
        "the time range is empty: start 2026-11-22T00:00:00+00:00 is not before end 2026-11-21T00:00:00+00:00",
    ),
    (
        lambda k: k.markets.candlesticks(T, since=date(2026, 11, 22), until=date(2026, 11, 22)),
        "the time range is empty: start 2026-11-22T00:00:00+00:00 is not before end 2026-11-22T00:00:00+00:00",
    ),
    (lambda k: k.markets.list(limit=-1), f"limit -1 is no number of rows. {ROWS}"),
    (lambda k: k.markets.list(limit=2.5), f"limit 2.5 is no number of rows. {ROWS}"),  # type: ignore[arg-type]  # the point
    (lambda k: k.markets.list(limit=True), f"limit True is no number of rows. {ROWS}"),
    (lambda k: k.markets.list(max_pages=-1), f"max_pages -1 is no number of rows. {ROWS}"),
    (lambda k: k.markets.orderbook(T, depth=101), "depth 101 is out of range. Give 1 to 100 levels, or 0 for all"),
    (lambda k: k.markets.orderbook(T, depth=-1), "depth -1 is out of range. Give 1 to 100 levels, or 0 for all"),
    (
        lambda k: k.markets.trades(since=datetime(2026, 11, 22)),  # noqa: DTZ001 - the point
        "start 2026-11-22T00:00:00 has no time zone. Use datetime(..., tzinfo=UTC)",
    ),
    (lambda k: k.markets.trades(since="yesterday"), f"start 'yesterday' is no time. {TIMES}"),
    (lambda k: k.markets.trades(since=1.5), f"start 1.5 is no time. {TIMES}"),  # type: ignore[arg-type]  # the point
    (lambda k: k.markets.trades(since=10**15), f"start {10**15} is out of range. Years 1 to 9999 can be given"),
    (
        lambda k: k.markets.list(created=("7d", None), updated=(None, "1d")),
        "created and updated times cannot be filtered together. The exchange takes one of them",
    ),
    (
        lambda k: k.markets.list(closes=(0, None), settled=(0, None)),
        "close and settled times cannot be filtered together. The exchange takes one of them",
    ),
    (lambda k: k.historical.markets(series="KXA", event="KXA-1"), ONE_FILTER),
    (lambda k: k.historical.markets(event="KXA-1", tickers="KXA-1-B"), ONE_FILTER),
    (lambda k: k.historical.markets(series="KXA", event="KXA-1", tickers=["KXA-1-B"]), ONE_FILTER),
    (lambda k: k.markets.list(combos="yes"), "unknown combos 'yes'. Allowed: only"),
]

CHOICES: list[tuple[dict[str, Any], str]] = [
    ({"enviroment": "prod"}, f"unknown setting 'enviroment'. Did you mean 'environment'? {SETTINGS}"),
    ({"backof_cap": 1}, f"unknown setting 'backof_cap'. Did you mean 'backoff_cap'? {SETTINGS}"),
    ({"environment": "production"}, "unknown environment 'production'. Did you mean 'prod'? Allowed: prod, demo, sim"),
    ({"environment": "live"}, "unknown environment 'live'. Allowed: prod, demo, sim"),
    ({"tier": "gold"}, "unknown tier 'gold'. Allowed: basic, advanced, expert, premier, paragon, prime, prestige"),
    (
        {"base_url": "https://kalshi.example/trade-api/v2"},
        f"base_url 'https://kalshi.example/trade-api/v2' is not the exchange's address in prod (its hosts: {PROD}); {UNSAFE}",
    ),
    (
        {"environment": "demo", "base_url": "https://external-api.kalshi.com/trade-api/v2"},
        f"base_url 'https://external-api.kalshi.com/trade-api/v2' is not the exchange's address in demo (its hosts: {DEMO}); {UNSAFE}",
    ),
    ({"base_url": "ftp://a", "allow_unsafe_host": True}, "base_url 'ftp://a' is no plain http(s) address"),
    (
        {"base_url": "https://me:word@a.example", "allow_unsafe_host": True},
        "base_url holds a user name or a password, which is never sent",
    ),
    ({"attempts": 0}, "setting attempts: Input should be greater than or equal to 1"),
    ({"deadline": float("nan")}, "setting deadline: Input should be a finite number"),
    ({"read_timeout": -1}, "setting read_timeout: Input should be greater than 0"),
]

LAB: list[tuple[Callable[[kl.Lab], Any], str]] = [
    (
        lambda lab: lab.sync("market"),  # type: ignore[arg-type]  # the point
        "unknown dataset 'market'. Did you mean 'markets'? Allowed: candlesticks, events, markets, series, trades",
    ),
    (lambda lab: lab.sync("candlesticks"), "sync of candlesticks needs tickers, an event or a series"),
    (lambda lab: lab.table("marktes"), f"unknown table 'marktes'. Did you mean 'markets'? Allowed: {TABLES}"),
    (lambda lab: lab.sql("DELETE FROM markets"), f"sql() takes one SELECT, not DELETE. Tables: {TABLES}"),
    (lambda lab: lab.sql("SELECT 1; SELECT 2"), f"sql() takes one SELECT, not SELECT, SELECT. Tables: {TABLES}"),
    (lambda lab: lab.sql(""), f"sql() takes one SELECT, not nothing. Tables: {TABLES}"),
    (
        lambda lab: lab.thesis("warm", tickers=[T], probability=62, because="a warm front"),
        "probability 62 is not between 0 and 1. Did you mean 0.62?",
    ),
]


@pytest.fixture
def silent(scripted: Any) -> Scripted:
    """A server that nobody should ask anything."""
    server: Scripted = scripted(lambda _asked: Answer({"markets": [], "cursor": ""}))
    return server


@pytest.mark.parametrize(("ask", "message"), QUESTIONS, ids=[message[:40] for _, message in QUESTIONS])
def test_a_bad_question_is_not_sent(ask: Ask, message: str, silent: Scripted) -> None:
    """A question that the exchange could not answer is refused with the whole message, and no request leaves."""
    with silent.client() as client, pytest.raises(kl.UsageError) as error:
        ask(client)
    assert str(error.value) == message
    assert silent.asked == []


@pytest.mark.parametrize(("choices", "message"), CHOICES, ids=[message[:40] for _, message in CHOICES])
def test_a_bad_setting_makes_no_client(choices: dict[str, Any], message: str) -> None:
    """A setting that does not exist or cannot be is refused when the client is made, blocking or not."""
    for make in (kl.Kalshi, kl.AsyncKalshi, kl.Settings):
        with pytest.raises(kl.UsageError) as error:
            make(**choices)
        assert str(error.value) == message


@pytest.mark.parametrize(("ask", "message"), LAB, ids=[message[:40] for _, message in LAB])
def test_a_bad_wish_of_a_lab_is_not_sent(
    ask: Callable[[kl.Lab], Any], message: str, silent: Scripted, tmp_path: Path
) -> None:
    """A lab refuses unknown words, impossible probabilities and SQL that is not one SELECT, without asking the exchange."""
    with kl.Lab(settings=silent.settings(home=tmp_path), clock=SystemClock()) as lab:
        with pytest.raises(kl.UsageError) as error:
            ask(lab)
        assert str(error.value) == message
    assert [one.path for one in silent.asked if not one.path.startswith("/sim/")] == []


def test_a_folder_that_cannot_be_written_is_named(silent: Scripted, tmp_path: Path) -> None:
    """A home that cannot be made is refused by its name, and nothing is asked."""
    (tmp_path / "file").write_text("no folder")
    home = tmp_path / "file" / "lab"
    with pytest.raises(kl.UsageError) as error, kl.Lab(settings=silent.settings(home=home), clock=SystemClock()) as lab:
        lab.sync("events")
    assert str(error.value) == f"the folder {home} cannot be written: Not a directory. Give another with home=..."
    assert silent.asked == []


@pytest.mark.parametrize(
    ("word", "sent"),
    [
        *((word, word) for word in ("unopened", "open", "paused", "closed", "settled")),
        ("initialized", "unopened"),
        ("active", "open"),
        ("inactive", "paused"),
        ("determined", "closed"),
        ("disputed", "closed"),
        ("amended", "closed"),
        ("finalized", "settled"),
    ],
)
def test_both_vocabularies_of_status_are_understood(word: str, sent: str, silent: Scripted) -> None:
    """The words of the filter and the words of the answers find the same markets."""
    with silent.client() as client:
        client.markets.list(status=word).frame()
    assert silent.asked[0].params["status"] == sent


def test_what_is_asked_is_what_is_sent(silent: Scripted) -> None:
    """Filters leave as the exchange wants them: words, flags, joined tickers and whole Unix seconds."""
    start = datetime(2026, 11, 22, 14, 0, 0, 999_999, tzinfo=UTC)
    with silent.client() as client:
        client.markets.list(status="open", series="KXA", tickers=["KXA-1", "KXA-2"], limit=5).frame()
        client.markets.list(closes=(start, start + timedelta(hours=1)), combos=True).frame()
        client.markets.list(combos="only").frame()
        with pytest.raises(kl.BadPayload):
            client.markets.trades("KXA-1", since=0, block_trades=False).frame()
    assert [one.params for one in silent.asked] == [
        {"status": "open", "series_ticker": "KXA", "tickers": "KXA-1,KXA-2", "limit": "5"},
        {"min_close_ts": "1795356000", "max_close_ts": "1795359600", "limit": "1000"},
        {"mve_filter": "only", "limit": "1000"},
        {"ticker": "KXA-1", "is_block_trade": "false", "min_ts": "0", "limit": "1000"},
    ]
