"""How much to stake: the fractions of a bankroll that make its expected logarithm grow fastest, over many markets at once.

With stakes f(i) at cost c(i) a contract, of which each pays a dollar in the states of the world in which its side wins, wealth becomes

    W(s) = 1 + sum_i f(i) (a(s, i) / c(i) - 1)

and the stakes maximise sum_s p(s) log W(s) under sum_i f(i) <= 1, f(i) >= 0 and whatever caps are given, which is concave: a cap that
binds moves the other stakes too. Sources: J. L. Kelly, "A New
Interpretation of Information Rate" (1956); for outcomes of which one wins, P. Smoczynski and D. Tomkins, "An explicit solution to
the problem of optimizing the allocations of a bettor's wealth when wagering on horse races" (2010), which this solver is tested
against. Costs are net of fees.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, ClassVar

import polars as pl

from kalshi_lab.analysis.base import Basis, Result
from kalshi_lab.analysis.given import given
from kalshi_lab.analysis.science import science
from kalshi_lab.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

NEEDED = ("ticker", "side", "probability", "cost")
STATES = 20_000  # of the world: as many are counted out exactly, beyond that so many are drawn
SMALLEST = 0.01  # contracts
SLACK = 1e-9  # by which probabilities of one event may add up to more than 1


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Kelly(Result):
    """Stakes on several contracts at once."""

    bankroll: float
    fraction: float
    growth: float
    chart: ClassVar[str] = "kelly"

    @property
    def conclusion(self) -> str:
        """The stakes in words."""
        staked = self.table.filter(pl.col("contracts") > 0)
        if staked.is_empty():
            return f"stake nothing of {self.bankroll:,.2f} dollars"
        return (
            f"stake {staked['dollars'].sum():,.2f} of {self.bankroll:,.2f} dollars on {staked.height:,} ({self.fraction:g} of full Kelly), "
            f"for an expected {staked['expected'].sum():,.2f}; the full stakes' log growth is {self.growth:.4g}"
        )


def kelly(
    bets: pl.DataFrame,
    *,
    bankroll: float,
    fraction: float = 0.5,
    most: float = 1.0,
    most_event: float = 1.0,
    most_total: float = 1.0,
    lot: float = 1.0,
) -> Kelly:
    """Stakes that grow a bankroll (dollars) fastest, all bets considered at once, of which `fraction` is then staked.

    `bets` is what `kl.edge` gives: ticker, side, probability (of the side) and cost (dollars a contract, fee included), and perhaps
    event_ticker, mutually_exclusive and size (contracts at that price, which no stake exceeds). Markets of an event that the exchange
    calls mutually exclusive share their states: one of them wins, or none does with what is left of the probability. Of other events
    only the best bet counts, since how their markets hang together is not known; bets on different events are taken as independent.
    `most`, `most_event` and `most_total` bound the shares of the bankroll that are staked on one market, one event and all; they and `size`
    are constraints of the optimum itself, so that what one bet may not take another does. `lot` is the smallest number of contracts. Up
    to 20,000 joint states are counted out, beyond that so many are drawn from a fixed seed.

    Table: ticker, side String; probability, cost, ev Float64 dollars a contract; alone, the full Kelly fraction of the bet by itself,
    (p - c) / (1 - c); full, its fraction among the others without caps; stake, `fraction` of the best under the caps, Float64 shares
    of the bankroll;
    contracts Float64, dollars (what they cost) and expected (what they are expected to win), Float64. Formula and sources: see
    `kalshi_lab.analysis.kelly`. More than one bet needs the extra `analysis`. Raises UsageError for a missing column, values outside
    [0, 1], and probabilities of an exclusive event that add up to more than 1.
    """
    bets = given(bets, *NEEDED)
    _check(bets, lot=lot, bankroll=bankroll, fraction=fraction, most=most, most_event=most_event, most_total=most_total)
    worth = bets.filter(pl.col("probability") > pl.col("cost"))
    rows, apart = _one_of_each_event(worth)
    caps = _caps(rows, bankroll=bankroll, fraction=fraction, most=most, most_event=most_event, most_total=most_total)
    full, stake = _fractions(rows, caps)
    table = _sized(rows, full[0], [fraction * each for each in stake], bankroll, lot)
    excluded = {
        "not worth their cost": bets.height - worth.height,
        "beside a better one of an event whose markets are not exclusive": apart,
    }
    basis = Basis(n=bets.height, unit="bet", weighting=full[2], horizon="held to settlement", excluded=excluded)
    return Kelly(table=table, basis=basis, bankroll=float(bankroll), fraction=fraction, growth=full[1])


def _check(bets: pl.DataFrame, *, lot: float, bankroll: float, **shares: float) -> None:
    for name in ("probability", "cost"):
        wrong = bets.filter(~pl.col(name).is_between(0, 1) | pl.col(name).is_null()).height
        if wrong:
            raise UsageError(
                f"column {name!r}: {wrong:,} rows hold nothing in [0, 1]", hint="Both are dollars a contract"
            )
    odd = bets.filter(~pl.col("side").is_in(["yes", "no"]) | pl.col("side").is_null()).height
    if odd:
        raise UsageError(f"column 'side': {odd:,} rows are neither yes nor no", hint="Write them in small letters")
    free = bets.filter(pl.col("cost") <= 0).height
    if free:
        raise UsageError(f"column 'cost': {free:,} rows cost nothing", hint="A contract costs more than 0 dollars")
    doubled = bets.height - bets["ticker"].n_unique()
    if doubled:
        raise UsageError(f"column 'ticker': {doubled:,} rows repeat a market", hint="Give one side of each market")
    ranges = {"bankroll": (bankroll, 0 < bankroll < math.inf), "lot": (lot, lot >= SMALLEST)}
    for name, (value, ok) in (ranges | {name: (share, 0 < share <= 1) for name, share in shares.items()}).items():
        if not ok:
            raise UsageError(
                f"{name}={value!r} makes no sense",
                hint="bankroll > 0 dollars; fraction and what is at most staked in (0, 1]; lot >= 0.01",
            )


def _one_of_each_event(bets: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """The bets that may stand beside each other, and how many may not; `group` says which share their states."""
    absent = [pl.lit(None, pl.String).alias("event_ticker")] if "event_ticker" not in bets.columns else []
    absent += [pl.lit(None, pl.Boolean).alias("mutually_exclusive")] if "mutually_exclusive" not in bets.columns else []
    rows = bets.with_columns(absent).with_columns(group=pl.coalesce("event_ticker", "ticker"))
    alone = rows.sort((pl.col("probability") - pl.col("cost")) / pl.col("cost"), "ticker", descending=[True, False])
    exclusive = pl.col("mutually_exclusive").fill_null(value=False)
    first = alone.filter(~exclusive).unique("group", keep="first", maintain_order=True)
    kept = pl.concat([alone.filter(exclusive), first])
    return kept.sort("group", "ticker"), rows.height - kept.height


@dataclass(frozen=True, slots=True)
class _Caps:
    """What the optimum may be at most: each stake, the sum of each event's (places of its bets), and the sum of all."""

    each: list[float]
    events: list[tuple[list[int], float]]
    total: float

    def hold(self, stakes: list[float]) -> bool:
        """Whether the stakes keep them."""
        inside = all(stake <= cap + SLACK for stake, cap in zip(stakes, self.each, strict=True))
        events = all(sum(stakes[place] for place in places) <= cap + SLACK for places, cap in self.events)
        return inside and events and sum(stakes) <= self.total + SLACK


