"""Block trades: agreed elsewhere, proposed here, done once both sides have accepted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from kalshi_lab.sim.desk.calls import Body, Call, Reply, Signed, invalid
from kalshi_lab.sim.desk.venue import trading
from kalshi_lab.sim.queries import Refused, missing
from kalshi_lab.sim.talks.communications import paged
from kalshi_lab.sim.talks.crossing import Deal, Party, cross
from kalshi_lab.sim.wire import DOLLAR, moment
from kalshi_lab.sim.world import microseconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.routing import Route

    from kalshi_lab.sim.desk.ledger import Account
    from kalshi_lab.sim.desk.market import Market
    from kalshi_lab.sim.desk.order import Order
    from kalshi_lab.sim.desk.venue import Venue
    from kalshi_lab.sim.render import Json

PATH = "/communications/block-trade-proposals"
STATES = ("pending", "executed", "expired")


@dataclass(slots=True, eq=False)
class Side:
    """Buyer or seller of YES: who it is, which subaccount it names, and whether it has accepted."""

    account: Account
    subtrader: str = ""
    subaccount: int | None = None
    accepted: int | None = None
    order: Order | None = None


@dataclass(slots=True, eq=False)
class Proposal:
    """A block trade that was proposed; `maker` is the side, yes or no, that pays as a maker."""

    id: str
    proposer: Account
    buyer: Side
    seller: Side
    market: Market
    price: int
    count: int
    maker: str
    expires: int
    created: int
    updated: int
    status: str = "pending"
    executed: int | None = None

    def shown(self) -> Json:
        """A BlockTradeProposal."""
        made: Json = {
            "id": self.id,
            "proposer_user_id": self.proposer.id,
            "buyer_user_id": self.buyer.account.id,
            "seller_user_id": self.seller.account.id,
            "market_ticker": self.market.ticker,
            "price_centi_cents": self.price,
            "centicount": self.count,
            "maker_side": self.maker,
            "expiration_ts": moment(self.expires),
            "status": self.status,
            "created_ts": moment(self.created),
            "updated_ts": moment(self.updated),
            **({} if self.executed is None else {"executed_ts": moment(self.executed)}),
        }
        for name, side in (("buyer", self.buyer), ("seller", self.seller)):
            made[f"{name}_accepted"] = side.accepted is not None
            made.update({f"{name}_subtrader_id": side.subtrader} if side.subtrader else {})
            made.update({} if side.accepted is None else {f"{name}_accepted_ts": moment(side.accepted)})
            made.update({f"{name}_order_id": side.order.id} if side.order else {})
        return made


class Blocks:
    """Answers about block trades."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.proposals: dict[str, Proposal] = {}

    def routes(self) -> list[Route]:
        """The endpoints."""
        listed: list[tuple[str, str, Callable[..., Any], str]] = [
            ("GET", PATH, self.listed, "read::block_trade_accept"),
            ("POST", PATH, self.propose, "write::block_trade_accept"),
            ("POST", f"{PATH}/{{block_trade_proposal_id}}/accept", self.accept, "write::block_trade_accept"),
        ]
        return [Signed(*route) for route in listed]

    def listed(self, call: Call) -> Json:
        """GET /communications/block-trade-proposals: those that the caller is a party of."""
        limit, ticker, status = call.limit(1, 100, 100), call.text("market_ticker"), call.word("status", STATES)
        self._expire(call.now)
        found = [
            proposal
            for proposal in self.proposals.values()
            if self._party(proposal, call.account)
            and ticker in {"", proposal.market.ticker}
            and status in {"", proposal.status}
        ]
        chosen, cursor = paged(call, PATH, found, limit)
        return {"block_trade_proposals": [proposal.shown() for proposal in chosen], "cursor": cursor}

    @staticmethod
    def _party(proposal: Proposal, account: Account) -> bool:
        return account in (proposal.proposer, proposal.buyer.account, proposal.seller.account)

    def _expire(self, now: int) -> None:
        for proposal in self.proposals.values():
            if proposal.status == "pending" and proposal.expires <= now:
                proposal.status, proposal.updated = "expired", proposal.expires

    def propose(self, call: Call) -> Reply:
        """POST /communications/block-trade-proposals: by one of the two sides, which both accept it afterwards."""
        body = call.body
        buyer, seller = self._side(body, "buyer"), self._side(body, "seller")
        if call.account not in (buyer.account, seller.account):
            raise Refused(403, "forbidden", "forbidden", "only a side of the trade proposes it")
        market = self.venue.find(body.text("market_ticker", needed=True))
        trading(market, call.now)
        proposal = Proposal(
            id=self.venue.ids.new(), proposer=call.account, buyer=buyer, seller=seller, market=market,
            price=body.needed("price_centi_cents", 1, DOLLAR - 1), count=body.needed("centicount", 1, 10**12),
            maker=body.word("maker_side", ("yes", "no")), expires=_expiry(body, call.now), created=call.now, updated=call.now,
        )  # fmt: skip
        self.proposals[proposal.id] = proposal
        return Reply(201, {"block_trade_proposal_id": proposal.id})

    def _side(self, body: Body, name: str) -> Side:
        account = self.venue.clearing.accounts.get(body.text(f"{name}_user_id", needed=True))
        subtrader, subaccount = body.text(f"{name}_subtrader_id"), body.number(f"{name}_subaccount", 0, 63)
        if account is None:
            raise invalid(f"unknown {name}_user_id")
        if subtrader and subaccount is not None:
            raise invalid(f"{name}_subtrader_id and {name}_subaccount exclude each other")
        return Side(account, subtrader, subaccount)

    def accept(self, call: Call, block_trade_proposal_id: str) -> Reply:
        """POST /communications/block-trade-proposals/{block_trade_proposal_id}/accept; the second side's makes the trade."""
        self._expire(call.now)
        proposal = self.proposals.get(block_trade_proposal_id)
        if proposal is None or call.account not in (proposal.buyer.account, proposal.seller.account):
            raise missing()
        if proposal.status != "pending":
            raise invalid(f"the proposal is {proposal.status}")
        named = call.body.number("subaccount", 0, 63)
        mine = [side for side in (proposal.buyer, proposal.seller) if side.account is call.account]
        before = [(side, side.subaccount, side.accepted) for side in mine]
        try:
            for side in mine:
                side.subaccount = call.caller.allowed(side.subaccount if named is None else named, 0)
                side.accepted = side.accepted or call.now
            if proposal.buyer.accepted and proposal.seller.accepted:
                self._trade(proposal, call.now)
        except Refused:
            for side, subaccount, accepted in before:
                side.subaccount, side.accepted = subaccount, accepted
            raise
        proposal.updated = call.now
        return Reply(204)

    def _trade(self, proposal: Proposal, now: int) -> None:
        sides = {"yes": proposal.buyer, "no": proposal.seller}
        maker = sides[proposal.maker]
        taker = sides["no" if proposal.maker == "yes" else "yes"]
        deal = Deal(proposal.price, proposal.count, taker_buys=taker is proposal.buyer, block=True)
        first, second = (Party(side.account, side.subaccount or 0) for side in (taker, maker))
        taker.order, maker.order = cross(self.venue, proposal.market, first, second, deal, now=now)
        proposal.status, proposal.executed = "executed", now


def _expiry(body: Body, now: int) -> int:
    try:
        expires = microseconds(datetime.fromisoformat(body.text("expiration_ts", needed=True)))
    except ValueError:
        raise invalid("invalid expiration_ts") from None
    if expires <= now:
        raise invalid("expiration_ts is in the past")
    return expires
