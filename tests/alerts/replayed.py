"""Recorded books brought to a real watch and a real store, by a stream that a test paces; and what must come of it, found another way.

    python -m tests.alerts.replayed HOME RECORDINGS SEED ALERTS CAPTURES MOST SPEED

goes on where the store says that the last one was, so it may be killed at any moment and started again.
"""

from __future__ import annotations

import asyncio
import bisect
import json
import random
import subprocess
import sys
import time
from collections import defaultdict
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from kalshi_lab.alerts import above, below, crosses, kept, spread_above
from kalshi_lab.alerts.deliveries import Deliveries
from kalshi_lab.alerts.facts import Facts
from kalshi_lab.alerts.watch import AsyncWatch
from kalshi_lab.clock import SystemClock
from kalshi_lab.kalshi.connection import Frame
from kalshi_lab.models import Market
from kalshi_lab.store import Store
from tests.book import recorded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from kalshi_lab.alerts import Condition

START = datetime(2026, 5, 14, tzinfo=UTC)
SEED = 20261123
ROOT = Path(__file__).parents[2]
Top = tuple[Decimal | None, Decimal | None]
Wanted = dict[str, list[tuple[str | None, str | None]]]


def frames(recordings: Path, captures: int, most: int = 10**9) -> list[tuple[str, bytes]]:
    """Market and bytes of the messages of so many recordings, one recording after the other; `most` of each."""
    made = [recorded.capture(path) for path in recorded.captures(recordings)[:captures]]
    return [
        (ticker, frame) for one in made for (ticker, _), frame in list(zip(one.keys, one.frames, strict=True))[:most]
    ]


class Books:
    """Books as plain mappings of price to size, from the messages' own numbers."""

    def __init__(self) -> None:
        self.sides: dict[tuple[str, str], dict[int, Decimal]] = defaultdict(dict)
        self.known: set[str] = set()

    def take(self, ticker: str, frame: bytes) -> None:
        row = json.loads(frame)
        said = row["msg"]
        if row["type"] == "orderbook_snapshot":
            self.known.add(ticker)
            for side in ("yes", "no"):
                levels = said.get(f"{side}_dollars_fp") or said.get(f"{side}_dollars") or []
                self.sides[ticker, side] = {_micro(price): Decimal(size) for price, size in levels if Decimal(size) > 0}
        elif ticker in self.known:
            levels, price = self.sides[ticker, said["side"]], _micro(said["price_dollars"])
            size = levels.pop(price, Decimal(0)) + Decimal(said["delta_fp"])
            if size > 0:
                levels[price] = size

    def best(self, ticker: str, side: str) -> Decimal | None:
        best = max(self.sides[ticker, side], default=None)
        return None if best is None else Decimal(best).scaleb(-6)

    def top(self, ticker: str) -> Top:
        no = self.best(ticker, "no")
        return self.best(ticker, "yes"), None if no is None else 1 - no

    def snapshot(self, ticker: str) -> bytes:
        """The book as the message that a new connection begins with."""
        levels = {
            f"{side}_dollars_fp": [
                [f"{Decimal(price).scaleb(-6):f}", str(size)] for price, size in self.sides[ticker, side].items()
            ]
            for side in ("yes", "no")
        }
        msg = {"market_ticker": ticker, "market_id": "m", **levels}
        return json.dumps({"type": "orderbook_snapshot", "sid": 2, "seq": 1, "msg": msg}).encode()


def _micro(price: str) -> int:
    return int(Decimal(price).scaleb(6))


def tops(rows: Sequence[tuple[str, bytes]]) -> Iterator[tuple[str, Top]]:
    """Market and best prices after each message that changed them."""
    books, last = Books(), {}
    for ticker, frame in rows:
        books.take(ticker, frame)
        top = books.top(ticker)
        if ticker in books.known and last.get(ticker) != top:
            last[ticker] = top
            yield ticker, top


def alerts(rows: Sequence[tuple[str, bytes]], seed: int, count: int) -> list[tuple[Condition, Decimal]]:
    """So many different conditions on the markets of the recordings, each with a hysteresis; they repeat."""
    chance, found = random.Random(seed), {}
    tickers = sorted({ticker for ticker, _ in rows})
    while len(found) < count:
        ticker, level = chance.choice(tickers), Decimal(chance.randint(20, 980)) / 1000
        make = chance.choice((above, below, crosses, spread_above))
        condition = make(ticker, Decimal(chance.randint(2, 90)) / 1000 if make is spread_above else level)
        margin = Decimal(0) if make is crosses else Decimal(chance.choice((0, 5, 20))) / 1000
        found.setdefault(condition.text, (condition, margin))
    return list(found.values())


