"""What is kept and what waits is bounded in number and bytes, whatever comes."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

from kalshi_lab.kalshi.connection import Frame
from kalshi_lab.kalshi.notices import Gap, Missed
from kalshi_lab.kalshi.received import KEPT, Queue, Received
from tests.fakes import FakeClock
from tests.stream.test_messages import TICK

if TYPE_CHECKING:
    import kalshi_lab as kl
    from tests.stream.server import StreamServer

CLOCK = FakeClock()


def frame(size: int = 10, ticker: str = "KX-A", kind: str = "trade") -> Frame:
    return Frame(CLOCK.now(), 1, 1, None, kind, ticker, b"x" * size)


def taken(queue: Queue) -> list[object]:
    found = []
    while (item := queue.take()) is not None:
        found.append(item)
    return found


def test_what_waits_is_bounded_in_bytes() -> None:
    """F23: a few huge snapshots fill the room as many small messages do; one alone always finds some."""
    queue = Queue(CLOCK, 100, room=1_000)
    for size in (5_000, 10, 10):
        queue.put(frame(size))
    first, missed = taken(queue)
    assert isinstance(first, Frame)
    assert isinstance(missed, Missed)
    assert missed.counts == {"trade": 2}
    for size in (400, 400, 400, 100):
        queue.put(frame(size))
    sizes = [len(one.raw) if isinstance(one, Frame) else one for one in taken(queue)]
    assert sizes[:2] == [400, 400]
    assert isinstance(sizes[2], Missed)  # told in its place: before the small one that found room again
    assert sizes[3] == 100


def test_what_was_missed_is_told_by_type_and_market() -> None:
    """F23: also how many notices; after it was told, counting begins anew."""
    queue = Queue(CLOCK, 1)
    queue.put(frame())
    for one in (frame(), frame(ticker="KX-B"), frame(kind="ticker"), Gap(1, 1, "trade", 1, 3, (), CLOCK.now())):
        queue.put(one)
    _, missed = taken(queue)
    assert missed == Missed({"trade": 2, "ticker": 1, "Gap": 1}, CLOCK.now(), {"KX-A": 2, "KX-B": 1})
    assert taken(queue) == []


def test_what_is_kept_is_bounded() -> None:
    """The newest of each type, in number and in bytes; the last one stays, however large."""
    received = Received(room=1_000)
    for _ in range(50):
        received.keep(frame(100))
        received.keep(frame(5_000, kind="huge"))
    assert received.types == {"trade": 10, "huge": 1}
    many = Received()
    for _ in range(KEPT + 5):
        many.keep(frame())
    assert (many.types, many.count) == ({"trade": KEPT}, KEPT + 5)


def test_memory_stays_flat_whoever_does_not_read(server: StreamServer, kalshi: kl.Kalshi) -> None:
    """F23: 24 MB of messages for a reader that stands still, and at the end one who knows what it missed."""
    many, long = 3_000, "x" * 8_000
    stream = kalshi.stream("ticker")
    stream._twin._queue.room = stream._twin.received.room = 1_000_000

    async def flood() -> None:
        for _ in range(many):
            await server.lines[-1].tell("ticker", "ticker", {**TICK, "more": long})

    with stream:
        tracemalloc.start()
        try:
            server.do(flood())
            stream.subscriptions()  # answered after all that was sent before
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        found = list(stream.messages(timeout=0.2))
        missed = found[-1]
        assert isinstance(missed, Missed)
        assert len(found) - 1 + missed.count == many
        assert held < 8_000_000
        assert stream._twin.received.count == many
