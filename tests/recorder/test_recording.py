"""What arrives is in the tables, once, and a book of the past is the book as it was."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from tests.recorder.conftest import until
from tests.recorder.desk import A, B, Desk, levels


def test_messages_become_rows_and_books(recording_on: Any) -> None:
    """WS-3: every message is a row of its table, and books of any moment are those of the exchange."""
    desk = Desk()

    async def work() -> None:
        async with recording_on(A, B) as (lab, recording, stream):
            stream.send(desk.snapshot(A), desk.snapshot(B), *[desk.any() for _ in range(500)])
            await until(lambda: sum(recording.stats.frames.values()) == 502)
            await recording.stop()
            stored = {name: (await lab.table(name)).height for name in ("book_changes", "ticks", "lifecycle", "trades")}
            assert sum(stored.values()) == 502
            assert recording.stats.stored == stored | {"gaps": 0}
            from kalshi_lab.ingest import replay

            for ticker in (A, B):
                for time, book in desk.moments[ticker][::20]:
                    found = await replay.book(lab.store, lab.clock, ticker, time)
                    assert levels(found) == desk.at(ticker, time), (time, book)
                    assert not found.stale
                steps = [
                    (time, levels(book))
                    async for time, book in replay.replay(
                        lab.store, lab.clock, ticker, desk.moments[ticker][0][0], desk.now + timedelta(seconds=1)
                    )
                ]
                assert steps == desk.moments[ticker]

    asyncio.run(work())
