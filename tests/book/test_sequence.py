"""What a book takes, refuses and asks for, frame by frame."""

from __future__ import annotations

import json
import pickle
from copy import copy
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

import kalshi_lab as kl
from kalshi_lab.book import OrderBooks

A, B = "KXA-1", "KXB-2"


def snapshot(seq: int | None, *, ticker: str = A, sid: int = 2, **sides: Any) -> dict[str, Any]:
    return {"type": "orderbook_snapshot", "sid": sid, "seq": seq, "msg": {"market_ticker": ticker, **sides}}


def delta(seq: int | None, price: Any, size: Any, side: str = "yes", **more: Any) -> dict[str, Any]:
    msg = {"market_ticker": A, "price_dollars": price, "delta_fp": size, "side": side, **more}
    return {"type": "orderbook_delta", "sid": 2, "seq": seq, "msg": msg}


def started(**options: bool) -> kl.OrderBook:
    book = kl.OrderBook(A, **options)
    book.apply(snapshot(1, yes_dollars_fp=[["0.4200", "13.00"]], no_dollars_fp=[["0.5500", "2.50"]]))
    return book


@pytest.mark.parametrize("empty", [{}, {"no_dollars_fp": None}, {"no_dollars_fp": []}])
def test_empty_null_and_absent_sides_are_the_same(empty: dict[str, Any]) -> None:
    """WS-3: the exchange leaves out the key of an empty side."""
    book = started()
    assert book.apply(snapshot(2, yes_dollars_fp=[["0.42", "1"]], **empty)) is True
    assert (book.bids("yes"), book.bids("no"), book.best_ask()) == (((Decimal("0.42"), 1),), (), None)


def test_prices_written_differently_are_one_level() -> None:
    """0.42, 0.420 and 0.420000 are the same level, and six decimals are kept."""
    book = started()
    for seq, price in enumerate(["0.42", "0.420", "0.420000"], 2):
        assert book.apply(json.dumps(delta(seq, price, "-1"))) is True
    book.apply(delta(5, "0.123456", "0.01"))
    assert book.bids() == ((Decimal("0.42"), Decimal(10)), (Decimal("0.123456"), Decimal("0.01")))


def test_apply_says_whether_levels_changed() -> None:
    """Frames that only count, or change nothing, give False."""
    book = started()
    assert book.apply(delta(2, "0.42", "1.00")) is True
    assert book.apply(delta(3, "0.42", "0.00")) is False
    assert book.apply({"type": "ok", "id": 4, "sid": 2, "seq": 4, "msg": {"market_tickers": [A]}}) is False
    assert book.apply({"type": "ok", "id": 5, "sid": 2, "seq": 5, "msg": [{"channel": "x", "sid": 2}]}) is False
    assert book.apply({"type": "ticker", "sid": 1, "msg": {"market_ticker": A, "price_dollars": "0.42"}}) is False
    assert book.apply(delta(6, "0.42", "1.00", market_ticker=B)) is False
    assert book.apply(delta(7, "0.42", "1.00") | {"sid": 9}) is False
    assert book.apply(delta(7, "0.42", "1.00", client_order_id="x", subaccount=0) | {"new": 1}) is True
    assert (book.seq, book.stale, book.best_bid()) == (7, False, (Decimal("0.42"), Decimal(15)))


def test_a_gap_makes_it_stale_until_a_snapshot() -> None:
    """Lesson of WS-3: nothing is built across a gap; what was missed is told, and a snapshot heals."""
    book = started()
    assert book.apply(delta(4, "0.42", "1.00")) is False
    assert (book.stale, book.wants_snapshot, book.gap, book.gaps, book.seq) == (True, True, (2, 4), 1, 1)
    assert "missed 2 frames from 2 on" in repr(book)
    book.apply(delta(5, "0.42", "1.00"))
    assert (book.discarded, book.best_bid()) == (2, (Decimal("0.42"), Decimal(13)))
    assert book.apply(snapshot(9, yes_dollars_fp=[["0.10", "1"]])) is True
    assert (book.stale, book.wants_snapshot, book.gap, book.seq) == (False, False, None, 9)
    assert book.apply(delta(10, "0.10", "1")) is True


