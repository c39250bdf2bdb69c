"""Commands and their replies: shapes as recorded, numbers on what is numbered, an error code for each mistake."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from websockets.exceptions import InvalidStatus

from tests.sim.feed.conftest import Member, Stream, tickers

if TYPE_CHECKING:
    from kalshi_lab import sim

BOOK = "orderbook_delta"
DELTA: dict[str, Any] = {"channels": [BOOK]}


def one(member: Member, **params: Any) -> dict[str, Any]:
    """The `msg` of the only answer to a subscription that has trades and books with it."""

    async def run() -> dict[str, Any]:
        async with member.stream() as stream:
            ticker = tickers(member.exchange, 1)[0]
            await stream.subscribe(BOOK, market_tickers=[ticker])
            await stream.subscribe("trade", "cfbenchmarks_value", index_ids=["BRTI"])
            answer = await stream.ask(params.pop("cmd"), **params)
            assert answer["type"] == "error"
            assert set(answer) == {"type", "id", "msg"}
            return dict(answer["msg"])

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("code", "params"),
    [
        (2, {"cmd": "subscribe", "raw": '{"id": 9, "cmd": "subscribe"}'}),
        (3, {"cmd": "subscribe"}),
        (3, {"cmd": "subscribe", "channels": []}),
        (8, {"cmd": "subscribe", "channels": ["ticker_v2"]}),
        (14, {"cmd": "subscribe", "channels": [BOOK]}),
        (11, {"cmd": "subscribe", "channels": [BOOK], "market_tickers": ["KXNOSUCH-1"]}),
        # listed in some days
        (11, {"cmd": "subscribe", "channels": [BOOK], "market_tickers": ["KXHIGHNY-26NOV28-T45"]}),
        (11, {"cmd": "subscribe", "channels": ["trade"], "market_tickers": "KXHIGHNY"}),
        (11, {"cmd": "subscribe", "channels": ["trade"], "market_ticker": "A", "market_tickers": ["B"]}),
        (11, {"cmd": "subscribe", "channels": ["trade"], "market_ids": ["a"]}),
        (11, {"cmd": "subscribe", "channels": ["ticker"], "send_initial_snapshot": "yes"}),
        (11, {"cmd": "subscribe", "channels": ["communications"], "user_filter": "others"}),
        (19, {"cmd": "subscribe", "channels": ["communications"], "shard_key": 0}),
        (20, {"cmd": "subscribe", "channels": ["communications"], "shard_key": 0, "shard_factor": 101}),
        (21, {"cmd": "subscribe", "channels": ["communications"], "shard_factor": 2}),
        (22, {"cmd": "subscribe", "channels": ["communications"], "shard_factor": 2, "shard_key": 2}),
        (24, {"cmd": "subscribe", "channels": ["cfbenchmarks_value_5hz"]}),
        (28, {"cmd": "subscribe", "channels": ["pyth_value"]}),
        (4, {"cmd": "unsubscribe"}),
        (7, {"cmd": "unsubscribe", "sids": [99]}),
        (5, {"cmd": "resubscribe"}),
        (12, {"cmd": "update_subscription", "action": "add_markets"}),
        (12, {"cmd": "update_subscription", "sids": [1, 2], "action": "add_markets"}),
        (7, {"cmd": "update_subscription", "sid": 9, "action": "add_markets"}),
        (15, {"cmd": "update_subscription", "sid": 1}),
        (13, {"cmd": "update_subscription", "sid": 1, "action": "indexlist"}),
        (13, {"cmd": "update_subscription", "sid": 2, "action": "get_snapshot"}),
        (14, {"cmd": "update_subscription", "sid": 1, "action": "get_snapshot"}),
        (14, {"cmd": "update_subscription", "sid": 1, "action": "add_markets"}),
        (24, {"cmd": "update_subscription", "sid": 3, "action": "subscribe_indices"}),
    ],
)
def test_each_mistake_has_its_code(member: Member, code: int, params: dict[str, Any]) -> None:
    """A wrong command is answered by an error frame with its id, and changes nothing."""
    if "raw" in params:
        assert raw(member, params["raw"])["msg"]["code"] == code
    else:
        assert one(member, **params)["code"] == code


def raw(member: Member, *texts: str) -> dict[str, Any]:
    """The answer to the last of some texts."""

    async def run() -> dict[str, Any]:
        async with member.stream() as stream:
            for text in texts:
                await stream.connection.send(text)
                await stream.read()
            return stream.frames[-1]

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("code", "text"), [(1, "{"), (1, "[]"), (1, '"subscribe"'), (11, '{"id": -1}'), (11, '{"id": "1"}'), (5, "{}")]
)
def test_frames_that_are_no_commands(member: Member, code: int, text: str) -> None:
    """What has no id is answered without one."""
    answer = raw(member, text)
    assert (answer["msg"]["code"], "id" in answer) == (code, False)


def test_id_zero_means_none(member: Member) -> None:
    """A reply to id 0 has no id; the connection goes on after errors."""
    answer = raw(member, "{", '{"id": 0, "cmd": "list_subscriptions"}')
    assert answer == {"type": "ok", "msg": []}


def test_replies_are_as_recorded(member: Member) -> None:
    """First `subscribed`, then the book; more markets on the channel give `ok` with the full sorted list, numbered, then their books."""

    async def run() -> list[dict[str, Any]]:
        first, second, third = tickers(member.exchange, 3)
        async with member.stream() as stream:
            await stream.subscribe(BOOK, market_ticker=first)
            await stream.subscribe(BOOK, market_tickers=[second, first])
            await stream.ask("update_subscription", sid=1, action="add_markets", market_tickers=[third])
            await stream.settle()
            await stream.ask("update_subscription", sids=[1], action="delete_markets", market_tickers=[first])
            await stream.ask("unsubscribe", sids=[1])
            await stream.settle()
            stream.check_sequence()
            frames = [frame for frame in stream.frames if not isinstance(frame.get("msg", {}), list)]
            told = [frame.get("msg", {}).get("market_ticker") for frame in frames]
            assert frames[0] == {"type": "subscribed", "id": 1, "msg": {"channel": BOOK, "sid": 1}}
            assert told == [None, first, None, second, None, third, None, None]
            assert frames[2] == {
                "type": "ok",
                "id": 3,
                "sid": 1,
                "seq": 2,
                "msg": {"market_tickers": sorted([first, second])},
            }
            assert frames[4]["msg"] == {"market_tickers": sorted([first, second, third])}
            assert frames[6]["msg"] == {"market_tickers": sorted([second, third])}
            assert frames[7] == {"type": "unsubscribed", "id": 8, "sid": 1, "seq": 7}
            assert stream.frames[-1]["msg"] == []
            return frames

    assert len(asyncio.run(run())) == 8


def test_several_channels_each_have_a_sid(member: Member) -> None:
    """One `subscribed` a channel; only numbered channels have a number in `ok`; lists stay away when not wanted."""

    async def run() -> None:
        first, second = tickers(member.exchange, 2)
        async with member.stream() as stream:
            await stream.subscribe("ticker", BOOK, "fill", market_tickers=[first], skip_ticker_ack=True)
            listed = stream.frames[-1]["msg"]
            assert listed == [{"channel": name, "sid": sid} for sid, name in enumerate(("ticker", BOOK, "fill"), 1)]
            add = {"action": "add_markets", "market_tickers": [second]}
            assert await stream.ask("update_subscription", sid=1, **add) == {"type": "ok", "id": 3, "sid": 1}
            assert await stream.ask("update_subscription", sid=2, **add) == {"type": "ok", "id": 4, "sid": 2, "seq": 2}
            await stream.subscribe("market_lifecycle_v2", "trade")
            assert stream.frames[-1]["msg"][-1] == {"channel": "trade", "sid": 5}

    asyncio.run(run())


def test_snapshot_on_demand(member: Member) -> None:
    """get_snapshot sends the books in the running sequence and leaves the subscription as it is."""

    async def run() -> None:
        first, second = tickers(member.exchange, 2)
        async with member.stream() as stream:
            await stream.subscribe(BOOK, market_tickers=[first])
            await stream.send("update_subscription", sid=1, action="get_snapshot", market_tickers=[first, second])
            got = await stream.settle()
            assert [(frame["type"], frame["seq"], frame["msg"]["market_ticker"]) for frame in got] == [
                ("orderbook_snapshot", 2, first),
                ("orderbook_snapshot", 3, second),
            ]
            assert got[0]["msg"] == stream.of("orderbook_snapshot")[0]["msg"]
            answer = await stream.ask("update_subscription", sid=1, action="delete_markets", market_tickers=[second])
            assert answer["msg"] == {"market_tickers": [first]}

    asyncio.run(run())


def test_tickers_by_id_and_at_once(member: Member) -> None:
    """The ticker channel takes market ids, and sends the state of things when asked."""

    async def run() -> None:
        first, second = tickers(member.exchange, 2)
        async with member.stream() as stream:
            await stream.subscribe("ticker", market_tickers=[first, second], send_initial_snapshot=True)
            ids = [frame["msg"]["market_id"] for frame in stream.of("ticker")]
            assert [frame["msg"]["market_ticker"] for frame in stream.of("ticker")] == [first, second]
        async with member.stream() as other:
            await other.subscribe("ticker", market_ids=ids[:1], send_initial_snapshot=True)
            assert [frame["msg"]["market_ticker"] for frame in other.of("ticker")] == [first]
            answer = await other.ask("update_subscription", sid=1, action="add_markets", market_ids=ids[1:])
            assert answer["msg"] == {"market_ids": sorted(ids)}

    asyncio.run(run())


def test_indices(member: Member) -> None:
    """Indices and underlyings are added, taken away and listed by their own actions."""

    async def run() -> None:
        async with member.stream() as stream:
            await stream.subscribe("cfbenchmarks_value", index_ids=["BRTI"])
            await stream.subscribe("pyth_value", underlying_tickers=["all"])
            change = {"action": "subscribe_indices", "index_ids": ["ETHUSD_RTI"]}
            assert (await stream.ask("update_subscription", sid=1, **change))["msg"] == {
                "index_ids": ["BRTI", "ETHUSD_RTI"]
            }
            change = {"action": "unsubscribe_indices", "index_ids": ["BRTI"]}
            assert (await stream.ask("update_subscription", sid=1, **change))["msg"] == {"index_ids": ["ETHUSD_RTI"]}
            await stream.send("update_subscription", sid=1, action="indexlist")
            await stream.send("update_subscription", sid=2, action="underlying_list")
            lists = await stream.settle()
            assert [frame["type"] for frame in lists] == ["cfbenchmarks_value_indexlist", "pyth_value_underlying_list"]
            assert "BRTI" in lists[0]["msg"]["index_ids"]
            change = {
                "action": "unsubscribe_underlyings",
                "underlying_tickers": lists[1]["msg"]["underlying_tickers"][1:],
            }
            left = (await stream.ask("update_subscription", sid=2, **change))["msg"]["underlying_tickers"]
            assert left == lists[1]["msg"]["underlying_tickers"][:1]

    asyncio.run(run())


@pytest.mark.parametrize("spoil", ["KALSHI-ACCESS-KEY", "KALSHI-ACCESS-TIMESTAMP", "KALSHI-ACCESS-SIGNATURE", "path"])
def test_handshake_needs_a_signature(member: Member, spoil: str) -> None:
    """AUTH: a handshake without the three headers, or signed for another path, gets 401."""
    made = member.headers
    if spoil == "path":
        member.headers = lambda method, _path: made(method, "/trade-api/v2")  # type: ignore[method-assign]
    else:
        member.headers = lambda method, path: {**made(method, path), spoil: ""}  # type: ignore[method-assign]

    async def run() -> None:
        async with member.stream():
            pass

    with pytest.raises(InvalidStatus) as refused:
        asyncio.run(run())
    assert refused.value.response.status_code == 401
    assert json.loads(refused.value.response.body)["error"]["code"]


@pytest.mark.recordings
@pytest.mark.skipif("KALSHI_LAB_RECORDINGS" not in os.environ, reason="KALSHI_LAB_RECORDINGS names no recordings")
def test_frames_have_the_recorded_keys(shaken: sim.Exchange) -> None:
    """Every kind of frame that was recorded on the book channel has the same keys here, and the same kinds of values."""
    path = Path(os.environ["KALSHI_LAB_RECORDINGS"]) / "ws" / "cockpit_orderbook_stream.json"
    recorded: dict[str, dict[str, Any]] = {}
    for one in json.loads(path.read_text(encoding="utf-8"))["frames"]:
        recorded.setdefault(one["frame"]["type"], one["frame"])

    async def run() -> Stream:
        first, *others = tickers(shaken, 20)
        async with Member(shaken).stream() as stream:
            await stream.subscribe(BOOK, market_tickers=[first])
            await stream.subscribe(BOOK, market_tickers=others)
            shaken.advance(90)
            await stream.settle()
            return stream

    stream = asyncio.run(run())
    for kind, frame in recorded.items():
        kinds = {name: type(value) for name, value in frame["msg"].items()}
        ours = [one for one in stream.of(kind) if not isinstance(one["msg"], list)]
        assert {frozenset(one.keys() - {"sending_ts_ms"}) for one in ours} == {frozenset(frame)}
        # a side that is empty has no key
        assert all({name: type(value) for name, value in one["msg"].items()}.items() <= kinds.items() for one in ours)
        assert any(one["msg"].keys() == kinds.keys() for one in ours)
