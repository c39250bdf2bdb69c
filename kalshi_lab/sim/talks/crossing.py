"""A trade between two members that never was in the book: after an accepted quote, or as a block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kalshi_lab.sim.desk.matching import Match
from kalshi_lab.sim.desk.order import Wish
from kalshi_lab.sim.desk.venue import trading
from kalshi_lab.sim.queries import Refused

if TYPE_CHECKING:
    from kalshi_lab.sim.desk.ledger import Account
    from kalshi_lab.sim.desk.market import Market
    from kalshi_lab.sim.desk.order import Order
    from kalshi_lab.sim.desk.venue import Venue


@dataclass(frozen=True, slots=True)
class Party:
    """One side of a trade."""

    account: Account
    subaccount: int


@dataclass(frozen=True, slots=True)
class Deal:
    """So many contracts (in 1/100) of YES at a price (in 1/10,000 dollars); the taker buys them or sells them."""

    price: int
    count: int
    taker_buys: bool
    block: bool = False


def cross(venue: Venue, market: Market, taker: Party, maker: Party, deal: Deal, *, now: int) -> tuple[Order, Order]:
    """Trade between two members at their price, with the fees of a taker and a maker; gives both orders, the taker's first.

    Raises Refused when the market does not trade, a side cannot pay, or both sides are one.
    """
    trading(market, now)
    if taker == maker:
        raise Refused(400, "invalid_parameters", "invalid parameters", "both sides are the same")
    orders = []
    for party, buys in ((taker, deal.taker_buys), (maker, not deal.taker_buys)):
        wish = Wish(
            row=market.row, buys=buys, price=deal.price, count=deal.count, time_in_force="immediate_or_cancel",
            prevention="taker_at_cross", client_id=venue.ids.new(), subaccount=party.subaccount,
        )  # fmt: skip
        order = venue.drafted(party.account, market, wish, now)
        _funded(venue, market, party, order)
        orders.append(order)
    taken, given = orders
    for order, party in zip(orders, (taker, maker), strict=True):
        venue.orders[order.id] = order
        party.account.client_ids[order.client_id] = order.id
    given.left = 0
    match = Match(deal.price, deal.count, given)
    venue.clearing.trade(market, match, now, taken, yes=deal.taker_buys, block=deal.block)
    for order in orders:
        venue.booked(market, order, deal.count, now)
    return taken, given


def _funded(venue: Venue, market: Market, party: Party, order: Order) -> None:
    account, place = party.account, (party.subaccount, market.shard)
    locked = account.locked.get(place, {}).get(market.row, 0)
    needed = venue.clearing.needed(account, market, party.subaccount, order) - locked
    if not account.within_reach(*place, needed):
        raise Refused(400, "insufficient_balance", "insufficient balance")
