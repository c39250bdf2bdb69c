"""Requests for quotes (RFQs), quotes, block trades, and batches of RFQs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from kalshi_lab import money
from kalshi_lab.models.fields import Count, Flag, Integer, Json, Key, Money, Price, Record, Text, Time, doc, key, wire
from kalshi_lab.models.market import Leg

if TYPE_CHECKING:
    from decimal import Decimal


class RFQ(Record):
    """A request for quotes."""

    id: Key = key("RFQ id")
    creator_id: Text = doc("public id of who asks; the same for all who obscure theirs")
    creator_user_id: Text = doc("who asks, where it is you")
    creator_subaccount: Integer = doc("your subaccount")
    market_ticker: Text = doc("market")
    contracts: Count = wire("contracts_fp", "contracts asked for")
    target_cost: Money = wire("target_cost_dollars", "dollars to spend, where that was asked for")
    target_cost_excludes_fees: Flag = doc("whether fees come on top")
    status: Text = doc("open or closed")
    rest_remainder: Flag = doc("whether what is left after execution rests")
    mve_collection_ticker: Text = doc("the collection of a combo")
    mve_selected_legs: Annotated[tuple[Leg, ...] | None, Json] = doc("the legs of a combo")
    cancellation_reason: Text = doc("why it ended")
    created_ts: Time = doc("creation")
    updated_ts: Time = doc("last change")
    cancelled_ts: Time = doc("end without a trade")


class Quote(Record):
    """An answer to an RFQ: what the maker bids for YES and for NO."""

    id: Key = key("quote id")
    rfq_id: Text = doc("the request")
    creator_id: Text = doc("public id of the maker")
    creator_user_id: Text = doc("the maker, where it is you")
    creator_subaccount: Integer = doc("the maker's subaccount, where it is yours")
    creator_order_id: Text = doc("the maker's order, where it is yours")
    rfq_creator_id: Text = doc("public id of who asked")
    rfq_creator_user_id: Text = doc("who asked, where it is you")
    rfq_creator_subaccount: Integer = doc("the asker's subaccount, where it is yours")
    rfq_creator_order_id: Text = doc("the asker's order, where it is yours")
    rfq_target_cost: Money = wire("rfq_target_cost_dollars", "dollars that the asker wants to spend")
    target_cost_excludes_fees: Flag = doc("whether fees come on top")
    market_ticker: Text = doc("market")
    contracts: Count = wire("contracts_fp", "contracts")
    yes_contracts: Count = wire("yes_contracts_fp", "contracts of YES offered")
    no_contracts: Count = wire("no_contracts_fp", "contracts of NO offered")
    yes_bid: Price = wire("yes_bid_dollars", "bid for YES, dollars; 0: none")
    no_bid: Price = wire("no_bid_dollars", "bid for NO, dollars; 0: none")
    status: Text = doc("open, accepted, confirmed, executed or cancelled")
    accepted_side: Text = doc("yes or no")
    rest_remainder: Flag = doc("whether what is left after execution rests")
    post_only: Flag = doc("whether it only makes liquidity")
    cancellation_reason: Text = doc("why it ended")
    created_ts: Time = doc("creation")
    updated_ts: Time = doc("last change")
    accepted_ts: Time = doc("accepted")
    confirmed_ts: Time = doc("confirmed by the maker")
    executed_ts: Time = doc("executed")
    cancelled_ts: Time = doc("ended without a trade")


class BlockTrade(Record):
    """A trade proposed away from the book, which both sides must accept."""

    id: Key = key("proposal id")
    proposer_user_id: Text = doc("who proposed it")
    buyer_user_id: Text = doc("buyer of YES")
    buyer_subtrader_id: Text = doc("the buyer's subtrader")
    seller_user_id: Text = doc("seller of YES")
    seller_subtrader_id: Text = doc("the seller's subtrader")
    market_ticker: Text = doc("market")
    price_centi_cents: Integer = doc("price of YES, 1/10,000 dollar")
    centicount: Integer = doc("contracts times 100")
    maker_side: Text = doc("yes or no: who pays as maker")
    status: Text = doc("state")
    buyer_accepted: Flag = doc("whether the buyer accepted")
    seller_accepted: Flag = doc("whether the seller accepted")
    buyer_accepted_ts: Time = doc("when the buyer did")
    seller_accepted_ts: Time = doc("when the seller did")
    buyer_order_id: Text = doc("the buyer's order")
    seller_order_id: Text = doc("the seller's order")
    expiration_ts: Time = doc("open until")
    created_ts: Time = doc("creation")
    updated_ts: Time = doc("last change")
    executed_ts: Time = doc("execution")

    @property
    def price(self) -> Decimal | None:
        """Price of YES, dollars."""
        return money.units(self.price_centi_cents, 4)

    @property
    def count(self) -> Decimal | None:
        """Contracts."""
        return money.units(self.centicount, 2)


class RFQBatch(Record):
    """Several RFQs that are quoted and executed together. Unverified: seen only through another client."""

    id: Text = wire(("id", "rfq_batch_id"), "batch id")
    status: Text = doc("open, accepted or closed")


class BestQuote(Record):
    """The best bids for one RFQ of a batch. Unverified."""

    rfq_id: Text = doc("RFQ")
    market_ticker: Text = doc("market")
    yes_bid: Price = wire("yes_bid_dollars", "best bid for YES, dollars")
    no_bid: Price = wire("no_bid_dollars", "best bid for NO, dollars")
    yes_contracts_offered: Count = wire("yes_contracts_offered_fp", "contracts of YES offered")
    no_contracts_offered: Count = wire("no_contracts_offered_fp", "contracts of NO offered")


class BestQuotes(Record):
    """The best bids for each RFQ of a batch. Unverified."""

    rfq_batch_id: Text = doc("batch")
    status: Text = doc("open, accepted or closed")
    version: Integer = doc("number of the state")
    yes_complete: Flag = doc("whether every RFQ has a bid for YES")
    no_complete: Flag = doc("whether every RFQ has a bid for NO")
    updated_ts: Time = doc("last change")
    rfqs: Annotated[tuple[BestQuote, ...] | None, Json] = doc("by RFQ")


class BatchQuote(Record):
    """A maker's quotes for a batch. Unverified: fields beyond the id are kept as they come."""

    id: Text = doc("id")


class AcceptedBatch(Record):
    """What accepting a batch did. Unverified."""

    accepted_side: Text = doc("yes or no")
    quotes: Annotated[tuple[BatchQuote, ...] | None, Json] = doc("the quotes that were taken")
