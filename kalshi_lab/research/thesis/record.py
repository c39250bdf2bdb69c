"""A thesis as a value: what was claimed, of which markets, at which prices, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import polars as pl

from kalshi_lab import frames
from kalshi_lab.models import quote
from kalshi_lab.research.thesis import card, scoring

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal
    from typing import Self

    from kalshi_lab.models import Market

FINAL = "finalized"
DECIDED = frozenset({"determined", "disputed", "amended", FINAL})
MID = pl.Decimal(10, 7)  # the middle of two prices may need one decimal more than they
COLUMNS: dict[str, Any] = {
    "ticker": pl.String,
    "title": pl.String,
    "probability": frames.PRICE,
    "quoted_at": frames.TIME,
    "yes_bid": frames.PRICE,
    "yes_ask": frames.PRICE,
    "entry": MID,
    "side": pl.String,
    "edge": frames.PRICE,
    "status": pl.String,
    "now_bid": frames.PRICE,
    "now_ask": frames.PRICE,
    "side_now": pl.String,
    "edge_now": frames.PRICE,
    "result": pl.String,
    "settlement_value": frames.PRICE,
    "brier": pl.Float64,
    "market_brier": pl.Float64,
    "brier_skill": pl.Float64,
}
PATH: dict[str, Any] = {
    "ticker": pl.String,
    "time": frames.TIME,
    "bid": pl.Float64,
    "ask": pl.Float64,
    "price": pl.Float64,
}


@dataclass(frozen=True, slots=True)
class ThesisMarket:
    """One market of a thesis: your probability of YES, the quote when it was written down, the quote now, and the outcome.

    Prices are exact dollars of the YES contract as the exchange showed them. `status`, `now_bid` and `now_ask` are from the last
    look at the exchange, None where there was none. `result` is None until it is final: then yes, no, scalar, or void (neither
    side won and nothing was paid).
    """

    ticker: str
    title: str
    probability: Decimal
    quoted_at: datetime
    yes_bid: Decimal | None
    yes_ask: Decimal | None
    last_price: Decimal | None
    result: str | None = None
    settlement_value: Decimal | None = None
    status: str | None = None
    now_bid: Decimal | None = None
    now_ask: Decimal | None = None

    @classmethod
    def of(cls, market: Market, probability: Decimal, time: datetime) -> Self:
        """What is thought of a market now, with its quote."""
        title = market.title or market.yes_sub_title or market.ticker
        made = cls(market.ticker, title, probability, time, market.yes_bid, market.yes_ask, market.last_price)
        return made.seen(market)

    def seen(self, market: Market | None) -> Self:
        """The same after a look at the exchange: today's quote, and the result once it is final. None: it was not listed."""
        if market is None:
            return self
        now = replace(self, status=market.status, now_bid=market.yes_bid, now_ask=market.yes_ask)
        if not is_final(market):
            return now
        return replace(now, result=final_result(market), settlement_value=market.settlement_value)

    @property
    def entry(self) -> Decimal | None:
        """The mid price when it was written down, in dollars; None where that was no real quote."""
        return quote.mid(self.yes_bid, self.yes_ask)

    @property
    def edge(self) -> scoring.Edge | None:
        """The edge over the quote when it was written down."""
        return scoring.edge(self.probability, self.yes_bid, self.yes_ask)

    @property
    def edge_now(self) -> scoring.Edge | None:
        """The edge over the quote of the last look."""
        return scoring.edge(self.probability, self.now_bid, self.now_ask)

    @property
    def outcome(self) -> Decimal | None:
        """What one YES contract paid; None where that is not final, or the market was voided."""
        return scoring.outcome(self.result, self.settlement_value)

    @property
    def brier(self) -> Decimal | None:
        """Your Brier score."""
        return scoring.brier(self.probability, self.outcome)

    @property
    def market_brier(self) -> Decimal | None:
        """The Brier score of the entry price."""
        return scoring.brier(self.entry, self.outcome)

    @property
    def brier_skill(self) -> Decimal | None:
        """Your skill over the market."""
        return scoring.skill(self.brier, self.market_brier)

    def row(self) -> dict[str, Any]:
        """The values of COLUMNS."""
        edges = {"": self.edge, "_now": self.edge_now}
        sides = {f"side{suffix}": found and found.side for suffix, found in edges.items()}
        worth = {f"edge{suffix}": found and found.dollars for suffix, found in edges.items()}
        scores = {name: getattr(self, name) for name in ("brier", "market_brier", "brier_skill")}
        floats = {name: None if value is None else float(value) for name, value in scores.items()}
        plain = {name: getattr(self, name) for name in COLUMNS if name not in sides | worth | floats}
        return plain | sides | worth | floats


def is_final(market: Market) -> bool:
    """Whether the exchange has paid the market out; before that a result may still be disputed and amended."""
    return market.status == FINAL


def is_decided(market: Market) -> bool:
    """Whether the outcome is known already, final or not."""
    return bool(market.result) or market.status in DECIDED


def final_result(market: Market) -> str:
    """The exchange's word for the outcome of a market that is final."""
    return market.result or ("void" if market.settlement_value is None else "scalar")


def empty_path() -> pl.DataFrame:
    """A price path without prices."""
    return pl.DataFrame(schema=PATH)


@dataclass(frozen=True, eq=False, repr=False)
class Thesis:
    """A claim about some markets, at one version of it: every change of mind, of status, and the resolution is a version.

    status: active, resolved (every market has its final result) or abandoned. `created_at` is the time of the first version, `time`
    of this one (UTC). `path` is what is known of the prices: ticker, time (Datetime), bid, ask and price (Float64 dollars; bid and
    ask null where that was no real quote, price null where nothing traded). `gaps` says in words what is not known.
    """

    name: str
    version: int
    status: str
    because: str
    created_at: datetime
    time: datetime
    markets: tuple[ThesisMarket, ...]
    path: pl.DataFrame = field(default_factory=empty_path)
    gaps: tuple[str, ...] = ()

    def frame(self, *, exact: bool = False) -> pl.DataFrame:
        """One row for each market.

        Columns: ticker, title; probability of YES (yours); quoted_at, yes_bid, yes_ask, entry (mid), as of when it was written
        down; side and edge against that quote; status, now_bid, now_ask, side_now, edge_now as of the last look; result (null
        until final: yes, no, scalar, void) and settlement_value; brier (yours), market_brier (of entry), brier_skill (1 - yours /
        the market's). edge is p - ask where p is above the ask (side "yes"), bid - p where p is below the bid (side "no"), 0 in
        between (side ""), before fees. Prices, probability and edges are Float64 dollars (`exact=True`: Decimal), Brier columns
        Float64, times Datetime(us, UTC); null where there was no real quote or no final result.
        """
        made = pl.DataFrame([market.row() for market in self.markets], schema=COLUMNS)
        return made if exact else frames.floats(made)

    def score(self) -> scoring.Score:
        """How it did so far, next to the market."""
        return scoring.score(self.markets)

    def __repr__(self) -> str:
        count = "1 market" if len(self.markets) == 1 else f"{len(self.markets)} markets"
        return f"<Thesis {self.name!r} v{self.version}, {self.status}, {count}: {self.score().words()}>"

    def _repr_html_(self) -> str:
        return card.html(self)