def expected(rows: Sequence[tuple[str, bytes]], wanted: Sequence[tuple[Condition, Decimal]]) -> Wanted:
    """What each alert must say, in order: the quotes at which it fires. Written without the library's conditions and engine."""
    about: dict[str, list[tuple[str, str, Decimal, Decimal]]] = defaultdict(list)
    for number, (condition, margin) in enumerate(wanted, 1):
        row = json.loads(condition.text)
        level = Decimal(row.get("threshold") or row.get("price") or row.get("dollars"))
        about[row["ticker"]].append((f"a{number}", row["kind"], level, margin))
    waiting: set[str] = set()
    sides: dict[str, str] = {}
    fired: Wanted = defaultdict(list)
    for ticker, (bid, ask) in tops(rows):
        if bid is None or ask is None or not 0 < bid < ask < 1:
            continue
        for name, kind, level, margin in about[ticker]:
            eased = margin if name in waiting else Decimal(0)
            if _holds(kind, level, eased, bid, ask, sides, name):
                if name not in waiting:
                    fired[name].append((f"{bid.normalize():f}", f"{ask.normalize():f}"))
                    waiting.add(name)
            else:
                waiting.discard(name)
    return dict(fired)


def _holds(  # noqa: PLR0917 - a plain list of what the kinds mean
    kind: str, level: Decimal, eased: Decimal, bid: Decimal, ask: Decimal, sides: dict[str, str], name: str
) -> bool:
    mid = (bid + ask) / 2
    if kind == "above":
        return mid > level - eased
    if kind == "below":
        return mid < level + eased
    if kind == "spread_above":
        return ask - bid > level - eased
    before = sides.get(name)
    if mid != level:
        sides[name] = "up" if mid > level else "down"
    return before is not None and sides[name] != before


class Paced:
    """A stream that brings the messages from a place on at so many a second (0: as fast as they are read), with its own clock."""

    def __init__(self, rows: Sequence[tuple[str, bytes]], place: int, speed: float, turn: int) -> None:
        self.rows, self.place, self.speed, self.turn = rows, place, speed, turn
        self.begin, self.begun = place, time.monotonic()
        self.books = Books()
        for ticker, frame in rows[:place]:
            self.books.take(ticker, frame)
        self.first = [(ticker, self.books.snapshot(ticker)) for ticker in sorted(self.books.known)]
        self.state = "open"
        self.over = asyncio.Event()
        self.oldest = self.seen_from = 0.0

    async def open(self) -> Paced:
        return self

    async def close(self) -> None:
        self.state = "closed"

    async def add(self, _: Any) -> None:
        """All are there."""

    drop = snapshots = add

    def arrives(self, place: int) -> float:
        return self.begun + (place - self.begin) / self.speed

    async def several(self) -> list[Frame]:
        if self.first:
            rows, self.first = self.first, []
            self.begun = time.monotonic()
            return [self._frame(*row) for row in rows]
        if self.place >= len(self.rows):
            self.over.set()
            await asyncio.Event().wait()
        end = min(self.place + self.turn, len(self.rows))
        if self.speed:
            await asyncio.sleep(max(0.0, self.arrives(self.place) - time.monotonic()))
            end = self.begin + int((time.monotonic() - self.begun) * self.speed) + 1
            end = max(self.place + 1, min(end, len(self.rows)))
            self.oldest = self.arrives(self.place)
        else:
            await asyncio.sleep(0)
        rows = self.rows[self.place : end]
        self.place = end
        return [self._frame(*row) for row in rows]

    def _frame(self, ticker: str, raw: bytes) -> Frame:
        kind = "orderbook_snapshot" if b'"orderbook_snapshot"' in raw[:40] else "orderbook_delta"
        return Frame(START, 1, 2, 1, kind, ticker, raw)


