"""The connection: signed, kept, made again; commands and their answers; a slow reader; nothing left behind."""

from __future__ import annotations

import asyncio
import base64
import logging
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key

import kalshi_lab as kl
from kalshi_lab.kalshi import connection
from kalshi_lab.kalshi.notices import Disconnected, Gap, Missed, Reconnected
from tests.stream.test_messages import DELTA, TICK

if TYPE_CHECKING:
    from tests.stream.server import StreamServer


def test_the_handshake_is_signed(server: StreamServer) -> None:
    """WS-1, lesson 16: the real upgrade request carries the three headers, and the signature is that of the text."""
    key = kl.Credentials.generate()
    with kl.Kalshi(settings=server.settings, credentials=key) as kalshi, kalshi.stream("ticker"):
        headers = server.headers[0]
    assert headers["kalshi-access-key"] == key.key_id
    text = f"{headers['kalshi-access-timestamp']}GET/trade-api/ws/v2".encode()
    public: Any = load_pem_public_key(key.public_pem.encode())
    public.verify(base64.b64decode(headers["kalshi-access-signature"]), text)


def test_public_channels_need_a_key_too(server: StreamServer) -> None:
    """WS-1: without credentials nothing is opened, and the error says what to do."""
    with kl.Kalshi(settings=server.settings) as kalshi, pytest.raises(kl.AuthFailed, match="from_env"):
        kalshi.stream("ticker").start()
    assert server.headers == []


@pytest.mark.parametrize(("status", "kind"), [(401, kl.AuthFailed), (403, kl.Forbidden)])
def test_a_refused_key_is_told_at_once(
    status: int, kind: type[kl.LabError], server: StreamServer, kalshi: kl.Kalshi
) -> None:
    """WS-1: a key that is refused is not tried again."""
    server.refuse = [status] * 9
    with pytest.raises(kind):
        kalshi.stream("ticker").start()
    assert len(server.headers) == 1


def test_other_refusals_are_tried_again(server: StreamServer, kalshi: kl.Kalshi) -> None:
    """WS-1 ⚠: bounded, unlike an endless loop; each try is signed anew."""
    server.refuse = [503, 502]
    with kalshi.stream("ticker") as stream:
        assert stream.subscriptions() == {"ticker": 1}
    stamps = [one["kalshi-access-signature"] for one in server.headers]
    assert len(set(stamps)) == 3
    server.refuse = [503] * 9
    with pytest.raises(kl.Unavailable, match="503"):
        kalshi.stream("ticker").start()
    assert len(server.headers) == 6


def test_a_clock_that_is_off_is_corrected_once(server: StreamServer, kalshi: kl.Kalshi) -> None:
    """F18: the exchange's Date sets the time that is signed; a second refusal names the clock."""
    server.refuse, server.ahead = [401], 100.0
    with kalshi.stream("ticker"):
        first, second = (int(one["kalshi-access-timestamp"]) for one in server.headers)
        assert 98_000 < second - first < 103_000


def test_everything_is_subscribed_again(server: StreamServer, kalshi: kl.Kalshi) -> None:
    """WS-1, F23: after a lost connection the channels, also those of markets added since, and a notice of what may be missing."""
    with kalshi.stream(["orderbook_delta", "ticker"], tickers="KX-A") as stream:
        stream.add("KX-B")
        server.drop()
        server.wait(lambda: len(server.asked("subscribe")) == 4)
        assert [one["channels"] for one in server.asked("subscribe")[2:]] == [["orderbook_delta"], ["ticker"]]
        assert all(one["market_tickers"] == ["KX-A", "KX-B"] for one in server.asked("subscribe")[2:])
        found = list(stream.messages(timeout=0.5))
        lost, back = (next(one for one in found if isinstance(one, kind)) for kind in (Disconnected, Reconnected))
        assert back.lost == lost.time <= back.back
        assert not any(book.stale for book in stream.books.values())
        assert len({one["kalshi-access-signature"] for one in server.headers}) == 2
        server.tell("ticker", "ticker", TICK)
        assert [one.type for one in stream.messages(timeout=0.3)] == ["ticker"]