def test_repeats_and_latecomers_are_dropped_and_counted() -> None:
    """The same number again, or an older one, changes nothing."""
    book = started()
    book.apply(delta(2, "0.42", "1.00"))
    for seq in (2, 1):
        assert book.apply(delta(seq, "0.42", "1.00")) is False
    assert (book.duplicates, book.stale, book.best_bid()) == (2, False, (Decimal("0.42"), Decimal(14)))


def test_a_sequence_that_starts_again_is_accepted_with_its_snapshot() -> None:
    """After a reconnect numbers start at 1; another market's first snapshot already tells that this book is behind."""
    book = started()
    book.apply(delta(2, "0.42", "1.00"))
    assert book.apply(snapshot(1, ticker=B)) is False
    assert (book.stale, book.stale_reason) == (True, "the sequence started again")
    assert book.apply(snapshot(2, yes_dollars_fp=[["0.30", "1"]])) is True
    assert book.apply(delta(3, "0.30", "1")) is True
    assert book.apply(snapshot(1, sid=7, yes_dollars_fp=[["0.20", "1"]])) is True
    assert (book.sid, book.seq) == (7, 1)


def test_a_book_without_a_snapshot_knows_nothing() -> None:
    """Before the first snapshot every quote is unknown, and changes are discarded."""
    book = kl.OrderBook(A)
    assert book.apply(delta(5, "0.42", "1.00")) is False
    assert (book.stale, book.wants_snapshot, book.seq, book.discarded) == (True, True, None, 1)
    assert (book.yes_bid, book.yes_ask, book.mid, book.spread, book.best_bid("no"), book.updated_at) == (None,) * 6


def test_taking_more_than_there_is_is_trouble_not_a_crash() -> None:
    """A level that would go below zero is removed and counted."""
    book = started()
    assert book.apply(delta(2, "0.42", "-20")) is True
    assert book.apply(delta(3, "0.42", "-1")) is False
    assert (book.bids(), book.trouble, book.stale) == ((), 2, False)
    book.apply(snapshot(4, yes_dollars_fp=[["0.4", "1"], ["0.40", "2"], ["0.5", "-1"], ["0.6", "0.00"]]))
    assert (book.bids(), book.trouble) == (((Decimal("0.40"), Decimal(2)),), 4)


ODD: list[dict[str, Any]] = [
    delta(2, 0.42, "1.00"),
    delta(2, 42, "1.00"),
    delta(2, "42", "1.00"),
    delta(2, "0.1234567", "1.00"),
    delta(2, "-0.10", "1.00"),
    delta(2, "1e-1", "1.00"),
    delta(2, "nan", "1.00"),
    delta(2, None, "1.00"),
    delta(2, ["0.42"], "1.00"),
    delta(2, "0.42", "1.001"),
    delta(2, "0.42", 1),
    delta(2, "0.42", ""),
    delta(2, "0.42", "1.00", "maybe"),
    delta(2, "0.42", "1.00", market_ticker=None),
    delta(2, "0.42", "1.00") | {"seq": "2"},
    delta(2, "0.42", "1.00") | {"seq": -1},
    delta(2, "0.42", "1.00") | {"msg": None},
    snapshot(2, yes_dollars_fp=[["0.42", "1"], ["0.43", "x"]]),
    snapshot(2, yes_dollars_fp=[["0.42"]]),
    snapshot(2, yes_dollars_fp=[{"price": "0.42"}]),
    snapshot(2, yes_dollars_fp=7),
    snapshot(2, yes_dollars_fp=[[["0.42"], "1"]]),
]


@pytest.mark.parametrize("odd", ODD, ids=[str(number) for number in range(len(ODD))])
@pytest.mark.parametrize("wire", [False, True], ids=["dict", "bytes"])
def test_what_cannot_be_read_changes_nothing(odd: dict[str, Any], *, wire: bool) -> None:
    """BadPayload, and the book is as before; the right frame of that number still fits, and without it the next is a gap."""
    book = started()
    before = book.copy()
    with pytest.raises(kl.BadPayload):
        book.apply(json.dumps(odd).encode() if wire else odd)
    assert book == before
    assert (book.seq, book.stale, book.trouble, book.updated_at) == (1, False, 0, None)
    twin = book.copy()
    assert twin.apply(delta(2, "0.42", "1.00")) is True
    assert book.apply(delta(3, "0.42", "1.00")) is False
    assert book.gap == (2, 3)


