"""Where orders meet: members' orders against one another and against the synthetic world, in the order of time.

Nothing runs by itself. `settle` catches up with the world: what traded, moved, expired, closed and paid out since the last call happens
then, at its own time. The world's tape and quotes are never changed; a trade with a member is a trade beside them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from kalshi_lab.sim.desk import shapes
from kalshi_lab.sim.desk.clearing import Clearing
from kalshi_lab.sim.desk.fee import accumulator
from kalshi_lab.sim.desk.ledger import CENT, Account, Record
from kalshi_lab.sim.desk.market import CLOSE, EXPIRE, MOVE, PAUSE, RESUME, TRADE, Due, Market
from kalshi_lab.sim.desk.order import Group, Order, Wish
from kalshi_lab.sim.queries import Refused
from kalshi_lab.sim.wire import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kalshi_lab.sim.desk.keys import Ids
    from kalshi_lab.sim.desk.matching import Levels, Match, Plan
    from kalshi_lab.sim.hub import Hub
    from kalshi_lab.sim.render import Renderer

PAY = 9
REBALANCE = 10 * SECOND


class Venue:
    """All markets that members have touched, their orders and groups."""

    def __init__(self, renderer: Renderer, hub: Hub, ids: Ids) -> None:
        self.renderer, self.hub, self.ids = renderer, hub, ids
        self.world, self.clearing = renderer.world, Clearing(hub, ids)
        self.markets: dict[int, Market] = {}
        self.orders: dict[str, Order] = {}
        self.groups: dict[str, Group] = {}
        self.settled = 0
        self.companions: list[Callable[[int], None]] = []

    def admit(self, account: Account, cash: int, now: int) -> None:
        """Take on a member with money on shard 0."""
        self.settle(now)
        self.clearing.accounts[account.id] = account
        account.add(0, 0, cash)
        body = {
            "id": self.ids.new(), "status": "applied", "type": "wire", "amount_cents": cash // CENT, "fee_cents": 0,
            "created_ts": now // SECOND, "finalized_ts": now // SECOND,
        }  # fmt: skip
        account.kept("deposits").append(Record(now, body))

    def market(self, row: int) -> Market:
        """A market by its row."""
        if row not in self.markets:
            self.markets[row] = Market(self.world, row)
        return self.markets[row]

    def find(self, ticker: str) -> Market:
        """A market by its ticker. Raises Refused for one that is not listed."""
        row = self.world.names.find_market(ticker)
        if row is None or self.world.event_status(self.settled)[self.world.markets.event[row]] < 0:
            raise Refused(404, "market_not_found", "market not found")
        return self.market(row)

    def levels(self, row: int, now: int) -> tuple[Levels, Levels]:
        """YES bids and NO bids, members and world together."""
        self.settle(now)
        if row not in self.markets:
            return self.renderer.levels(row, now)
        return self.markets[row].book.levels(self.markets[row].quotes(now))

    def last(self, market: Market, now: int) -> int:
        """The price of the last trade, of members or of the world; 0 before the first."""
        prints, place = self.clearing.prints.get(market.row, []), int(market.tape.time.searchsorted(now, side="right"))
        if prints and (not place or market.tape.time[place - 1] <= prints[-1].time):
            return prints[-1].price
        return int(market.tape.price[place - 1]) if place else 0

    # ------------------------------------------------------------------ new orders

    def place(self, account: Account, wish: Wish, now: int) -> Order:
        """Take an order and trade it as far as it goes. Raises Refused."""
        market = self.market(wish.row)
        trading(market, now)
        if wish.client_id and wish.client_id in account.client_ids:
            raise Refused(409, "order_already_exists", "order already exists")
        self._allowed(account, market, wish, now)
        order = self.drafted(account, market, wish, now)
        if wish.post_only and market.book.crosses(order, market.quotes(now)):
            raise Refused(400, "invalid_order", "invalid order", "post only cross")
        plan = self._funded(account, market, order, now)
        self.orders[order.id] = order
        if wish.client_id:
            account.client_ids[wish.client_id] = order.id
        self._execute(market, order, plan, wish.time_in_force, now=now)
        return order

    def _allowed(self, account: Account, market: Market, wish: Wish, now: int) -> None:
        if not market.fits(wish.price):
            raise Refused(400, "invalid_order", "invalid order", "the price is not on the market's grid")
        if wish.expires is not None and wish.expires <= now:
            raise Refused(400, "invalid_order", "invalid order", "expiration_time is in the past")
        if wish.group:
            group = self.group(account, wish.group)
            if group.shard != market.shard:
                raise Refused(400, "invalid_order", "invalid order", "the order group is on another shard")
            if group.triggered:
                raise Refused(400, "invalid_order", "invalid order", "the order group is triggered")

    def group(self, account: Account, group: str) -> Group:
        """An order group of an account. Raises Refused for another."""
        found = self.groups.get(group)
        if found is None or found.account != account.id:
            raise Refused(404, "not_found", "not found")
        return found

    def drafted(self, account: Account, market: Market, wish: Wish, now: int) -> Order:
        """An order as it will be, not placed yet. Raises Refused."""
        held = account.positions.get((wish.subaccount, wish.row))
        closable = held.closing(wish.count, buys=wish.buys) if held else 0
        count = closable if wish.reduce_only else wish.count
        if not count:
            raise Refused(400, "invalid_order", "invalid order", "reduce_only, and there is nothing to reduce")
        return Order(
            id=self.ids.new(), owner=account.id, buys=wish.buys, price=wish.price, left=count, row=wish.row, ticker=market.ticker,
            shard=market.shard, subaccount=wish.subaccount, client_id=wish.client_id, initial=count, created=now, updated=now,
            prevention=wish.prevention, closes=closable > 0, post_only=wish.post_only, cancel_on_pause=wish.cancel_on_pause,
            expires=wish.expires, group=wish.group, fees=accumulator(market.terms, buys=wish.buys, direct=account.direct),
        )  # fmt: skip

    def _funded(self, account: Account, market: Market, order: Order, now: int) -> Plan:
        """What an order will do, once it is clear that its account can pay for it; each trade may be rounded up."""
        plan = market.book.plan(order, market.quotes(now), order.prevention)
        locked = account.locked.get((order.subaccount, market.shard), {}).get(market.row, 0)
        needed = self.clearing.needed(account, market, order.subaccount, order) - locked
        needed += max(0, len(plan.matches) - 1) * account.unit
        if not account.within_reach(order.subaccount, market.shard, needed):
            raise Refused(400, "insufficient_balance", "insufficient balance")
        return plan

    def _execute(self, market: Market, order: Order, plan: Plan, time_in_force: str, *, now: int) -> None:
        quotes = market.quotes(now)
        if time_in_force != "fill_or_kill" or not plan.left:
            market.book.carry_out(plan, quotes)
            self._take(market, order, plan, now)
        group = self.groups.get(order.group)
        if order.left and (plan.stopped or time_in_force != "good_till_canceled" or (group and group.triggered)):
            self._end(market, order, "SelfTradeCancel" if plan.stopped else "", now)
            return
        if order.left:
            market.book.rest(order, quotes)
        self.clearing.relock(market, self.clearing.accounts[order.owner], order.subaccount)
        self.clearing.told(market, order)

    def _take(self, market: Market, order: Order, plan: Plan, now: int) -> None:
        for match in plan.matches:
            self.clearing.trade(market, match, now, order, yes=order.buys)
        for withdrawn in plan.withdrawn:
            self._end(market, cast("Order", withdrawn), "SelfTradeCancel", now)
        for match in plan.matches:
            if match.maker is not None:
                self.booked(market, cast("Order", match.maker), match.count, now)
        if order.filled:
            self.booked(market, order, sum(match.count for match in plan.matches), now, told=False)

    def booked(self, market: Market, order: Order, count: int, now: int, *, told: bool = True) -> None:
        """A trade is booked: tell its owner, count it for the group, and see that what still rests is paid for."""
        if told:
            self.clearing.told(market, order)
        group = self.groups.get(order.group)
        if group and not group.triggered and group.trade(now, count):
            self.trigger(group, now)
        account = self.clearing.accounts[order.owner]
        self.clearing.relock(market, account, order.subaccount)
        while account.available(order.subaccount, market.shard) < 0 and self._unpaid(account, order, now):
            pass

    def _unpaid(self, account: Account, order: Order, now: int) -> bool:
        """Cancel the newest resting order of a place that ran out of cash."""
        place = order.subaccount, order.shard
        resting = [one for one in self.resting(account) if (one.subaccount, one.shard) == place and one is not order]
        if resting:
            self.cancel(resting[-1], "MarginCancel", now)
        return bool(resting)

    # ------------------------------------------------------------------ orders that rest

    def resting(self, account: Account | None = None) -> list[Order]:
        """Resting orders, of one account or of all, oldest first."""
        books = (cast("Order", order) for market in self.markets.values() for order in market.book)
        found = [order for order in books if account is None or order.owner == account.id]
        return sorted(found, key=lambda order: (order.created, order.id))

    def cancel(self, order: Order, reason: str, now: int) -> int:
        """Take an order out; how many contracts that were."""
        market, left = self.market(order.row), order.left
        market.book.remove(order)
        self._end(market, order, reason, now)
        return left

    def _end(self, market: Market, order: Order, reason: str, now: int) -> None:
        order.status, order.left, order.updated = "canceled", 0, now
        order.reason = reason
        self.clearing.relock(market, self.clearing.accounts[order.owner], order.subaccount)
        self.clearing.told(market, order)

    def reduce(self, order: Order, left: int, now: int) -> None:
        """Make an order smaller in its place of the queue."""
        order.left, order.updated, order.reason = left, now, "Decrease"
        market = self.market(order.row)
        self.clearing.relock(market, self.clearing.accounts[order.owner], order.subaccount)
        self.clearing.told(market, order)

    def amend(self, order: Order, price: int, total: int, expires: int | None, *, now: int) -> None:
        """Change price, size and expiry: a new price or a greater size goes to the end of the queue. Raises Refused."""
        market, account = self.market(order.row), self.clearing.accounts[order.owner]
        if not market.fits(price):
            raise Refused(400, "invalid_order", "invalid order", "the price is not on the market's grid")
        left, old = total - order.filled, (order.price, order.left)
        if left <= 0:
            raise Refused(400, "invalid_order_size", "invalid order size", "count must be more than what is filled")
        keeps, plan = price == order.price and left <= order.left, None
        if not keeps:
            market.book.remove(order)
            order.price, order.left = price, left
            try:
                plan = self._funded(account, market, order, now)
            except Refused:
                order.price, order.left = old
                market.book.restore(order)
                raise
        order.left, order.initial, order.expires = left, total, expires
        order.updated, order.reason = now, "Amend"
        if plan is None:
            self.clearing.relock(market, account, order.subaccount)
            self.clearing.told(market, order)
        elif order.post_only and market.book.crosses(order, market.quotes(now)):
            self._end(market, order, "PostOnlyCrossCancel", now)
        else:
            self._execute(market, order, plan, "good_till_canceled", now=now)

    def trigger(self, group: Group, now: int) -> None:
        """Stop a group: its orders are cancelled and new ones refused until it is reset."""
        group.triggered = True
        self.drop(group, now)
        self.announce(group, "triggered", now)

    def drop(self, group: Group, now: int) -> None:
        """Cancel the orders of a group."""
        for order in [order for order in self.resting() if order.group == group.id]:
            self.cancel(order, "", now)

    def announce(self, group: Group, event: str, now: int) -> None:
        """Tell the owner what happened to a group."""
        msg = shapes.group_update(group, event, now)
        self.hub.publish("order_group_updates", "order_group_updates", msg, user=group.account)

    # ------------------------------------------------------------------ catching up with the world

    def settle(self, now: int) -> None:
        """Let everything happen to orders and positions that the world brings up to `now`."""
        since, self.settled = self.settled, max(self.settled, now)
        if now <= since:
            return
        for catch_up in self.companions:
            catch_up(now)
        for due in sorted(self._due(since, now)):
            self._happen(due)
        for account in self.clearing.accounts.values():
            if account.allocation and now // REBALANCE > since // REBALANCE:
                account.rebalance()

    def _due(self, since: int, now: int) -> Iterable[Due]:
        for row, market in self.markets.items():
            if len(market.book):
                yield from market.due(since, now)
                ends = (cast("Order", order).expires for order in market.book)
                yield from {(end, EXPIRE, row, 0) for end in ends if end is not None and since < end <= now}
            if since < market.settled <= now:
                yield market.settled, PAY, row, 0

    def _happen(self, due: Due) -> None:
        at, kind, row, place = due
        market = self.markets[row]
        if kind == PAY:
            self.clearing.pay(market, int(self.world.payouts[row]), at)
        elif not len(market.book):
            return
        elif kind == TRADE and market.open_at(at) and not market.tape.block[place]:
            yes = bool(market.tape.yes[place])
            found = market.book.traded(int(market.tape.price[place]), int(market.tape.count[place]), buys=yes)
            self._matched(market, found, at)
        elif kind == MOVE and market.open_at(at):
            self._matched(market, market.book.crossed(market.quotes(at)), at)
        elif kind in {CLOSE, PAUSE, RESUME, EXPIRE}:
            self._sweep(market, kind, at)

    def _matched(self, market: Market, matches: list[Match], at: int) -> None:
        for match in matches:
            self.clearing.trade(market, match, at, None, yes=not cast("Order", match.maker).buys)
        for match in matches:
            self.booked(market, cast("Order", match.maker), match.count, at)

    def _sweep(self, market: Market, kind: int, at: int) -> None:
        for order in cast("list[Order]", list(market.book)):
            ends = {
                CLOSE: True, RESUME: True, PAUSE: order.cancel_on_pause, EXPIRE: order.expires is not None and order.expires <= at,
            }  # fmt: skip
            if ends[kind]:
                self.cancel(order, {CLOSE: "CloseCancel", EXPIRE: "ExpiryCancel"}.get(kind, "HaltCancel"), at)


def trading(market: Market, now: int) -> None:
    """Raise Refused unless a market trades."""
    if not market.open_at(now):
        raise Refused(400, "MARKET_INACTIVE", "market inactive")
