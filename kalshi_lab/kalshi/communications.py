"""Family communications: requests for quotes, quotes and block trades. Batches of requests are in rfq_batches.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from kalshi_lab.errors import UsageError, one_of
from kalshi_lab.kalshi import params
from kalshi_lab.kalshi.operations import call
from kalshi_lab.kalshi.pages import AsyncPages, paged
from kalshi_lab.kalshi.rfq_batches import AsyncRFQBatches, RFQBatches
from kalshi_lab.models.communications import RFQ, BlockTrade, Quote
from kalshi_lab.portal import blocking

if TYPE_CHECKING:
    from decimal import Decimal

    from kalshi_lab.clock import When
    from kalshi_lab.door import Call

PAGE, QUOTE_PAGE = 100, 500
SIDE = Literal["yes", "no"]
RFQ_STATUS = ("open", "closed")
QUOTE_STATUS = ("open", "accepted", "confirmed", "executed", "cancelled")


class AsyncCommunications(AsyncRFQBatches):
    """Requests for quotes and what becomes of them; all of it needs a key."""

    async def id(self) -> str:
        """Your public id, under which others see your requests and quotes."""
        return await self._id(call("get_communications_id"), "communications_id")

    def rfqs(
        self,
        *,
        ticker: str | None = None,
        event: str | None = None,
        status: str | None = None,
        mine: bool = False,
        creator_user_id: str | None = None,
        subaccount: int | None = None,
        limit: int | None = None,
        max_pages: int | None = None,
    ) -> AsyncPages[RFQ]:
        """Requests for quotes; status: open or closed; mine: only your own."""
        asked = params.given(
            market_ticker=params.filtered(ticker),
            event_ticker=params.filtered(event, "event"),
            status=None if status is None else one_of("status", status, RFQ_STATUS),
            user_filter="self" if mine else None,
            creator_user_id=creator_user_id,
            subaccount=params.subaccount(subaccount),
        )
        return self._pages(RFQ, "rfqs", call("get_rfqs", asked), ("id",), page=PAGE, limit=limit, max_pages=max_pages)

    async def rfq(self, rfq_id: str) -> RFQ:
        """One request; NotFound where there is none, or a week after it closed."""
        return await self._object(RFQ, call("get_rfq", rfq_id=rfq_id), "rfq")

    async def create_rfq(
        self,
        ticker: str,
        *,
        contracts: Decimal | str | int | None = None,
        target_cost: Decimal | str | int | None = None,
        rest_remainder: bool = False,
        target_cost_excludes_fees: bool | None = None,
        obscure_creator_id: bool | None = None,
        replace_existing: bool | None = None,
        subtrader: str | None = None,
        subaccount: int | None = None,
    ) -> str:
        """Ask for quotes on a number of contracts or on dollars to spend; gives the request's id.

        One open request for each market (Conflict otherwise, unless `replace_existing`), 100 in all.
        """
        if (contracts is None) == (target_cost is None):
            raise UsageError("give either contracts or target_cost")
        sent = params.body(
            market_ticker=params.ticker(ticker),
            contracts_fp=None if contracts is None else params.count(contracts, "contracts"),
            target_cost_dollars=None if target_cost is None else params.exact(target_cost, "target_cost", decimals=4),
            target_cost_excludes_fees=target_cost_excludes_fees,
            obscure_creator_id=obscure_creator_id,
            rest_remainder=rest_remainder,
            replace_existing=replace_existing,
            subtrader_id=subtrader,
            subaccount=params.subaccount(subaccount),
        )
        return await self._id(call("create_rfq", body=sent), "id")

    async def delete_rfq(self, rfq_id: str) -> None:
        """Withdraw a request."""
        await self._send(call("delete_rfq", rfq_id=rfq_id))

    def quotes(
        self,
        *,
        rfq_id: str | None = None,
        status: str | None = None,
        mine: bool = False,
        for_my_rfqs: bool = False,
        quote_creator_user_id: str | None = None,
        rfq_creator_user_id: str | None = None,
        rfq_creator_subtrader: str | None = None,
        since: When | None = None,
        until: When | None = None,
        limit: int | None = None,
        max_pages: int | None = None,
    ) -> AsyncPages[Quote]:
        """Quotes that you made (`mine`) or that answer your requests (`for_my_rfqs`)."""
        asked = params.given(
            rfq_id=rfq_id,
            status=None if status is None else one_of("status", status, QUOTE_STATUS, also={"canceled": "cancelled"}),
            user_filter="self" if mine else None,
            rfq_user_filter="self" if for_my_rfqs else None,
            quote_creator_user_id=quote_creator_user_id,
            rfq_creator_user_id=rfq_creator_user_id,
            rfq_creator_subtrader_id=rfq_creator_subtrader,
        )
        made = call("get_quotes", asked + params.window(since, until, now=self._clock.now()))
        return self._pages(Quote, "quotes", made, ("id",), page=QUOTE_PAGE, limit=limit, max_pages=max_pages)

    async def quote(self, quote_id: str, rfq_id: str = "") -> Quote:
        """One quote. Give its request too: the exchange has deprecated asking without."""
        return await self._object(Quote, _of("get_rfq_quote", "get_quote", quote_id, rfq_id), "quote")

    async def create_quote(
        self,
        rfq_id: str,
        *,
        yes_bid: Decimal | str | int = 0,
        no_bid: Decimal | str | int = 0,
        rest_remainder: bool = False,
        post_only: bool | None = None,
        subaccount: int | None = None,
    ) -> str:
        """Answer a request with bids in dollars, 0 for none, together at most 1; gives the quote's id. It replaces your older one."""
        yes, no = params.bid(yes_bid, "yes_bid"), params.bid(no_bid, "no_bid")
        if not 0 < yes + no <= 1:
            raise UsageError(f"the bids add up to {yes + no}", hint="Together they are above 0 and at most 1 dollar")
        sent = params.body(
            rfq_id=rfq_id, yes_bid=yes, no_bid=no, rest_remainder=rest_remainder, post_only=post_only,
            subaccount=params.subaccount(subaccount),
        )  # fmt: skip
        return await self._id(call("create_quote", body=sent), "id")

    async def accept_quote(self, quote_id: str, side: SIDE, *, rfq_id: str = "") -> None:
        """Take a quote on your request: side yes or no. The maker must confirm it then."""
        sent = params.body(accepted_side=one_of("side", side, get_args(SIDE)))
        await self._send(_of("accept_rfq_quote", "accept_quote", quote_id, rfq_id, sent))

    async def confirm_quote(self, quote_id: str, *, rfq_id: str = "") -> None:
        """Confirm your quote that was accepted: within 3 s for combos, 30 s otherwise."""
        await self._send(_of("confirm_rfq_quote", "confirm_quote", quote_id, rfq_id, b"{}"))

    async def delete_quote(self, quote_id: str, *, rfq_id: str = "") -> None:
        """Withdraw your quote."""
        await self._send(_of("delete_rfq_quote", "delete_quote", quote_id, rfq_id))

    def block_trades(
        self,
        *,
        ticker: str | None = None,
        status: str | None = None,
        limit: int | None = None,
        max_pages: int | None = None,
    ) -> AsyncPages[BlockTrade]:
        """Block trades proposed to you or by you."""
        asked = params.given(market_ticker=params.filtered(ticker), status=status)
        made = call("get_block_trade_proposals", asked)
        return self._pages(
            BlockTrade, "block_trade_proposals", made, ("id",), page=PAGE, limit=limit, max_pages=max_pages
        )

    async def propose_block_trade(
        self,
        ticker: str,
        contracts: Decimal | str | int,
        price: Decimal | str,
        *,
        buyer_user_id: str,
        seller_user_id: str,
        maker_side: SIDE,
        expires: When,
        buyer_subaccount: int | None = None,
        seller_subaccount: int | None = None,
        buyer_subtrader: str | None = None,
        seller_subtrader: str | None = None,
    ) -> str:
        """Propose a trade away from the book, at a YES price in dollars; both sides must accept. Gives the proposal's id."""
        ends = params.future(expires, "expires", now=self._clock.now())
        sent = params.body(
            buyer_user_id=buyer_user_id,
            buyer_subtrader_id=buyer_subtrader,
            buyer_subaccount=params.subaccount(buyer_subaccount),
            seller_user_id=seller_user_id,
            seller_subtrader_id=seller_subtrader,
            seller_subaccount=params.subaccount(seller_subaccount),
            market_ticker=params.ticker(ticker),
            price_centi_cents=params.units(params.price(price), 4, "price"),
            centicount=params.units(contracts, 2, "contracts"),
            maker_side=one_of("maker_side", maker_side, get_args(SIDE)),
            expiration_ts=None if ends is None else ends.isoformat().replace("+00:00", "Z"),
        )
        return await self._id(call("propose_block_trade", body=sent), "block_trade_proposal_id")

    async def accept_block_trade(
        self, proposal_id: str, *, subaccount: int | None = None, subtrader: str | None = None
    ) -> None:
        """Accept a proposal on your side."""
        sent = params.body(subaccount=params.subaccount(subaccount), subtrader_id=subtrader)
        await self._send(call("accept_block_trade_proposal", body=sent, block_trade_proposal_id=proposal_id))


def _of(with_rfq: str, alone: str, quote_id: str, rfq_id: str, body: bytes | None = None) -> Call:
    if rfq_id:
        return call(with_rfq, body=body, rfq_id=rfq_id, quote_id=quote_id)
    return call(alone, body=body, quote_id=quote_id)


class Communications(RFQBatches):
    """The blocking face of `AsyncCommunications`."""

    id = blocking(AsyncCommunications.id)
    rfqs = paged(AsyncCommunications.rfqs)
    rfq = blocking(AsyncCommunications.rfq)
    create_rfq = blocking(AsyncCommunications.create_rfq)
    delete_rfq = blocking(AsyncCommunications.delete_rfq)
    quotes = paged(AsyncCommunications.quotes)
    quote = blocking(AsyncCommunications.quote)
    create_quote = blocking(AsyncCommunications.create_quote)
    accept_quote = blocking(AsyncCommunications.accept_quote)
    confirm_quote = blocking(AsyncCommunications.confirm_quote)
    delete_quote = blocking(AsyncCommunications.delete_quote)
    block_trades = paged(AsyncCommunications.block_trades)
    propose_block_trade = blocking(AsyncCommunications.propose_block_trade)
    accept_block_trade = blocking(AsyncCommunications.accept_block_trade)
