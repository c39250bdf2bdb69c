"""An order book as the exchange answers it: bids of both sides."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl

from kalshi_lab import markup, money
from kalshi_lab.models import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Level = tuple[Decimal, Decimal]
SCHEMA = pl.Schema({"ticker": pl.String(), "side": pl.String(), "price": pl.Decimal(9, 6), "size": pl.Decimal(18, 2)})


@dataclass(frozen=True, slots=True)
class Orderbook:
    """The bids for YES and for NO of one market, best first; prices in exact dollars, sizes in contracts.

    A bid for NO at q is an offer of YES at 1 - q, which is where the asks come from.
    """

    ticker: str
    yes_bids: tuple[Level, ...] = ()
    no_bids: tuple[Level, ...] = ()

    @classmethod
    def from_wire(cls, ticker: str, book: dict[str, Any]) -> Orderbook:
        """From the exchange's `orderbook_fp` object; empty, null and absent sides are the same."""
        return cls(ticker, _best_first(book.get("yes_dollars") or ()), _best_first(book.get("no_dollars") or ()))

    @property
    def asks(self) -> tuple[Level, ...]:
        """Offers of YES, best (lowest) first."""
        return tuple((1 - price, size) for price, size in self.no_bids)

    @property
    def yes_bid(self) -> Decimal | None:
        """Best YES bid in dollars; None where there is none."""
        return self.yes_bids[0][0] if self.yes_bids else None

    @property
    def yes_ask(self) -> Decimal | None:
        """Best YES ask in dollars; None where there is none."""
        return 1 - self.no_bids[0][0] if self.no_bids else None

    @property
    def mid(self) -> Decimal | None:
        """Middle of the quote in dollars; None where a side is empty."""
        return quote.mid(self.yes_bid, self.yes_ask)

    @property
    def spread(self) -> Decimal | None:
        """Best ask minus best bid in dollars; None where a side is empty."""
        return None if self.yes_bid is None or self.yes_ask is None else self.yes_ask - self.yes_bid

    def frame(self, *, exact: bool = False) -> pl.DataFrame:
        """The YES book as a frame, each side best first.

        Columns: ticker String, side String (bid, ask), price Float64 dollars, size Float64 contracts; `exact=True` gives
        Decimal(9, 6) and Decimal(18, 2).
        """
        rows = [
            (self.ticker, side, *level)
            for side, levels in (("bid", self.yes_bids), ("ask", self.asks))
            for level in levels
        ]
        made = pl.DataFrame(rows, schema=SCHEMA, orient="row")
        return made if exact else made.cast({pl.Decimal: pl.Float64})

    def __repr__(self) -> str:
        return f"<Orderbook {self.ticker} bid {self.yes_bid} ask {self.yes_ask}, {len(self.yes_bids)}+{len(self.no_bids)} levels>"

    def _repr_html_(self) -> str:
        depth = 10
        return markup.card(self.ticker, {}, markup.ladder(self.yes_bids[:depth], self.asks[:depth]))


def _best_first(levels: Iterable[Sequence[str]]) -> tuple[Level, ...]:
    return tuple(sorted(((money.dollars(level[0]), money.contracts(level[1])) for level in levels), reverse=True))


def taken(levels: Iterable[Level], contracts: Decimal) -> list[Level]:
    """What an order of so many contracts takes of the levels, best first: (price, contracts) of each that it touches."""
    left, found = contracts, []
    for price, size in levels:
        if not left:
            break
        found.append((price, min(left, size)))
        left -= found[-1][1]
    return found
