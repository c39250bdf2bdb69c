"""What the other channels bring: the contract's messages, equal to the REST answers, and what is private stays so."""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.sim.feed.conftest import Member, Stream, rest, tickers

if TYPE_CHECKING:
    from kalshi_lab import sim
    from tests.sim.conftest import Contract

PUBLIC = ("ticker", "trade", "market_lifecycle_v2", "multivariate_market_lifecycle", "communications")
PRIVATE = ("fill", "market_positions", "user_orders", "order_group_updates")
INDICES = ("cfbenchmarks_value", "cfbenchmarks_value_5hz")
REPLIES = {"subscribed", "ok", "unsubscribed", "error"}


def check(contract: Contract, stream: Stream) -> Counter[str]:
    """Every message fits the contract, is numbered where the contract says so, and comes on its channel; how many of each type."""
    listed = next(
        frame["msg"] for frame in reversed(stream.frames) if frame["type"] == "ok" and isinstance(frame["msg"], list)
    )
    channels = {one["sid"]: one["channel"] for one in listed}
    for frame in stream.frames:
        if frame["type"] in REPLIES:
            continue
        kind = frame["type"]
        # the same messages on the fast channel and on that of combinations have no entry of their own
        known = contract.messages[{"multivariate_market_lifecycle": "market_lifecycle_v2"}.get(kind, kind)]
        assert not contract.problems_of(known["msg"], frame["msg"]), frame
        assert set(frame) == {"type", "sid", "msg", "sending_ts_ms"} | ({"seq"} if known["seq"] != "none" else set()), (
            frame
        )
        assert channels[frame["sid"]] in {*known["channels"], kind}
    stream.check_sequence()
    return stream.count()


def everything(stream_tickers: list[str]) -> list[dict[str, Any]]:
    """Subscriptions to all channels."""
    return [
        {"channels": ["orderbook_delta"], "market_tickers": stream_tickers},
        {"channels": [*PUBLIC, *PRIVATE]},
        {"channels": list(INDICES), "index_ids": ["all"]},
        {"channels": ["pyth_value"], "underlying_tickers": ["all"]},
    ]


@pytest.mark.long
def test_a_day_on_all_channels(moving: sim.Exchange, contract: Contract) -> None:
    """Every message of a virtual day fits the contract; trades equal GET /markets/trades; the lifecycle tells what REST then shows."""
    member = Member(moving)

    async def run() -> Stream:
        names = tickers(moving, 30)
        async with member.stream() as stream:
            for wanted in everything(names):
                await stream.subscribe(*wanted.pop("channels"), **wanted)
            member.call("POST", "/portfolio/order_groups/create", {"contracts_limit": 100})
            member.order(names[0], "bid", "0.99", "3")
            for hours in (1, 5, 9, 9):
                moving.advance(hours * 3600)
                await stream.settle()
        return stream

    began = moving.now()
    stream = asyncio.run(run())
    count = check(contract, stream)
    for kind in (
        "trade",
        "ticker",
        "market_lifecycle_v2",
        "event_lifecycle",
        "fill",
        "user_order",
        "market_position",
        *INDICES,
        "pyth_value",
    ):
        assert count[kind], kind
    trades_equal(moving, stream, began)
    lifecycle_shown(moving, stream)


def trades_equal(exchange: sim.Exchange, stream: Stream, began: str) -> None:
    """The stream's trades since the beginning are those of REST."""
    listed: list[dict[str, Any]] = []
    cursor, first = "", datetime.fromisoformat(began)
    while True:
        page = rest(exchange, "/markets/trades", limit=1000, **({"cursor": cursor} if cursor else {}))
        listed += [trade for trade in page["trades"] if datetime.fromisoformat(trade["created_time"]) >= first]
        cursor = page["cursor"]
        if not cursor or datetime.fromisoformat(page["trades"][-1]["created_time"]) < first:
            break
    told = {frame["msg"]["trade_id"]: frame["msg"] for frame in stream.of("trade")}
    assert len(told) == len(stream.of("trade")) == len(listed) > 50
    for trade in listed:
        named = {"market_ticker": trade.pop("ticker"), **trade}
        named.pop("created_time")
        assert {name: value for name, value in told[trade["trade_id"]].items() if not name.startswith("ts")} == named


