"""The exchange over HTTP: filters, pages, splits, limits, compression, the clock and faults."""

from __future__ import annotations

import gzip
import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from kalshi_lab import sim
from kalshi_lab.sim.world import World, microseconds

if TYPE_CHECKING:
    import httpx

BRACKET = "KXHIGHNY-26NOV20-B51.5"
WINDOW = {"start_ts": 1_795_100_400, "end_ts": 1_795_186_800, "period_interval": 60}


def _status(client: httpx.Client, exchange: sim.Exchange, path: str, **params: Any) -> int:
    return client.get(exchange.url + path, params=params).status_code


def test_filter_words_are_not_response_words(exchange: sim.Exchange, client: httpx.Client) -> None:
    """`status=active` and `status=finalized` are refused with the body that the exchange gives."""
    for word in ("active", "finalized", "determined", "nonsense"):
        answer = client.get(f"{exchange.url}/markets", params={"status": word})
        assert (answer.status_code, answer.json()) == (
            400,
            {"error": {"code": "bad_request", "message": "bad request", "details": "invalid status filter"}},
        )


@pytest.mark.parametrize(
    ("word", "found"),
    [("unopened", {"initialized"}), ("open", {"active"}), ("paused", {"inactive"}), ("closed", {"closed", "determined"}),
     ("settled", {"finalized"})],
)  # fmt: skip
def test_status_filters(everything: Any, word: str, found: set[str]) -> None:
    """Each filter word gives the markets of its response words."""
    assert {row["status"] for row in everything("/markets", "markets", status=word)} == found


def test_open_markets_are_as_many_as_asked_for(everything: Any) -> None:
    """Combos and the others add up to the size of the world, and the page size doesn't matter."""
    alone = everything("/markets", "markets", status="open", mve_filter="exclude")
    combos = everything("/markets", "markets", status="open", mve_filter="only")
    assert len(alone) + len(combos) == 180
    assert {row["ticker"][:5] for row in combos} == {"KXMVE"}
    assert all(row["mve_selected_legs"] for row in combos)
    assert {row.get("is_provisional") for row in combos} == {True, None}


@pytest.mark.parametrize(
    "params",
    [
        {"limit": 1001}, {"limit": -1}, {"limit": "many"}, {"cursor": "nonsense"}, {"mve_filter": "all"},
        {"min_close_ts": 1, "min_created_ts": 1}, {"min_close_ts": 1, "status": "open"}, {"min_settled_ts": 1, "status": "closed"},
        {"min_created_ts": 1, "status": "settled"},
        {"min_updated_ts": 1, "status": "open"}, {"min_updated_ts": 1, "series_ticker": "KXCPI"}, {"min_updated_ts": 1, "tickers": "A"},
        {"min_close_ts": "soon"},
    ],
)  # fmt: skip
def test_bad_market_filters_are_refused(exchange: sim.Exchange, client: httpx.Client, params: dict[str, Any]) -> None:
    """Limits out of range, foreign cursors and time filters that exclude each other are answered 400."""
    assert _status(client, exchange, "/markets", **params) == 400


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/events", {"limit": 0}), ("/events", {"limit": 201}), ("/events", {"status": "paused"}), ("/events/multivariate", {"limit": 201}),
        ("/events/fee_changes", {"limit": 0}), ("/historical/markets", {"mve_filter": "only"}),
        ("/markets/trades", {"is_block_trade": "maybe"}), ("/historical/markets", {"tickers": "A", "series_ticker": "B"}),
        ("/markets/orderbooks", {}), ("/markets/orderbooks", {"tickers": ["A"] * 101}),
        (f"/markets/{BRACKET}/orderbook", {"depth": 101}), ("/markets/candlesticks", WINDOW),
        ("/markets/candlesticks", {**WINDOW, "market_tickers": ",".join(["A"] * 101)}),
        ("/markets/candlesticks", {**WINDOW, "market_tickers": ",".join([BRACKET] * 100), "period_interval": 1}),
        (f"/series/KXHIGHNY/markets/{BRACKET}/candlesticks", {**WINDOW, "period_interval": 5}),
        (f"/series/KXHIGHNY/markets/{BRACKET}/candlesticks", {**WINDOW, "period_interval": 1, "start_ts": 1}),
        (f"/series/KXHIGHNY/markets/{BRACKET}/candlesticks", {"start_ts": 1, "end_ts": 2}),
        (f"/series/KXHIGHNY/markets/{BRACKET}/candlesticks", {**WINDOW, "end_ts": 5}),
    ],
)  # fmt: skip
def test_bad_requests_are_refused(
    exchange: sim.Exchange, client: httpx.Client, path: str, params: dict[str, Any]
) -> None:
    """What the documented ranges and caps exclude is answered 400."""
    assert _status(client, exchange, path, **params) == 400


