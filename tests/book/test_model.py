"""The book against a simple model of it: gaps, repeats, disorder, restarts, and prices written in different ways."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

import kalshi_lab as kl
from kalshi_lab.book import OrderBooks

MINE, OTHER = "KXA-1", "KXB-2"
PRICES = ["0.4", "0.40", "0.400000", "0.0001", "0.9999", "0.123456", "0.5", "0.50"]
SIZES = ["1", "1.00", "0.01", "-1.00", "-0.01", "-3.5", "7.25", "0.00"]


class Model:
    """What a book should do, written for the reader: decimals, nothing remembered but levels and the last number."""

    def __init__(self) -> None:
        self.levels: dict[tuple[str, Decimal], Decimal] = {}
        self.last: int | None = None
        self.live = False
        self.duplicates = self.gaps = self.discarded = self.trouble = 0

    def apply(self, frame: dict[str, Any]) -> None:
        seq, msg = frame["seq"], frame["msg"]
        mine = msg.get("market_ticker") == MINE
        if frame["type"] == "orderbook_snapshot" and mine:
            self.snapshot(seq, msg)
        elif not self.live:
            self.discarded += mine
        elif self.last is not None and seq <= self.last:
            self.duplicates += frame["type"] != "orderbook_snapshot"
            self.live = self.live and frame["type"] != "orderbook_snapshot"  # another market's: it all started again
        elif seq != self.last + 1:  # type: ignore[operator]
            self.gaps += 1
            self.live = False
            self.discarded += mine
        else:
            self.last = seq
            if mine:
                self.change(msg)

    def snapshot(self, seq: int, msg: dict[str, Any]) -> None:
        self.gaps += self.live and seq > self.last + 1  # type: ignore[operator]
        self.last, self.live, self.levels = seq, True, {}
        for side in ("yes", "no"):
            for price, size in msg.get(f"{side}_dollars_fp") or []:
                self.trouble += (side, Decimal(price)) in self.levels
                self.levels[side, Decimal(price)] = Decimal(size)

    def change(self, msg: dict[str, Any]) -> None:
        key = (msg["side"], Decimal(msg["price_dollars"]))
        size = self.levels.pop(key, Decimal(0)) + Decimal(msg["delta_fp"])
        self.trouble += size < 0
        if size > 0:
            self.levels[key] = size


level = st.tuples(st.sampled_from(PRICES), st.sampled_from(["1.00", "2.5", "0.01"])).map(list)
side = st.one_of(st.none(), st.lists(level, max_size=4))
snapshot = st.fixed_dictionaries(
    {"market_ticker": st.sampled_from([MINE, MINE, OTHER])}, optional={"yes_dollars_fp": side, "no_dollars_fp": side}
)
delta = st.fixed_dictionaries(
    {
        "market_ticker": st.sampled_from([MINE, MINE, MINE, OTHER]),
        "price_dollars": st.sampled_from(PRICES),
        "delta_fp": st.sampled_from(SIZES),
        "side": st.sampled_from(["yes", "no"]),
    }
)
message = st.one_of(
    *[st.tuples(st.just("orderbook_delta"), delta)] * 6,
    st.tuples(st.just("orderbook_snapshot"), snapshot),
    st.tuples(st.just("ok"), st.just({"market_tickers": [MINE]})),
)
# mostly the next number; else one again, an older one, one too far, or the first
step = st.sampled_from([1] * 12 + [0, -2, 2, 5, "restart"])


@st.composite
def streams(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Numbered frames as a disturbed connection brings them; a restart comes with a snapshot, as the exchange's do."""
    frames, seq = [{"type": "orderbook_snapshot", "sid": 2, "seq": 1, "msg": {"market_ticker": MINE}}], 1
    for move, (kind, msg) in draw(st.lists(st.tuples(step, message), max_size=40)):
        restart = move == "restart"
        number = 1 if restart else max(1, seq + move)
        one = (
            ("orderbook_snapshot", {"market_ticker": MINE, "no_dollars_fp": [["0.25", "4"]]})
            if restart
            else (kind, msg)
        )
        frames.append({"type": one[0], "sid": 2, "seq": number, "msg": one[1]})
        seq = number if restart or number > seq or one[0] == "orderbook_snapshot" else seq
    return frames


def levels(book: kl.OrderBook) -> dict[tuple[str, Decimal], Decimal]:
    return {("yes", price): size for price, size in book.bids("yes")} | {
        ("no", price): size for price, size in book.bids("no")
    }


def kept_in_order(book: kl.OrderBook) -> bool:
    """The order of prices that best quotes are read from, and the quotes remembered, agree with the levels."""
    for side in ("yes", "no"):
        assert [book.best_bid(side)] == list(book.bids(side)[:1] or [None])
        assert [book.best_ask(side)] == list(book.asks(side)[:1] or [None])
    return book._yes_prices == sorted(book._yes) and book._no_prices == sorted(book._no)


@settings(max_examples=400)
@given(streams())
def test_a_book_is_what_the_model_says_after_every_frame(frames: list[dict[str, Any]]) -> None:
    """F22: under gap, duplicate, disorder and restart the levels, the counters and the wish for a snapshot are the model's."""
    book, model = kl.OrderBook(MINE), Model()
    for number, frame in enumerate(frames):
        before = levels(book)
        changed = book.apply(frame if number % 2 else json.dumps(frame).encode())
        model.apply(frame)
        assert levels(book) == model.levels
        assert kept_in_order(book)
        assert min(model.levels.values(), default=1) > 0
        assert (book.wants_snapshot, book.stale) == (not model.live, not model.live)
        assert (book.gaps, book.duplicates, book.discarded, book.trouble) == (
            model.gaps,
            model.duplicates,
            model.discarded,
            model.trouble,
        )
        assert changed or before == levels(book)
        assert book.copy() == book


@settings(max_examples=200)
@given(streams())
def test_many_books_agree_with_one(frames: list[dict[str, Any]]) -> None:
    """While a book of its own is in step, a market's book among many is too, and holds the same levels."""
    book, many = kl.OrderBook(MINE), OrderBooks([MINE])
    for frame in frames:
        book.apply(frame)
        many.apply(frame)
        if not book.stale:
            assert levels(many[MINE]) == levels(book)
            assert not many[MINE].stale