def _caps(
    rows: pl.DataFrame, *, bankroll: float, fraction: float, most: float, most_event: float, most_total: float
) -> _Caps:
    """The caps of the stakes before `fraction` is taken of them: those of what is staked are as much larger."""
    size = (
        pl.col("size").cast(pl.Float64) * pl.col("cost") / bankroll
        if "size" in rows.columns
        else pl.lit(None, pl.Float64)
    )
    each = rows.with_columns(cap=pl.min_horizontal(size, pl.lit(most)) / fraction)["cap"].clip(0, 1).to_list()
    groups = rows["group"].to_list()
    events = [
        ([place for place, other in enumerate(groups) if other == group], most_event / fraction)
        for group in dict.fromkeys(groups)
    ]
    return _Caps(each, events, min(most_total / fraction, 1.0))


def _fractions(rows: pl.DataFrame, caps: _Caps) -> tuple[tuple[list[float], float, str], list[float]]:
    """The full fraction of each bet, the growth with them, and over which states in words; then the fractions under caps."""
    if rows.is_empty():
        return ([], 0.0, "no states"), []
    if rows.height == 1:
        chance, cost = rows.select("probability", "cost").row(0)
        stake = single(chance, cost)
        return ([stake], _growth(chance, cost, stake), "over 2 states, exactly"), [
            min(stake, caps.each[0], caps.events[0][1], caps.total)
        ]
    groups = [_states(part) for part in rows.partition_by("group", maintain_order=True)]
    weights, wins, words = _joint(groups)
    costs = rows["cost"].to_list()
    stakes, growth = _solved(weights, wins, costs)
    capped = stakes if caps.hold(stakes) else _solved(weights, wins, costs, caps)[0]
    return (stakes, growth, words), capped


def single(chance: float, cost: float) -> float:
    """The Kelly fraction of one bet by itself: (p - c) / (1 - c), nothing where that is below 0."""
    return max((chance - cost) / (1 - cost), 0.0) if cost < 1 else 0.0


def _growth(chance: float, cost: float, stake: float) -> float:
    won, lost = chance * math.log1p(stake * (1 / cost - 1)), 0.0
    if chance < 1:
        lost = (1 - chance) * math.log1p(-stake)
    return won + lost