@pytest.mark.parametrize(
    ("code", "kind"),
    [(8, kl.BadRequest), (9, kl.AuthFailed), (18, kl.TimedOut), (26, kl.BadRequest), (99, kl.BadRequest)],
)
def test_error_frames_fail_their_command(
    code: int, kind: type[kl.LabError], server: StreamServer, kalshi: kl.Kalshi
) -> None:
    """WS-2 ⚠: an error frame is raised where its command was given, with its code and what to do."""
    server.errors["subscribe"] = [code]
    with pytest.raises(kind, match=rf"code {code}\): because") as caught:
        kalshi.stream("ticker").start()
    assert caught.value.code == str(code)


@pytest.mark.parametrize("code", [10, 25])
def test_an_ended_subscription_is_made_again(code: int, server: StreamServer, kalshi: kl.Kalshi) -> None:
    """WS-2 ⚠: codes 10 and 25 end a subscription; the gap is told and the channel subscribed again."""
    with kalshi.stream(["orderbook_delta"], tickers="KX-A") as stream:
        server.send({"type": "error", "sid": 1, "msg": {"code": code, "msg": "sorry"}})
        server.wait(lambda: len(server.asked("subscribe")) == 2)
        found = list(stream.messages(timeout=0.5))
        assert any(isinstance(one, Gap) and one.received == 0 for one in found)
        assert not stream.books["KX-A"].stale
        assert [one.code for one in stream.errors if isinstance(one, kl.RequestError)] == [str(code)]


