"""The messages of the live stream as immutable objects, one class for each type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from kalshi_lab.models.fields import (
    Count,
    Flag,
    Integer,
    Json,
    Milliseconds,
    Money,
    Number,
    Price,
    Record,
    Text,
    Time,
    Unix,
    doc,
    wire,
)
from kalshi_lab.models.market import Leg, PriceRange

if TYPE_CHECKING:
    from datetime import datetime

Levels = Annotated[tuple[tuple[str, str], ...] | None, Json]
_TIMES = (
    "ts_ms", "last_updated_ts_ms", "source_ts_ms", "executed_ts", "deleted_ts", "created_ts_ms", "created_ts", "received_at", "time", "ts",
)  # fmt: skip
Words = Annotated[tuple[str, ...] | None, Json]


class Message(Record):
    """Any message of the stream; one of a type that this version does not know holds its fields in `model_extra`."""

    type: Text = doc("what it is")
    sid: Integer = doc("the subscription that it belongs to")
    seq: Integer = doc("its number within the subscription, where the channel counts")
    sent_at: Milliseconds = wire("sending_ts_ms", "when the exchange sent it, where it says so")
    arrived_at: Time = doc("when it arrived on this machine")
    problem: Text = doc("why it could not be read as what its type says; the fields are in `model_extra` then")

    @property
    def about(self) -> str:
        """The market or event that it is about; empty where it is about none."""
        fields = dict(self)
        return next((str(fields[name]) for name in ("ticker", "event_ticker") if fields.get(name)), "")

    @property
    def at(self) -> datetime | None:
        """When it happened, by the exchange's clock where it says so, else when it was sent or arrived."""
        fields = dict(self)
        return next((fields[name] for name in _TIMES if fields.get(name)), self.sent_at or self.arrived_at)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.about}>".replace(" >", ">")


class BookSnapshot(Message):
    """A whole book: bids for YES and for NO, as [price in dollars, contracts]."""

    ticker: Text = wire("market_ticker", "market")
    market_id: Text = doc("the market's other id")
    yes_levels: Levels = wire("yes_dollars_fp", "bids for YES; null where there are none")
    no_levels: Levels = wire("no_dollars_fp", "bids for NO; null where there are none")


class BookDelta(Message):
    """A change of one level of a book."""

    ticker: Text = wire("market_ticker", "market")
    market_id: Text = doc("the market's other id")
    side: Text = doc("yes or no: whose bids")
    price: Price = wire("price_dollars", "the level, dollars")
    delta: Count = wire("delta_fp", "contracts added, or taken away where negative")
    client_order_id: Text = doc("your order, where the change is yours")
    subaccount: Integer = doc("your subaccount, where the change is yours")
    ts_ms: Milliseconds = doc("when the engine did it")
    ts: Time = doc("deprecated by the exchange: the same time")


class Tick(Message):
    """The top of a book and the totals of its market."""

    ticker: Text = wire("market_ticker", "market")
    market_id: Text = doc("the market's other id")
    price: Price = wire("price_dollars", "last trade, dollars of YES")
    yes_bid: Price = wire("yes_bid_dollars", "best YES bid, dollars")
    yes_bid_size: Count = wire("yes_bid_size_fp", "contracts at the bid")
    yes_ask: Price = wire("yes_ask_dollars", "best YES ask, dollars")
    yes_ask_size: Count = wire("yes_ask_size_fp", "contracts at the ask")
    last_trade_size: Count = wire("last_trade_size_fp", "contracts of the last trade")
    volume: Count = wire("volume_fp", "contracts traded over the market's life")
    open_interest: Count = wire("open_interest_fp", "contracts outstanding")
    dollar_volume: Integer = doc("dollars traded over the market's life, whole")
    dollar_open_interest: Integer = doc("dollars outstanding, whole")
    ts_ms: Milliseconds = doc("as of")
    ts: Unix = doc("deprecated by the exchange: the same in whole seconds")
    time: Time = doc("deprecated by the exchange: the same time")