@pytest.mark.parametrize("garbage", [b"", b"{", "[1]", b'"x"', b"\xff\xfe", "[" * 5000, '{"seq":"\ud800"}'])
def test_what_is_no_frame_is_refused(garbage: bytes | str) -> None:
    """Broken JSON and JSON that is no object."""
    book = started()
    with pytest.raises(kl.BadPayload):
        book.apply(garbage)
    assert book == started()


def test_what_nobody_could_have_received_is_a_usage_error() -> None:
    """A frame is bytes, text or a dict."""
    wrong: Any = [["0.42", "1"]]
    with pytest.raises(kl.UsageError, match="takes frames, not list"):
        started().apply(wrong)


def test_the_legacy_format_is_named() -> None:
    """Whole cents are refused by name, where they would otherwise read as an empty book."""
    book = started()
    with pytest.raises(kl.BadPayload, match="legacy format of whole cents"):
        book.apply(snapshot(2, yes=[[42, 13]], no=[[55, 2]]))
    cents = {"market_ticker": A, "price": 42, "delta": 5, "side": "yes"}
    with pytest.raises(kl.BadPayload, match="legacy format of whole cents"):
        book.apply({"type": "orderbook_delta", "sid": 2, "seq": 2, "msg": cents})
    assert book == started()


def test_numbers_checked_elsewhere() -> None:
    """With `sequence=False` any number passes, `mark_stale` stops it, and a frame that cannot be read makes it stale."""
    book = started(sequence=False)
    for seq in (9, 3, None):
        assert book.apply(delta(seq, "0.42", "1.00")) is True
    assert (book.best_bid(), book.gaps, book.duplicates) == ((Decimal("0.42"), Decimal(16)), 0, 0)
    book.mark_stale("the connection was lost")
    assert book.apply(delta(4, "0.42", "1.00")) is False
    assert (book.stale_reason, book.wants_snapshot, book.best_bid()) == (
        "the connection was lost",
        True,
        (Decimal("0.42"), Decimal(16)),
    )
    book.apply(snapshot(1, yes_dollars_fp=[["0.42", "1"]]))
    with pytest.raises(kl.BadPayload):
        book.apply(delta(2, "0.42", "?"))
    assert (book.stale, book.bids()) == (True, ((Decimal("0.42"), Decimal(1)),))


def test_frames_without_numbers_are_applied() -> None:
    """Numbers are checked where they are present."""
    book = kl.OrderBook(A)
    book.apply({"type": "orderbook_snapshot", "msg": {"market_ticker": A, "yes_dollars_fp": [["0.42", "1"]]}})
    change = {"market_ticker": A, "price_dollars": "0.42", "delta_fp": "1", "side": "yes"}
    assert book.apply({"type": "orderbook_delta", "msg": change}) is True
    assert book.apply({"type": "orderbook_delta", "seq": 7, "msg": change}) is True
    assert book.apply({"type": "orderbook_delta", "seq": 9, "msg": change}) is False
    assert (book.gap, book.best_bid()) == ((8, 9), (Decimal("0.42"), Decimal(3)))


def test_no_levels_in_yes_prices() -> None:
    """With `use_yes_price=True` the NO levels arrive as YES prices and the book is the same."""
    book = started(use_yes_price=True)
    book.apply(snapshot(2, yes_dollars_fp=[["0.4200", "13.00"]], no_dollars_fp=[["0.4500", "2.50"]]))
    assert book == started()
    book.apply(delta(3, "0.4500", "-2.50", "no"))
    assert book.bids("no") == ()


def test_a_rest_answer_seeds_a_book() -> None:
    """Its levels show at once; changes wait for the stream's snapshot, unless numbers are checked elsewhere."""
    answer = kl.Orderbook.from_wire(A, {"yes_dollars": [["0.42", "13"]], "no_dollars": [["0.55", "2.5"]]})
    book = kl.OrderBook.of(answer)
    assert book == answer
    assert (book.stale, book.wants_snapshot, book.seq) == (False, True, None)
    assert book.apply(delta(5, "0.42", "1")) is False
    assert (book.stale, book.discarded, book == answer) == (True, 1, True)
    assert kl.OrderBook.of(answer, sequence=False).apply(delta(5, "0.42", "1")) is True
    book.reset(answer)
    assert not book.stale
    with pytest.raises(kl.UsageError, match="cannot take the levels of KXB-2"):
        book.reset(kl.Orderbook(B))
    with pytest.raises(kl.UsageError, match="no book can hold"):
        book.reset(kl.Orderbook(A, ((Decimal(42), Decimal(1)),)))


