"""Replays and books of the past tell the same story, and say where they know nothing."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

import kalshi_lab as kl
from kalshi_lab.errors import UsageError
from kalshi_lab.store import recorded
from tests.fakes import FakeClock
from tests.recorder.conftest import until
from tests.recorder.desk import BEGAN, A, B, Desk, levels

if TYPE_CHECKING:
    from pathlib import Path

BOOKS = ("orderbook_delta",)
MS = timedelta(milliseconds=1)


async def troubled(recording_on: Any, desk: Desk, count: int) -> None:
    """A recording in which messages are left out, cannot be read, and the connection is lost."""
    async with recording_on(A, B, channels=BOOKS) as (_, recording, stream):
        stream.send(desk.snapshot(A), desk.snapshot(B))
        for _ in range(count):
            ticker, roll = desk.draw.choice([A, B]), desk.draw.random()
            if roll < 0.03:
                stream.leave_out(desk.change(ticker), (A, B))
                stream.send(desk.change(B))
            elif roll < 0.05:
                stream.send(desk.change(ticker).replace(b'"delta_fp": "', b'"delta_fp": "x'))
            elif roll < 0.07:
                stream.lose()
                desk.tick(2)
                stream.restore()
            else:
                stream.send(desk.change(ticker))
            if roll < 0.07 and desk.draw.random() < 0.7:
                desk.tick()
                stream.send(desk.snapshot(A), desk.snapshot(B))
        await until(lambda: stream.queue.empty() and not recording.stats.waiting)


@pytest.mark.long
def test_a_replay_is_stepping_through_books_of_the_past(recording_on: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """WS-3: every step of a replay is the book of that moment, stale where that one is, and whole books are the exchange's own."""
    monkeypatch.setattr(recorded, "CHUNK", 7)
    desk = Desk(seed=5)

    async def work() -> None:
        await troubled(recording_on, desk, 150)
        async with kl.AsyncLab("demo", home=recording_on.home, clock=FakeClock()) as lab:
            steps = [(time, book.stale, levels(book)) async for time, book in lab.replay(A)]
            times = [time for time, _, _ in steps]
            assert times == sorted(times)
            assert 5 < sum(stale for _, stale, _ in steps) < len(steps) / 2
            for time, stale, held in [step for number, step in enumerate(steps) if number % 4 == 0 or step[1]]:
                last = [step for step in steps if step[0] == time][-1]
                book = await lab.book(A, time)
                assert (book.stale, levels(book)) == last[1:]
                assert stale or held == desk.at(A, time)
            middle = [(time, stale) for time, stale, _ in steps if times[20] <= time < times[60]]
            part = [(time, book.stale) async for time, book in lab.replay(A, times[20], times[60])]
            assert part == middle

    asyncio.run(work())


def test_a_blocking_replay_is_the_same(recording_on: Any) -> None:
    """One implementation, two faces; a replay can be walked again."""
    desk = Desk(seed=6)

    async def awaited() -> list[Any]:
        await troubled(recording_on, desk, 60)
        async with kl.AsyncLab("demo", home=recording_on.home) as lab:
            return [(time, levels(book)) async for time, book in lab.replay(B)]

    wanted = asyncio.run(awaited())
    with kl.Lab("demo", home=recording_on.home) as lab:
        replay = lab.replay(B, BEGAN)
        assert [(time, levels(book)) for time, book in replay] == wanted
        assert [time for time, _ in replay] == [time for time, _ in wanted]
        assert repr(replay).startswith(f"<Replay {B} 2026-11-22 14:00:00 to ")
        assert levels(lab.book(B)) == wanted[-1][1]


def test_books_that_were_never_recorded_are_refused(recording_on: Any) -> None:
    """A market or a moment without a book is an error that says what there is; one after the end is stale."""
    desk = Desk()

    async def work() -> None:
        async with kl.AsyncLab("demo", home=recording_on.home, clock=FakeClock()) as lab:
            with pytest.raises(UsageError, match=r"no book of KXDESK-A was recorded. lab.record"):
                await lab.book(A)
        async with recording_on(A, channels=BOOKS) as (_, recording, stream):
            stream.send(desk.snapshot(A), desk.change(A))
            await until(lambda: recording.stats.stored.get("book_changes") == 2)
        async with kl.AsyncLab("demo", home=recording_on.home, clock=FakeClock()) as lab:
            with pytest.raises(UsageError, match=r"no book of KXDESK-AA was recorded. Did you mean KXDESK-A\?"):
                await lab.book("KXDESK-AA")
            with pytest.raises(UsageError, match=r"no book of KXOTHER was recorded. Recorded are KXDESK-A"):
                [step async for step in lab.replay("KXOTHER")]
            with pytest.raises(
                UsageError,
                match=r"not recorded yet at 2026-11-22 13:59:59.999 UTC. It is recorded from 2026-11-22 14:00:00",
            ):
                await lab.book(A, BEGAN - MS)
            with pytest.raises(UsageError, match="the time range is empty"):
                lab.replay(A, BEGAN, BEGAN)
            with pytest.raises(UsageError, match="not in upper case"):
                await lab.book("kxdesk-a")
            later = await lab.book(A, BEGAN + timedelta(hours=1))
            assert levels(later) == desk.books[A]
            assert later.stale_reason == "nothing was recorded after 2026-11-22 14:00:00.010 UTC"
            assert [time async for time, _ in lab.replay(A, BEGAN, BEGAN + MS)] == [BEGAN]
            assert [step async for step in lab.replay(A, BEGAN + timedelta(hours=1))] == []

    asyncio.run(work())


def test_silence_is_known_while_the_connection_stands(recording_on: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """P6: minutes without a message are recorded as such, and the book of then is not stale; while the connection is lost it is."""
    monkeypatch.setattr("kalshi_lab.ingest.recording_writer.QUIET", 0.02)
    desk = Desk()

    async def work() -> None:
        async with recording_on(A, channels=BOOKS) as (lab, recording, stream):
            stream.send(desk.snapshot(A))
            await until(lambda: recording.stats.stored.get("book_changes") == 1)
            lab.clock.advance(300)
            kept = "SELECT kept_until FROM recordings"
            async with asyncio.timeout(10):
                while (await lab.sql(kept)).item() < BEGAN + timedelta(seconds=290):  # noqa: ASYNC110 - told by the store
                    await asyncio.sleep(0.02)
            assert not (await lab.book(A, BEGAN + timedelta(seconds=200))).stale
            stream.lose()
            await until(lambda: not recording._intake.connected)
            lab.clock.advance(300)
            await asyncio.sleep(0.2)
            lost = await lab.book(A, BEGAN + timedelta(seconds=500))
            assert lost.stale
            stream.restore()
            desk.now = lab.clock.now()
            stream.send(desk.snapshot(A))
            await until(lambda: recording.stats.stored["book_changes"] == 2)
            assert "connection was lost" in (await lab.book(A, desk.now - MS)).stale_reason
            assert not (await lab.book(A)).stale

    asyncio.run(work())


def test_a_store_without_recordings_has_none(tmp_path: Path) -> None:
    """Nothing recorded is no error of the tables: they are there and empty."""
    with kl.Lab("demo", home=tmp_path) as lab:
        assert [lab.table(name).height for name in ("recordings", "book_changes", "ticks", "lifecycle", "gaps")] == [
            0
        ] * 5