class StreamTrade(Message):
    """A public trade."""

    trade_id: Text = doc("trade id")
    ticker: Text = wire("market_ticker", "market")
    yes_price: Price = wire("yes_price_dollars", "price of YES, dollars")
    no_price: Price = wire("no_price_dollars", "price of NO, dollars")
    count: Count = wire("count_fp", "contracts")
    taker_outcome_side: Text = doc("yes or no: the exposure that the taker gained")
    taker_book_side: Text = doc("bid or ask: the same in terms of the YES book")
    taker_side: Text = doc("deprecated by the exchange")
    is_block_trade: Flag = doc("matched away from the book")
    ts_ms: Milliseconds = doc("execution")
    ts: Unix = doc("deprecated by the exchange: the same in whole seconds")


class StreamFill(Message):
    """An execution of one of your orders."""

    trade_id: Text = doc("trade id")
    order_id: Text = doc("your order")
    client_order_id: Text = doc("your own id of it")
    ticker: Text = wire("market_ticker", "market")
    outcome_side: Text = doc("yes or no: the exposure gained")
    book_side: Text = doc("bid or ask: the same in terms of the YES book")
    yes_price: Price = wire("yes_price_dollars", "price of YES, dollars")
    count: Count = wire("count_fp", "contracts")
    fee_cost: Money = doc("fee of this fill, dollars")
    post_position: Count = wire("post_position_fp", "net contracts held afterwards")
    is_taker: Flag = doc("whether it took liquidity")
    side: Text = doc("deprecated by the exchange")
    action: Text = doc("deprecated by the exchange")
    purchased_side: Text = doc("deprecated by the exchange")
    ts_ms: Milliseconds = doc("execution")
    ts: Unix = doc("deprecated by the exchange: the same in whole seconds")
    subaccount: Integer = doc("your subaccount")
    exchange_index: Integer = doc("shard")


class PositionChange(Message):
    """Your position in one market, after it changed."""

    ticker: Text = wire("market_ticker", "market")
    user_id: Text = doc("you")
    position: Count = wire("position_fp", "net contracts: positive YES, negative NO")
    position_cost: Money = wire("position_cost_dollars", "cost basis, dollars")
    realized_pnl: Money = wire("realized_pnl_dollars", "realised profit and loss, dollars")
    fees_paid: Money = wire("fees_paid_dollars", "fees so far, dollars")
    position_fee_cost: Money = wire("position_fee_cost_dollars", "fees within the cost of the open position, dollars")
    volume: Count = wire("volume_fp", "contracts traded")
    subaccount: Integer = doc("your subaccount")


class OrderChange(Message):
    """One of your orders, after it was made, changed, filled or ended."""

    order_id: Text = doc("order id")
    client_order_id: Text = doc("your own id of it")
    user_id: Text = doc("you")
    ticker: Text = doc("market")
    status: Text = doc("resting, canceled, executed or unknown")
    last_update_reason: Text = doc("why it changed: Trade, Amend, Decrease, ExpiryCancel and others")
    outcome_side: Text = doc("yes or no: the exposure that it gains")
    book_side: Text = doc("bid or ask: the same in terms of the YES book")
    yes_price: Price = wire("yes_price_dollars", "limit as a price of YES, dollars")
    initial_count: Count = wire("initial_count_fp", "contracts asked for")
    fill_count: Count = wire("fill_count_fp", "contracts filled so far")
    remaining_count: Count = wire("remaining_count_fp", "contracts that still rest")
    taker_fill_cost: Money = wire("taker_fill_cost_dollars", "dollars moved by fills as taker")
    maker_fill_cost: Money = wire("maker_fill_cost_dollars", "dollars moved by fills as maker")
    taker_fees: Money = wire("taker_fees_dollars", "fees as taker, dollars")
    maker_fees: Money = wire("maker_fees_dollars", "fees as maker, dollars")
    order_group_id: Text = doc("its group")
    self_trade_prevention_type: Text = doc("taker_at_cross or maker")
    created_ts_ms: Milliseconds = doc("creation")
    last_updated_ts_ms: Milliseconds = doc("last change")
    expiration_ts_ms: Milliseconds = doc("end")
    side: Text = doc("deprecated by the exchange")
    is_yes: Flag = doc("deprecated by the exchange")
    created_time: Time = doc("deprecated by the exchange: creation")
    last_update_time: Time = doc("deprecated by the exchange: last change")
    expiration_time: Time = doc("deprecated by the exchange: end")
    subaccount_number: Integer = doc("0 primary, 1 to 63 numbered")
    exchange_index: Integer = doc("shard")


