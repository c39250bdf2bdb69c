"""What the exchange refuses and ends, changes of what is subscribed, and books that went stale: how a stream mends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import kalshi_lab as kl
from kalshi_lab.kalshi.notices import Gap
from tests.stream.reading import is_back, until
from tests.stream.test_messages import DELTA

if TYPE_CHECKING:
    from kalshi_lab.kalshi.live import Stream
    from tests.stream.reading import Hasty
    from tests.stream.server import StreamServer

# what the exchange refuses and ends


def test_what_is_refused_on_the_way_back_keeps_nothing_else_away(server: StreamServer, kalshi: kl.Kalshi) -> None:
    """WS-2 ⚠: the other channels go on; the refused one is a gap and an error, and asked for again."""
    with kalshi.stream(["trade", "ticker"]) as stream:
        server.errors["subscribe"] = [8]
        server.drop()
        found = until(stream, is_back)
        gap = next(one for one in found if isinstance(one, Gap))
        assert (gap.channel, gap.received) == ("trade", 0)
        assert [one.code for one in stream.errors] == ["8"]  # type: ignore[attr-defined]
        server.wait(lambda: len(server.asked("subscribe")) == 5)
        assert [one["channels"] for one in server.asked("subscribe")][2:] == [["trade"], ["ticker"], ["trade"]]


def test_a_channel_that_ended_is_asked_for_until_it_is_back(server: StreamServer, kalshi: kl.Kalshi) -> None:
    """WS-2 ⚠: a restoration that fails for the moment is repeated."""
    with kalshi.stream("orderbook_delta", tickers="KX-A") as stream:
        server.errors["subscribe"] = [18, 25]
        server.send({"type": "error", "sid": 1, "msg": {"code": 25}})
        until(stream, lambda one: isinstance(one, Gap))
        until(stream, lambda one: getattr(one, "type", "") == "orderbook_snapshot")
        assert not stream.books["KX-A"].stale
        assert len(server.headers) == 1


def test_a_channel_that_cannot_be_restored_takes_a_new_connection(server: StreamServer, kalshi: kl.Kalshi) -> None:
    """WS-2 ⚠: where it goes on failing for the moment, everything is made anew."""
    with kalshi.stream(["ticker", "trade"]) as stream:
        server.errors["subscribe"] = [18] * 3
        server.send({"type": "error", "sid": 2, "msg": {"code": 10}})
        until(stream, is_back)
        assert stream.subscriptions() == {"ticker": 1, "trade": 2}


def test_an_end_of_nobody_knows_what(server: StreamServer, kalshi: kl.Kalshi) -> None:
    """WS-2 ⚠: an overflow that names no subscription may be any: everything is made anew."""
    with kalshi.stream("ticker") as stream:
        server.send({"type": "error", "msg": {"code": 25}})
        until(stream, is_back)


def test_too_many_commands_are_repeated_later(server: StreamServer, kalshi: kl.Kalshi, clock: Hasty) -> None:
    """WS-2 ⚠: code 27 is waited out, then raised."""
    server.errors["subscribe"] = [27, 27]
    with kalshi.stream("ticker") as stream:
        assert clock.slept == [0.5, 1.0]
        server.errors["list_subscriptions"] = [27] * 5
        with pytest.raises(kl.RateLimited):
            stream.subscriptions()


def test_a_refused_market_is_not_kept(server: StreamServer, kalshi: kl.Kalshi) -> None:
    """WS-2 ⚠: otherwise no connection could ever be made again; added ones are subscribed again, dropped ones are not."""
    with kalshi.stream("ticker", tickers="KX-A") as stream:
        server.errors["update_subscription"] = [11]
        with pytest.raises(kl.BadRequest, match="code 11"):
            stream.add("KX-NONE")
        stream.add(["KX-B", "KX-C"])
        stream.drop("KX-A")
        server.drop()
        until(stream, is_back)
        assert server.asked("subscribe")[-1]["market_tickers"] == ["KX-B", "KX-C"]


def test_markets_are_changed_while_the_connection_is_away(server: StreamServer, kalshi: kl.Kalshi) -> None:
    """WS-2: they are subscribed with everything else."""
    with kalshi.stream("ticker", tickers="KX-A") as stream:
        server.mute = {"subscribe"}
        server.drop()
        server.wait(lambda: len(server.asked("subscribe")) == 2)  # sent, but not answered: the connection is not back
        with pytest.raises(kl.Unavailable, match="not connected"):
            stream.subscriptions()
        server.mute = set()
        server.drop()
        stream.add("KX-B")
        until(stream, is_back)
        asked = [*server.asked("subscribe"), *server.asked("update_subscription")]
        assert "KX-B" in asked[-1]["market_tickers"]


def test_channels_end_one_by_one(server: StreamServer, kalshi: kl.Kalshi) -> None:
    """WS-2 ⚠: unsubscribe ends a channel and is not undone by a new connection; the last one stays."""
    with kalshi.stream(["orderbook_delta", "ticker"], tickers="KX-A") as stream:
        stream.unsubscribe("orderbook_delta")
        assert server.asked("unsubscribe") == [{"sids": [1]}]
        assert list(stream.books) == []
        assert stream.subscriptions() == {"ticker": 2}
        with pytest.raises(kl.UsageError, match="no channel would be left"):
            stream.unsubscribe("ticker")
        with pytest.raises(kl.UsageError, match="Did you mean 'ticker'"):
            stream.unsubscribe("tickers")
        server.drop()
        until(stream, is_back)
        assert stream.subscriptions() == {"ticker": 1}


def test_indices_are_changed_like_markets(server: StreamServer, kalshi: kl.Kalshi) -> None:
    """WS-2 ⚠: with the actions of their own; which there are comes as a message."""
    with kalshi.stream(["cfbenchmarks_value", "ticker"], index_ids="BRTI", tickers="KX-A") as stream:
        stream.add(index_ids=["ETHUSD_RTI"])
        stream.drop(index_ids="BRTI")
        assert [(one["action"], one["index_ids"]) for one in server.asked("update_subscription")] == [
            ("subscribe_indices", ["ETHUSD_RTI"]),
            ("unsubscribe_indices", ["BRTI"]),
        ]
        with pytest.raises(kl.UsageError, match="nothing would be left on cfbenchmarks_value"):
            stream.drop(index_ids="ETHUSD_RTI")
        with pytest.raises(kl.UsageError, match="not about underlying_tickers"):
            stream.add(underlying_tickers="BTC")
        stream.index_list()
        found = until(stream, lambda one: one.type == "cfbenchmarks_value_indexlist")
        assert found[-1].index_ids == ("BRTI", "ETHUSD_RTI")
    with kalshi.stream("pyth_value", underlying_tickers="all") as other:
        with pytest.raises(kl.UsageError, match="all of them already"):
            other.add(underlying_tickers="BTC")
        with pytest.raises(kl.UsageError, match="not about single markets"):
            other.add("KX-A")
    with kalshi.stream("ticker") as third, pytest.raises(kl.UsageError, match="about indices"):
        third.index_list()


# books


def test_snapshots_that_do_not_come_are_asked_for_again(server: StreamServer, kalshi: kl.Kalshi) -> None:
    """WS-3 ⚠, F22: a stale book is not forgotten; where no snapshot ever comes, the errors say so."""
    with kalshi.stream("orderbook_delta", tickers=["KX-A", "KX-B"]) as stream:
        server.mute = {"update_subscription"}
        server.tell("orderbook_delta", "orderbook_delta", DELTA, skip=1)
        server.wait(lambda: len(server.asked("update_subscription")) == 2)
        assert stream.books["KX-A"].stale
        server.mute = set()
        until(stream, lambda one: getattr(one, "type", "") == "orderbook_snapshot" and one.ticker == "KX-B")
        until(stream, lambda one: getattr(one, "type", "") == "orderbook_snapshot" and one.ticker == "KX-B")
        assert not any(book.stale for book in stream.books.values())
        server.mute = {"update_subscription"}
        server.tell("orderbook_delta", "orderbook_delta", DELTA, skip=1)
        asked = len(server.asked("update_subscription"))
        server.wait(lambda: len(server.asked("update_subscription")) == asked + 6)
        for _ in range(500):
            if stream.errors:
                break
            clock_tick(stream)
        assert "no snapshot came of KX-A, KX-B" in str(stream.errors[-1])


def test_a_first_snapshot_that_never_came_is_asked_for(
    server: StreamServer, kalshi: kl.Kalshi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """WS-3: changes of a book that nobody sent are a reason to ask for it."""
    sent = server._snapshots

    async def nothing(*_: object) -> None:
        monkeypatch.setattr(server, "_snapshots", sent)

    monkeypatch.setattr(server, "_snapshots", nothing)
    with kalshi.stream("orderbook_delta", tickers="KX-A") as stream:
        server.tell("orderbook_delta", "orderbook_delta", DELTA)
        found = until(stream, lambda one: one.type == "orderbook_snapshot")
        assert [one.type for one in found] == ["orderbook_delta", "orderbook_snapshot"]
        assert not stream.books["KX-A"].stale


def clock_tick(stream: Stream) -> None:
    """Let the stream's loop run for a moment."""
    list(stream.messages(timeout=0.01))


