"""The checks of an order: each a pure function of the situation and the limits, which fails where it lacks its data.

`judged` runs them all, so that a refusal names every reason. Those of the day and of the position are judged a second time inside the
transaction that enters the attempt, since other processes trade too.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_CEILING, Decimal
from functools import wraps
from typing import TYPE_CHECKING, Final

from kalshi_lab.errors import UsageError
from kalshi_lab.fees import OrderFees
from kalshi_lab.grid import Grid
from kalshi_lab.models.orderbook import taken
from kalshi_lab.trading.limits import Limits
from kalshi_lab.trading.situation import ZERO, Check, Situation

if TYPE_CHECKING:
    from kalshi_lab.models.orderbook import Level

MICRO: Final = Decimal("0.000001")
LEAST: Final = Decimal("0.01")
Judge = Callable[[Situation, Limits], Check]
Verdict = tuple[bool, str]


def _check(*needs: str, limits: tuple[str, ...] = ()) -> Callable[[Callable[[Situation, Limits], Verdict]], Judge]:
    """A check by this name: it passes where none of its limits is set, and fails where one of its needs is not known."""

    def named(judge: Callable[[Situation, Limits], Verdict]) -> Judge:
        @wraps(judge)
        def judged(situation: Situation, given: Limits) -> Check:
            if limits and all(given.of(name) is None for name in limits):
                return Check(judge.__name__, True, "not limited")
            lacks = [name for name in needs if getattr(situation, name) is None]
            if lacks:
                told = "; ".join(f"{name}: {situation.missing.get(name, 'nobody said')}" for name in lacks)
                return Check(judge.__name__, False, f"not known, so refused ({told})")
            return Check(judge.__name__, *judge(situation, given))

        return judged

    return named


@_check("killed")
def kill_switch(situation: Situation, _limits: Limits) -> Verdict:
    """The kill switch is off."""
    return not situation.killed, "on: nothing is sent that could add to a risk" if situation.killed else "off"


@_check("market", "status")
def market_open(situation: Situation, _limits: Limits) -> Verdict:
    """The market trades, and so does its shard of the exchange."""
    market, status = situation.market, situation.status
    assert market is not None and status is not None  # noqa: S101, PT018 - needed above
    shards = {one.exchange_index: one for one in status.exchange_index_statuses or ()}
    shard = shards.get(market.exchange_index or 0, status)
    if market.status != "active":
        return False, f"the market is {market.status or 'in a state that nobody said'}"
    if market.close_time is not None and market.close_time <= situation.now:
        return False, f"the market closed at {market.close_time:%Y-%m-%d %H:%M} UTC"
    up = bool(status.exchange_active and shard.exchange_active and shard.trading_active)
    return up, "open" if up else "the exchange does not trade now"


@_check("market")
def price_grid(situation: Situation, _limits: Limits) -> Verdict:
    """The price is one that the market takes."""
    assert situation.market is not None  # noqa: S101 - needed above
    try:
        Grid(situation.market).check(situation.proposal.price)
    except UsageError as error:
        return False, str(error)
    return True, f"{situation.proposal.price:f} is on the market's grid"


def size(situation: Situation, limits: Limits) -> Check:
    """The contracts are a number of hundredths above 0, and no more than an order may have."""
    count, most = situation.proposal.count, limits.of("contracts")
    if count < LEAST or count % LEAST:
        return Check("size", False, f"{count} is no number of contracts")
    fits = most is None or count <= most
    return Check("size", fits, f"{count:f} contracts{'' if most is None else f' of {most:f} at most'}")


@_check("fees", limits=("order_risk",))
def order_risk(situation: Situation, limits: Limits) -> Verdict:
    """What the order loses at worst is within the limit."""
    try:
        found = risk(situation)
    except UsageError as error:
        return False, f"its fee is not known, so refused ({error})"
    return _within(found, limits.of("order_risk"), "dollars at worst")


@_check("fees", "day", limits=("day_risk",))
def day_risk(situation: Situation, limits: Limits) -> Verdict:
    """What all accepted orders of the day and this one lose at worst is within the limit."""
    assert situation.day is not None  # noqa: S101 - needed above
    try:
        found = situation.day.risk + added(situation)
    except UsageError as error:
        return False, f"its fee is not known, so refused ({error})"
    return _within(found, limits.of("day_risk"), "dollars at worst today")


@_check("loss", limits=("day_loss",))
def day_loss(situation: Situation, limits: Limits) -> Verdict:
    """The account has not lost as much today as it may."""
    most, loss = limits.of("day_loss"), situation.loss
    assert most is not None and loss is not None  # noqa: S101, PT018 - needed above
    return loss < most or loss <= 0, f"{max(loss, ZERO):f} dollars lost today, below {most:f} needed"


@_check("day", limits=("day_orders",))
def day_orders(situation: Situation, limits: Limits) -> Verdict:
    """One more order is within the day's number; only those that were accepted count."""
    assert situation.day is not None  # noqa: S101 - needed above
    return _within(Decimal(situation.day.orders + 1), limits.of("day_orders"), "orders today")


