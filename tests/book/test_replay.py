"""Recorded book channels replay to the books that other recorders held."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import kalshi_lab as kl
from kalshi_lab.book import OrderBooks
from tests.book import recorded

if TYPE_CHECKING:
    from decimal import Decimal
    from pathlib import Path

pytestmark = pytest.mark.recordings


def top(levels: tuple[tuple[Decimal, Decimal], ...]) -> list[tuple[Decimal, float]]:
    return [(price * 100, float(size)) for price, size in levels[:5]]


def same(book: kl.OrderBook, point: dict[str, Any]) -> bool:
    """Whether a book holds the five best levels a side that the recorder held."""
    sides = ((book.bids("yes"), "yes"), (book.bids("no"), "no"))
    return all(
        top(levels) == list(zip(point[f"{side}_prices"], point[f"{side}_sizes"], strict=True)) for levels, side in sides
    )


def located(capture: recorded.Capture, points: list[dict[str, Any]]) -> dict[int, list[dict[str, Any]]]:
    """Checkpoints by the frame that they follow: the one of that market and number that is nearest in time."""
    places: dict[tuple[str, int], list[int]] = {}
    for place, key in enumerate(capture.keys):
        places.setdefault(key, []).append(place)
    found: dict[int, list[dict[str, Any]]] = {}
    for point in points:
        near = min(
            places[point["market_ticker"], point["seq"]], key=lambda place: abs(capture.received[place] - point["ns"])
        )
        found.setdefault(near, []).append(point)
    return found


def replay(capture: recorded.Capture, points: list[dict[str, Any]]) -> tuple[int, dict[str, kl.OrderBook], int]:
    """Every frame into a book for each market: checkpoints that agree, the books, and the empty snapshots seen."""
    books = {ticker: kl.OrderBook(ticker) for ticker, _ in capture.keys}
    checked, agree, emptied = located(capture, points), 0, 0
    for place, frame in enumerate(capture.frames):
        for book in books.values():
            book.apply(frame)
        agree += sum(same(books[point["market_ticker"]], point) for point in checked.get(place, ()))
        if b"orderbook_snapshot" in frame and b"dollars_fp" not in frame:
            book = books[capture.keys[place][0]]
            emptied += book.bids() == book.asks() == () and not book.stale
    return agree, books, emptied


@pytest.mark.long
def test_every_reliable_checkpoint_of_every_capture_agrees(recordings: Path) -> None:
    """WS-3: 5,655 of 5,655 checkpoints; no level below zero, no gap; a closing market's empty snapshot empties its book."""
    points = recorded.checkpoints(recordings)
    agree = emptied = restarts = 0
    for path in recorded.captures(recordings):
        capture = recorded.capture(path)
        right, books, empty = replay(capture, points[path.stem])
        agree, emptied = agree + right, emptied + empty
        assert [(book.trouble, book.gaps, book.duplicates, book.discarded) for book in books.values()] == [
            (0, 0, 0, 0)
        ] * len(books)
        firsts = [ticker for ticker, seq in capture.keys if seq == 1]
        restarts += len(firsts) - len(set(firsts))
    assert sum(map(len, points.values())) == 5655
    assert agree == 5655
    assert emptied >= 14
    assert restarts >= 1, "a market whose sequence starts again, inside one capture"


def test_a_sequence_of_many_markets_is_whole_only_with_its_acknowledgements(recordings: Path) -> None:
    """WS-3: 269 frames of 12 markets have no gap; without the `ok` frames they have eleven."""
    frames = recorded.stream(recordings)
    assert len(frames) == 269
    whole = OrderBooks()
    for frame in frames:
        whole.apply(frame)
    assert (len(whole), whole.gaps, whole.duplicates, whole.wants_snapshot) == (12, 0, 0, ())
    cut = OrderBooks()
    for frame in frames:
        if frame["type"] != "ok":
            cut.apply(frame)
    assert cut.gaps == 11
    assert cut.gap == (22, 23)


def test_one_book_of_a_shared_sequence_sees_what_many_books_see(recordings: Path) -> None:
    """Each market's own book, given all frames as dicts, text or bytes, ends like its book among the twelve."""
    frames = recorded.stream(recordings)
    many = OrderBooks()
    for frame in frames:
        many.apply(frame)
    forms: list[Any] = [lambda frame: frame, json.dumps, lambda frame: json.dumps(frame).encode()]
    for number, (ticker, expected) in enumerate(many.items()):
        book = kl.OrderBook(ticker)
        for frame in frames:
            book.apply(forms[number % 3](frame))
        assert book == expected
        assert (book.gaps, book.stale, book.seq) == (0, False, 268)
        assert book.updated_at is None or book.updated_at == expected.updated_at


def test_a_capture_of_two_channels_replays(recordings: Path) -> None:
    """Ticker frames, which have no number, change nothing and break nothing."""
    frames = recorded.lines(recordings)
    books, changed = OrderBooks(), 0
    for frame in frames:
        changed += books.apply(frame) is not None
    (book,) = books.values()
    assert (books.gaps, book.trouble, book.stale) == (0, 0, False)
    assert changed == sum(frame["type"].startswith("orderbook") for frame in frames) == 2965
    alone = kl.OrderBook(book.ticker)
    for frame in frames:
        alone.apply(frame)
    assert alone == book
    assert alone.updated_at is not None
    assert alone.updated_at.tzinfo is not None


def test_books_cross_for_a_moment(recordings: Path) -> None:
    """A crossed state between two deltas of a trade is shown and passes; it is no error."""
    crossed = states = 0
    for path in recorded.captures(recordings)[:4]:
        capture = recorded.capture(path)
        book = kl.OrderBook(capture.keys[0][0])
        for frame in capture.frames:
            if book.apply(frame) and book.crossed:
                crossed += 1
                assert book.mid is None
                assert book.spread is not None
                assert book.spread <= 0
            states += 1
        assert not book.crossed
    assert 0 < crossed < states / 1000
