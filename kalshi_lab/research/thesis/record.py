"""A thesis as a value: what was claimed, of which markets, at which prices, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import polars as pl

from kalshi_lab import frames
from kalshi_lab.models import quote
from kalshi_lab.research.thesis import card, evidence, held, scoring

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal
    from typing import Self

    from kalshi_lab.charts import Picture
    from kalshi_lab.models import Market
    from kalshi_lab.research.thesis.criteria import Check
    from kalshi_lab.research.thesis.evidence import Evidence

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
    "log": pl.Float64,
    "market_log": pl.Float64,
    "event_ticker": pl.String,
    "ended_at": frames.TIME,
}
PATH: dict[str, Any] = {
    "ticker": pl.String,
    "time": frames.TIME,
    "bid": pl.Float64,
    "ask": pl.Float64,
    "price": pl.Float64,
}
HISTORY: dict[str, Any] = {
    "version": pl.Int64,
    "time": frames.TIME,
    "status": pl.String,
    "note": pl.String,
    "ticker": pl.String,
    "probability": pl.Float64,
    "quoted_at": frames.TIME,
    "yes_bid": pl.Float64,
    "yes_ask": pl.Float64,
}
NOT_DONE = "not done: "  # how a gap begins that research left


@dataclass(frozen=True, slots=True)
class ThesisMarket:
    """One market of a thesis: your probability of YES, the quote when it was written down, the quote now, and the outcome.

    Prices are exact dollars of the YES contract as the exchange showed them. `status`, `now_bid` and `now_ask` are from the last
    look at the exchange, None where there was none. `result` is None until it is final: then yes, no, scalar, or void (neither
    side won and nothing was paid); `ended_at` is when its outcome was no longer open: when trading had ended, or it was paid earlier.
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
    event_ticker: str | None = None
    ended_at: datetime | None = None
    status: str | None = None
    now_bid: Decimal | None = None
    now_ask: Decimal | None = None

    @classmethod
    def of(cls, market: Market, probability: Decimal, time: datetime) -> Self:
        """What is thought of a market now, with its quote."""
        title = market.title or market.yes_sub_title or market.ticker
        made = cls(market.ticker, title, probability, time, market.yes_bid, market.yes_ask, market.last_price)
        return replace(made, event_ticker=market.event_ticker).seen(market)

    def seen(self, market: Market | None) -> Self:
        """The same after a look at the exchange: today's quote, and the result once it is final. None: it was not listed."""
        if market is None:
            return self
        now = replace(self, status=market.status, now_bid=market.yes_bid, now_ask=market.yes_ask)
        if not is_final(market):
            return now
        ends = [time for time in (market.close_time, market.settlement_ts) if time is not None]
        return replace(
            now, result=final_result(market), settlement_value=market.settlement_value, ended_at=min(ends, default=None),
            event_ticker=now.event_ticker or market.event_ticker,
        )  # fmt: skip

    @property
    def event(self) -> str:
        """The event whose markets share their fate; where it was never told, the ticker without its last part."""
        return self.event_ticker or self.ticker.rpartition("-")[0] or self.ticker

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
    def log(self) -> float | None:
        """Your logarithmic score, in nats."""
        return scoring.log_loss(self.probability, self.outcome)

    @property
    def market_log(self) -> float | None:
        """The logarithmic score of the entry price."""
        return scoring.log_loss(self.entry, self.outcome)

    @property
    def brier_skill(self) -> Decimal | None:
        """Your skill over the market."""
        return scoring.skill(self.brier, self.market_brier)

    def row(self) -> dict[str, Any]:
        """The values of COLUMNS."""
        edges = {"": self.edge, "_now": self.edge_now}
        sides = {f"side{suffix}": found and found.side for suffix, found in edges.items()}
        worth = {f"edge{suffix}": found and found.dollars for suffix, found in edges.items()}
        scores = {name: getattr(self, name) for name in ("brier", "market_brier", "brier_skill", "log", "market_log")}
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


def empty_history() -> pl.DataFrame:
    """A history without versions."""
    return pl.DataFrame(schema=HISTORY)


@dataclass(frozen=True, eq=False, repr=False)
class Thesis:
    """A claim about some markets, at one version of it: every change of mind, of status, and the resolution is a version.

    status: draft (no forecast yet), active, resolved (every market has its final result) or abandoned. `created_at` is the time of the
    first version, `time` of this one (UTC), `resolved_at` that of the resolution. `claim` is what you say in one sentence, `bull` the
    case for it and `bear` the case against it: pro and con are about your claim, while the stance of evidence is about YES. `confidence`
    (0 to 1) is yours in the whole. `assumptions` are what must hold, `invalidation` what would change your mind, and `checks` how each
    of these stood. `note` is what was said of this version. `path` is what is known of the prices: ticker, time (Datetime), bid, ask
    and price (Float64 dollars; bid and ask null where that was no real quote, price null where nothing traded). `history` has the
    versions: version, time, status, note, ticker, probability, quoted_at, yes_bid, yes_ask. `gaps` says in words what is not known.
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
    claim: str = ""
    confidence: Decimal | None = None
    bull: str = ""
    bear: str = ""
    assumptions: tuple[str, ...] = ()
    invalidation: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    checks: tuple[Check, ...] = ()
    note: str = ""
    extra: str | None = None
    resolved_at: datetime | None = None
    history: pl.DataFrame = field(default_factory=empty_history)

    @property
    def tickers(self) -> list[str]:
        """Its markets."""
        return [market.ticker for market in self.markets]

    @property
    def partial(self) -> bool:
        """Whether something of it is not known."""
        return bool(self.gaps)

    def frame(self, *, exact: bool = False) -> pl.DataFrame:
        """One row for each market.

        Columns: ticker, title; probability of YES (yours); quoted_at, yes_bid, yes_ask, entry (mid), as of when it was written
        down; side and edge against that quote; status, now_bid, now_ask, side_now, edge_now as of the last look; result (null
        until final: yes, no, scalar, void) and settlement_value; brier (yours), market_brier (of entry), brier_skill (1 - yours /
        the market's); log and market_log (nats); event_ticker, ended_at. edge is p - ask where p is above the ask (side "yes"), bid - p
        where p is below the bid (side "no"), 0 in between (side ""), before fees. Prices, probability and edges are Float64 dollars
        (`exact=True`: Decimal), scores Float64, times Datetime(us, UTC); null where there was no real quote or no final result.
        """
        made = pl.DataFrame([market.row() for market in self.markets], schema=COLUMNS)
        return made if exact else frames.floats(made)

    def score(self) -> scoring.Score:
        """How it did so far, next to the market: at your last word, and over the time that it was active."""
        return scoring.score(self.markets, held.each(self))

    def found(self) -> pl.DataFrame:
        """The evidence: the fields of `Evidence`, and claim: "pro", "con", "neutral" or "mixed", null where nobody has judged it."""
        claims = pl.Series("claim", [one.towards(self.markets) for one in self.evidence], pl.String)
        return frames.floats(evidence.frame(self.evidence)).with_columns(claims)

    def plot(self, ticker: str | None = None) -> Picture:
        """One of its markets over time: its price, your line, the evidence, what it paid. Without a ticker the first with a price."""
        return card.picture(self, ticker)

    def __repr__(self) -> str:
        count = "1 market" if len(self.markets) == 1 else f"{len(self.markets)} markets"
        told = "; partial" if any(gap.startswith(NOT_DONE) for gap in self.gaps) else ""
        return f"<Thesis {self.name!r} v{self.version}, {self.status}, {count}: {self.score().words()}{told}>"

    def _repr_html_(self) -> str:
        return card.html(self)
