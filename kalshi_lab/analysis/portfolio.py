"""The best riskless portfolio over the books of linked markets: a linear programme, then an integer one, then an exact check.

Every contract bought pays one dollar or nothing, by the state of the world. With x(l) contracts of level l at cost c(l), its price and
the fee per contract, and a(s, l) what it pays in state s, the programme is

    maximise t  where  sum_l (a(s, l) - c(l)) x(l) >= t  in every state s,  sum_l c(l) x(l) <= capital,  0 <= x(l) <= size(l)

so that t is the profit in the worst state. Fees are rounded up per fill, which no linear programme knows: t is a bound, and what was
found is computed again in exact decimals, order by order. Source: A. Charnes, W. W. Cooper, "Management Models and Industrial
Applications of Linear Programming" (1961); that the absence of such a portfolio means that a probability exists which prices all:
B. de Finetti, "La prévision: ses lois logiques, ses sources subjectives" (1937). Solver: HiGHS, by way of scipy.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal

from kalshi_lab.analysis.science import science
from kalshi_lab.fees import TAKER, OrderFees

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from kalshi_lab.analysis.strikes import Group, State
    from kalshi_lab.fees import FeeSchedule, Member
    from kalshi_lab.kalshi.orders import NewOrder

Side = Literal["yes", "no"]
ZERO = Decimal(0)
ROUNDING: dict[str, float] = {"direct": 0.0001, "non-direct": 0.01}  # dollars that one fill can cost beyond its fee
NOTHING = 1e-7  # dollars; below it a bound is the solver's own rounding
NODES = 2_000  # of the integer programme's tree, which is hardly ever entered: the linear one ends at whole numbers


@dataclass(frozen=True, slots=True)
class Offer:
    """So many contracts of one side of a market that can be bought at a price, in dollars of that side."""

    ticker: str
    side: Side
    price: Decimal
    size: Decimal


@dataclass(frozen=True, slots=True)
class Terms:
    """What binds a portfolio: dollars to spend (None: no end), the smallest number of contracts, and who pays which fees when."""

    capital: Decimal | None
    lot: Decimal
    fees: Mapping[str, FeeSchedule]
    member: Member
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Leg:
    """One order of a portfolio: buy so many contracts of a side; `limit` is the worst price it pays, `cost` before its `fee`."""

    ticker: str
    side: Side
    contracts: Decimal
    limit: Decimal
    cost: Decimal
    fee: Decimal

    def order(self) -> NewOrder:
        """The order that executes it: all at once or not at all."""
        from kalshi_lab.kalshi.orders import NewOrder

        price = self.limit if self.side == "yes" else 1 - self.limit
        way: Literal["bid", "ask"] = "bid" if self.side == "yes" else "ask"
        return NewOrder(ticker=self.ticker, side=way, count=self.contracts, price=price, time_in_force="fill_or_kill")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a portfolio pays in one state of the world, and what is left of it after cost and fees, in dollars."""

    state: str
    payout: Decimal
    profit: Decimal


@dataclass(frozen=True, slots=True)
class Portfolio:
    """Orders that together cannot lose, whatever happens, as long as all of them are filled and the assumptions hold.

    `bound` is the linear programme's profit in dollars, which no portfolio over these books can beat; `outcomes` has every state.
    """

    events: tuple[str, ...]
    kind: str
    legs: tuple[Leg, ...]
    outcomes: tuple[Outcome, ...]
    bound: float
    assumptions: tuple[str, ...]

    @property
    def profit(self) -> Decimal:
        """Dollars left in the worst state, after fees."""
        return min(outcome.profit for outcome in self.outcomes)

    @property
    def fees(self) -> Decimal:
        """Fees of all orders, dollars."""
        return sum((leg.fee for leg in self.legs), ZERO)

    @property
    def capital(self) -> Decimal:
        """Dollars paid at the start: prices and fees."""
        return sum((leg.cost for leg in self.legs), ZERO) + self.fees

    @property
    def contracts(self) -> Decimal:
        """Contracts bought, over all legs."""
        return sum((leg.contracts for leg in self.legs), ZERO)

    @property
    def why(self) -> str:
        """Why it cannot lose."""
        worst = min(outcome.payout for outcome in self.outcomes)
        given = f", given that {' and '.join(self.assumptions)}" if self.assumptions else ""
        count = len(self.outcomes)
        paid = f"it pays at least {_plain(worst)} dollars in each of {count} possible states and costs {_plain(self.capital)}"
        return f"{self.kind}: {paid}{given}"

    def orders(self) -> tuple[NewOrder, ...]:
        """The orders that execute it, for `kalshi.orders.create`; each fills whole or not at all."""
        return tuple(leg.order() for leg in self.legs)

    def __repr__(self) -> str:
        return (
            f"<Portfolio {', '.join(self.events)}: {_plain(self.profit)} dollars on {_plain(self.capital)}; {self.why}>"
        )


