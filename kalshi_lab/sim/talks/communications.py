"""The endpoints of requests for quotes and of quotes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from kalshi_lab.sim.desk.calls import Body, Call, Reply, Signed, invalid
from kalshi_lab.sim.listing import page
from kalshi_lab.sim.queries import missing
from kalshi_lab.sim.talks import talk
from kalshi_lab.sim.talks.talk import Quote, Request
from kalshi_lab.sim.wire import DOLLAR, SECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.routing import Route

    from kalshi_lab.sim.render import Json
    from kalshi_lab.sim.talks.room import Room

STATES = ("open", "accepted", "confirmed", "executed", "cancelled")
_Row = TypeVar("_Row")


class Communications:
    """Answers about requests and quotes."""

    def __init__(self, room: Room) -> None:
        self.room, self.venue = room, room.venue

    def routes(self) -> list[Route]:
        """The endpoints; those of quotes without the request's id in the path are deprecated."""
        listed: list[tuple[str, str, Callable[..., Any], str]] = [
            ("GET", "/communications/id", self.identity, "read"),
            ("GET", "/communications/rfqs", self.requests, "read"),
            ("POST", "/communications/rfqs", self.ask, "write::trade"),
            ("GET", "/communications/rfqs/{rfq_id}", self.request, "read"),
            ("DELETE", "/communications/rfqs/{rfq_id}", self.withdraw, "write::trade"),
            ("GET", "/communications/quotes", self.quotes, "read"),
            ("POST", "/communications/quotes", self.offer, "write::trade"),
        ]
        for path in ("/communications/rfqs/{rfq_id}/quotes/{quote_id}", "/communications/quotes/{quote_id}"):
            listed += [
                ("GET", path, self.quote, "read"),
                ("DELETE", path, self.cancel, "write::trade"),
                ("PUT", f"{path}/accept", self.accept, "write::trade"),
                ("PUT", f"{path}/confirm", self.confirm, "write::trade"),
            ]
        return [Signed(*route) for route in listed]

    def identity(self, call: Call) -> Json:
        """GET /communications/id."""
        return {"communications_id": talk.public_id(call.account)}

    # ------------------------------------------------------------------ requests

    def requests(self, call: Call) -> Json:
        """GET /communications/rfqs: everybody's."""
        limit, mine = call.limit(1, 100, 100), call.word("user_filter", ("self",))
        status, ticker, event = (
            call.word("status", ("open", "closed")),
            call.text("market_ticker"),
            call.text("event_ticker"),
        )
        subaccount, user = call.subaccount(), call.text("creator_user_id")
        found = [
            request
            for request in self.room.requests.values()
            if status in {"", request.status}
            and ticker in {"", request.market.ticker}
            and event in {"", request.market.event_ticker}
            and (not mine or request.account is call.account)
            and (not user or (request.account is call.account and user == call.account.id))
            and (subaccount is None or (request.account is call.account and subaccount == request.subaccount))
        ]
        chosen, cursor = paged(call, "/communications/rfqs", found, limit)
        return {"rfqs": [talk.rfq(request, call.account) for request in chosen], "cursor": cursor}

    def request(self, call: Call, rfq_id: str) -> Json:
        """GET /communications/rfqs/{rfq_id}."""
        return {"rfq": talk.rfq(self.room.request(rfq_id), call.account)}

    def ask(self, call: Call) -> Reply:
        """POST /communications/rfqs."""
        body = call.body
        market = self.venue.find(body.text("market_ticker", needed=True))
        request = self.drafted(call, body, market.row)
        request.rest = needed_flag(body, "rest_remainder")
        return Reply(201, {"id": self.room.ask(request, call.now, replace=body.flag("replace_existing")).id})

    def drafted(self, call: Call, body: Body, row: int, size: tuple[int, int] | None = None) -> Request:
        """A request for a market as a body describes it; `size` where the body says nothing about it. Raises Refused."""
        contracts, target = sized(body, size)
        return Request(
            id=self.room.ids.new(), account=call.account, subaccount=call.caller.allowed(body.number("subaccount", 0, 63), 0) or 0,
            market=self.venue.market(row), count=contracts, target=target, created=call.now, updated=call.now,
            excludes_fees=body.flag("target_cost_excludes_fees"), rest=body.flag("rest_remainder"),
            obscured=body.flag("obscure_creator_id"),
        )  # fmt: skip

    def withdraw(self, call: Call, rfq_id: str) -> Reply:
        """DELETE /communications/rfqs/{rfq_id}."""
        request = self.room.request(rfq_id)
        if request.account is not call.account or request.status != "open":
            raise missing()
        self.room.withdraw(request, call.now)
        return Reply(204)

    # ------------------------------------------------------------------ quotes

    def quotes(self, call: Call) -> Json:
        """GET /communications/quotes: those that the caller made, and those on the caller's requests."""
        limit, status = call.limit(1, 500, 500), call.word("status", STATES)
        made, asked = call.word("user_filter", ("self",)), call.word("rfq_user_filter", ("self",))
        maker, asker, rfq = (call.text(name) for name in ("quote_creator_user_id", "rfq_creator_user_id", "rfq_id"))
        low, high = call.number("min_ts", 0) or 0, call.number("max_ts")
        found = [
            quote
            for quote in self.room.quotes.values()
            if call.account in {quote.account, quote.request.account}
            and status in {"", quote.status}
            and rfq in {"", quote.request.id}
            and (not made or quote.account is call.account)
            and (not asked or quote.request.account is call.account)
            and maker in {"", quote.account.id, talk.public_id(quote.account)}
            and asker in {"", quote.request.account.id, talk.requester(quote)}
            and low <= quote.created // SECOND <= (quote.created if high is None else high)
            and not call.text("rfq_creator_subtrader_id")
        ]
        chosen, cursor = paged(call, "/communications/quotes", found, limit)
        return {"quotes": [talk.quoted(quote, call.account) for quote in chosen], "cursor": cursor}

    def quote(self, call: Call, quote_id: str, rfq_id: str = "") -> Json:
        """GET /communications/rfqs/{rfq_id}/quotes/{quote_id}."""
        return {"quote": talk.quoted(self.room.quote(call.account, quote_id, rfq_id), call.account)}

    def offer(self, call: Call) -> Reply:
        """POST /communications/quotes."""
        body = call.body
        rfq = body.text("rfq_id", needed=True)
        if rfq not in self.room.requests:
            raise missing()
        quote = self.quoted(call, body, self.room.request(rfq), *bids(body))
        quote.rest = needed_flag(body, "rest_remainder")
        return Reply(201, {"id": self.room.offer(quote, call.now).id})

    def quoted(self, call: Call, body: Body, request: Request, yes: int, no: int) -> Quote:
        """A quote of the caller's with the options that a body gives."""
        return Quote(
            id=self.room.ids.new(), request=request, account=call.account, yes=yes, no=no,
            subaccount=call.caller.allowed(body.number("subaccount", 0, 63), 0) or 0, created=call.now, updated=call.now,
            rest=body.flag("rest_remainder"), post_only=body.flag("post_only"),
        )  # fmt: skip

    def cancel(self, call: Call, quote_id: str, rfq_id: str = "") -> Reply:
        """DELETE /communications/rfqs/{rfq_id}/quotes/{quote_id}."""
        self.room.cancel(self._made(call, quote_id, rfq_id), call.now)
        return Reply(204)

    def accept(self, call: Call, quote_id: str, rfq_id: str = "") -> Reply:
        """PUT /communications/rfqs/{rfq_id}/quotes/{quote_id}/accept."""
        quote = self.room.quote(call.account, quote_id, rfq_id)
        if quote.request.account is not call.account:
            raise missing()
        if quote.batch:
            raise invalid("the quote is for a batch, which is accepted as a whole")
        self.room.accept(quote, call.body.word("accepted_side", ("yes", "no")), call.now)
        return Reply(204)

    def confirm(self, call: Call, quote_id: str, rfq_id: str = "") -> Reply:
        """PUT /communications/rfqs/{rfq_id}/quotes/{quote_id}/confirm."""
        quote = self._made(call, quote_id, rfq_id)
        if quote.batch:
            raise invalid("the quote is for a batch, which is confirmed as a whole")
        self.room.confirm(quote, call.now)
        return Reply(204)

    def _made(self, call: Call, quote_id: str, rfq_id: str) -> Quote:
        """A quote of the caller's own."""
        quote = self.room.quote(call.account, quote_id, rfq_id)
        if quote.account is not call.account:
            raise missing()
        return quote