def test_times_are_the_exchange_s() -> None:
    """`updated_at` is the last change's `ts_ms`, aware; unknown where the frame carries none or nonsense."""
    book = started()
    book.apply(delta(2, "0.42", "1", ts_ms=1778709092727))
    assert book.updated_at == datetime(2026, 5, 13, 21, 51, 32, 727000, tzinfo=UTC)
    book.apply(delta(3, "0.42", "1", ts_ms="soon"))
    assert book.updated_at is None
    book.apply(delta(4, "0.42", "1", ts_ms=10**18))
    assert book.updated_at is None
    book.apply(snapshot(5) | {"sending_ts_ms": 1778709092727})
    assert book.updated_at is not None


def test_copies_part_ways() -> None:
    """A copy, a `copy.copy` and a pickle hold the same and then change alone."""
    book = started()
    for twin in (book.copy(), copy(book), pickle.loads(pickle.dumps(book))):  # noqa: S301 - our own bytes
        assert twin == book
        twin.apply(delta(2, "0.42", "-13"))
        assert twin != book
        assert (twin.seq, book.seq) == (2, 1)
    assert book != started().orderbook().ticker
    with pytest.raises(TypeError):
        hash(book)


def test_many_books_share_one_sequence() -> None:
    """A gap makes all of them stale, each heals alone, and a new market joins with its snapshot."""
    books = OrderBooks([A])
    assert books.apply(snapshot(1, yes_dollars_fp=[["0.42", "1"]])) is books[A]
    assert books.apply(snapshot(2, ticker=B)) is books[B]
    assert books.apply(delta(3, "0.42", "1", market_ticker="KXC-3")) is None
    assert books.apply(delta(5, "0.42", "1")) is None
    assert (books.gap, books.gaps, books.wants_snapshot, books[A].gap) == ((4, 5), 1, (A, B), (4, 5))
    assert books.apply(snapshot(6, ticker=B)) is books[B]
    assert books.wants_snapshot == (A,)
    assert books.apply(delta(6, "0.42", "1")) is None
    assert books.duplicates == 1
    books.apply(snapshot(1, yes_dollars_fp=[["0.10", "1"]], no_dollars_fp=[["0.80", "3"]]))
    assert books.wants_snapshot == (B,), "the sequence started again"
    assert books.apply(delta(2, "0.10", "1")) is books[A]
    assert books.frame(exact=True).row(0, named=True) | {"updated_at": None} == {
        "ticker": A,
        "bid": Decimal("0.10"),
        "bid_size": Decimal(2),
        "ask": Decimal("0.20"),
        "ask_size": Decimal(3),
        "stale": False,
        "updated_at": None,
    }
    assert repr(books) == "<OrderBooks of 2 markets, 1 stale>"
    assert B in books._repr_html_()
    books.mark_stale("the connection was lost")
    assert books.wants_snapshot == (A, B)
    books.remove(B)
    books.remove(B)
    assert list(books) == [A]


def test_many_books_survive_what_cannot_be_read() -> None:
    """The market concerned is stale, the others go on."""
    books = OrderBooks()
    books.apply(snapshot(1))
    books.apply(snapshot(2, ticker=B))
    for odd in (delta(3, "0.42", "?"), snapshot(4, yes_dollars_fp=[["?", "1"]])):
        with pytest.raises(kl.BadPayload):
            books.apply(odd)
    assert books.wants_snapshot == (A,)
    assert books.apply(delta(5, "0.42", "1", market_ticker=B)) is books[B]
    with pytest.raises(kl.BadPayload, match="without its market_ticker"):
        books.apply({"type": "orderbook_snapshot", "sid": 2, "seq": 6, "msg": {}})
    assert books.apply({"type": "trade", "sid": 8, "seq": 3, "msg": {}}) is None
    assert books.gaps == 0


def test_subscriptions_count_apart() -> None:
    """A gap in one subscription leaves the books of another alone, and each counts its own numbers."""
    books = OrderBooks()
    books.apply(snapshot(1))
    books.apply(snapshot(1, ticker=B, sid=3))
    assert books.apply(delta(2, "0.42", "1")) is books[A]
    assert books.apply(delta(7, "0.42", "1", market_ticker=B) | {"sid": 3}) is None
    assert books.wants_snapshot == (B,)
    assert books.apply(delta(3, "0.42", "1")) is books[A]
