"""Where members ask for quotes and answer: what may follow what, and what happens when time runs out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kalshi_lab.sim.catalog import COLLECTION
from kalshi_lab.sim.desk.calls import invalid
from kalshi_lab.sim.desk.venue import trading
from kalshi_lab.sim.queries import Refused, missing
from kalshi_lab.sim.talks import talk
from kalshi_lab.sim.talks.crossing import Deal, Party, cross
from kalshi_lab.sim.talks.talk import CONFIRM, EXECUTE, Quote, Request
from kalshi_lab.sim.wire import DAY, DOLLAR, SECOND

if TYPE_CHECKING:
    from kalshi_lab.sim.desk.ledger import Account
    from kalshi_lab.sim.desk.venue import Venue

MOST_OPEN = 100
KEPT = 7 * DAY * SECOND
PENDING = {"accepted", "confirmed"}


class Room:
    """All requests and quotes of an exchange, oldest first. Nothing runs by itself: the venue's catching up with time drives it."""

    def __init__(self, venue: Venue) -> None:
        self.venue, self.hub, self.ids = venue, venue.hub, venue.ids
        self.requests: dict[str, Request] = {}
        self.quotes: dict[str, Quote] = {}
        venue.companions.append(self.catch_up)

    # ------------------------------------------------------------------ requests

    def ask(self, request: Request, now: int, *, replace: bool) -> Request:
        """Open a request; `replace` first withdraws all that its member has open. Raises Refused."""
        trading(request.market, now)
        mine = [one for one in self.requests.values() if one.account is request.account and one.status == "open"]
        if replace:
            for old in mine:
                if not self._bound(old):
                    self.withdraw(old, now)
            mine = [old for old in mine if old.status == "open"]
        if not request.batch and any(one.market is request.market and not one.batch for one in mine):
            raise Refused(409, "already_exists", "already exists", "an RFQ for the market is open")
        if len(mine) >= MOST_OPEN:
            raise invalid(f"at most {MOST_OPEN} RFQs may be open")
        if request.market.spec.shape == "combo":
            request.legs, request.collection = self.venue.world.names.legs(request.market.row), COLLECTION
        self.requests[request.id] = request
        self.hub.publish("communications", "rfq_created", talk.rfq_created(request), market=request.market.ticker)
        return request

    def request(self, rfq: str) -> Request:
        """A request. Raises Refused."""
        if rfq not in self.requests:
            raise missing()
        return self.requests[rfq]

    def withdraw(self, request: Request, now: int, reason: str = "deleted") -> None:
        """Close a request without a trade. Raises Refused while a quote for it, as one of a batch, is confirmed."""
        if self._bound(request):
            raise Refused(400, "invalid_parameters", "invalid parameters", "a quote is confirmed")
        request.reason, request.cancelled = reason, now
        self._close(request, now, "rfq_deleted" if reason == "deleted" else reason)

    def _close(self, request: Request, now: int, reason: str = "rfq_closed") -> None:
        request.status, request.updated = "closed", now
        for quote in self.of(request):
            if quote.status != "confirmed":
                self.end(quote, now, reason)
        self.hub.publish("communications", "rfq_deleted", talk.rfq_deleted(request), market=request.market.ticker)

    def _bound(self, request: Request) -> bool:
        """Whether a maker has confirmed already."""
        return any(quote.status == "confirmed" for quote in self.of(request))

    def of(self, request: Request) -> list[Quote]:
        """The quotes on a request."""
        return [quote for quote in self.quotes.values() if quote.request is request]

    # ------------------------------------------------------------------ quotes

    def offer(self, quote: Quote, now: int) -> Quote:
        """Answer a request; the maker's earlier quote gives way. Raises Refused."""
        request = quote.request
        if request.status != "open":
            raise Refused(400, "RFQ_CLOSED", "rfq closed")
        trading(request.market, now)
        self.check(quote)
        for old in self.of(request):
            if old.account is quote.account and old.subaccount == quote.subaccount:
                if old.status in PENDING:
                    raise invalid("an earlier quote is accepted")
                self.end(old, now, "replaced")
        self.quotes[quote.id] = quote
        self._tell(quote, "quote_created")
        return quote

    @staticmethod
    def check(quote: Quote) -> None:
        """Raise Refused for a quote that nobody may make."""
        market = quote.request.market
        if quote.account is quote.request.account and quote.subaccount == quote.request.subaccount:
            raise invalid("nobody quotes on an RFQ of their own")
        if not quote.yes and not quote.no:
            raise invalid("yes_bid and no_bid cannot both be 0")
        if quote.yes + quote.no > DOLLAR:
            raise invalid("yes_bid and no_bid together are at most 1")
        fits = (market.fits(quote.yes) or not quote.yes) and (market.fits(DOLLAR - quote.no) or not quote.no)
        if not fits:
            raise invalid("a bid is not on the market's grid")

    def quote(self, account: Account, quote: str, rfq: str = "") -> Quote:
        """A quote that a member is a party of. Raises Refused."""
        found = self.quotes.get(quote)
        if found is None or rfq not in {"", found.request.id}:
            raise missing()
        if account is not found.account and account is not found.request.account:
            raise missing()
        return found

    def accept(self, quote: Quote, side: str, now: int) -> None:
        """Take a side of a quote: its maker is to buy that side at its bid, once it has confirmed. Raises Refused."""
        if quote.request.status != "open":
            raise Refused(400, "RFQ_CLOSED", "rfq closed")
        if quote.status != "open":
            raise invalid(f"the quote is {quote.status}")
        if any(other.status in PENDING for other in self.of(quote.request)):
            raise invalid("another quote is accepted")
        bid = quote.yes if side == "yes" else quote.no
        if not quote.request.size(bid):
            raise invalid(f"the quote has no bid for {side}, or one that the target cost does not reach")
        quote.side = side
        quote.enter("accepted", now, now + CONFIRM[quote.request.quick])
        self._tell(quote, "quote_accepted")

    def confirm(self, quote: Quote, now: int) -> None:
        """Say as its maker that an accepted quote still holds: the request is closed, and the trade follows. Raises Refused."""
        if quote.status != "accepted":
            raise invalid(f"the quote is {quote.status}")
        quote.enter("confirmed", now, quote.due)
        bound = quote.together or [quote]
        if all(one.status == "confirmed" for one in bound):
            for one in bound:
                one.due = now + EXECUTE[one.request.quick]
                self._close(one.request, now)

    @staticmethod
    def bind(quotes: list[Quote]) -> None:
        """Let accepted quotes trade all or not at all."""
        for quote in quotes:
            quote.together = quotes

    def cancel(self, quote: Quote, now: int, reason: str = "deleted") -> None:
        """Take a quote back, which its maker may do until it has confirmed. Raises Refused."""
        if quote.status not in {"open", "accepted"}:
            raise invalid(f"the quote is {quote.status}")
        self.end(quote, now, reason)

    @staticmethod
    def end(quote: Quote, now: int, reason: str) -> None:
        """End a quote that is not over yet."""
        if quote.status in {"open", *PENDING}:
            quote.enter("cancelled", now, reason=reason)

    def _tell(self, quote: Quote, kind: str) -> None:
        write = {"quote_created": talk.quote_created, "quote_accepted": talk.quote_accepted}[kind]
        for account in dict.fromkeys((quote.request.account, quote.account)):
            self.hub.publish(
                "communications", kind, write(quote, account), market=quote.request.market.ticker, user=account.id
            )

    # ------------------------------------------------------------------ time

    def catch_up(self, now: int) -> None:
        """Let happen what was to happen up to `now`, each at its own time, and forget what is long closed."""
        timed = [quote for quote in self.quotes.values() if quote.due is not None and quote.due <= now]
        for quote in sorted(timed, key=lambda quote: quote.due or 0):
            if quote.due is not None:
                self._expire(quote, quote.due)
        for request in self.requests.values():
            if request.status == "open" and request.market.close <= now and not self._bound(request):
                self.withdraw(request, request.market.close, "market_closed")
        if any(request.status != "open" and request.updated < now - KEPT for request in self.requests.values()):
            self._forget(now)

    def _expire(self, quote: Quote, at: int) -> None:
        bound = quote.together or [quote]
        if all(one.status in {"confirmed", "executed"} for one in bound):
            self._execute(quote, at)
            return
        for one in bound:
            self.end(one, at, "not_confirmed")

    def _execute(self, quote: Quote, at: int) -> None:
        """Trade; a quote that a side cannot pay for ends instead."""
        request, buys = quote.request, quote.side == "yes"
        price = quote.bid if buys else DOLLAR - quote.bid
        taker, maker = Party(request.account, request.subaccount), Party(quote.account, quote.subaccount)
        deal = Deal(price, request.size(quote.bid), taker_buys=not buys)
        try:
            quote.orders = cross(self.venue, request.market, taker, maker, deal, now=at)
        except Refused as refusal:
            self.end(quote, at, str(refusal.body["error"]["code"]))
            return
        quote.enter("executed", at)
        for account, order in zip((request.account, quote.account), quote.orders, strict=True):
            msg = talk.quote_executed(quote, account, order)
            self.hub.publish("communications", "quote_executed", msg, market=order.ticker, user=account.id)

    def _forget(self, now: int) -> None:
        self.requests = {
            key: one for key, one in self.requests.items() if one.status == "open" or one.updated >= now - KEPT
        }
        self.quotes = {key: one for key, one in self.quotes.items() if one.request.id in self.requests}
