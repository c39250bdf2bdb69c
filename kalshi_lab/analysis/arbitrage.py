"""Arbitrage that could be executed: portfolios that cannot lose, from books, fees and the states of the world.

Only what must be true links markets (see `strikes`): nested thresholds are no overround, and markets that merely move together are no
arbitrage. Every portfolio comes with what it pays in every state.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from itertools import compress
from typing import TYPE_CHECKING, Any, ClassVar

import polars as pl

from kalshi_lab.analysis import strikes
from kalshi_lab.analysis.base import Basis, Result
from kalshi_lab.analysis.portfolio import Leg, Offer, Portfolio, Terms, bound, build, hopeful
from kalshi_lab.errors import UsageError, one_of
from kalshi_lab.fees import FeeSchedule
from kalshi_lab.grid import Grid
from kalshi_lab.models import Event, Market, Orderbook, Series

if TYPE_CHECKING:
    from datetime import datetime

    from kalshi_lab.analysis.strikes import Group, Unit
    from kalshi_lab.book import OrderBook
    from kalshi_lab.fees import Member

    Books = Mapping[str, Orderbook | OrderBook] | Iterable[Orderbook | OrderBook]
    Fees = Series | Iterable[Series] | FeeSchedule | tuple[str, Any]

TRADING = ("active", "open")
MONEY = pl.Decimal(18, 6)
LEGS = pl.Schema(
    {
        "portfolio": pl.Int64(), "event_ticker": pl.String(), "kind": pl.String(), "ticker": pl.String(), "side": pl.String(),
        "contracts": pl.Decimal(18, 2), "limit": pl.Decimal(9, 6), "cost": MONEY, "fee": MONEY,
    }
)  # fmt: skip
STATES = pl.Schema({"portfolio": pl.Int64(), "state": pl.String(), "payout": MONEY, "profit": MONEY})
Offers = dict[str, list[Offer]]


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Arbitrage(Result):
    """Riskless portfolios, best first. `frame()` has a row for each order; `states` a row for each state of the world.

    frame: portfolio Int64 (its place in `portfolios`), event_ticker, kind, ticker, side String (what is bought: yes or no), contracts
    Decimal(18, 2), limit Decimal(9, 6) (worst price of that side, dollars), cost and fee Decimal(18, 6) dollars. states: portfolio, state,
    payout and profit (after cost and fees) Decimal(18, 6) dollars.
    """

    portfolios: tuple[Portfolio, ...]
    chart: ClassVar[str] = "payoff"

    @property
    def states(self) -> pl.DataFrame:
        """What each portfolio pays in each state of the world."""
        rows = [
            (number, one.state, one.payout, one.profit)
            for number, portfolio in enumerate(self.portfolios)
            for one in portfolio.outcomes
        ]
        return pl.DataFrame(rows, schema=STATES, orient="row")

    @property
    def profit(self) -> Decimal:
        """Dollars that all portfolios make together in their worst states, after fees."""
        return sum((portfolio.profit for portfolio in self.portfolios), Decimal(0))

    @property
    def conclusion(self) -> str:
        """How many there are and what they make."""
        if not self.portfolios:
            return "no riskless portfolio"
        paid = sum((portfolio.capital for portfolio in self.portfolios), Decimal(0))
        many = "1 riskless portfolio" if len(self.portfolios) == 1 else f"{len(self.portfolios)} riskless portfolios"
        best = self.portfolios[0]
        said = f"{many}: {self.profit:,.4f} dollars at least on {paid:,.2f} paid, after fees"
        return f"{said}; the best in {best.events[0]}, {best.profit:,.4f} dollars, {best.why}"


def arbitrage(
    books: Books,
    events: Event | Iterable[Event],
    *,
    fees: Fees,
    capital: Decimal | str | int | None = None,
    member: Member = "direct",
    lot: Decimal | str | int = 1,
    unit: Decimal | str | None = "strikes",
    complete: bool = False,
    one_value: bool = False,
    at: datetime | None = None,
) -> Arbitrage:
    """Portfolios that cannot lose, whatever happens: the best of each group of linked markets, net of fees, as deep as the books are.

    `books`: an `Orderbook` or `OrderBook` for each market, by ticker or in a row. `events`: events with their markets. `fees`: the series
    (one, or several), a `FeeSchedule`, or a pair such as ("quadratic", 1). `capital`: dollars to spend on all together (None: no end).
    `member`: whose balance rounding counts, as in `kl.fee`. `lot`: the fewest contracts, 0.01 or more. `at`: the time of the fills.

    What links markets: strikes on one number (same event, same subject); `mutually_exclusive`, where the exchange says so, of which
    buying every NO needs nothing more; a combo's legs; YES and NO of one market. That one market must win is taken from the strikes
    where they leave no gap. `unit` is that in which the number is published, which closes gaps such as from 52 to 53: "strikes" reads
    it off the brackets, a number says it, None takes no unit. `complete=True` says that of every exclusive event one market wins;
    `one_value=True` that all the events are decided by one number (a range event and a threshold event on it). What was assumed is
    said by each portfolio. An event whose strikes overlap is never taken as exclusive.

    A market settled at a fair price (a cancelled game) pays a mixture of its event's states, so it loses nothing either, up to the
    rounding of those prices to cents. Each level
    counts as one fill; where several orders make up a level, rounding can cost a balance unit for each more. Portfolios are taken in the
    order of their return, each from what the others left of books and capital. Formulas and sources: `kalshi_lab.analysis.portfolio`.
    Raises UsageError for input that makes no sense, without the extra `analysis`, and where a fee is not known.
    """
    known = [events] if isinstance(events, Event) else list(events) if isinstance(events, Iterable) else [events]
    if not all(isinstance(one, Event) for one in known):
        raise UsageError("the events are no events", hint="Ask for them with their markets: lab.event(ticker)")
    markets = {market.ticker: (market, event) for event in known for market in event.markets}
    if not markets:
        raise UsageError("the events hold no markets", hint="Ask for them with their markets: lab.event(ticker)")
    money, size, step = _amount("capital", capital), _amount("lot", lot), _unit(unit)
    one_of("member", member, ("direct", "non-direct"))
    excluded: Counter[str] = Counter()
    offers = _all_offers(_by_ticker(books), markets, excluded)
    schedules = {ticker: _schedule(fees, *markets[ticker]) for ticker in offers}
    terms = Terms(money, size or Decimal(1), schedules, member, at)
    groups = strikes.linked(known, unit=step, complete=complete, one_value=one_value)
    found = _taken(groups, offers, terms, excluded)
    basis = Basis(
        n=len(offers),
        unit="market",
        weighting=f"the worst state counts, in each of {len(groups):,} sets of linked markets",
        horizon="the books as given" if at is None else f"the books of {at:%Y-%m-%d %H:%M:%S} UTC",
        interval="none, every state is listed",
        excluded=dict(excluded),
    )
    return Arbitrage(table=_legs(found), basis=basis, portfolios=tuple(found))


def _taken(groups: list[Group], offers: Offers, terms: Terms, excluded: Counter[str]) -> list[Portfolio]:
    """The portfolios, those with the best return first, each from what the ones before it left."""
    chosen_groups = compress(groups, hopeful(groups, offers, terms))
    hopes = [(most, group) for group in chosen_groups if (most := bound(group, _of(group, offers), terms)) > 0]
    first = [(build(group, _of(group, offers), terms, most), group) for most, group in hopes]
    excluded["portfolios lost to the rounding of fees"] += sum(portfolio is None for portfolio, _ in first)
    ranked = sorted(
        ((portfolio, group) for portfolio, group in first if portfolio is not None),
        key=lambda one: (-one[0].profit / one[0].capital, one[0].events),
    )
    found: list[Portfolio] = []
    for portfolio, group in ranked:
        chosen: Portfolio | None = portfolio
        fits = terms.capital is None or portfolio.capital <= terms.capital
        if not fits or not _there(portfolio, offers):
            most = bound(group, _of(group, offers), terms)
            chosen = build(group, _of(group, offers), terms, most) if most else None
        if chosen is not None:
            found.append(chosen)
            _consume(chosen.legs, offers)
            terms = replace(terms, capital=None if terms.capital is None else terms.capital - chosen.capital)
    return sorted(found, key=lambda one: (-one.profit, one.events))


def _of(group: Group, offers: Offers) -> list[Offer]:
    return [offer for ticker in group.tickers for offer in offers.get(ticker, ())]


def _there(portfolio: Portfolio, offers: Offers) -> bool:
    """Whether what a portfolio buys is still offered in full."""
    return all(
        sum(o.size for o in offers[leg.ticker] if o.side == leg.side and o.price <= leg.limit) >= leg.contracts
        for leg in portfolio.legs
    )


def _consume(legs: Iterable[Leg], offers: Offers) -> None:
    for leg in legs:
        left, kept = leg.contracts, []
        for offer in offers[leg.ticker]:
            taken = min(left, offer.size) if offer.side == leg.side else Decimal(0)
            left -= taken
            kept += [replace(offer, size=offer.size - taken)] if offer.size > taken else []
        offers[leg.ticker] = kept


def _by_ticker(books: Books) -> dict[str, Orderbook | OrderBook]:
    return dict(books) if isinstance(books, Mapping) else {book.ticker: book for book in books}


def _all_offers(
    books: Mapping[str, Orderbook | OrderBook], markets: Mapping[str, tuple[Market, Event]], excluded: Counter[str]
) -> Offers:
    """What can be bought of every market that trades, best price first, YES before NO."""
    found: Offers = {}
    for ticker, (market, _) in markets.items():
        reason = _unfit(market, books.get(ticker))
        if reason:
            excluded[f"markets {reason}"] += 1
            continue
        grid = Grid(market) if market.price_ranges else None
        both = _levels(ticker, books[ticker])
        found[ticker] = [one for one in both if grid is None or grid.valid(one.price)]
        excluded["levels off the price grid"] += len(both) - len(found[ticker])
    return found


def _unfit(market: Market, book: Orderbook | OrderBook | None) -> str:
    """Why a market cannot be part of a portfolio; empty where it can."""
    if market.status not in TRADING:
        return "that don't trade"
    if market.market_type not in {None, "binary"} or market.notional_value not in {None, Decimal(1)}:
        return "that don't pay one dollar or nothing"
    if market.settlement_bounds_type not in {None, "", "default"}:
        return "that pay a floor"
    if book is None:
        return "without a book"
    return "with a stale book" if getattr(book, "stale", False) else ""


def _levels(ticker: str, book: Orderbook | OrderBook) -> list[Offer]:
    yes, no = (book.yes_bids, book.no_bids) if isinstance(book, Orderbook) else (book.bids("yes"), book.bids("no"))
    return [
        *(Offer(ticker, "yes", 1 - price, size) for price, size in no if 0 < price < 1 and size > 0),
        *(Offer(ticker, "no", 1 - price, size) for price, size in yes if 0 < price < 1 and size > 0),
    ]


def _schedule(fees: Fees, market: Market, event: Event) -> FeeSchedule:
    if isinstance(fees, FeeSchedule):
        return fees
    if isinstance(fees, Series | tuple):
        return FeeSchedule.of(fees, event=event, market=market)
    found = {series.ticker: series for series in fees}.get(event.series_ticker or "")
    if found is None:
        hint = 'Give its series, or a pair like ("quadratic", 1)'
        raise UsageError(
            f"the fees of {event.event_ticker} are not known: {event.series_ticker} is not given", hint=hint
        )
    return FeeSchedule.of(found, event=event, market=market)


def _amount(what: str, value: Decimal | str | int | None) -> Decimal | None:
    try:
        made = None if value is None else Decimal(str(value))
    except InvalidOperation:
        made = Decimal("NaN")
    if made is not None and (not made.is_finite() or made <= 0 or (what == "lot" and made * 100 % 1)):
        allowed = "contracts above 0 in hundredths, such as 1" if what == "lot" else "dollars above 0"
        raise UsageError(f"{what} {value!r} makes no sense", hint=f"Give {allowed}")
    return made


def _unit(value: Decimal | str | float | None) -> Unit:
    if value is None or value == "strikes":
        return None if value is None else "strikes"
    try:
        made = strikes.exact(value)
    except InvalidOperation:
        made = Decimal(0)
    if not made.is_finite() or made <= 0:
        raise UsageError(
            f"unit {value!r} makes no sense", hint='Give "strikes", None, or a number above 0, such as 0.1'
        )
    return made


def _legs(portfolios: list[Portfolio]) -> pl.DataFrame:
    rows = [
        (number, portfolio.events[0], portfolio.kind, leg.ticker, leg.side, leg.contracts, leg.limit, leg.cost, leg.fee)
        for number, portfolio in enumerate(portfolios)
        for leg in portfolio.legs
    ]
    return pl.DataFrame(rows, schema=LEGS, orient="row")
