"""A desk that makes messages of the stream and knows what is true: every book at every moment, every trade, every message sent."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

BEGAN = datetime(2026, 11, 22, 14, tzinfo=UTC)
A, B, C = "KXDESK-A", "KXDESK-B", "KXDESK-C"
Levels = dict[str, dict[Decimal, Decimal]]


def milliseconds(time: datetime) -> int:
    return round(time.timestamp() * 1000)


@dataclass
class Desk:
    """Books of some markets that change at random, ten milliseconds apart; `moments` holds each book after each change."""

    tickers: tuple[str, ...] = (A, B)
    seed: int = 1
    now: datetime = BEGAN
    books: dict[str, Levels] = field(default_factory=dict)
    moments: dict[str, list[tuple[datetime, Levels]]] = field(default_factory=dict)
    trades: list[str] = field(default_factory=list)
    seqs: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.draw = random.Random(self.seed)
        for ticker in self.tickers:
            self.books[ticker] = {"yes": {Decimal("0.40"): Decimal(100)}, "no": {Decimal("0.55"): Decimal(50)}}
            self.moments[ticker] = []

    def frame(self, kind: str, sid: int, msg: dict[str, Any], *, numbered: bool = True) -> bytes:
        """A message as it is sent now, under the next number of its subscription."""
        made = {"type": kind, "sid": sid, "msg": msg, "sending_ts_ms": milliseconds(self.now)}
        if numbered:
            made["seq"] = self.seqs[sid] = self.seqs.get(sid, 0) + 1
        return json.dumps(made).encode()

    def tick(self, seconds: float = 0.01) -> None:
        self.now += timedelta(seconds=seconds)

    def snapshot(self, ticker: str, sid: int = 1) -> bytes:
        book = self.books[ticker]
        sides = {
            f"{side}_dollars_fp": [[f"{price:.4f}", f"{size:.2f}"] for price, size in sorted(levels.items())]
            for side, levels in book.items()
            if levels
        }
        self._remember(ticker)
        return self.frame("orderbook_snapshot", sid, {"market_ticker": ticker, "market_id": "u", **sides})

    def delta(self, ticker: str, sid: int = 1) -> bytes:
        """A change of one level, which may end it."""
        side = self.draw.choice(["yes", "no"])
        levels = self.books[ticker][side]
        price = Decimal(self.draw.randint(1, 30)) / 100
        if price in levels and self.draw.random() < 0.5:
            change = -levels.pop(price)
        else:
            change = Decimal(self.draw.randint(1, 900)) / 100
            levels[price] = levels.get(price, Decimal(0)) + change
        self._remember(ticker)
        return self.frame(
            "orderbook_delta", sid,
            {"market_ticker": ticker, "market_id": "u", "price_dollars": f"{price:.4f}", "delta_fp": f"{change:.2f}", "side": side},
        )  # fmt: skip

    def change(self, ticker: str) -> bytes:
        """The same, a little later."""
        self.tick()
        return self.delta(ticker)

    def trade(self, ticker: str, sid: int = 2) -> bytes:
        number = f"trade-{len(self.trades):06d}"
        self.trades.append(number)
        at = milliseconds(self.now)
        return self.frame(
            "trade", sid,
            {
                "trade_id": number, "market_ticker": ticker, "yes_price_dollars": "0.4200", "no_price_dollars": "0.5800",
                "count_fp": "3.50", "taker_side": "yes", "taker_outcome_side": "yes", "taker_book_side": "bid",
                "is_block_trade": False, "ts": at // 1000, "ts_ms": at,
            },
        )  # fmt: skip

    def ticker(self, ticker: str, sid: int = 3) -> bytes:
        at = milliseconds(self.now)
        return self.frame(
            "ticker", sid,
            {
                "market_ticker": ticker, "market_id": "u", "price_dollars": "0.4200", "yes_bid_dollars": "0.4000",
                "yes_ask_dollars": "0.4500", "yes_bid_size_fp": "100.00", "yes_ask_size_fp": "50.00", "last_trade_size_fp": "3.50",
                "volume_fp": "1000.00", "open_interest_fp": "500.00", "dollar_volume": 420, "dollar_open_interest": 210,
                "ts": at // 1000, "ts_ms": at, "time": self.now.isoformat(), "mood": "fair",
            },
            numbered=False,
        )  # fmt: skip

    def lifecycle(self, ticker: str, change: str, sid: int = 4) -> bytes:
        msg = {"event_type": change, "market_ticker": ticker, "open_ts": milliseconds(self.now) // 1000}
        return self.frame("market_lifecycle_v2", sid, msg)

    def any(self) -> bytes:
        """A message of any kind, a little later."""
        self.tick()
        ticker, roll = self.draw.choice(self.tickers), self.draw.random()
        if roll < 0.7:
            return self.delta(ticker)
        if roll < 0.8:
            return self.trade(ticker)
        return self.ticker(ticker) if roll < 0.95 else self.lifecycle(ticker, "close_date_updated")

    def at(self, ticker: str, time: datetime) -> Levels:
        """The book as it was."""
        return [book for when, book in self.moments[ticker] if when <= time][-1]

    def _remember(self, ticker: str) -> None:
        self.moments[ticker].append((self.now, {side: dict(levels) for side, levels in self.books[ticker].items()}))


def levels(book: Any) -> Levels:
    """The levels of an OrderBook as the desk keeps its own."""
    return {side: dict(book.bids(side)) for side in ("yes", "no")}