def test_a_storm_of_gaps_is_no_storm_of_questions(server: StreamServer, kalshi: kl.Kalshi, clock: Hasty) -> None:
    """F22: at most one question a second, however many gaps."""
    with kalshi.stream("orderbook_delta", tickers="KX-A") as stream:
        for _ in range(50):
            server.tell("orderbook_delta", "orderbook_delta", DELTA, skip=1)
        until(stream, lambda one: isinstance(one, Gap) and one.expected > 90)
        list(stream.messages(timeout=0.2))
        assert not stream.books["KX-A"].stale
        assert len(stream.gaps) == 50
        assert any(0.5 < one <= 1.0 for one in clock.slept)


@pytest.mark.parametrize("seq", [1, 3])
def test_a_sequence_that_begins_again(seq: int, server: StreamServer, kalshi: kl.Kalshi) -> None:
    """F22: a smaller number is the exchange's new start or a frame out of order: told, and the book waits for a snapshot."""
    with kalshi.stream("orderbook_delta", tickers="KX-A") as stream:
        for _ in range(9):
            server.tell("orderbook_delta", "orderbook_delta", {**DELTA, "delta_fp": "1.00"})
        server.lines[-1].seq[1] = seq - 1
        server.tell("orderbook_delta", "orderbook_delta", {**DELTA, "delta_fp": "1.00"})
        found = until(stream, lambda one: isinstance(one, Gap))
        assert (found[-1].expected, found[-1].received) == (11, seq)
        until(stream, lambda one: getattr(one, "type", "") == "orderbook_snapshot")
        assert not stream.books["KX-A"].stale
        assert [str(size) for _, size in stream.books["KX-A"].bids()] == ["10.00"]


