"""What clearing members set for the traders below them: subtraders, caps, blocked categories, moved positions."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kalshi_lab.sim.desk import shapes
from kalshi_lab.sim.desk.calls import Call, Reply, Signed, invalid
from kalshi_lab.sim.desk.ledger import Position
from kalshi_lab.sim.desk.listing import since
from kalshi_lab.sim.queries import Refused, missing
from kalshi_lab.sim.talks.communications import paged
from kalshi_lab.sim.wire import DOLLAR, SECOND, eastern_offset, moment

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.routing import Route

    from kalshi_lab.sim.desk.venue import Venue
    from kalshi_lab.sim.render import Json

SUFFIX = re.compile(r"[A-Za-z0-9]{1,16}")
_NOTHING = "0.0000"


@dataclass(slots=True)
class Subtrader:
    """A trader below a clearing member; money in 1/10,000 dollars."""

    id: str
    cap: int | None = None
    blocked: list[str] = field(default_factory=list)
    positions: dict[int, Position] = field(default_factory=dict)

    def shown(self) -> Json:
        """An FCMSubtrader."""
        return {
            "subtrader_id": self.id,
            "exchange_indices": [],
            "trading_blocked": False,
            "fcm_trading_blocked": False,
            "propagation_pending": False,
        }


class Clearers:
    """Answers to clearing members, which here are all direct members.

    Orders carry no subtrader, so subtraders have positions by transfer only, and no orders and fills.
    """

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self._members: dict[str, dict[str, Subtrader]] = {}

    def routes(self) -> list[Route]:
        """The endpoints."""
        traders = "/fcm/subtraders"
        listed: list[tuple[str, str, Callable[..., Any], str]] = [
            ("GET", "/fcm/fills", self.fills, "read"),
            ("GET", "/fcm/orders", self.orders, "read"),
            ("GET", "/fcm/positions", self.positions, "read"),
            ("POST", "/fcm/positions/transfers", self.transfer, "write::fcm_risk"),
            ("GET", traders, self.listed, "read"),
            ("POST", traders, self.create, "write::fcm_risk"),
            ("GET", f"{traders}/blocked_categories", self.blocked, "read"),
            ("PUT", f"{traders}/blocked_categories", self.block, "write::fcm_risk"),
            ("GET", f"{traders}/event_contract_daily_cap", self.cap, "read"),
            ("PUT", f"{traders}/event_contract_daily_cap", self.update_cap, "write::fcm_risk"),
            ("DELETE", f"{traders}/event_contract_daily_cap", self.delete_cap, "write::fcm_risk"),
        ]
        return [Signed(*route) for route in listed]

    def _traders(self, call: Call) -> dict[str, Subtrader]:
        """The caller's subtraders. Raises Refused for who is no clearing member."""
        if not call.account.direct:
            raise Refused(403, "forbidden", "forbidden", "for clearing members only")
        return self._members.setdefault(call.account.id, {})

    def _trader(self, call: Call, subtrader: str) -> Subtrader:
        found = self._traders(call).get(subtrader)
        if found is None:
            raise missing()
        return found

    # ------------------------------------------------------------------ subtraders

    def listed(self, call: Call) -> Json:
        """GET /fcm/subtraders."""
        return {"subtraders": [trader.shown() for trader in self._traders(call).values()]}

    def create(self, call: Call) -> Reply:
        """POST /fcm/subtraders."""
        traders, suffix = self._traders(call), call.body.text("subtrader_suffix", needed=True)
        if not SUFFIX.fullmatch(suffix):
            raise invalid("subtrader_suffix is 1 to 16 letters and digits")
        name = f"{call.account.id[:8]}-{suffix}"
        if name in traders:
            raise Refused(409, "already_exists", "already exists", "the subtrader exists")
        traders[name] = Subtrader(name)
        return Reply(201, {"subtrader_id": name})

    def blocked(self, call: Call) -> Json:
        """GET /fcm/subtraders/blocked_categories."""
        return {"categories": self._trader(call, _needed(call)).blocked}

    def block(self, call: Call) -> Json:
        """PUT /fcm/subtraders/blocked_categories."""
        body = call.body
        category, trader = (
            body.text("category", needed=True),
            self._trader(call, body.text("subtrader_id", needed=True)),
        )
        if not isinstance(body.values.get("blocked"), bool):
            raise invalid("blocked is required")
        others = [one for one in trader.blocked if one != category]
        trader.blocked = [*others, category] if body.flag("blocked") else others
        return {"categories": trader.blocked}

    # ------------------------------------------------------------------ caps

    def cap(self, call: Call) -> Json:
        """GET /fcm/subtraders/event_contract_daily_cap."""
        trader = self._trader(call, _needed(call))
        if trader.cap is None:
            raise missing()
        return {
            "subtrader_id": trader.id,
            "limit": f"{trader.cap // DOLLAR}.{trader.cap % DOLLAR:04d}",
            "executed_utilization": _NOTHING,
            "resting_order_utilization": _NOTHING,
            "pending_order_utilization": _NOTHING,
            "cap_date": moment(call.now + eastern_offset(call.now // SECOND) * SECOND)[:10],
        }

    def update_cap(self, call: Call) -> Json:
        """PUT /fcm/subtraders/event_contract_daily_cap."""
        trader = self._trader(call, call.body.text("subtrader_id", needed=True))
        trader.cap = call.body.scaled("limit", 4, needed=True)
        return {}

    def delete_cap(self, call: Call) -> Json:
        """DELETE /fcm/subtraders/event_contract_daily_cap."""
        trader = self._trader(call, _needed(call))
        if trader.cap is None:
            raise missing()
        trader.cap = None
        return {}

    # ------------------------------------------------------------------ orders, fills, positions

    def fills(self, call: Call) -> Json:
        """GET /fcm/fills: none."""
        self._traders(call)
        since(call)
        call.position("/fcm/fills")
        return {"fills": [], "cursor": ""}

    def orders(self, call: Call) -> Json:
        """GET /fcm/orders: none."""
        self._named(call)
        call.limit(1, 1000, 100)
        call.word("status", ("resting", "canceled", "executed"))
        call.several("client_order_ids", 100)
        since(call)
        call.position("/fcm/orders")
        return {"orders": [], "cursor": ""}

    def _named(self, call: Call) -> list[Subtrader]:
        """The subtrader that the query names, or all."""
        name = call.text("subtrader_id")
        return [self._trader(call, name)] if name else list(self._traders(call).values())

    def positions(self, call: Call) -> Json:
        """GET /fcm/positions."""
        traders, limit, ticker, event = (
            self._named(call),
            call.limit(1, 1000, 100),
            call.text("ticker"),
            call.text("event_ticker"),
        )
        call.word("settlement_status", ("all", "unsettled", "settled"))
        found = [
            shapes.market_position(position, market.ticker, market.shard)
            for trader in traders
            for row, position in trader.positions.items()
            for market in (self.venue.market(row),)
            if ticker in {"", market.ticker} and event in {"", market.event_ticker} and position.held
        ]
        chosen, cursor = paged(call, "/fcm/positions", found, limit)
        return {"market_positions": chosen, "event_positions": [], "cursor": cursor}

    def transfer(self, call: Call) -> Reply:
        """POST /fcm/positions/transfers: whole contracts at a price in whole cents."""
        body = call.body
        source, target = (
            self._trader(call, body.text(f"{name}_subtrader_id", needed=True)) for name in ("source", "target")
        )
        market = self.venue.find(body.text("market_ticker", needed=True))
        held, paid = body.needed("position_centicount", -(10**12), 10**12), body.needed("price_centicents", 0, DOLLAR)
        if source is target:
            raise invalid("source and target are the same")
        if not held or held % 100 or paid % 100:
            raise invalid("position_centicount is whole contracts and price_centicents whole cents")
        for trader, buys in ((source, held < 0), (target, held > 0)):
            position = trader.positions.setdefault(market.row, Position(market.row))
            position.trade(paid, abs(held), buys=buys)
            position.updated = call.now
        return Reply(201, {"position_transfer_id": self.venue.ids.new()})


def _needed(call: Call) -> str:
    subtrader = call.text("subtrader_id")
    if not subtrader:
        raise invalid("parameter subtrader_id is required")
    return subtrader