class MarketChange(Message):
    """A market that was made, opened, paused, determined, settled or redescribed."""

    event_type: Text = doc(
        "created, activated, deactivated, close_date_updated, determined, settled, price_level_structure_updated, metadata_updated"
    )
    ticker: Text = wire("market_ticker", "market")
    open_ts: Unix = doc("opens; with created")
    close_ts: Unix = doc("closes; with created and close_date_updated")
    result: Text = doc("yes, no or scalar; with determined")
    determination_ts: Unix = doc("with determined")
    settlement_value: Price = doc("payout of YES, dollars; with determined")
    settled_ts: Unix = doc("with settled")
    is_deactivated: Flag = doc("with activated and deactivated")
    price_level_structure: Text = doc("a label of the price grid")
    price_ranges: Annotated[tuple[PriceRange, ...] | None, Json] = doc("the bands in which prices move")
    strike_type: Text = doc("how the strikes decide YES; with metadata_updated")
    floor_strike: Number = doc("lower bound for YES")
    cap_strike: Number = doc("upper bound for YES")
    custom_strike: Annotated[dict[str, Any] | None, Json] = doc("free-form strike")
    yes_sub_title: Text = doc("what YES means, short")
    additional_metadata: Annotated[dict[str, Any] | None, Json] = doc(
        "free-form: the description of a market just made"
    )
    exchange_index: Integer = doc("shard")


class EventMade(Message):
    """An event that was made."""

    event_ticker: Text = doc("event")
    series_ticker: Text = doc("its series")
    title: Text = doc("title")
    subtitle: Text = doc("short title")
    collateral_return_type: Text = doc("MECNET, DIRECNET or empty")
    strike_date: Unix = doc("the date that it is about")
    strike_period: Text = doc("the period that it is about")
    exchange_index: Integer = doc("shard")


class EventFeeChange(Message):
    """The fees of an event, set apart from its series' or put back."""

    event_ticker: Text = doc("event")
    fee_type_override: Text = doc("fee type; null: the series' own again")
    fee_multiplier_override: Number = doc("fee multiplier; null: the series' own again")


class OrderGroupChange(Message):
    """One of your order groups, after it was made, triggered, reset, deleted or limited anew."""

    event_type: Text = doc("created, triggered, reset, deleted or limit_updated")
    order_group_id: Text = doc("group")
    contracts_limit: Count = wire("contracts_limit_fp", "contracts; with created and limit_updated")
    ts_ms: Milliseconds = doc("when")


class RFQMade(Message):
    """A request for quotes that anybody made."""

    id: Text = doc("request")
    creator_id: Text = doc("public id of who asks, or what stands for one that is obscured")
    ticker: Text = wire("market_ticker", "market")
    event_ticker: Text = doc("event")
    contracts: Count = wire("contracts_fp", "contracts asked for")
    target_cost: Money = wire("target_cost_dollars", "dollars to spend")
    mve_collection_ticker: Text = doc("the collection of a combo")
    mve_selected_legs: Annotated[tuple[Leg, ...] | None, Json] = doc("the legs of a combo")
    created_ts: Time = doc("creation")


class RFQGone(Message):
    """A request for quotes that ended."""

    id: Text = doc("request")
    creator_id: Text = doc("public id of who asked")
    ticker: Text = wire("market_ticker", "market")
    event_ticker: Text = doc("event")
    contracts: Count = wire("contracts_fp", "contracts asked for")
    target_cost: Money = wire("target_cost_dollars", "dollars to spend")
    deleted_ts: Time = doc("end")