@pytest.mark.parametrize(
    "path", ["/markets/NOBODY", "/events/NOBODY", "/series/NOBODY", "/historical/markets/NOBODY", "/nothing/here"]
)
def test_unknown_tickers_are_not_found(exchange: sim.Exchange, client: httpx.Client, path: str) -> None:
    """An unknown ticker or path is answered with the recorded 404 body."""
    answer = client.get(exchange.url + path)
    assert (answer.status_code, answer.json()) == (404, {"error": {"code": "not_found", "message": "not found"}})


def test_unknown_tickers_have_an_empty_book(get: Any) -> None:
    """The order book of an unknown ticker is answered 200 and empty."""
    assert get("/markets/NOBODY/orderbook") == {"orderbook_fp": {"yes_dollars": [], "no_dollars": []}}


@pytest.mark.parametrize(
    ("listing", "size"),
    [("/markets markets ticker", 97), ("/historical/markets markets ticker", 61), ("/events events event_ticker", 60),
     ("/events/multivariate events event_ticker", 17), ("/markets/trades trades trade_id", 900)],
)  # fmt: skip
def test_pages_partition_a_listing(everything: Any, get: Any, listing: str, size: int) -> None:
    """Walking a listing page by page gives each row once, in the order of larger pages; the last cursor is empty."""
    path, key, identity = listing.split()
    small = [row[identity] for row in everything(path, key, limit=size)]
    assert len(set(small)) == len(small) > size
    large = {"/events": 200, "/events/multivariate": 200}.get(path, 1000)
    page = get(path, limit=large)
    assert [row[identity] for row in page[key]] == small[:large]
    assert page["cursor"] == "" or len(small) > large


def test_cursor_belongs_to_its_filters(exchange: sim.Exchange, client: httpx.Client, get: Any) -> None:
    """A cursor sent with other filters is refused; another page size is fine."""
    cursor = get("/markets", limit=5, status="open")["cursor"]
    assert _status(client, exchange, "/markets", limit=9, status="open", cursor=cursor) == 200
    assert _status(client, exchange, "/markets", limit=5, status="closed", cursor=cursor) == 400
    assert _status(client, exchange, "/historical/markets", cursor=cursor) == 400


def test_live_and_historical_cover_every_settled_market(everything: Any, get: Any, world: World) -> None:
    """Each settled market is served by exactly one of the two sides, parted at the cutoff."""
    settled = world.events.settled <= microseconds(world.start)
    tickers = {
        ticker for ticker, event in zip(world.tickers(), world.markets.event.tolist(), strict=True) if settled[event]
    }
    live, old = everything("/markets", "markets", status="settled"), everything("/historical/markets", "markets")
    names = [row["ticker"] for row in live + old]
    assert len(names) == len(set(names))
    assert set(names) == tickers
    cutoff = get("/historical/cutoff")["market_settled_ts"]
    assert max(row["settlement_ts"] for row in old) < cutoff <= min(row["settlement_ts"] for row in live)


def test_trades_split_at_their_cutoff(everything: Any, get: Any, world: World) -> None:
    """Live and historical trades together are all trades, newest first, parted at their own cutoff."""
    cutoff = get("/historical/cutoff")["trades_created_ts"]
    live, old = everything("/markets/trades", "trades"), everything("/historical/trades", "trades")
    times = [row["created_time"] for row in live + old]
    assert all(newer[:19] >= older[:19] for newer, older in pairwise(times))
    assert max(row["created_time"] for row in old) < cutoff <= min(row["created_time"] for row in live)
    visible = int((world.tape.everything.time <= microseconds(world.start)).sum())
    assert len({row["trade_id"] for row in live + old}) == visible


def test_market_agrees_with_its_trades_and_candles(everything: Any, get: Any) -> None:
    """Over HTTP too, trades sum to the market's volume, and finished candles to the trades in them."""
    market = get(f"/markets/{BRACKET}")["market"]
    trades = everything("/markets/trades", "trades", ticker=BRACKET)
    cents = sum(round(float(row["count_fp"]) * 100) for row in trades)
    assert f"{cents // 100}.{cents % 100:02d}" == market["volume_fp"]
    assert trades[0]["yes_price_dollars"] == market["last_price_dollars"]
    candles = get(f"/series/KXHIGHNY/markets/{BRACKET}/candlesticks", **WINDOW)["candlesticks"]
    assert sum(round(float(row["volume_fp"]) * 100) for row in candles) == cents
    assert [row["end_period_ts"] for row in candles] == sorted(row["end_period_ts"] for row in candles)


