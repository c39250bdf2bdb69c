"""A real recording of a simulated exchange: what it says that it sent is in the tables once, and what it left out is in a gap."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from tests.recorder import truth
from tests.recorder.conftest import wait

if TYPE_CHECKING:
    from collections.abc import Callable

    import kalshi_lab as kl
    from kalshi_lab.sim import Exchange


def names(lab: kl.Lab, count: int = 5) -> list[str]:
    return lab.markets(limit=200)["ticker"].to_list()[:count]


def test_every_message_is_stored_once_and_every_hole_is_a_gap(lab: kl.Lab, upset: Exchange) -> None:
    """WS-3: messages left out, doubled and swapped: what was sent is stored once, and each number left out lies in a gap."""
    with lab.record(tickers=names(lab)) as recording:
        upset.stir(800)
        draw = random.Random(4)
        for _ in range(12):
            upset.stream_faults(draw.choice(["skip", "duplicate", "swap", "skip"]), after=draw.randint(5, 60))
        wait(lambda: sum(recording.stats.frames.values()) > 2000)
        upset.stir(0)
        upset.advance(60)
        frames = upset.stream_log()["frames"]
        wait(lambda: sum(recording.stats.frames.values()) >= sum(frame["sent"] for frame in frames))
        recording.stop()
        assert truth.stored(lab) == truth.sent(frames)
        assert recording.stats.quarantined == 0
    left_out = [frame for frame in frames if not frame["sent"]]
    assert left_out
    gaps = lab.sql("SELECT sid, expected, received FROM gaps WHERE reason = 'sequence'").rows()
    for frame in left_out:
        assert any(sid == frame["sid"] and first <= frame["seq"] < last for sid, first, last in gaps), frame
    kept = [number for numbers in truth.book_numbers(lab).values() for number in numbers]
    assert len(kept) == len(set(kept))


@pytest.mark.long
def test_a_lost_connection_is_a_gap_and_what_came_before_is_whole(lab: kl.Lab, upset: Exchange) -> None:
    """WS-1: of each connection everything up to its end is kept, and each end is a gap; books are whole again afterwards."""
    chosen = names(lab)
    with lab.record(tickers=chosen) as recording:
        for number in range(1, 4):
            upset.stir(500)
            before = sum(recording.stats.frames.values())
            wait(lambda: sum(recording.stats.frames.values()) > before + 400)  # noqa: B023 - called at once
            upset.stream_faults("drop", reset=bool(number % 2))
            wait(lambda: recording.stats.gaps == number)  # noqa: B023
        upset.stir(0)
        upset.advance(1)
        wait(lambda: all(lab.book(name) == lab.orderbook(name) for name in chosen))
        assert not any(lab.book(name).stale for name in chosen)
        recording.stop()
    made, kept = truth.numbered(upset.stream_log()["frames"]), truth.book_numbers(lab)
    assert len(made) == len(kept) == 4
    for (_, numbers), seqs in zip(sorted(made.items()), [kept[key] for key in sorted(kept)], strict=True):
        assert seqs == [number for number, was_sent in numbers if was_sent][: len(seqs)]
    assert lab.sql("SELECT count(*) FROM gaps WHERE reason = 'connection'").item() == 3


@pytest.mark.long
def test_books_of_the_past_are_those_that_rest_gave_then(lab: kl.Lab, upset: Exchange) -> None:
    """WS-3: at moments in two recordings, the book is the one that the exchange itself gave at that moment."""
    chosen, seen = names(lab, 3), []
    for _ in range(2):
        with lab.record(tickers=chosen, channels="orderbook_delta") as recording:
            for _ in range(4):
                upset.stir(600)
                before = sum(recording.stats.frames.values())
                wait(lambda: sum(recording.stats.frames.values()) > before + 100)  # noqa: B023
                upset.stir(0)
                seen.append((upset.now(), [lab.orderbook(name) for name in chosen]))
                upset.advance(1)
            wait(lambda: truth.arrived(upset, recording))
        upset.stream_log(keep=True)
        upset.advance(5)
    for at, books in seen:
        for book in books:
            found = lab.book(book.ticker, at)
            assert found == book, (at, found, book)
            assert not found.stale


@pytest.mark.long
def test_trades_missed_meanwhile_are_brought_by_rest(new_lab: Callable[[], kl.Lab], upset: Exchange) -> None:
    """WS-1: after a lost connection the trades of that time come by REST, once, and the gap says how many."""
    lab = new_lab()
    busy = lab.markets(limit=500).sort("volume_24h", descending=True)["ticker"].to_list()[:25]
    with lab.record(tickers=busy, channels=("trade",)) as recording:
        upset.advance(1800)
        upset.stream_faults("refuse", status=503, times=2)
        upset.stream_faults("drop")
        wait(lambda: upset.stream_log()["counts"].get("refused", 0) >= 1)
        upset.advance(3600)  # nobody listens
        wait(lambda: lab.sql("SELECT count(*) FROM gaps WHERE backfilled > 0").item() == 1)
        upset.advance(1800)
        first = lab.sql("SELECT started_at FROM recordings").item()
        wanted = {trade for name in busy for trade in lab.trades(name, since=first, limit=None)["trade_id"]}
        wait(lambda: wanted <= set(lab.sql("SELECT trade_id FROM trades")["trade_id"]))
    rows = lab.sql("SELECT trade_id FROM trades").rows()
    assert len(set(rows)) == len(rows)
    assert lab.table("gaps")["backfilled"].to_list() == [recording.stats.backfilled]
    assert {trade for (trade,) in rows} == wanted
    last = lab.sql("SELECT ended_at FROM recordings").item()
    done = lab.sync(
        "trades", tickers=busy, since=first, until=last
    )  # REST says their times to the microsecond, the stream did not
    assert (done.stored, done.duplicate) == (0, len(rows))
