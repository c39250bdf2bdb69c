"""Batches of requests for quotes: answered, accepted and traded together.

Unverified: these endpoints are known from another client alone, so what they take and give here is the least that fits together.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kalshi_lab.sim.catalog import COLLECTION
from kalshi_lab.sim.desk.calls import Body, Call, Reply, Signed, invalid
from kalshi_lab.sim.queries import Refused, missing
from kalshi_lab.sim.talks.communications import bids, needed_flag, paged, sized
from kalshi_lab.sim.talks.room import PENDING
from kalshi_lab.sim.wire import count, moment, price

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.routing import Route

    from kalshi_lab.sim.desk.ledger import Account
    from kalshi_lab.sim.reference.combos import Combos
    from kalshi_lab.sim.render import Json
    from kalshi_lab.sim.talks.communications import Communications
    from kalshi_lab.sim.talks.talk import Quote, Request

PATH = "/communications/rfq_batches"
MOST_CHILDREN = 100
_ONE = f"{PATH}/{{rfq_batch_id}}"
_QUOTE = f"{_ONE}/quotes/{{quote_id}}"


@dataclass(slots=True, eq=False)
class Answer:
    """One maker's quotes for a batch."""

    id: str
    account: Account
    quotes: list[Quote]

    @property
    def live(self) -> bool:
        """Whether any of its quotes stands."""
        return any(quote.status in {"open", *PENDING} for quote in self.quotes)


@dataclass(slots=True, eq=False)
class Batch:
    """Requests that belong together, and the answers to them; `version` counts what changed."""

    id: str
    account: Account
    requests: list[Request]
    client_id: str = ""
    version: int = 1
    answers: dict[str, Answer] = field(default_factory=dict)
    updated: int = 0

    @property
    def status(self) -> str:
        """One of open, accepted, closed."""
        if self.taken:
            return "accepted"
        return "closed" if all(request.status == "closed" for request in self.requests) else "open"

    @property
    def taken(self) -> list[Quote]:
        """The quotes that were accepted and are not traded yet."""
        return [quote for answer in self.answers.values() for quote in answer.quotes if quote.status in PENDING]

    def shown(self) -> Json:
        """A batch."""
        return {"id": self.id, "status": self.status}