def test_odd_messages_keep_their_place_in_the_sequence(server: StreamServer, kalshi: kl.Kalshi) -> None:
    """F22: a message that is no object is delivered as it is, and no gap."""
    with kalshi.stream("trade") as stream:
        server.tell("trade", "trade", ["no object"])
        server.tell("trade", "trade", {"market_ticker": 5})
        server.tell("trade", "trade", {"market_ticker": "KX-A"})
        found = until(stream, lambda one: getattr(one, "ticker", "") == "KX-A")
        assert [one.type for one in found] == ["trade"] * 3
        assert stream.gaps == ()


def test_the_direction_of_no_prices_is_said(server: StreamServer, kalshi: kl.Kalshi) -> None:
    """WS-3: the exchange will change its default one day; the books are right before and after."""
    with kalshi.stream("orderbook_delta", tickers="KX-A"):
        assert server.asked("subscribe")[0]["use_yes_price"] is False


def test_looks_at_books_are_of_one_moment(server: StreamServer, kalshi: kl.Kalshi) -> None:
    """WS-3: another thread changes them; a copy stays as it is."""
    with kalshi.stream("orderbook_delta", tickers="KX-A") as stream:
        until(stream, lambda one: one.type == "orderbook_snapshot")
        before = stream.books["KX-A"]
        server.tell("orderbook_delta", "orderbook_delta", DELTA)
        until(stream, lambda one: one.type == "orderbook_delta")
        assert len(before.bids()) == 1
        assert len(stream.books["KX-A"].bids()) == 2
        assert "KX-B" not in stream.books
        assert stream.books.frame().rows()[0][:3] == ("KX-A", 0.415, 5.5)
        assert repr(stream.books) == "<OrderBooks of 1 markets, 0 stale>"
        assert "KX-A" in stream.books._repr_html_()
