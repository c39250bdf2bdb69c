"""Requests for quotes and quotes, as they are kept, and as the exchange's JSON and its channel communications show them.

Prices are whole 1/10,000 dollars, counts whole 1/100 contracts, times whole microseconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING

from kalshi_lab.sim.wire import DOLLAR, SECOND, count, moment, price

if TYPE_CHECKING:
    from kalshi_lab.sim.desk.ledger import Account
    from kalshi_lab.sim.desk.market import Market
    from kalshi_lab.sim.desk.order import Order
    from kalshi_lab.sim.render import Json

NOBODY = sha256(b"").hexdigest()
"""Stands in for a requester who wants to stay unknown."""
CONFIRM, EXECUTE = {True: 3 * SECOND, False: 30 * SECOND}, {True: SECOND, False: 15 * SECOND}
"""How long a maker may take to confirm, and then orders to be placed, in a combo and elsewhere."""


@dataclass(slots=True, eq=False)
class Request:
    """A request for quotes: for so many contracts, or for so much money."""

    id: str
    account: Account
    subaccount: int
    market: Market
    count: int
    target: int
    created: int
    updated: int
    excludes_fees: bool = False
    rest: bool = False
    obscured: bool = False
    legs: list[Json] = field(default_factory=list)
    collection: str = ""
    batch: str = ""
    status: str = "open"
    reason: str = ""
    cancelled: int = 0

    @property
    def quick(self) -> bool:
        """Whether the short windows of combos hold."""
        return self.market.spec.shape == "combo"

    def size(self, bid: int) -> int:
        """Contracts that meet a bid: what was asked for, or what the money buys at the other side of the bid."""
        if not self.target or not bid:
            return self.count if bid else 0
        unit = DOLLAR - bid
        if not self.excludes_fees:
            return self.target * 100 * DOLLAR // (unit * DOLLAR + self.market.fee(bid, DOLLAR, taker=True))
        return self.target * 100 // unit if unit else 0


@dataclass(slots=True, eq=False)
class Quote:
    """A maker's answer: what it bids for YES and for NO, 0 for none.

    `due` is when its present state ends by itself, `together` are the quotes of a batch, this one too, that trade all or not at all.
    """

    id: str
    request: Request
    account: Account
    subaccount: int
    yes: int
    no: int
    created: int
    updated: int
    rest: bool = False
    post_only: bool = False
    batch: str = ""
    status: str = "open"
    side: str = ""
    reason: str = ""
    due: int | None = None
    together: list[Quote] = field(default_factory=list)
    orders: tuple[Order, Order] | None = None
    times: dict[str, int] = field(default_factory=dict)

    @property
    def bid(self) -> int:
        """The accepted side's bid."""
        return self.yes if self.side == "yes" else self.no

    def enter(self, status: str, now: int, due: int | None = None, reason: str = "") -> None:
        """Change state."""
        self.status, self.updated, self.due, self.reason = status, now, due, reason
        self.times[status] = now


def public_id(account: Account) -> str:
    """How others know a member in communications."""
    return sha256(account.id.encode()).hexdigest()


def requester(quote: Quote) -> str:
    """How others know who asked; hidden ones are known once the trade is done."""
    hidden = quote.request.obscured and quote.status != "executed"
    return NOBODY if hidden else public_id(quote.request.account)


def dollars(value: int) -> str:
    """Dollars with four decimals."""
    return f"{value // DOLLAR}.{value % DOLLAR:04d}"


def rfq(request: Request, viewer: Account) -> Json:
    """An RFQ as a member sees it."""
    made: Json = {
        "id": request.id,
        "creator_id": NOBODY if request.obscured else public_id(request.account),
        "market_ticker": request.market.ticker,
        "contracts_fp": count(request.count),
        "target_cost_excludes_fees": request.excludes_fees,
        "status": request.status,
        "created_ts": moment(request.created),
        "updated_ts": moment(request.updated),
        "rest_remainder": request.rest,
    }
    if request.target:
        made["target_cost_dollars"] = dollars(request.target)
    if request.legs:
        made.update(mve_collection_ticker=request.collection, mve_selected_legs=request.legs)
    if request.reason:
        made.update(cancellation_reason=request.reason, cancelled_ts=moment(request.cancelled))
    if viewer is request.account:
        made.update(creator_user_id=viewer.id, creator_subaccount=request.subaccount)
    return made