class Batches:
    """Answers about batches."""

    def __init__(self, communications: Communications, combos: Combos) -> None:
        self.room, self.venue = communications.room, communications.venue
        self.communications, self.combos = communications, combos
        self.batches: dict[str, Batch] = {}

    def routes(self) -> list[Route]:
        """The endpoints."""
        listed: list[tuple[str, str, Callable[..., Any], str]] = [
            ("GET", PATH, self.listed, "read"),
            ("POST", PATH, self.ask, "write::trade"),
            ("GET", _ONE, self.one, "read"),
            ("DELETE", _ONE, self.withdraw, "write::trade"),
            ("PUT", f"{_ONE}/accept", self.accept, "write::trade"),
            ("GET", f"{_ONE}/best_quotes", self.best, "read"),
            ("GET", f"{_ONE}/quotes", self.answers, "read"),
            ("POST", f"{_ONE}/quotes", self.offer, "write::trade"),
            ("DELETE", _QUOTE, self.cancel, "write::trade"),
            ("PUT", f"{_QUOTE}/confirm", self.confirm, "write::trade"),
        ]
        return [Signed(*route) for route in listed]

    # ------------------------------------------------------------------ batches

    def listed(self, call: Call) -> Json:
        """GET /communications/rfq_batches: the caller's own."""
        limit, status = call.limit(1, 100, 100), call.word("status", ("open", "accepted", "closed"))
        found = [
            batch for batch in self.batches.values() if batch.account is call.account and status in {"", batch.status}
        ]
        chosen, cursor = paged(call, PATH, found, limit)
        return {"rfq_batches": [batch.shown() for batch in chosen], "cursor": cursor}

    def one(self, _call: Call, rfq_batch_id: str) -> Json:
        """GET /communications/rfq_batches/{rfq_batch_id}; makers see the batch too."""
        return {"rfq_batch": self._batch(rfq_batch_id).shown()}

    def _batch(self, batch: str, account: Account | None = None) -> Batch:
        found = self.batches.get(batch)
        if found is None or account not in {None, found.account}:
            raise missing()
        return found

    def ask(self, call: Call) -> Reply:
        """POST /communications/rfq_batches: all children or none; the same client_batch_id gives the same batch again."""
        body = call.body
        name = body.text("client_batch_id")
        if len(name) > 64:
            raise invalid("client_batch_id has at most 64 characters")
        known = [one for one in self.batches.values() if name and (one.account, one.client_id) == (call.account, name)]
        if known:
            return Reply(201, {"rfq_batch": known[0].shown()})
        shared = {key: value for key, value in body.values.items() if key not in {"children", "replace_existing"}}
        children = [self._child(call, Body(child), shared) for child in body.several("children", MOST_CHILDREN)]
        if len({child.market.row for child in children}) < len(children):
            raise invalid("two children are about the same market")
        batch = Batch(self.room.ids.new(), call.account, children, name, updated=call.now)
        self._open(batch, call.now, replace=body.flag("replace_existing"))
        self.batches[batch.id] = batch
        return Reply(201, {"rfq_batch": batch.shown()})

    def _open(self, batch: Batch, now: int, *, replace: bool) -> None:
        for place, request in enumerate(batch.requests):
            request.batch = batch.id
            try:
                self.room.ask(request, now, replace=replace and place == 0)
            except Refused:
                for opened in batch.requests[:place]:
                    self.room.withdraw(opened, now)
                raise

    def _child(self, call: Call, child: Body, shared: Json) -> Request:
        ticker, legs = child.text("market_ticker"), child.values.get("selected_markets")
        if bool(ticker) == (legs is not None):
            raise invalid("a child has either market_ticker or selected_markets")
        if ticker:
            row = self.venue.find(ticker).row
        elif shared.get("mve_collection_ticker") != COLLECTION:
            raise invalid("selected_markets need a known mve_collection_ticker")
        else:
            row = self.combos.market(self.combos.legs(child, call.now), call.account.id, call.now)
        sizes = {"contracts_fp", "target_cost_dollars"}
        own = {key: child.values.get(key) for key in sizes}
        common = Body({key: value for key, value in shared.items() if key in sizes})
        size = sized(common) if not any(own.values()) else None
        rest = {key: value for key, value in shared.items() if key not in sizes}
        return self.communications.drafted(call, Body({**rest, **own}), row, size)

    def withdraw(self, call: Call, rfq_batch_id: str) -> Reply:
        """DELETE /communications/rfq_batches/{rfq_batch_id}."""
        batch = self._batch(rfq_batch_id, call.account)
        if batch.status == "closed":
            raise missing()
        if any(quote.status == "confirmed" for quote in batch.taken):
            raise invalid("a quote is confirmed")
        for request in batch.requests:
            if request.status == "open":
                self.room.withdraw(request, call.now)
        self._changed(batch, call.now)
        return Reply(204)

    @staticmethod
    def _changed(batch: Batch, now: int) -> None:
        batch.version, batch.updated = batch.version + 1, now

    # ------------------------------------------------------------------ answers

    def best(self, call: Call, rfq_batch_id: str) -> Json:
        """GET /communications/rfq_batches/{rfq_batch_id}/best_quotes."""
        batch = self._batch(rfq_batch_id, call.account)
        rows = [self._best(batch, request) for request in batch.requests]
        found: Json = {
            "rfq_batch_id": batch.id,
            "status": batch.status,
            "version": batch.version,
            "yes_complete": all("yes_bid_dollars" in row for row in rows),
            "no_complete": all("no_bid_dollars" in row for row in rows),
            "updated_ts": moment(batch.updated),
            "rfqs": rows,
        }
        return {"best_quotes": found}

    def _best(self, batch: Batch, request: Request) -> Json:
        row: Json = {"rfq_id": request.id, "market_ticker": request.market.ticker}
        for side in ("yes", "no"):
            if quote := self._highest(batch, request, side):
                bid = _bid(quote, side)
                row[f"{side}_bid_dollars"] = price(bid)
                row[f"{side}_contracts_offered_fp"] = count(request.size(bid))
        return row

    @staticmethod
    def _highest(batch: Batch, request: Request, side: str) -> Quote | None:
        """The best open quote of a batch on a request, of equal ones the first."""
        every = (quote for answer in batch.answers.values() for quote in answer.quotes)
        fit = [quote for quote in every if quote.request is request and quote.status == "open" and _bid(quote, side)]
        return max(fit, key=lambda quote: _bid(quote, side), default=None)

    def answers(self, call: Call, rfq_batch_id: str) -> Json:
        """GET /communications/rfq_batches/{rfq_batch_id}/quotes: all for its requester, their own for makers."""
        batch = self._batch(rfq_batch_id)
        found = [
            answer
            for answer in batch.answers.values()
            if call.account in {batch.account, answer.account} and answer.live
        ]
        return {"batch_quotes": [{"id": answer.id} for answer in found]}

    def offer(self, call: Call, rfq_batch_id: str) -> Reply:
        """POST /communications/rfq_batches/{rfq_batch_id}/quotes: the maker's earlier answer gives way."""
        batch, body = self._batch(rfq_batch_id), call.body
        if batch.status != "open":
            raise Refused(400, "RFQ_CLOSED", "rfq closed")
        needed_flag(body, "rest_remainder")
        requests = {request.id: request for request in batch.requests}
        made: list[Quote] = []
        for wanted in map(Body, body.several("quotes", len(requests))):
            rfq = wanted.text("rfq_id", needed=True)
            if rfq not in requests:
                raise invalid(f"the batch has no RFQ {rfq}")
            quote = self.communications.quoted(call, body, requests.pop(rfq), *bids(wanted))
            quote.batch = batch.id
            made.append(quote)
        for quote in made:
            self.room.check(quote)
        for quote in made:
            self.room.offer(quote, call.now)
        batch.answers = {key: answer for key, answer in batch.answers.items() if answer.live}
        answer = Answer(self.room.ids.new(), call.account, made)
        batch.answers[answer.id] = answer
        self._changed(batch, call.now)
        return Reply(201, {"id": answer.id})

    def _answer(self, call: Call, rfq_batch_id: str, quote_id: str) -> tuple[Batch, Answer]:
        """A batch and the caller's own answer to it."""
        batch = self._batch(rfq_batch_id)
        answer = batch.answers.get(quote_id)
        if answer is None or answer.account is not call.account:
            raise missing()
        return batch, answer

    def cancel(self, call: Call, rfq_batch_id: str, quote_id: str) -> Reply:
        """DELETE /communications/rfq_batches/{rfq_batch_id}/quotes/{quote_id}; what was accepted with it ends too."""
        batch, answer = self._answer(call, rfq_batch_id, quote_id)
        if any(quote.status == "confirmed" for quote in answer.quotes):
            raise invalid("the quote is confirmed")
        accepted = any(quote.status == "accepted" for quote in answer.quotes)
        for quote in {*answer.quotes, *(batch.taken if accepted else ())}:
            self.room.end(quote, call.now, "deleted")
        self._changed(batch, call.now)
        return Reply(204)

    # ------------------------------------------------------------------ accept and confirm

    def accept(self, call: Call, rfq_batch_id: str) -> Json:
        """PUT /communications/rfq_batches/{rfq_batch_id}/accept: of each request the best quote, if all bid enough."""
        batch, body = self._batch(rfq_batch_id, call.account), call.body
        if batch.status != "open":
            raise Refused(400, "RFQ_CLOSED", "rfq closed")
        side, least = body.word("accepted_side", ("yes", "no")), self._least(batch, body)
        chosen: list[Quote] = []
        for request in batch.requests:
            quote = self._highest(batch, request, side)
            if quote is None or _bid(quote, side) < least.get(request.id, 0):
                raise invalid(f"no quote on RFQ {request.id} bids enough")
            chosen.append(quote)
        for quote in chosen:
            self.room.accept(quote, side, call.now)
        self.room.bind(chosen)
        self._changed(batch, call.now)
        taken = [answer.id for answer in batch.answers.values() if set(answer.quotes) & set(chosen)]
        return {"accepted_side": side, "quotes": [{"id": one} for one in taken]}

    @staticmethod
    def _least(batch: Batch, body: Body) -> dict[str, int]:
        found: dict[str, int] = {}
        known = {request.id for request in batch.requests}
        for wanted in map(Body, body.several("min_bids", len(known))):
            rfq = wanted.text("rfq_id", needed=True)
            if rfq not in known:
                raise invalid(f"the batch has no RFQ {rfq}")
            found[rfq] = wanted.scaled("bid_dollars", 4, needed=True) or 0
        return found

    def confirm(self, call: Call, rfq_batch_id: str, quote_id: str) -> Reply:
        """PUT /communications/rfq_batches/{rfq_batch_id}/quotes/{quote_id}/confirm."""
        batch, answer = self._answer(call, rfq_batch_id, quote_id)
        waiting = [quote for quote in answer.quotes if quote.status == "accepted"]
        if not waiting:
            raise invalid("nothing of the quote waits to be confirmed")
        for quote in waiting:
            self.room.confirm(quote, call.now)
        self._changed(batch, call.now)
        return Reply(204)


def _bid(quote: Quote, side: str) -> int:
    return quote.yes if side == "yes" else quote.no