def _states(group: pl.DataFrame) -> list[tuple[float, tuple[bool, ...]]]:
    """The states of one event: which of its bets win in each, and how likely it is."""
    yes = [side == "yes" for side in group["side"].to_list()]
    chances = [p if is_yes else 1 - p for p, is_yes in zip(group["probability"].to_list(), yes, strict=True)]
    if len(yes) == 1:
        return [(chances[0], (yes[0],)), (1 - chances[0], (not yes[0],))]
    left = 1 - sum(chances)
    if left < -SLACK:
        event = group["group"][0]
        raise UsageError(
            f"the probabilities of {event} add up to {1 - left:.4g}", hint="Of its markets at most one settles at YES"
        )
    winners = range(len(yes))
    states = [
        (chances[winner], tuple((place == winner) == is_yes for place, is_yes in enumerate(yes))) for winner in winners
    ]
    return [*states, (max(left, 0.0), tuple(not is_yes for is_yes in yes))]


def _joint(groups: Sequence[Sequence[tuple[float, tuple[bool, ...]]]]) -> tuple[Any, Any, str]:
    """Probabilities of joint states, and what wins in them: all of them, or a draw."""
    numpy = science("numpy")
    many = 1
    for group in groups:
        many *= len(group)
    if many <= STATES:
        found = [state for state in product(*groups) if all(chance > 0 for chance, _ in state)]
        weights = numpy.array([numpy.prod([chance for chance, _ in state]) for state in found])
        wins = numpy.array([[won for _, each in state for won in each] for state in found], dtype=float)
        return weights, wins, f"over {len(found):,} joint states, exactly"
    draw, parts = numpy.random.default_rng(0), []
    for group in groups:
        chances = numpy.array([chance for chance, _ in group])
        states = numpy.array([won for _, won in group], dtype=float)
        parts.append(states[draw.choice(len(group), STATES, p=chances / chances.sum())])
    return numpy.full(STATES, 1 / STATES), numpy.hstack(parts), f"over {STATES:,} joint states drawn from a fixed seed"


def _solved(weights: Any, wins: Any, costs: list[float], caps: _Caps | None = None) -> tuple[list[float], float]:
    """The stakes of the concave programme by sequential least squares (scipy), and the growth with them."""
    numpy, optimize = science("numpy"), science("scipy.optimize")
    returns = wins / numpy.array(costs) - 1
    limits = caps or _Caps([1.0] * len(costs), [], 1.0)
    bound = numpy.array([limits.total, *(cap for _, cap in limits.events)])
    sums = numpy.zeros((len(bound), len(costs)))
    sums[0] = 1
    for row, (places, _) in enumerate(limits.events, 1):
        sums[row, places] = 1

    def loss(stakes: Any) -> tuple[float, Any]:
        wealth = numpy.maximum(1 + returns @ stakes, 1e-12)
        return -float(weights @ numpy.log(wealth)), -(returns.T @ (weights / wealth))

    start = numpy.minimum(0.01, numpy.min(bound)) * numpy.minimum(1.0, limits.each) / len(costs)
    done = optimize.minimize(
        loss, start, jac=True, method="SLSQP", bounds=[(0, cap) for cap in limits.each],
        constraints=[{"type": "ineq", "fun": lambda stakes: bound - sums @ stakes, "jac": lambda _: -sums}],
        options={"maxiter": 1000, "ftol": 1e-14},
    )  # fmt: skip
    stakes = numpy.where(done.x < 1e-9, 0.0, done.x)  # noqa: PLR2004 - the solver's own rounding
    return stakes.tolist(), -loss(stakes)[0]


def _sized(rows: pl.DataFrame, full: list[float], stake: list[float], bankroll: float, lot: float) -> pl.DataFrame:
    """The table: shares as contracts, never more than are offered."""
    size = pl.col("size").cast(pl.Float64) if "size" in rows.columns else pl.lit(None, pl.Float64)
    single_share = (
        pl.when(pl.col("cost") < 1).then((pl.col("probability") - pl.col("cost")) / (1 - pl.col("cost"))).otherwise(0.0)
    )
    sized = rows.with_columns(
        pl.Series("full", full, dtype=pl.Float64), pl.Series("stake", stake, dtype=pl.Float64), ev=pl.col("probability") - pl.col("cost"),
        alone=single_share,
    )  # fmt: skip
    wanted = pl.min_horizontal(pl.col("stake") * bankroll / pl.col("cost"), size)
    contracts = ((wanted / lot + SLACK).floor() * lot).round(
        2
    )  # a whole number of lots is not lost to a float's last bit
    return (
        sized.with_columns(contracts=contracts)
        .select(
            "ticker", "side", "probability", "cost", "ev", "alone", "full", "stake", "contracts",
            dollars=pl.col("contracts") * pl.col("cost"), expected=pl.col("contracts") * pl.col("ev"),
        )
        .sort("stake", "ticker", descending=[True, False])
    )  # fmt: skip