def quoted(quote: Quote, viewer: Account) -> Json:
    """A Quote as one of its two parties sees it."""
    request = quote.request
    made: Json = {
        "id": quote.id,
        "rfq_id": request.id,
        "creator_id": public_id(quote.account),
        "rfq_creator_id": requester(quote),
        "market_ticker": request.market.ticker,
        "contracts_fp": count(request.count),
        "yes_bid_dollars": price(quote.yes),
        "no_bid_dollars": price(quote.no),
        "created_ts": moment(quote.created),
        "updated_ts": moment(quote.updated),
        "status": quote.status,
        "rest_remainder": quote.rest,
        **{f"{state}_ts": moment(at) for state, at in quote.times.items()},
    }
    if quote.side:
        made["accepted_side"] = quote.side
    if quote.reason:
        made["cancellation_reason"] = quote.reason
    if request.target:
        made.update(
            rfq_target_cost_dollars=dollars(request.target), target_cost_excludes_fees=request.excludes_fees,
            yes_contracts_fp=count(request.size(quote.yes)), no_contracts_fp=count(request.size(quote.no)),
        )  # fmt: skip
    return {**made, **_own(quote, viewer)}


def _own(quote: Quote, viewer: Account) -> Json:
    """What a party sees of itself."""
    made: Json = {}
    taken, given = quote.orders or (None, None)
    if viewer is quote.account:
        made.update(creator_user_id=viewer.id, creator_subaccount=quote.subaccount, post_only=quote.post_only)
        made.update({"creator_order_id": given.id} if given else {})
    if viewer is quote.request.account:
        made.update(rfq_creator_user_id=viewer.id, rfq_creator_subaccount=quote.request.subaccount)
        made.update({"rfq_creator_order_id": taken.id} if taken else {})
    return made


# ---------------------------------------------------------------------- the channel


def _about(request: Request) -> Json:
    made: Json = {"market_ticker": request.market.ticker, "event_ticker": request.market.event_ticker}
    if request.target:
        return {**made, "target_cost_dollars": dollars(request.target)}
    return {**made, "contracts_fp": count(request.count)}


def rfq_created(request: Request) -> Json:
    """The message that everybody gets about a new request."""
    made = {"id": request.id, "creator_id": NOBODY if request.obscured else "", **_about(request)}
    made["created_ts"] = moment(request.created)
    if request.legs:
        made.update(mve_collection_ticker=request.collection, mve_selected_legs=request.legs)
    return made


def rfq_deleted(request: Request) -> Json:
    """The message that everybody gets about a request that is gone."""
    who = NOBODY if request.obscured else public_id(request.account)
    return {"id": request.id, "creator_id": who, **_about(request), "deleted_ts": moment(request.updated)}


def _between(quote: Quote, viewer: Account) -> Json:
    own = quote.subaccount if viewer is quote.account else quote.request.subaccount
    return {
        "quote_id": quote.id,
        "rfq_id": quote.request.id,
        "quote_creator_id": public_id(quote.account),
        "rfq_creator_id": requester(quote),
        "market_ticker": quote.request.market.ticker,
        "subaccount": own,
    }


def _offered(quote: Quote) -> Json:
    request = quote.request
    made: Json = {
        "event_ticker": request.market.event_ticker,
        "yes_bid_dollars": price(quote.yes),
        "no_bid_dollars": price(quote.no),
        "yes_contracts_offered_fp": count(request.size(quote.yes)),
        "no_contracts_offered_fp": count(request.size(quote.no)),
    }
    return {**made, **({"rfq_target_cost_dollars": dollars(request.target)} if request.target else {})}


def quote_created(quote: Quote, viewer: Account) -> Json:
    """The message about a new quote, for one of its parties."""
    return {**_between(quote, viewer), **_offered(quote), "created_ts": moment(quote.created)}


def quote_accepted(quote: Quote, viewer: Account) -> Json:
    """The message about an accepted quote."""
    size = count(quote.request.size(quote.bid))
    return {
        **_between(quote, viewer), **_offered(quote), "accepted_side": quote.side, "contracts_accepted_fp": size,
    }  # fmt: skip


def quote_executed(quote: Quote, viewer: Account, order: Order) -> Json:
    """The message about a trade, with the party's own order."""
    made = {**_between(quote, viewer), "order_id": order.id, "client_order_id": order.client_id}
    return {**made, "executed_ts": moment(quote.updated), **({"rfq_batch_id": quote.batch} if quote.batch else {})}