def test_trade_filters(get: Any) -> None:
    """Times and block trades are filtered as asked."""
    low, high = 1_795_100_000, 1_795_150_000
    rows = get("/markets/trades", limit=1000, min_ts=low, max_ts=high)["trades"]
    assert all("2026-11-19T14:53:20" <= row["created_time"] <= "2026-11-20T04:46:40" for row in rows)
    assert all(row["is_block_trade"] for row in get("/markets/trades", is_block_trade="true")["trades"])
    assert get("/markets/trades", ticker="NOBODY") == {"trades": [], "cursor": ""}


def test_candle_windows_are_closed(get: Any) -> None:
    """A period whose end is the window's start or end is in; the carried candle stands in only where no real one does."""
    path = f"/series/KXHIGHNY/markets/{BRACKET}/candlesticks"
    ends = [row["end_period_ts"] for row in get(path, **{**WINDOW, "start_ts": 1_795_179_600})["candlesticks"]]
    assert ends == [1_795_179_600, 1_795_183_200, 1_795_186_800]
    later = {**WINDOW, "start_ts": 1_795_186_801, "end_ts": 1_795_190_400, "include_latest_before_start": "true"}
    (carried,) = get(path, **later)["candlesticks"]
    assert (carried["end_period_ts"], carried["volume_fp"], set(carried["price"])) == (
        1_795_190_400,
        "0.00",
        {"previous_dollars"},
    )
    batch = get("/markets/candlesticks", **later, market_tickers=f"{BRACKET},NOBODY")
    assert batch == {"markets": [{"market_ticker": BRACKET, "candlesticks": [carried]}]}


def test_long_event_windows_are_cut(get: Any) -> None:
    """Event candlesticks over too long a window stop early and say where."""
    asked = {"start_ts": 1_795_000_000, "end_ts": 1_795_186_800, "period_interval": 1}
    answer = get("/series/KXHIGHNY/events/KXHIGHNY-26NOV20/candlesticks", **asked)
    assert len(answer["market_tickers"]) == len(answer["market_candlesticks"]) == 6
    assert answer["adjusted_end_ts"] < asked["end_ts"]
    assert all(
        row["end_period_ts"] <= answer["adjusted_end_ts"]
        for candles in answer["market_candlesticks"]
        for row in candles
    )


def test_market_filters(everything: Any, get: Any) -> None:
    """Tickers, event, series and times narrow the listing down."""
    assert [row["ticker"] for row in get("/markets", tickers=f"{BRACKET},NOBODY")["markets"]] == [BRACKET]
    assert {row["event_ticker"] for row in get("/markets", event_ticker="KXHIGHNY-26NOV20")["markets"]} == {
        "KXHIGHNY-26NOV20"
    }
    assert get("/markets", event_ticker="NOBODY") == {"markets": [], "cursor": ""}
    assert {row["ticker"][:6] for row in everything("/markets", "markets", series_ticker="KXCPI")} == {"KXCPI-"}
    settled = everything("/markets", "markets", min_settled_ts=1_794_000_000, max_settled_ts=1_794_500_000)
    assert {row["settlement_ts"][:8] for row in settled} == {"2026-11-"}
    closing = everything("/markets", "markets", min_close_ts=1_795_186_800, max_close_ts=1_795_300_000)
    assert {row["close_time"] < "2026-11-22" for row in closing} == {True}
    fresh = everything("/markets", "markets", min_updated_ts=1_795_176_000, mve_filter="exclude")
    assert fresh
    assert all(row["updated_time"] >= "2026-11-20T12:00:00" for row in fresh)


def test_events_never_list_combos(everything: Any) -> None:
    """GET /events leaves combos to GET /events/multivariate, and nests only markets that the live side serves."""
    events = everything("/events", "events", limit=200, with_nested_markets="true")
    assert not any(row["event_ticker"].startswith("KXMVE") for row in events)
    assert {bool(row["markets"]) for row in events} == {True, False}
    assert all(
        row["event_ticker"].startswith("KXMVE") for row in everything("/events/multivariate", "events", limit=200)
    )
    assert {row["collateral_return_type"] for row in events if row["mutually_exclusive"]} == {"MECNET"}