def paged(call: Call, path: str, rows: Sequence[_Row], limit: int) -> tuple[list[_Row], str]:
    """A page of rows that stand oldest first, and the next cursor."""
    chosen, cursor = page(call, path, np.arange(len(rows)), limit, newest_last=True)
    return [rows[place] for place in chosen.tolist()], cursor


def needed_flag(body: Body, name: str) -> bool:
    """A boolean that must be given. Raises Refused."""
    if body.values.get(name) is None:
        raise invalid(f"{name} is required")
    return body.flag(name)


def sized(body: Body, size: tuple[int, int] | None = None) -> tuple[int, int]:
    """Contracts in 1/100, or a target cost in 1/10,000 dollars: exactly one of them is not 0. Raises Refused."""
    whole, exact = body.number("contracts", 1, 10**9), body.scaled("contracts_fp", 2)
    old, target = body.number("target_cost_centi_cents", 1, 10**12), body.scaled("target_cost_dollars", 4)
    contracts = exact if whole is None else whole * 100
    if None not in {whole, exact} and exact != contracts:
        raise invalid("contracts and contracts_fp differ")
    target = old if target is None else target
    if contracts is None and target is None and size is not None:
        return size
    if (contracts is None) == (target is None):
        raise invalid("give exactly one of contracts_fp and target_cost_dollars")
    if not (contracts or target):
        raise invalid("the size must be more than 0")
    return contracts or 0, target or 0


def bids(body: Body) -> tuple[int, int]:
    """The bids for YES and for NO in 1/10,000 dollars. Raises Refused."""
    yes, no = (body.scaled(name, 4, needed=True) or 0 for name in ("yes_bid", "no_bid"))
    if yes > DOLLAR or no > DOLLAR:
        raise invalid("a bid is at most 1")
    return yes, no