def lifecycle_shown(exchange: sim.Exchange, stream: Stream) -> None:
    """Each market's last word agrees with what REST says of it; results come before payments."""
    said = defaultdict(list)
    for frame in stream.of("market_lifecycle_v2", "multivariate_market_lifecycle"):
        said[frame["msg"]["market_ticker"]].append(frame["msg"])
    words = Counter(msg["event_type"] for messages in said.values() for msg in messages)
    assert {"created", "determined", "settled", "close_date_updated", "activated"} <= set(words)
    for ticker, messages in list(said.items())[::7]:
        market, told = rest(exchange, f"/markets/{ticker}")["market"], [msg["event_type"] for msg in messages]
        order = ["created", "deactivated", "activated", "close_date_updated", "determined", "settled"]
        assert told == sorted(told, key=order.index)
        ended = {"determined": "determined", "settled": "finalized"}
        if told[-1] in ended:
            assert market["status"] == ended[told[-1]]
        for msg in messages:
            if msg["event_type"] == "determined":
                assert (msg["result"], msg["settlement_value"]) == (
                    market["result"],
                    market["settlement_value_dollars"],
                )
            if msg["event_type"] == "created":
                assert (msg["price_ranges"], msg["additional_metadata"]["title"]) == (
                    market["price_ranges"],
                    market["title"],
                )


def test_tickers_equal_the_market(shaken: sim.Exchange) -> None:
    """The last ticker of each market has the quotes and totals that GET /markets shows; nothing unchanged is repeated."""

    async def run() -> None:
        names = tickers(shaken, 60)
        async with Member(shaken).stream() as stream:
            await stream.subscribe("ticker", market_tickers=names, send_initial_snapshot=True)
            for seconds in (30, 60, 1200):
                shaken.advance(seconds)
                await stream.settle()
                last = {frame["msg"]["market_ticker"]: frame["msg"] for frame in stream.of("ticker")}
                for ticker in names:
                    market, told = rest(shaken, f"/markets/{ticker}")["market"], last[ticker]
                    assert told["price_dollars"] == market["last_price_dollars"]
                    same = {
                        "yes_bid_dollars",
                        "yes_ask_dollars",
                        "yes_bid_size_fp",
                        "yes_ask_size_fp",
                        "volume_fp",
                        "open_interest_fp",
                    }
                    assert {name: told[name] for name in same} == {name: market[name] for name in same}
            before = len(stream.of("ticker"))
            shaken.tick()
            await stream.settle()
            assert len(stream.of("ticker")) == before

    asyncio.run(run())


def test_private_messages_reach_their_owner_alone(shaken: sim.Exchange, contract: Contract) -> None:
    """Fills, orders, positions and groups go to the connections of their account, on each of them; trades go to everybody."""
    maker, taker = Member(shaken), Member(shaken)

    async def run() -> None:
        ticker = "KXHIGHNY-26NOV20-B51.5"
        async with maker.stream() as first, maker.stream() as again, taker.stream() as second:
            for stream in (first, again, second):
                await stream.subscribe("trade", *PRIVATE)
            book = rest(shaken, f"/markets/{ticker}/orderbook")["orderbook_fp"]
            price = f"{1 - float(book['no_dollars'][-1][0]) - 0.01:.2f}"
            group = maker.call("POST", "/portfolio/order_groups/create", {"contracts_limit": 100})["order_group_id"]
            resting = maker.order(ticker, "bid", price, "5", client_order_id="rests")
            maker.order(ticker, "bid", "0.01", "5", order_group_id=group)
            taker.order(ticker, "ask", price, "2", client_order_id="takes")
            for stream in (first, again, second):
                await stream.settle()
                check(contract, stream)
            assert first.frames == again.frames
            fills = [stream.of("fill")[-1]["msg"] for stream in (first, second)]
            assert [fill["client_order_id"] for fill in fills] == ["rests", "takes"]
            assert fills[0]["order_id"] == resting["order_id"]
            assert first.of("order_group_updates")[0]["msg"]["order_group_id"] == group
            assert not second.of("order_group_updates")
            assert {frame["msg"]["client_order_id"] for frame in second.of("user_order")} == {"takes"}
            assert first.of("trade")[-1]["msg"] == second.of("trade")[-1]["msg"]
            assert [frame["msg"]["position_fp"] for frame in second.of("market_position")][-1] == "-2.00"

    asyncio.run(run())