def test_answers_repeat_byte_for_byte(exchange: sim.Exchange, client: httpx.Client) -> None:
    """The same seed and time give the same bytes, in another process too, with keys in alphabetical order."""
    with sim.start(markets=180, history_days=42, clock="frozen") as twin:
        for path in (
            "/markets?limit=50",
            "/markets/trades?limit=50",
            f"/markets/{BRACKET}/orderbook",
            "/events?limit=5",
        ):
            mine, theirs = (client.get(one.url + path).content for one in (exchange, twin))
            assert mine == theirs
            assert (
                mine == json.dumps(json.loads(mine), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
            )


def test_bodies_are_gzipped_when_accepted(exchange: sim.Exchange, client: httpx.Client) -> None:
    """Large bodies are compressed for those who accept it, small ones and others' are not."""
    url = f"{exchange.url}/markets?limit=20"
    plain = client.get(url, headers={"Accept-Encoding": "identity"})
    packed = client.get(url, headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == plain.content
    assert int(packed.headers["content-length"]) < len(plain.content) / 3
    assert (
        "content-encoding"
        not in client.get(f"{exchange.url}/historical/cutoff", headers={"Accept-Encoding": "gzip"}).headers
    )
    with client.stream("GET", url, headers={"Accept-Encoding": "gzip"}) as raw:
        assert gzip.decompress(b"".join(raw.iter_raw())) == plain.content


def test_advancing_moves_prices_and_settles(own: sim.Exchange, client: httpx.Client) -> None:
    """Time moves prices, brings trades, closes and settles markets, opens tomorrow's, and moves the cutoffs."""
    later = client.get(f"{own.url}/markets", params={"series_ticker": "KXBTCD", "status": "unopened"}).json()["markets"]
    ticker = later[4]["ticker"]
    seen = [client.get(f"{own.url}/markets/{ticker}").json()["market"]]
    opened = client.get(f"{own.url}/markets", params={"series_ticker": "KXHIGHNY", "status": "unopened"}).json()[
        "markets"
    ][0]["ticker"]
    cutoff = client.get(f"{own.url}/historical/cutoff").json()
    for hours in (7, 20, 6):
        own.advance(hours * 3600)
        seen.append(client.get(f"{own.url}/markets/{ticker}").json()["market"])
    assert [row["status"] for row in seen] == ["initialized", "active", "active", "finalized"]
    assert seen[1]["yes_ask_dollars"] != seen[2]["yes_ask_dollars"]
    assert float(seen[1]["volume_fp"]) < float(seen[2]["volume_fp"])
    assert seen[3]["settlement_value_dollars"] == {"yes": "1.0000", "no": "0.0000"}[seen[3]["result"]]
    assert (seen[3]["yes_bid_dollars"], seen[3]["yes_ask_dollars"]) == ("0.0000", "1.0000")
    assert client.get(f"{own.url}/markets/{opened}").json()["market"]["status"] == "active"
    assert own.truth(ticker) == float(seen[3]["settlement_value_dollars"])
    assert own.now() == "2026-11-22T00:00:00Z"
    assert client.get(f"{own.url}/historical/cutoff").json()["market_settled_ts"] > cutoff["market_settled_ts"]


def test_games_keep_a_late_close_until_they_end(own: sim.Exchange, client: httpx.Client) -> None:
    """A game's close time is far off while it trades and becomes the real one when it is over."""
    params = {"series_ticker": "KXNBAGAME", "status": "open"}
    before = client.get(f"{own.url}/markets", params=params).json()["markets"][0]
    own.advance(40 * 3600)
    after = client.get(f"{own.url}/markets/{before['ticker']}").json()["market"]
    assert after["close_time"] < "2026-11-22T07" < before["close_time"]
    assert (before["status"], after["status"]) == ("active", "finalized")


def test_rate_limit_answers_429(client: httpx.Client) -> None:
    """A bucket without tokens answers the recorded 429, without Retry-After."""
    with sim.start(markets=100, read_tokens=0.001) as slow:
        answers = [client.get(f"{slow.url}/historical/cutoff") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 429, 429]
    assert answers[-1].json() == {"error": {"code": "too_many_requests", "message": "too many requests"}}
    assert "retry-after" not in answers[-1].headers


def test_requests_are_logged(own: sim.Exchange, client: httpx.Client) -> None:
    """The log tells method, path, query and status of what was served, and can be emptied."""
    client.get(f"{own.url}/markets?limit=1")
    client.post(f"{own.url}/markets")
    assert own.requests() == [
        {"method": "GET", "path": "/markets", "query": "limit=1", "status": 200},
        {"method": "POST", "path": "/markets", "query": "", "status": 405},
    ]
    own.reset_log()
    assert own.requests() == []