@_check("position", "resting_bids", "resting_asks", "day", limits=("position",))
def position(situation: Situation, limits: Limits) -> Verdict:
    """The position that the order makes, with all that rests on its side as if it were filled, is within the limit."""
    day, held, own = situation.day, situation.position, situation.proposal
    bids, asks = situation.resting_bids, situation.resting_asks
    assert None not in (day, held, bids, asks)  # noqa: S101 - needed above
    if own.reduces:
        return True, "it only closes what is held"
    after = (held + bids + day.bought if own.side == "bid" else asks + day.sold - held) + own.count  # type: ignore[operator, union-attr]
    return _within(max(after, ZERO), limits.of("position"), f"{own.buys.upper()} contracts at most afterwards")


@_check("book", limits=("deviation",))
def deviation(situation: Situation, limits: Limits) -> Verdict:
    """The price is near the middle of the quote, on the side that the order buys."""
    own, mid = situation.proposal, situation.book.mid if situation.book else None
    if mid is None:
        return False, "not known, so refused (the book has no middle: a side is empty)"
    found = abs(own.own_price - own.own(mid))
    return _within(found, limits.of("deviation"), f"dollars from the {own.buys.upper()} mid of {own.own(mid):f}")


@_check("book", limits=("slippage",))
def slippage(situation: Situation, limits: Limits) -> Verdict:
    """What the order takes at once, at its own limit, is not much worse on average than the best price; one that rests takes nothing."""
    own = situation.proposal
    found = [] if own.rests_only else taken(_met(situation), own.count)
    if not found:
        return True, "it takes nothing from the book at its price"
    best, filled = own.own(found[0][0]), sum((count for _, count in found), ZERO)
    average = sum((own.own(price) * count for price, count in found), ZERO) / filled
    return _within((average - best) / best if best else ZERO, limits.of("slippage"), "of the best price on average")


@_check("book", limits=("spread", "depth"))
def liquidity(situation: Situation, limits: Limits) -> Verdict:
    """Both sides of the book are there, near each other, and hold enough at their best prices."""
    book = situation.book
    if book is None or book.spread is None:
        return False, "not known, so refused (a side of the book is empty)"
    widest, least, touch = limits.of("spread"), limits.of("depth"), min(book.yes_bids[0][1], book.no_bids[0][1])
    if widest is not None and book.spread > widest:
        return False, f"the spread is {book.spread:f}, above {widest:f} dollars"
    if least is not None and touch < least:
        return False, f"{touch:f} contracts at the best prices, below {least:f}"
    return True, f"spread {book.spread:f} dollars, {touch:f} contracts at the best prices"


CHECKS: Final[tuple[Judge, ...]] = (
    kill_switch, market_open, price_grid, size, order_risk, day_risk, day_loss, day_orders, position, deviation, slippage, liquidity,
)  # fmt: skip
COUNTED: Final[tuple[Judge, ...]] = (kill_switch, day_risk, day_orders, position)


def judged(situation: Situation, limits: Limits, checks: tuple[Judge, ...] = CHECKS) -> tuple[Check, ...]:
    """All verdicts, also after one that failed."""
    return tuple(check(situation, limits) for check in checks)


def risk(situation: Situation) -> Decimal:
    """Dollars that an order loses at worst: contracts times the price of the side that it buys, and the taker's fee in whole cents.

    An order that the exchange only lets close what is held risks its fee. Raises UsageError where the fee is not known.
    """
    own = situation.proposal
    if situation.fees is None:
        raise UsageError("the market's fees are not known")
    charged = OrderFees(situation.fees, member="non-direct").add(own.own_price, own.count, at=situation.now).net
    staked = ZERO if own.reduces else own.count * own.own_price
    return (staked + charged).quantize(MICRO, rounding=ROUND_CEILING)


def added(situation: Situation) -> Decimal:
    """What the order adds to the risk of the day: of an amendment what it is above the order before."""
    own = situation.proposal
    return max(risk(situation) - own.replaces * own.own(own.replaced_price), ZERO)


def _met(situation: Situation) -> list[Level]:
    """The levels that an order meets at its limit, best first, in prices of YES."""
    own, book = situation.proposal, situation.book
    if book is None:
        return []
    if own.side == "bid":
        return [level for level in book.asks if level[0] <= own.price]
    return [level for level in book.yes_bids if level[0] >= own.price]


def _within(found: Decimal, most: Decimal | None, unit: str) -> Verdict:
    assert most is not None  # noqa: S101 - a limit that is not set is never asked
    shown = f"{found:.4f}".rstrip("0").rstrip(".") if found != found.to_integral_value() else f"{found:.0f}"
    return found <= most, f"{shown} {unit}, {most:f} allowed"
