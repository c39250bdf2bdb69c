"""The live book: an order book and the trades of a market, as the stream brings them."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from kalshi_lab.book import OrderBook
from kalshi_lab.errors import LabError
from kalshi_lab.kalshi.notices import Disconnected, Gap, Missed, Reconnected
from kalshi_lab.models.stream import StreamTrade
from kalshi_lab.notebook.house import Panel, button, row
from kalshi_lab.notebook.table import Column, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kalshi_lab.kalshi.stream import AsyncStream

PAUSE: Final = 0.25  # seconds between two drawings, however many messages came
LEVELS: Final = 10
TRADES: Final = 100
LADDER: Final = (
    Column("bid", "bid size", "bid", sortable=False),
    Column("price", "YES price $", "price", sortable=False),
    Column("ask", "ask size", "ask", sortable=False),
)
TAPE: Final = (
    Column("time", "time (UTC)", width="12em"),
    Column("price", "YES price $", "number"),
    Column("count", "contracts", "number"),
    Column("taker", "taker took"),
)
LADDER_ROWS: Final[dict[str, Any]] = {"bid": pl.Float64, "price": pl.String, "ask": pl.Float64}
TAPE_ROWS: Final[dict[str, Any]] = {
    "time": pl.Datetime("us", "UTC"), "price": pl.Float64, "count": pl.Float64, "taker": pl.String,
}  # fmt: skip


class LiveBook(Panel):
    """The book of `ticker`, offers above bids, with the trades since the panel was opened; `state` says how the stream stands."""

    def __init__(self, lab: Any, ticker: str) -> None:
        super().__init__(lab, f"Book of {ticker}")
        self.ticker, self.state = ticker, "not connected"
        self._stream: AsyncStream | None = None
        self._reading: asyncio.Task[None] | None = None
        self._trades: deque[dict[str, Any]] = deque(maxlen=TRADES)
        self._news = asyncio.Event()
        self.ladder = Table(
            pl.DataFrame(schema=LADDER_ROWS), columns=LADDER, label=f"Order book of {ticker}", height=26 * 2 * LEVELS, alive=True
        )  # fmt: skip
        self.tape = Table(
            pl.DataFrame(schema=TAPE_ROWS), columns=TAPE, label=f"Trades of {ticker}", caption=True, height=26 * 6
        )
        again = button("Connect again", lambda: self.begin(self.load()), hint="End the stream, and open another")
        self.compose(row(again), self.ladder, self.tape)

    @property
    def tables(self) -> Sequence[Table]:
        """The ladder and the tape."""
        return (self.ladder, self.tape)

    async def load(self) -> None:
        """The book as it is now, then as the stream changes it."""
        await self._hang_up()
        self._show(OrderBook.of(await self.lab.orderbook(self.ticker)))
        stream = self.lab.kalshi.stream(["orderbook_delta", "trade"], tickers=[self.ticker])
        self._told("connecting")
        try:
            await stream.open()
        except BaseException:
            self._told("not connected: no live book, this one is as it was asked for")
            raise
        self._stream = stream
        self.trouble.value = ""
        self._told("live")
        self._reading = asyncio.create_task(self._read(stream))
        self.begin(self._watched(self._reading))
        self.begin(self._draw(stream))

    async def _watched(self, reading: asyncio.Task[None]) -> None:
        """What ends the stream is shown."""
        try:
            await reading
        except LabError:
            self._told("disconnected: these levels are as they were")
            raise
        finally:
            reading.cancel()

    async def _read(self, stream: AsyncStream) -> None:
        while items := await stream.several():
            for item in items:
                self._take(
                    item
                    if isinstance(item, Gap | Disconnected | Reconnected | Missed)
                    else stream.received.message(item)
                )
            self._news.set()

    def _take(self, item: Any) -> None:
        match item:
            case StreamTrade():
                self._trades.appendleft(
                    {"time": item.ts_ms, "price": item.yes_price, "count": item.count, "taker": item.taker_outcome_side}
                )
            case Disconnected():
                self._told(f"disconnected ({item.reason or 'the connection was lost'}); connecting again")
                self.begin(
                    self.lab.orderbook(self.ticker)
                )  # a request that fails has an id, which a lost stream has not
            case Reconnected():
                missing = f"{(item.back - item.lost).total_seconds():.1f} s of trades are missing"
                self.trouble.value = ""
                self._told(f"live again; {missing}")

    async def _draw(self, stream: AsyncStream) -> None:
        """Draw what changed, at most four times a second."""
        drawn = -1
        while stream.state not in {"closed", "failed"}:
            self._news.clear()
            if stream.state == "connecting" and not self.state.startswith("disconnected"):
                self._told("disconnected; connecting again")
            book = stream.books.get(self.ticker)
            if book is not None and stream.received.count != drawn:
                drawn = stream.received.count
                self._show(book)
                self.tape.rows = _tape(self._trades)
            await asyncio.sleep(PAUSE)
            try:
                async with asyncio.timeout(2):
                    await self._news.wait()
            except TimeoutError:
                continue

    def _show(self, book: OrderBook) -> None:
        asks, bids = book.asks()[:LEVELS], book.bids()[:LEVELS]
        rows = [{"bid": None, "price": f"{price:f}", "ask": float(size)} for price, size in reversed(asks)]
        rows += [{"bid": float(size), "price": f"{price:f}", "ask": None} for price, size in bids]
        self.ladder.rows = pl.DataFrame(rows, schema=LADDER_ROWS)
        said = f"STALE: {book.stale_reason}; " if book.stale else ""
        as_of = f"as of {book.updated_at:%Y-%m-%d %H:%M:%S} UTC" if book.updated_at else ""
        self.ladder.foot = "; ".join(part for part in (self.state, f"{said}{as_of}") if part)

    def _told(self, state: str) -> None:
        self.state = state
        self.ladder.foot = state

    async def _hang_up(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
        if self._stream is not None:
            stream, self._stream = self._stream, None
            await stream.close()

    def stop(self) -> None:
        """End the stream."""
        super().stop()
        if self._stream is not None and self._loop.is_running():
            asyncio.run_coroutine_threadsafe(self._hang_up(), self._loop)


def _tape(trades: Sequence[dict[str, Any]] | deque[dict[str, Any]]) -> pl.DataFrame:
    numbers = {"price", "count"}
    rows = [
        {name: float(value) if name in numbers and value is not None else value for name, value in one.items()}
        for one in trades
    ]
    return pl.DataFrame(rows, schema=TAPE_ROWS)