def test_a_command_without_an_answer_times_out(
    server: StreamServer, kalshi: kl.Kalshi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """WS-2 ⚠: acks are waited for, but not for ever."""
    monkeypatch.setattr(connection, "ANSWER", 0.2)
    server.mute = {"list_subscriptions"}
    with kalshi.stream("ticker") as stream, pytest.raises(kl.TimedOut, match="list_subscriptions"):
        stream.subscriptions()


def test_markets_are_added_and_dropped(server: StreamServer, kalshi: kl.Kalshi) -> None:
    """WS-2 ⚠: update and unsubscribe of single markets; the last one stays, since without markets a channel is about all."""
    with kalshi.stream("ticker", tickers=["KX-A", "KX-B"]) as stream:
        stream.drop("KX-A")
        assert server.asked("update_subscription")[-1] == {
            "sid": 1,
            "action": "delete_markets",
            "market_tickers": ["KX-A"],
        }
        with pytest.raises(kl.UsageError, match="nothing would be left"):
            stream.drop("KX-B")


def test_many_markets_go_in_pieces(server: StreamServer, kalshi: kl.Kalshi) -> None:
    """A list longer than a command takes is sent in several, on one subscription."""
    names = [f"KX-{number}" for number in range(1201)]
    with kalshi.stream("ticker", tickers=names):
        sizes = [
            len(one["market_tickers"]) for one in (*server.asked("subscribe"), *server.asked("update_subscription"))
        ]
    assert sizes == [500, 500, 201]


def test_a_slow_reader_is_told(server: StreamServer, kalshi: kl.Kalshi) -> None:
    """F23: what there was no room for is counted by type; the book was kept; memory does not grow."""
    stream = kalshi.stream(["orderbook_delta"], tickers="KX-A")
    stream._twin._queue.most = 10
    with stream:
        for _ in range(50):
            server.tell("orderbook_delta", "orderbook_delta", {**DELTA, "delta_fp": "1.00"})
        subscriptions = stream.subscriptions()  # answered after all that was sent before
        found = list(stream.messages(timeout=0.3))
    assert subscriptions
    assert len(found) == 11
    missed = found[-1]
    assert isinstance(missed, Missed)
    assert (missed.counts, missed.count) == ({"orderbook_delta": 41}, 41)
    assert stream.books["KX-A"].bids()[0][1] == 50


@pytest.mark.parametrize(
    ("channels", "given", "said"),
    [
        ("tickr", {}, "Did you mean 'ticker'"),
        ("ticker_v2", {}, "removed it in February 2026; use ticker"),
        ("orderbook_delta", {}, "needs tickers"),
        ("communications", {"tickers": "KX-A"}, "about single markets"),
        ("trade", {"use_yes_price": True}, "none of trade takes use_yes_price"),
        ("ticker", {"send_initial_snapshot": "yes"}, "Give True or False"),
        ("cfbenchmarks_value", {}, "needs index_ids"),
        ("communications", {"shard_factor": 4}, "go together"),
        ("communications", {"shard_factor": 4, "shard_key": 4}, "do not fit"),
        ("communications", {"user_filter": "me"}, "Allowed: self"),
        ([], {}, "no channel was named"),
        ("ticker", {"tickers": "kx-a"}, "upper case"),
    ],
)
def test_bad_input_is_refused_before_anything_is_opened(
    channels: Any, given: dict[str, Any], said: str, server: StreamServer, kalshi: kl.Kalshi
) -> None:
    """A channel or parameter that does not exist or does not fit, with the nearest match."""
    with pytest.raises(kl.UsageError, match=said):
        kalshi.stream(channels, **given)
    assert server.headers == []


def test_nothing_is_left_behind(server: StreamServer) -> None:
    """Closing ends every task; cancelling a reader leaves the stream usable."""

    async def story() -> set[str]:
        before = asyncio.all_tasks()
        async with kl.AsyncKalshi(settings=server.settings, credentials=kl.Credentials.generate()) as kalshi:
            async with kalshi.stream("ticker") as stream:
                reader = asyncio.create_task(anext(aiter(stream)))
                await asyncio.sleep(0)
                reader.cancel()
                await asyncio.gather(reader, return_exceptions=True)
                await asyncio.to_thread(server.tell, "ticker", "ticker", TICK)
                assert (await stream.next(5)).type == "ticker"  # type: ignore[union-attr]
            with pytest.raises(kl.UsageError, match="closed"):
                await stream.open()
        return {task.get_name() for task in asyncio.all_tasks() - before}

    assert asyncio.run(story()) == set()


def test_no_secret_is_shown(server: StreamServer, caplog: pytest.LogCaptureFixture) -> None:
    """Key id and signature are in no repr, log or error."""
    key = kl.Credentials.generate()
    caplog.set_level(logging.DEBUG)
    server.refuse = [500] * 9
    with kl.Kalshi(settings=server.settings, credentials=key) as kalshi:
        stream = kalshi.stream("ticker")
        with pytest.raises(kl.Unavailable) as caught:
            stream.start()
        shown = [repr(stream), stream._repr_html_(), str(caught.value), repr(caught.value.__dict__)]
    logged = [record.getMessage() for record in caplog.records if record.name != "websockets.server"]
    assert not any(
        key.key_id in text or server.headers[0]["kalshi-access-signature"] in text for text in [*shown, *logged]
    )


def test_snapshots_are_the_answer_to_their_question(server: StreamServer, kalshi: kl.Kalshi) -> None:
    """get_snapshot has no other answer; a refusal is noted, since nobody waits for it."""
    with kalshi.stream("orderbook_delta", tickers="KX-A") as stream:
        stream.snapshots()
        assert [one.type for one in stream.messages(timeout=0.3)] == ["orderbook_snapshot"] * 2
        server.errors["update_subscription"] = [11]
        stream.snapshots("KX-A")
        assert list(stream.messages(timeout=0.3)) == []
        assert [str(one.code) for one in stream.errors if isinstance(one, kl.RequestError)] == ["11"]
    with kalshi.stream("ticker") as other, pytest.raises(kl.UsageError, match="no books"):
        other.snapshots()
