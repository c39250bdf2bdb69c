"""The endpoints of a member's money and positions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kalshi_lab.sim.desk import shapes
from kalshi_lab.sim.desk.calls import Call, Signed
from kalshi_lab.sim.desk.ledger import CENT, SHARDS, Account, Position
from kalshi_lab.sim.desk.listing import listed, records
from kalshi_lab.sim.wire import DOLLAR, SECOND, count

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.routing import Route

    from kalshi_lab.sim.desk.shapes import Json
    from kalshi_lab.sim.desk.venue import Venue


class Portfolio:
    """Answers about what the members of a venue own."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue

    def routes(self) -> list[Route]:
        """The endpoints."""
        listed: list[tuple[str, str, Callable[..., Any], str]] = [
            ("GET", "/portfolio/balance", self.balance, "read::portfolio_balance"),
            ("GET", "/portfolio/summary/total_resting_order_value", self.resting_value, "read"),
            ("GET", "/portfolio/fills", self.fills, "read"),
            ("GET", "/portfolio/positions", self.positions, "read"),
            ("GET", "/portfolio/settlements", self.settlements, "read"),
            ("GET", "/portfolio/deposits", self.deposits, "read"),
            ("GET", "/portfolio/withdrawals", self.withdrawals, "read"),
            ("GET", "/historical/fills", self.archived_fills, "read"),
            ("GET", "/historical/positions", self.archived_positions, "read"),
        ]
        return [Signed(*route) for route in listed]

    # ------------------------------------------------------------------ money

    def balance(self, call: Call) -> Json:
        """GET /portfolio/balance: cash that resting orders leave free, and what positions are worth."""
        subaccount, shard = call.subaccount(), call.number("exchange_index")
        subaccounts = call.account.subaccounts if subaccount is None else {subaccount}
        shards = range(SHARDS) if shard is None else (shard,)
        free = {shard: sum(call.account.available(subaccount, shard) for subaccount in subaccounts) for shard in shards}
        total = sum(free.values())
        made: Json = {
            "balance": total // CENT,
            "balance_dollars": shapes.balance(total),
            "portfolio_value": self._worth(call.account, subaccounts, shards, call.now) // CENT,
            "updated_ts": call.now // SECOND,
        }
        if call.caller.subaccount is None:
            made["balance_breakdown"] = _by_shard(free)
        return made

    def _worth(self, account: Account, subaccounts: set[int], shards: Any, now: int) -> int:
        """Positions at the bid for them; where nobody bids, and after the close, at the last price."""
        total = 0
        for (subaccount, row), position in account.positions.items():
            market = self.venue.market(row)
            if position.held and subaccount in subaccounts and market.shard in shards:
                side = self.venue.levels(row, now)[position.held < 0]
                last = self.venue.last(market, now)
                total += abs(position.held) * (side[-1][0] if side else last if position.held > 0 else DOLLAR - last)
        return total

    def resting_value(self, call: Call) -> Json:
        """GET /portfolio/summary/total_resting_order_value: contracts that rest, at their limits."""
        value = dict.fromkeys(range(SHARDS), 0)
        for order in self.venue.resting(call.account):
            if call.caller.subaccount in {None, order.subaccount}:
                value[order.shard] += order.left * order.unit
        total = sum(value.values())
        return {"total_resting_order_value": total // CENT, "resting_order_value_breakdown": _by_shard(value)}

    def deposits(self, call: Call) -> Json:
        """GET /portfolio/deposits."""
        chosen, cursor = listed(call, "/portfolio/deposits", call.account.kept("deposits"), 500)
        return {"deposits": [record.body for record in chosen], "cursor": cursor}

    def withdrawals(self, call: Call) -> Json:
        """GET /portfolio/withdrawals."""
        chosen, cursor = listed(call, "/portfolio/withdrawals", call.account.kept("withdrawals"), 500)
        return {"withdrawals": [record.body for record in chosen], "cursor": cursor}

    # ------------------------------------------------------------------ what was traded

    def fills(self, call: Call) -> Json:
        """GET /portfolio/fills."""
        return self._fills(call, "/portfolio/fills", archived=False)

    def archived_fills(self, call: Call) -> Json:
        """GET /historical/fills."""
        return self._fills(call, "/historical/fills", archived=True)

    def _fills(self, call: Call, path: str, *, archived: bool) -> Json:
        cutoff = self.venue.world.cutoffs(call.now)["trades_created_ts"]
        found = [record for record in records(call, "fills") if (record.at < cutoff) == archived]
        chosen, cursor = listed(call, path, found, 1000)
        return {"fills": [record.body for record in chosen], "cursor": cursor}

    def settlements(self, call: Call) -> Json:
        """GET /portfolio/settlements."""
        event = call.text("event_ticker")
        found = [record for record in records(call, "settlements") if event in {"", record.body["event_ticker"]}]
        chosen, cursor = listed(call, "/portfolio/settlements", found, 1000)
        return {"settlements": [record.body for record in chosen], "cursor": cursor}

    def positions(self, call: Call) -> Json:
        """GET /portfolio/positions."""
        wanted = call.word("settlement_status", ("unsettled", "settled", "all")) or "unsettled"
        cutoff = self.venue.world.cutoffs(call.now)["market_positions_last_updated_ts"]
        found = [
            (row, position)
            for row, position in self._held(call)
            if wanted == "all" or (position.settled is not None) == (wanted == "settled")
            if position.settled is None or position.settled >= cutoff
        ]
        return self._positions(call, "/portfolio/positions", found)

    def archived_positions(self, call: Call) -> Json:
        """GET /historical/positions."""
        cutoff = self.venue.world.cutoffs(call.now)["market_positions_last_updated_ts"]
        found = [(row, one) for row, one in self._held(call) if one.settled is not None and one.settled < cutoff]
        return self._positions(call, "/historical/positions", found)

    def _held(self, call: Call) -> list[tuple[int, Position]]:
        subaccount, shard = call.subaccount(0), call.number("exchange_index")
        ticker, event = call.text("ticker"), call.text("event_ticker")
        counts = set(call.several("count_filter"))
        return [
            (row, position)
            for (place, row), position in call.account.positions.items()
            for market in [self.venue.market(row)]
            if place == subaccount
            and shard in {None, market.shard}
            and ticker in {"", market.ticker}
            and event in {"", market.event_ticker}
            and ("position" not in counts or position.held)
            and ("total_traded" not in counts or position.traded)
        ]

    def _positions(self, call: Call, path: str, found: list[tuple[int, Position]]) -> Json:
        chosen, cursor = listed(call, path, found, 1000)
        markets = [self.venue.market(row) for row, _ in chosen]
        events: dict[str, list[Position]] = {}
        for market, (_, position) in zip(markets, chosen, strict=True):
            events.setdefault(market.event_ticker, []).append(position)
        return {
            "market_positions": [
                shapes.market_position(position, market.ticker, market.shard)
                for market, (_, position) in zip(markets, chosen, strict=True)
            ],
            "event_positions": [_event_position(ticker, positions) for ticker, positions in events.items()],
            "cursor": cursor,
        }


def _by_shard(value: dict[int, int]) -> list[Json]:
    return [{"exchange_index": shard, "balance": shapes.balance(amount)} for shard, amount in value.items()]


def _event_position(ticker: str, positions: list[Position]) -> Json:
    return {
        "event_ticker": ticker,
        "total_cost_dollars": shapes.money(sum(position.traded for position in positions)),
        "total_cost_shares_fp": count(sum(position.volume for position in positions)),
        "event_exposure_dollars": shapes.money(sum(position.cost for position in positions)),
        "realized_pnl_dollars": shapes.money(sum(position.realized for position in positions)),
        "fees_paid_dollars": shapes.money(sum(position.fees for position in positions)),
    }