class QuoteMade(Message):
    """A quote on your request, or your own quote."""

    quote_id: Text = doc("quote")
    rfq_id: Text = doc("request")
    quote_creator_id: Text = doc("public id of the maker")
    rfq_creator_id: Text = doc("public id of who asked")
    ticker: Text = wire("market_ticker", "market")
    event_ticker: Text = doc("event")
    yes_bid: Price = wire("yes_bid_dollars", "bid for YES, dollars")
    no_bid: Price = wire("no_bid_dollars", "bid for NO, dollars")
    yes_contracts_offered: Count = wire("yes_contracts_offered_fp", "contracts of YES")
    no_contracts_offered: Count = wire("no_contracts_offered_fp", "contracts of NO")
    rfq_target_cost: Money = wire("rfq_target_cost_dollars", "dollars that the asker wants to spend")
    created_ts: Time = doc("creation")
    subaccount: Integer = doc("your own subaccount")


class QuoteAccepted(QuoteMade):
    """A quote that was accepted: its maker must confirm it now."""

    accepted_side: Text = doc("yes or no")
    contracts_accepted: Count = wire("contracts_accepted_fp", "contracts taken")


class QuoteExecuted(Message):
    """A quote whose orders were placed."""

    quote_id: Text = doc("quote")
    rfq_id: Text = doc("request")
    quote_creator_id: Text = doc("public id of the maker")
    rfq_creator_id: Text = doc("public id of who asked")
    order_id: Text = doc("your own order")
    client_order_id: Text = doc("your own id of it")
    ticker: Text = wire("market_ticker", "market")
    executed_ts: Time = doc("execution")
    subaccount: Integer = doc("your own subaccount")
    rfq_batch_id: Text = doc("the batch that it belongs to; unverified")


class IndexValue(Message):
    """A value of a CF Benchmarks index; `data` is what the provider sent, as JSON text."""

    index_id: Text = doc("index, such as BRTI")
    received_at: Milliseconds = doc("when the exchange received it")
    data: Text = doc("as the provider sent it")
    value_usd: Text = doc("value in dollars, on the fast channel")
    source_ts_ms: Milliseconds = doc("the provider's time, on the fast channel")
    avg_60s_data: Annotated[dict[str, Any] | None, Json] = doc("average of the last minute")
    last_60s_windowed_average_15min: Annotated[dict[str, Any] | None, Json] = doc(
        "average of the last minute before a quarter of an hour"
    )


class IndexList(Message):
    """The indices that there are."""

    index_ids: Words = doc("their ids")


class PythValue(Message):
    """A price by Pyth."""

    underlying_ticker: Text = doc("what it is a price of")
    value_usd: Text = doc("dollars, with 8 decimals")
    source_ts_ms: Milliseconds = doc("the source's time")
    received_at: Milliseconds = doc("when the exchange received it")


class UnderlyingList(Message):
    """What there are Pyth prices of."""

    underlying_tickers: Words = doc("seen in the last two hours")


MESSAGES: dict[str, type[Message]] = {
    "orderbook_snapshot": BookSnapshot,
    "orderbook_delta": BookDelta,
    "ticker": Tick,
    "trade": StreamTrade,
    "fill": StreamFill,
    "market_position": PositionChange,
    "user_order": OrderChange,
    "market_lifecycle_v2": MarketChange,
    "multivariate_market_lifecycle": MarketChange,
    "event_lifecycle": EventMade,
    "event_fee_update": EventFeeChange,
    "order_group_updates": OrderGroupChange,
    "rfq_created": RFQMade,
    "rfq_deleted": RFQGone,
    "quote_created": QuoteMade,
    "quote_accepted": QuoteAccepted,
    "quote_executed": QuoteExecuted,
    "cfbenchmarks_value": IndexValue,
    "cfbenchmarks_value_5hz": IndexValue,
    "cfbenchmarks_value_indexlist": IndexList,
    "cfbenchmarks_value_5hz_indexlist": IndexList,
    "pyth_value": PythValue,
    "pyth_value_underlying_list": UnderlyingList,
}