def _plain(amount: Decimal) -> str:
    """An amount without zeros at its end."""
    return f"{amount.normalize():f}"


def hopeful(groups: Sequence[Group], offers: Mapping[str, Sequence[Offer]], terms: Terms) -> list[bool]:
    """Which groups allow a riskless profit at all: where the best price of each side does, one contract of each and fees not rounded.

    One programme for all groups: deeper levels cost more, so none of them helps where the best ones do not.
    """
    free = replace(terms, capital=None)
    tops = [[_top(group, offers, side) for side in ("yes", "no")] for group in groups]
    problems = [_problem(group, [*yes, *no], free) for group, (yes, no) in zip(groups, tops, strict=True) if yes or no]
    if not problems:
        return [False] * len(groups)
    np, sparse = science("numpy"), science("scipy.sparse")
    found = science("scipy.optimize").linprog(
        np.concatenate([one.goal for one in problems]),
        A_ub=sparse.block_diag([one.rows for one in problems], format="csr"),
        b_ub=np.concatenate([one.limits for one in problems]),
        bounds=[limit for one in problems for limit in one.bounds],
        method="highs",
    )
    if found.status != 0:  # pragma: no cover - bounded and feasible by construction
        return [True] * len(groups)
    ends = np.cumsum([len(one.goal) for one in problems])
    made = iter((found.x[ends - 1] > NOTHING).tolist())
    return [next(made) if yes or no else False for yes, no in tops]


def _top(group: Group, offers: Mapping[str, Sequence[Offer]], side: str) -> list[Offer]:
    """The best offer of one side of each market, one contract of it."""
    sides = ([one for one in offers.get(ticker, ()) if one.side == side] for ticker in group.tickers)
    return [replace(min(found, key=lambda one: one.price), size=Decimal(1)) for found in sides if found]


def bound(group: Group, offers: Sequence[Offer], terms: Terms) -> float:
    """The most that could be made without risk, in dollars, fees not yet rounded; 0 where nothing can."""
    if not offers:
        return 0.0
    problem = _problem(group, offers, terms)
    found = science("scipy.optimize").linprog(
        problem.goal, A_ub=problem.rows, b_ub=problem.limits, bounds=problem.bounds, method="highs"
    )
    best = -float(found.fun) if found.status == 0 else 0.0
    return best if best > NOTHING else 0.0


