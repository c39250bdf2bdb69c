"""Recordings that stop, start again, are killed or forgotten: what they kept stays whole, and where they were absent is a gap."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kalshi_lab.errors import AuthFailed, UsageError
from tests.recorder import truth
from tests.recorder.conftest import until, wait
from tests.recorder.desk import A, B, Desk, levels

if TYPE_CHECKING:
    from collections.abc import Callable

    import kalshi_lab as kl
    from kalshi_lab.sim import Exchange

SEED = 20261123


class Child:
    """A process that records."""

    def __init__(self, exchange: Exchange, home: Path, tickers: list[str]) -> None:
        command = [
            sys.executable,
            str(Path(__file__).parent / "child.py"),
            exchange.url,
            str(home),
            ",".join(tickers),
        ]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.recording = self.line()

    def line(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def stored(self, rows: int) -> None:
        """Until it stored so many rows."""
        while int(self.line()) < rows:
            pass

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


def killed(lab: kl.Lab, exchange: Exchange, home: Path, rows: int, draw: random.Random) -> None:
    """Kill a recording at a random moment after so many rows, and hold what is there against what was sent."""
    exchange.stream_log(keep=True)
    names = lab.markets(limit=100)["ticker"].to_list()[:4]
    child = Child(exchange, home, names)
    exchange.stir(500)
    child.stored(rows)
    exchange.advance(draw.random())
    child.stored(rows + draw.randint(1, 300))
    child.kill()
    exchange.stir(0)
    exchange.advance(10)
    frames = [frame for frame in exchange.stream_log()["frames"] if frame["type"] in truth.BOOK]
    with lab.record(tickers=names[:1]):
        row = lab.sql("SELECT * FROM recordings WHERE recording = ?", [child.recording]).to_dicts()[0]
        gap = lab.sql("SELECT * FROM gaps WHERE recording = ?", [child.recording]).to_dicts()
        assert [one["reason"] for one in gap] == ["ended"]
        assert gap[0]["since"] == row["kept_until"] == row["ended_at"] < gap[0]["until"]
    kept = lab.sql("SELECT seq FROM book_changes WHERE recording = ? ORDER BY frame", [child.recording])[
        "seq"
    ].to_list()
    assert len(kept) >= rows * 0.5
    assert kept == [frame["seq"] for frame in frames][: len(kept)]  # all, once, in order, up to its end
    last = lab.book(names[1])
    assert "stopped without notice" in last.stale_reason
    assert not list(home.glob("*.recording"))


@pytest.mark.long
def test_a_killed_recording_is_whole_to_its_end_and_a_gap_from_there_on(
    lab: kl.Lab, upset: Exchange, tmp_path: Path
) -> None:
    """F24: kill -9: what was committed is there once, and the next recorder enters the gap from the last moment kept."""
    killed(lab, upset, tmp_path, 400, random.Random(SEED))


@pytest.mark.kill
@pytest.mark.timeout(600)
def test_ten_kills(lab: kl.Lab, upset: Exchange, tmp_path: Path) -> None:
    """F24: the same ten times over, at random moments, in one store."""
    draw = random.Random(SEED + 1)
    for _ in range(10):
        killed(lab, upset, tmp_path, draw.randint(20, 2000), draw)


@pytest.mark.long
def test_a_recording_of_another_process_is_left_alone(lab: kl.Lab, upset: Exchange, tmp_path: Path) -> None:
    """Several recorders share a store: a start ends those whose process is gone, and no other."""
    names = lab.markets(limit=100)["ticker"].to_list()[:2]
    child = Child(upset, tmp_path, names)
    child.stored(1)
    with lab.record(tickers=names) as mine:
        open_ones = lab.sql("SELECT recording FROM recordings WHERE ended_at IS NULL")["recording"].to_list()
        assert sorted(open_ones) == sorted([child.recording, mine.recording])
        assert lab.table("gaps").is_empty()
        upset.stir(200)
        wait(lambda: sum(mine.stats.frames.values()) > 100)
        upset.stir(0)
    child.kill()
    assert lab.sql("SELECT count(*) FROM recordings WHERE ended_at IS NULL").item() == 1


@pytest.mark.long
def test_stop_and_start_again(recording_on: Any) -> None:
    """Two recordings of one market: books of both, a hole between them that is told, and nothing twice."""
    desk = Desk(tickers=(A,))

    async def work() -> None:
        seen = []
        for _ in range(2):
            async with recording_on(A, channels=("orderbook_delta",)) as (lab, recording, stream):
                desk.seqs.clear()
                stream.send(desk.snapshot(A), *[desk.change(A) for _ in range(30)])
                await until(lambda: recording.stats.stored.get("book_changes") == 31)
                await recording.stop()
                seen.append((desk.now, desk.books[A] | {}))
                desk.tick(60)
        async with recording_on(B) as (lab, _, _):
            for time, _ in desk.moments[A][::5]:
                found = await lab.book(A, time)
                assert levels(found) == desk.at(A, time)
                assert not found.stale
            between = await lab.book(A, seen[0][0].replace(microsecond=999_000))
            assert between.stale
            assert "nothing was recorded after" in between.stale_reason
            steps = [(time, book.stale, levels(book)) async for time, book in lab.replay(A)]
            assert [(time, held) for time, stale, held in steps if not stale] == desk.moments[A]
            assert [stale for _, stale, _ in steps] == [False] * 31 + [True] + [False] * 31

    asyncio.run(work())


def test_cancelling_leaves_nothing_behind(recording_on: Any) -> None:
    """A cell that is stopped leaves no task, no lock and no half batch."""
    desk = Desk(tickers=(A,))

    async def work() -> None:
        ready = asyncio.Event()
        found: list[Any] = []

        async def cell() -> None:
            async with recording_on(A) as (lab, recording, stream):
                found.extend([lab, recording])
                stream.send(desk.snapshot(A), *[desk.change(A) for _ in range(40)])
                await asyncio.sleep(0)
                ready.set()
                await asyncio.sleep(60)

        task = asyncio.create_task(cell())
        await ready.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert asyncio.all_tasks() == {asyncio.current_task()}
        lab, recording = found
        assert recording.state == "stopped"
        assert (await lab.table("book_changes")).height == 41
        assert not list(lab.store.path.parent.glob("*.recording"))

    asyncio.run(work())


def test_a_stream_that_ends_by_itself_ends_the_recording(recording_on: Any) -> None:
    """P6: a key that is refused when the connection is made again: what came is kept, the rest is a gap, and the state says failed."""
    desk = Desk(tickers=(A,))

    async def work() -> None:
        async with recording_on(A, channels=("orderbook_delta",)) as (lab, recording, stream):
            stream.send(desk.snapshot(A))
            stream.lose()
            stream.queue.put_nowait(AuthFailed("the exchange did not accept the key"))
            await until(lambda: recording.stats.gaps == 1)
            assert (recording.state, len(recording.errors)) == ("failed", 1)
            assert "did not accept the key" in repr(recording)
            await recording.stop()
            assert (await lab.table("gaps"))["reason"].to_list() == ["connection"]
            assert (await lab.table("recordings"))["ended_at"].null_count() == 0
            with pytest.raises(UsageError, match="once"):
                await recording.start()

    asyncio.run(work())


def test_a_blocking_lab_records_in_the_background(new_lab: Callable[[], kl.Lab], upset: Exchange) -> None:
    """`lab.record()` begins at once and goes on while cells run; closing the lab ends it as it should."""
    lab = new_lab()
    recording = lab.record(tickers=lab.markets(limit=100)["ticker"].to_list()[:2])
    upset.stir(300)
    wait(lambda: sum(recording.stats.frames.values()) > 50)
    upset.stir(0)
    assert repr(recording).startswith(f"<Recording {recording.recording} recording: 2 markets, ")
    assert recording.recording in recording._repr_html_()
    lab.close()
    assert recording.state == "stopped"
    assert new_lab().table("recordings")["ended_at"].null_count() == 0
