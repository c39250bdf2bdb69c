"""The stream against the simulated exchange: every channel, signed, with faults; its books are those of the REST answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import kalshi_lab as kl
from kalshi_lab import sim
from kalshi_lab.kalshi.channels import CHANNELS, CODES
from kalshi_lab.kalshi.notices import Disconnected, Gap, Reconnected
from kalshi_lab.models.stream import MESSAGES, Message
from kalshi_lab.sim.feed import commands

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kalshi_lab.kalshi.live import Stream


@pytest.fixture(scope="module")
def exchange() -> Iterator[sim.Exchange]:
    with sim.start(markets=100, history_days=5, clock="frozen") as running:
        yield running


@pytest.fixture(scope="module")
def practised(exchange: sim.Exchange) -> Iterator[kl.Kalshi]:
    key = kl.Credentials.generate()
    known = key.with_key_id(exchange.account(key.public_pem, tier="prestige", direct=True))
    with kl.Kalshi(environment="sim", base_url=exchange.url, credentials=known) as client:
        yield client


@pytest.fixture(scope="module")
def tickers(practised: kl.Kalshi) -> list[str]:
    return practised.markets.list(status="open", limit=200).frame()["ticker"].to_list()[:20]


def settled(stream: Stream) -> list[Any]:
    """Everything that came until the exchange has no more to say."""
    return list(stream.messages(timeout=0.5))


def whole(stream: Stream, same: Callable[[], bool]) -> list[Any]:
    """Read until no book is stale and all are as they should be."""
    found = []
    for _ in range(20):
        found += settled(stream)
        if same():
            return found
    raise AssertionError({name: book.stale_reason for name, book in stream.books.items() if book.stale})


def test_both_sides_know_the_same_channels_and_errors() -> None:
    """WS-2: what one side says the other understands."""
    assert CHANNELS.keys() == commands.CHANNELS
    assert commands.ERRORS.keys() == CODES.keys()


def test_every_channel_is_heard(exchange: sim.Exchange, practised: kl.Kalshi, tickers: list[str]) -> None:
    """WS-2, WS-3: all channels on one stream; each message is of its class, and nothing is left over."""
    stream = practised.stream(list(CHANNELS), tickers=tickers, index_ids="all", underlying_tickers="all")
    with stream:
        assert stream.subscriptions().keys() == CHANNELS.keys()
        stream.index_list()
        exchange.advance(600)
        found = [one for one in settled(stream) if isinstance(one, Message)]
        assert [one.problem for one in found if one.problem] == []
        assert {name for one in found for name in one.model_extra or ()} <= {"id"}  # of the questions for lists
        kinds = {str(one.type) for one in found}
        assert {"orderbook_snapshot", "orderbook_delta", "ticker", "cfbenchmarks_value", "pyth_value"} <= kinds
        assert {"cfbenchmarks_value_indexlist", "pyth_value_underlying_list"} <= kinds
        assert all(type(one) is MESSAGES[str(one.type)] for one in found)
        assert (stream.gaps, stream.errors) == ((), ())


@pytest.mark.long
@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ({"kind": "skip", "times": 2, "after": 3}, (Gap,)),
        ({"kind": "duplicate", "times": 3}, ()),
        ({"kind": "swap", "times": 2}, (Gap,)),
        ({"kind": "error", "code": 25}, (Gap,)),
        ({"kind": "error", "code": 10, "channel": "orderbook_delta"}, (Gap,)),
        ({"kind": "drop", "reset": True}, (Disconnected, Reconnected)),
        ({"kind": "close", "code": 1001}, (Disconnected, Reconnected)),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)
def test_books_are_those_of_rest_whatever_happens(
    fault: dict[str, Any],
    told: tuple[type, ...],
    exchange: sim.Exchange,
    practised: kl.Kalshi,
    tickers: list[str],
) -> None:
    """WS-3, F22, F23: after each fault it is told what is missing, and the books are right again."""

    def same() -> bool:
        if any(book.stale for book in stream.books.values()):
            return False
        answers = practised.markets.orderbooks(tickers)
        return all(
            (stream.books[one.ticker].bids("yes"), stream.books[one.ticker].bids("no"))
            == (tuple(one.yes_bids), tuple(one.no_bids))
            for one in answers
        )

    with practised.stream(["orderbook_delta", "ticker"], tickers=tickers) as stream:
        whole(stream, same)
        assert sum(book.best_bid() is not None for book in stream.books.values()) > 10
        exchange.stream_faults(**fault)
        exchange.advance(120)
        found = whole(stream, same)
        exchange.stream_faults()
        assert all(any(isinstance(one, kind) for one in found) for kind in told)
        assert not any(isinstance(one, Disconnected) for one in found) or Disconnected in told
