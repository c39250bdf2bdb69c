"""Batches of requests for quotes, a part of the family communications.

Unverified: the exchange's own document does not have these operations yet; they are known from another client of October 2026.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

from kalshi_lab.errors import UsageError, one_of
from kalshi_lab.kalshi import params
from kalshi_lab.kalshi.family import Family
from kalshi_lab.kalshi.operations import call
from kalshi_lab.kalshi.pages import AsyncPages, paged
from kalshi_lab.models.communications import AcceptedBatch, BatchQuote, BestQuotes, RFQBatch
from kalshi_lab.portal import Facade, blocking

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal

PAGE = 100
SIDE = Literal["yes", "no"]
STATUS = ("open", "accepted", "closed")


class AsyncRFQBatches(Family):
    """Requests for quotes that are answered and executed together. Unverified."""

    def rfq_batches(
        self, *, status: str | None = None, limit: int | None = None, max_pages: int | None = None
    ) -> AsyncPages[RFQBatch]:
        """Batches; status: open, accepted or closed. Unverified."""
        asked = params.given(status=None if status is None else one_of("status", status, STATUS))
        made = call("get_rfq_batches", asked)
        return self._pages(RFQBatch, "rfq_batches", made, ("id",), page=PAGE, limit=limit, max_pages=max_pages)

    async def rfq_batch(self, rfq_batch_id: str) -> RFQBatch:
        """One batch. Unverified."""
        return await self._object(RFQBatch, call("get_rfq_batch", rfq_batch_id=rfq_batch_id), "rfq_batch")

    async def create_rfq_batch(
        self,
        children: Sequence[Mapping[str, Any]],
        *,
        collection: str | None = None,
        contracts: Decimal | str | int | None = None,
        target_cost: Decimal | str | int | None = None,
        target_cost_excludes_fees: bool | None = None,
        rest_remainder: bool | None = None,
        replace_existing: bool | None = None,
        obscure_creator_id: bool | None = None,
        client_batch_id: str | None = None,
        subtrader: str | None = None,
        subaccount: int | None = None,
    ) -> RFQBatch:
        """Ask for quotes on several markets at once. Unverified.

        Each child is {"market_ticker"} or {"selected_markets": [...]} with contracts_fp or target_cost_dollars of its own.
        """
        if not children:
            raise UsageError("no child was given", hint='Give [{"market_ticker": "..."}, ...]')
        sent = params.body(
            children=[dict(child) for child in children],
            mve_collection_ticker=params.filtered(collection, "collection"),
            contracts_fp=None if contracts is None else params.count(contracts, "contracts"),
            target_cost_dollars=None if target_cost is None else params.exact(target_cost, "target_cost", decimals=4),
            target_cost_excludes_fees=target_cost_excludes_fees,
            rest_remainder=rest_remainder,
            replace_existing=replace_existing,
            obscure_creator_id=obscure_creator_id,
            client_batch_id=client_batch_id,
            subtrader_id=subtrader,
            subaccount=params.subaccount(subaccount),
        )
        return await self._object(RFQBatch, call("create_rfq_batch", body=sent), "rfq_batch")

    async def delete_rfq_batch(self, rfq_batch_id: str) -> None:
        """Withdraw a batch. Unverified."""
        await self._send(call("delete_rfq_batch", rfq_batch_id=rfq_batch_id))

    async def accept_rfq_batch(
        self,
        rfq_batch_id: str,
        side: SIDE,
        min_bids: Mapping[str, Decimal | str],
        *,
        client_order_id: str | None = None,
    ) -> AcceptedBatch:
        """Take the best quotes of a batch: side yes or no, and the least bid in dollars for each RFQ. Unverified."""
        sent = params.body(
            accepted_side=one_of("side", side, get_args(SIDE)),
            min_bids=[{"rfq_id": rfq, "bid_dollars": params.price(bid, "bid")} for rfq, bid in min_bids.items()],
            client_order_id=client_order_id,
        )
        return await self._object(AcceptedBatch, call("accept_rfq_batch", body=sent, rfq_batch_id=rfq_batch_id))

    async def best_quotes(self, rfq_batch_id: str) -> BestQuotes:
        """The best bids for each RFQ of a batch. Unverified."""
        made = call("get_rfq_batch_best_quotes", rfq_batch_id=rfq_batch_id)
        return await self._object(BestQuotes, made, "best_quotes")

    async def batch_quotes(self, rfq_batch_id: str) -> tuple[BatchQuote, ...]:
        """All quotes for a batch. Unverified."""
        return await self._rows(BatchQuote, call("get_rfq_batch_quotes", rfq_batch_id=rfq_batch_id), "batch_quotes")

    async def create_batch_quote(
        self,
        rfq_batch_id: str,
        bids: Mapping[str, tuple[Decimal | str | int, Decimal | str | int]],
        *,
        rest_remainder: bool = False,
        post_only: bool | None = None,
        subaccount: int | None = None,
    ) -> str:
        """Answer a batch: for each RFQ a bid for YES and one for NO in dollars, 0 for none; gives the quote's id. Unverified."""
        rows = [
            {"rfq_id": rfq, "yes_bid": params.bid(yes, "yes_bid"), "no_bid": params.bid(no, "no_bid")}
            for rfq, (yes, no) in bids.items()
        ]
        sent = params.body(
            quotes=rows, rest_remainder=rest_remainder, post_only=post_only, subaccount=params.subaccount(subaccount)
        )
        return await self._id(call("create_rfq_batch_quote", body=sent, rfq_batch_id=rfq_batch_id), "id")

    async def delete_batch_quote(self, rfq_batch_id: str, quote_id: str) -> None:
        """Withdraw your quote for a batch. Unverified."""
        await self._send(call("delete_rfq_batch_quote", rfq_batch_id=rfq_batch_id, quote_id=quote_id))

    async def confirm_batch_quote(self, rfq_batch_id: str, quote_id: str) -> None:
        """Confirm your quote for a batch that was accepted. Unverified."""
        await self._send(call("confirm_rfq_batch_quote", body=b"{}", rfq_batch_id=rfq_batch_id, quote_id=quote_id))


class RFQBatches(Facade):
    """The blocking face of `AsyncRFQBatches`."""

    rfq_batches = paged(AsyncRFQBatches.rfq_batches)
    rfq_batch = blocking(AsyncRFQBatches.rfq_batch)
    create_rfq_batch = blocking(AsyncRFQBatches.create_rfq_batch)
    delete_rfq_batch = blocking(AsyncRFQBatches.delete_rfq_batch)
    accept_rfq_batch = blocking(AsyncRFQBatches.accept_rfq_batch)
    best_quotes = blocking(AsyncRFQBatches.best_quotes)
    batch_quotes = blocking(AsyncRFQBatches.batch_quotes)
    create_batch_quote = blocking(AsyncRFQBatches.create_batch_quote)
    delete_batch_quote = blocking(AsyncRFQBatches.delete_batch_quote)
    confirm_batch_quote = blocking(AsyncRFQBatches.confirm_batch_quote)
