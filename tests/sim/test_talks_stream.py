"""What is said over REST arrives on the channel communications; a new combo arrives on the channels of markets."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from kalshi_lab import sim
from tests.sim.feed.conftest import Member, Stream

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

WEATHER = "KXHIGHNY-26NOV20-B51.5"
COLLECTION = "/multivariate_event_collections/KXMVECROSSCATEGORY-R"  # pragma: allowlist secret


@pytest.fixture
def house() -> Iterator[sim.Exchange]:
    with sim.start(markets=180, history_days=5, clock="frozen") as running:
        yield running


def _kinds(stream: Stream) -> list[str]:
    return [frame["type"] for frame in stream.of(*(f"quote_{word}" for word in ("created", "accepted", "executed")))]


def test_both_sides_hear_their_talk(house: sim.Exchange, client: httpx.Client, contract: Any) -> None:
    """WS communications: requests reach everybody, quotes the two sides, the trade when its time has come; numbers have no gap."""
    asker, maker, other = Member(house), Member(house), Member(house)

    def call(member: Member, method: str, path: str, body: Any = None) -> Any:
        headers = member.headers(method, f"/trade-api/v2/communications{path}")
        response = client.request(method, f"{house.url}/communications{path}", json=body, headers=headers)
        assert response.status_code < 300, response.text
        return response.json() if response.content else None

    def talk() -> str:
        rfq = call(asker, "POST", "/rfqs", {"market_ticker": WEATHER, "contracts_fp": "3.00", "rest_remainder": False})
        bids = {"rfq_id": rfq["id"], "yes_bid": "0.3", "no_bid": "0.5", "rest_remainder": False}
        quote = str(call(maker, "POST", "/quotes", bids)["id"])
        path = f"/rfqs/{rfq['id']}/quotes/{quote}"
        call(asker, "PUT", f"{path}/accept", {"accepted_side": "yes"})
        call(maker, "PUT", f"{path}/confirm")
        return quote

    async def listen() -> tuple[str, list[Stream]]:
        async with asker.stream() as first, maker.stream() as second, other.stream() as third:
            streams = [first, second, third]
            for stream in streams:
                await stream.subscribe("communications")
            quote = await asyncio.to_thread(talk)
            await asyncio.to_thread(house.advance, 15)
            for stream in (first, second):
                await stream.until(lambda frame: frame["type"] == "quote_executed")
            await third.settle()
        return quote, streams

    quote, streams = asyncio.run(listen())
    for stream in streams:
        stream.check_sequence()
        assert [len(stream.of(kind)) for kind in ("rfq_created", "rfq_deleted")] == [1, 1]
        for frame in stream.of("rfq_created", "rfq_deleted", "quote_created", "quote_accepted", "quote_executed"):
            assert contract.problems_of(contract.messages[frame["type"]]["msg"], frame["msg"]) == []
    assert [_kinds(stream) for stream in streams] == [["quote_created", "quote_accepted", "quote_executed"]] * 2 + [[]]
    orders = {stream.of("quote_executed")[0]["msg"]["order_id"] for stream in streams[:2]}
    assert len(orders) == 2
    assert {stream.of("quote_executed")[0]["msg"]["quote_id"] for stream in streams[:2]} == {quote}


def test_a_new_combo_is_announced(house: sim.Exchange, client: httpx.Client) -> None:
    """Its creation, its book and its first ticker come over streams that were open before it was there."""
    member = Member(house)
    events = client.get(f"{house.url}/events", params={"status": "open", "with_nested_markets": "true"}).json()[
        "events"
    ]
    legs = [
        {"event_ticker": event["event_ticker"], "market_ticker": event["markets"][0]["ticker"], "side": "yes"}
        for event in events[:4]
    ]

    async def listen() -> tuple[str, Stream]:
        async with member.stream() as stream:
            await stream.subscribe("multivariate_market_lifecycle", "ticker")
            made = await asyncio.to_thread(member.call, "POST", COLLECTION, {"selected_markets": legs})
            ticker = str(made["market_ticker"])
            await stream.until(lambda frame: frame.get("msg", {}).get("market_ticker") == ticker)
            await stream.subscribe("orderbook_delta", market_tickers=[ticker])
            await asyncio.to_thread(house.advance, 60)
            await stream.until(lambda frame: frame["type"] == "ticker" and frame["msg"]["market_ticker"] == ticker)
        return ticker, stream

    ticker, stream = asyncio.run(listen())
    created = [
        frame["msg"] for frame in stream.of("multivariate_market_lifecycle") if frame["msg"]["market_ticker"] == ticker
    ]
    assert created[0]["event_type"] == "created"
    assert [frame["msg"]["market_ticker"] for frame in stream.of("orderbook_snapshot")] == [ticker]