def test_messages_of_others_are_passed_on(shaken: sim.Exchange, contract: Contract) -> None:
    """Whatever is published on a channel reaches those who hear it: filtered by user, by market, by share."""
    member, other = Member(shaken), Member(shaken)
    created = {"id": "a", "creator_id": "", "market_ticker": "KXA-1", "created_ts": "2026-11-20T15:00:00Z"}
    made = {
        "quote_id": "q", "rfq_id": "a", "quote_creator_id": "c", "market_ticker": "KXA-1", "yes_bid_dollars": "0.4000",
        "no_bid_dollars": "0.5000", "created_ts": "2026-11-20T15:00:00Z",
    }  # fmt: skip

    async def run() -> None:
        async with member.stream() as all_of_it, member.stream() as own, other.stream() as others:
            await all_of_it.subscribe("communications")
            await own.subscribe("communications", user_filter="self")
            await others.subscribe("communications", shard_factor=2, shard_key=0)
            user = member.call("GET", "/portfolio/orders")  # any signed answer: the account is known by its key
            assert user["orders"] == []
            member.order("KXHIGHNY-26NOV20-B51.5", "bid", "0.01")
            account = member.call("GET", "/portfolio/orders")["orders"][0]["user_id"]
            for market in ("KXA-1", "KXA-2", "KXA-3"):
                shaken.publish("communications", "rfq_created", {**created, "market_ticker": market}, market=market)
            shaken.publish("communications", "quote_created", made, market="KXA-1", user=account)
            for stream in (all_of_it, own, others):
                await stream.settle()
                check(contract, stream)
            assert all_of_it.count()["rfq_created"] == 3
            assert all_of_it.count()["quote_created"] == own.count()["quote_created"] == 1
            assert own.count()["rfq_created"] == others.count()["quote_created"] == 0
            assert 0 < others.count()["rfq_created"] < 3

    asyncio.run(run())


def test_indices_tick_with_the_clock(moving: sim.Exchange) -> None:
    """One value a second and five a second for each wanted index; averages, and the quarter hour's window in its last minute."""

    async def run() -> None:
        async with Member(moving).stream() as stream:
            await stream.subscribe(*INDICES, index_ids=["BRTI"])
            moving.advance(10)
            await stream.settle()
            assert stream.count()["cfbenchmarks_value"] == 10
            assert stream.count()["cfbenchmarks_value_5hz"] == 50
            assert not any(
                "last_60s_windowed_average_15min" in frame["msg"] for frame in stream.of("cfbenchmarks_value")
            )
            moving.advance(880)
            await stream.settle()
            last = stream.of("cfbenchmarks_value")[-1]["msg"]
            assert "last_60s_windowed_average_15min" in last
            value = float(json.loads(last["data"])["value"])
            assert abs(float(last["avg_60s_data"]["value"]) / value - 1) < 0.01
            assert last["avg_60s_data"]["window_size"] == 60
            # a leap of the clock brings the last minute, not all that was missed
            assert stream.count()["cfbenchmarks_value"] == 70

    asyncio.run(run())


def test_a_combination_made_by_a_member_is_announced(moving: sim.Exchange, contract: Contract) -> None:
    """A market that a member creates is told on the combinations' channel alone, and its book can be followed."""
    member = Member(moving)

    async def run() -> None:
        legs = tickers(moving, 1, event_ticker="KXHIGHNY-26NOV20") + tickers(moving, 1, event_ticker="KXBTCD-26NOV2017")
        events = ("KXHIGHNY-26NOV20", "KXBTCD-26NOV2017")
        chosen = [
            {"market_ticker": leg, "event_ticker": event, "side": "yes"}
            for leg, event in zip(legs, events, strict=True)
        ]
        collection = rest(moving, "/multivariate_event_collections")["multivariate_contracts"][0]["collection_ticker"]
        async with member.stream() as stream:
            await stream.subscribe("multivariate_market_lifecycle", "market_lifecycle_v2", "ticker", "trade")
            made = member.call(
                "POST",
                f"/multivariate_event_collections/{collection}",
                {"selected_markets": chosen, "with_market_payload": True},
            )
            moving.tick()
            told = await stream.settle()
            assert [(one["type"], one["sid"]) for one in told[:2]] == [
                ("event_lifecycle", 1),
                ("multivariate_market_lifecycle", 1),
            ]
            assert told[1]["msg"]["market_ticker"] == made["market_ticker"]
            await stream.subscribe("orderbook_delta", market_ticker=made["market_ticker"])
            moving.advance(120)
            await stream.settle()
            check(contract, stream)
            assert list(stream.books()) == [made["market_ticker"]]

    asyncio.run(run())