def build(group: Group, offers: Sequence[Offer], terms: Terms, most: float) -> Portfolio | None:
    """The best portfolio in whole lots, computed exactly; None where there is none or its rounded fees eat it up."""
    sizes = [int(offer.size // terms.lot) for offer in offers]
    lot, many, optimize = float(terms.lot), len(offers), science("scipy.optimize")
    problem = _problem(group, offers, terms, ROUNDING[terms.member] * many)
    rows = problem.rows.copy()
    rows[:, :many] *= lot
    found = optimize.milp(
        problem.goal,
        constraints=optimize.LinearConstraint(rows, ub=problem.limits),
        integrality=[1] * many + [0],
        bounds=optimize.Bounds([0] * (many + 1), [*sizes, float("inf")]),
        options={"node_limit": NODES},
    )
    if found.x is None:
        return None
    taken = [min(round(lots), size) * terms.lot for lots, size in zip(found.x[:many], sizes, strict=True)]
    made = [(offer, count) for offer, count in zip(offers, taken, strict=True) if count > 0]
    portfolio = _counted(group, made, terms, most)
    return portfolio if portfolio is not None and portfolio.profit > 0 else None


@dataclass(frozen=True, slots=True)
class _Problem:
    goal: Any
    rows: Any
    limits: Any
    bounds: list[tuple[float, float | None]]


def _problem(group: Group, offers: Sequence[Offer], terms: Terms, spare: float = 0.0) -> _Problem:
    """The programme in contracts: a column for each level and one for t, a row for each state and one for the capital less `spare`."""
    np = science("numpy")
    place = {ticker: number for number, ticker in enumerate(group.tickers)}
    cost = np.array([_each(offer, terms) for offer in offers])
    yes = np.array([[state.yes[place[offer.ticker]] for offer in offers] for state in group.states])
    pays = np.where(np.array([offer.side == "yes" for offer in offers]), yes, ~yes).astype(float)
    rows = np.hstack([cost - pays, np.ones((len(pays), 1))])
    limits = np.zeros(len(pays))
    if terms.capital is not None:
        rows = np.vstack([rows, np.append(cost, 0.0)])
        limits = np.append(limits, float(terms.capital) - spare)
    goal = np.append(np.zeros(len(offers)), -1.0)
    return _Problem(goal, rows, limits, [*((0.0, float(offer.size)) for offer in offers), (0.0, None)])


def _each(offer: Offer, terms: Terms) -> float:
    """What a contract of a level costs with its fee, before rounding."""
    rate = TAKER * terms.fees[offer.ticker].terms(terms.at)[1]
    return float(offer.price + rate * offer.price * (1 - offer.price))


def _counted(group: Group, made: list[tuple[Offer, Decimal]], terms: Terms, most: float) -> Portfolio | None:
    """The portfolio with its orders' true cost and fees, and what each state pays."""
    ordered = sorted(made, key=lambda one: (group.tickers.index(one[0].ticker), one[0].side, one[0].price))
    legs = tuple(_leg([*part], terms) for _, part in groupby(ordered, key=lambda one: (one[0].ticker, one[0].side)))
    if not legs or (terms.capital is not None and sum(leg.cost + leg.fee for leg in legs) > terms.capital):
        return None
    sure, doubtful = ([_outcome(group, state, legs) for state in states] for states in (group.states, group.doubtful))
    worst = min(one.profit for one in sure)
    needed = any(one.profit < worst for one in doubtful) or (not doubtful and bool(group.assumptions))
    outcomes = tuple(sure if needed else sure + doubtful)
    return Portfolio(
        group.events, _kind(group, legs), legs, outcomes, most, (*group.given, *(group.assumptions if needed else ()))
    )


def _outcome(group: Group, state: State, legs: Sequence[Leg]) -> Outcome:
    yes = dict(zip(group.tickers, state.yes, strict=True))
    payout = sum((leg.contracts for leg in legs if yes[leg.ticker] == (leg.side == "yes")), ZERO)
    return Outcome(state.label, payout, payout - sum((leg.cost + leg.fee for leg in legs), ZERO))


def _leg(part: list[tuple[Offer, Decimal]], terms: Terms) -> Leg:
    first = part[0][0]
    # selling YES, which is how NO is bought, is rounded alike: contracts come in hundredths, so whole dollars of them are whole cents
    charged = OrderFees(terms.fees[first.ticker], member=terms.member)
    for offer, count in part:
        charged.add(offer.price, count, at=terms.at)
    cost = sum((offer.price * count for offer, count in part), ZERO)
    return Leg(first.ticker, first.side, sum((count for _, count in part), ZERO), part[-1][0].price, cost, charged.net)


def _kind(group: Group, legs: Sequence[Leg]) -> str:
    """What sort of mispricing it is, in words."""
    sides, markets = {leg.side for leg in legs}, {leg.ticker for leg in legs}
    place = {ticker: number for number, ticker in enumerate(group.tickers)}
    together = max(sum(state.yes[place[ticker]] for ticker in markets) for state in group.states)
    if len(markets) == 1:
        return "YES and NO of one market"
    if group.link == "combo" and group.tickers[-1] in markets:
        return "a combo against its legs"
    if together <= 1 and sides == {"no"}:
        return "dutch book: NO of markets of which at most one wins"
    if together <= 1 and sides == {"yes"}:
        return "dutch book: YES of markets of which one must win"
    if together <= 1:
        return "markets of which at most one wins, against one another"
    return "nested strikes out of order"
