"""What a trade does: cash, fees, positions, public prints, and the private messages about them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from kalshi_lab.sim.desk import shapes
from kalshi_lab.sim.desk.fee import charged
from kalshi_lab.sim.desk.ledger import Account, Position, Record
from kalshi_lab.sim.wire import DOLLAR, SECOND, count, price

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kalshi_lab.sim.desk.keys import Ids
    from kalshi_lab.sim.desk.market import Market
    from kalshi_lab.sim.desk.matching import Match, Resting
    from kalshi_lab.sim.desk.order import Order
    from kalshi_lab.sim.hub import Hub


@dataclass(frozen=True, slots=True)
class Print:
    """A public trade in which a member took part; `yes` says that the taker bought YES."""

    row: int
    time: int
    price: int
    count: int
    yes: bool
    id: str
    block: bool = False


class Clearing:
    """The books of account: members, the world as everybody else's counterparty, and the fees of the exchange."""

    def __init__(self, hub: Hub, ids: Ids) -> None:
        self.hub, self.ids = hub, ids
        self.accounts: dict[str, Account] = {}
        self.prints: dict[int, list[Print]] = {}
        self.all_prints: list[Print] = []
        self.world: dict[int, Position] = {}
        self.world_cash = self.fees = 0

    def needed(self, account: Account, market: Market, subaccount: int, incoming: Order | None = None) -> int:
        """Cash that resting orders of a market, and one that comes in, could cost whichever of them trade."""
        mine = [order for order in market.book if order.owner == account.id and order is not incoming]
        orders = [order for order in mine if getattr(order, "subaccount", 0) == subaccount]
        total = 0
        for buys in (True, False):
            side = [order for order in orders if order.buys == buys]
            if incoming is not None and incoming.buys == buys:
                side.append(incoming)
            total += self._side(account, market, subaccount, side, incoming)
        return total

    @staticmethod
    def _side(account: Account, market: Market, subaccount: int, side: list[Resting], incoming: Order | None) -> int:
        """The cheapest orders may close what is held; the others are paid in full, with the fee."""
        held = account.positions.get((subaccount, market.row))
        total, closable = 0, 0 if held is None else held.closing(1 << 60, buys=bool(side and side[0].buys))
        for order in sorted(side, key=lambda one: one.price if one.buys else -one.price):
            closing = min(closable, order.left)
            closable -= closing
            unit = order.price if order.buys else DOLLAR - order.price
            fee = market.fee(order.price, order.left, taker=order is incoming)
            opening = unit * (order.left - closing)
            total += max(0, -((opening + fee - (DOLLAR - unit) * closing) // -account.unit) * account.unit)
        return total

    def relock(self, market: Market, account: Account, subaccount: int) -> None:
        """Set aside what an account's resting orders in a market may need now."""
        place = account.locked.setdefault((subaccount, market.shard), {})
        place[market.row] = self.needed(account, market, subaccount)
        if not place[market.row]:
            del place[market.row]

    def trade(
        self, market: Market, match: Match, at: int, taker: Order | None, *, yes: bool, block: bool = False
    ) -> None:
        """Book a match between a taker and a maker; None is the world."""
        trade = self.ids.new()
        self.all_prints.append(Print(market.row, at, match.price, match.count, yes, trade, block))
        self.prints.setdefault(market.row, []).append(self.all_prints[-1])
        self._announce(market, self.all_prints[-1])
        for order, buys in ((taker, yes), (cast("Order | None", match.maker), not yes)):
            if order is None:
                position = self.world.setdefault(market.row, Position(market.row))
                self.world_cash += position.trade(match.price, match.count, buys=buys)
            else:
                self._fill(market, order, match, at, trade=trade, taker=order is taker)

    def _announce(self, market: Market, one: Print) -> None:
        side = "yes" if one.yes else "no"
        msg = {
            "trade_id": one.id, "market_ticker": market.ticker, "yes_price_dollars": price(one.price), "count_fp": count(one.count),
            "no_price_dollars": price(DOLLAR - one.price), "taker_side": side, "taker_outcome_side": side,
            "taker_book_side": "bid" if one.yes else "ask", "is_block_trade": one.block, "ts": one.time // SECOND,
            "ts_ms": one.time // shapes.MILLISECOND,
        }  # fmt: skip
        self.hub.publish("trade", "trade", msg, market=market.ticker)

    def _fill(self, market: Market, order: Order, match: Match, at: int, *, trade: str, taker: bool) -> None:
        account = self.accounts[order.owner]
        position = account.position(order.subaccount, market.row)
        closes = position.closing(match.count, buys=order.buys) == match.count
        revenue = position.trade(match.price, match.count, buys=order.buys)
        fee = charged(order.fees, match.price, match.count, taker=taker)
        account.add(order.subaccount, market.shard, revenue - fee)
        self.fees += fee
        position.fees += fee
        position.held_fees += 0 if closes else fee
        position.updated = at
        _progressed(order, match, fee, at, taker=taker)
        listed = shapes.fill(order, match, fee, at, trade=trade, taker=taker, closes=closes)
        account.kept("fills").append(Record(at, listed, market.row, order.subaccount, market.shard, order.id))
        told = shapes.user_fill(order, listed, position.held, at)
        self.hub.publish("fill", "fill", told, market=market.ticker, user=account.id)
        self.moved(market, account, position, order.subaccount)

    def moved(self, market: Market, account: Account, position: Position, subaccount: int) -> None:
        """Tell an account that its position changed."""
        msg = shapes.user_position(account, position, market.ticker, subaccount)
        self.hub.publish("market_positions", "market_position", msg, market=market.ticker, user=account.id)

    def told(self, market: Market, order: Order) -> None:
        """Tell an account what became of its order."""
        self.hub.publish("user_orders", "user_order", shapes.user_order(order), market=market.ticker, user=order.owner)

    def pay(self, market: Market, value: int, at: int) -> None:
        """Pay every position of a settled market; `value` is what YES is worth in 1/10,000 dollars."""
        world = self.world.get(market.row)
        if world is not None:
            self.world_cash += world.settle(value, 1)
        for account in self.accounts.values():
            for (subaccount, row), position in account.positions.items():
                if row == market.row and position.settled is None:
                    self._pay(market, (account, subaccount), position, value, at)

    def _pay(self, market: Market, place: tuple[Account, int], position: Position, value: int, at: int) -> None:
        (account, subaccount), before = place, replace(position)
        payout = position.settle(value)
        self.fees += before.worth(value) - payout
        position.settled = position.updated = at
        account.add(subaccount, market.shard, payout)
        if before.held:
            listed = shapes.settlement(market, before, payout, value, at)
            account.kept("settlements").append(Record(at, listed, market.row, subaccount, market.shard))
        self.moved(market, account, position, subaccount)

    def positions(self, row: int) -> Iterable[Position]:
        """Everybody's positions in a market."""
        members = (
            position
            for account in self.accounts.values()
            for key, position in account.positions.items()
            if key[1] == row
        )
        return [*members, *([self.world[row]] if row in self.world else [])]


def _progressed(order: Order, match: Match, fee: int, at: int, *, taker: bool) -> None:
    cost = match.count * (match.price if order.buys else DOLLAR - match.price)
    order.filled += match.count
    order.updated, order.reason = at, "Trade"
    if taker:
        order.left -= match.count
        order.taker_cost += cost
        order.taker_fees += fee
    else:
        order.maker_cost += cost
        order.maker_fees += fee
    if order.left == 0:
        order.status = "executed"