class Placed(Store):
    """A store that writes down, with every transaction, how far the stream was read; and how long its messages waited for it."""

    stream: Paced | None = None

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._waits = path.parent / "waits.txt"

    @asynccontextmanager
    async def burst(self) -> AsyncIterator[Any]:
        async with super().burst() as held:
            plain = held.write
            held.write = lambda work, noted=None: self._placed(plain, work, noted)  # type: ignore[method-assign]
            yield held

    async def write(self, work: Any, noted: Any = None) -> Any:
        return await self._placed(super().write, work, noted)

    async def _placed(self, write: Any, work: Any, noted: Any) -> Any:
        stream = self.stream
        if stream is None:
            return await write(work, noted)
        place, oldest = stream.seen, stream.seen_from  # type: ignore[attr-defined]

        def both(connection: Any) -> Any:
            connection.execute("UPDATE place SET n = $1", [place])
            return work(connection)

        done = await write(both, noted)
        if oldest:
            with self._waits.open("a", encoding="ascii") as file:
                file.write(f"{time.monotonic() - oldest}\n")
        return done


class Watched(AsyncWatch):
    """A watch that says how far it has seen."""

    async def _arrived(self, arriving: Any) -> None:
        stream: Any = self._stream  # the paced one; these messages are about to be seen
        stream.seen, stream.seen_from = stream.place, stream.oldest
        await super()._arrived(arriving)
        stream.seen_from = 0.0


async def run(
    home: Path, rows: Sequence[tuple[str, bytes]], *, seed: int, count: int, speed: float, turn: int = 200
) -> None:
    """Bring what is left to bring."""
    store = Placed(home / "kalshi.duckdb")
    clock, wanted = SystemClock(), alerts(rows, seed, count)

    def arm(connection: Any) -> int:
        connection.execute("CREATE TABLE IF NOT EXISTS place (n BIGINT)")
        for condition, margin in wanted:
            kept.arm(connection, condition, "", START, repeat=True, hysteresis=margin)
        connection.execute("INSERT INTO place SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM place)")
        return int(connection.execute("SELECT n FROM place").fetchall()[0][0])

    place = await store.write(arm)
    stream: Any = Paced(rows, place, speed, turn)
    stream.seen = place
    kalshi: Any = SimpleNamespace(
        stream=lambda *_, **__: stream, markets=SimpleNamespace(list=lambda **asked: Listed(asked["tickers"]))
    )
    watch = Watched(kalshi, store, clock, Facts(kalshi, store, {}), Deliveries(store, clock), every=timedelta(hours=1))
    store.stream = stream
    async with watch:
        print("began", place, flush=True)
        await stream.over.wait()
    print("done", watch.status, flush=True)


class Listed:
    """A listing of markets without prices: the books say those."""

    refused = ()

    def __init__(self, tickers: Sequence[str]) -> None:
        self.tickers = tickers

    async def __aiter__(self) -> AsyncIterator[Any]:
        for ticker in self.tickers:
            yield Market(ticker=ticker, status="active")


def waits(home: Path) -> list[float]:
    """How long the oldest message of each transaction waited for it, in seconds, in order, whoever was killed in between."""
    return sorted(float(line) for line in (home / "waits.txt").read_text(encoding="ascii").split())


def killed(
    home: Path,
    recordings: Path,
    *,
    count: int,
    after: Sequence[float],
    captures: int = 99,
    most: int = 10**9,
    speed: int = 0,
) -> int:
    """Start it, kill it after so many seconds each time, and let the last one come to its end; how often it was killed."""
    kills = 0
    words = [str(home), str(recordings), str(SEED), str(count), str(captures), str(most), str(speed)]
    for patience in [*after, None]:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.alerts.replayed", *words], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline().startswith("began")
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills += 1
        process.stdout.close()
        if process.returncode == 0:
            break
    assert process.returncode == 0
    return kills


def told(home: Path) -> Wanted:
    """What the store says that each alert did, in the order of its numbers."""
    sql = "SELECT alert_id, event_id, yes_bid, yes_ask FROM alert_events WHERE what = 'fired'"
    rows = asyncio.run(Store(home / "kalshi.duckdb").read(sql)).rows()
    found: dict[str, list[tuple[int, tuple[str, str]]]] = defaultdict(list)
    for name, event, bid, ask in rows:
        bisect.insort(found[name], (int(event.rpartition(":")[2]), (f"{bid.normalize():f}", f"{ask.normalize():f}")))
    assert all([number for number, _ in one] == list(range(1, len(one) + 1)) for one in found.values())
    return {name: [quote for _, quote in one] for name, one in found.items()}


if __name__ == "__main__":
    home_, recordings_, seed_, count_, captures_, most_, speed_ = sys.argv[1:8]
    rows_ = frames(Path(recordings_), int(captures_), int(most_))
    asyncio.run(run(Path(home_), rows_, seed=int(seed_), count=int(count_), speed=float(speed_)))
