"""Orders, what the exchange answers to their writes, and order groups."""

from __future__ import annotations

from typing import Annotated

from kalshi_lab.models.fields import (
    Count,
    Flag,
    Integer,
    Json,
    Key,
    Milliseconds,
    Money,
    Price,
    Record,
    Text,
    Time,
    doc,
    key,
    wire,
)


class Order(Record):
    """One of your orders as it stands."""

    order_id: Key = key("order id")
    client_order_id: Text = doc("your own id of it")
    user_id: Text = doc("its owner")
    ticker: Text = doc("market")
    outcome_side: Text = doc("yes or no: the exposure that it gains")
    book_side: Text = doc("bid or ask: the same in terms of the YES book")
    side: Text = doc("deprecated by the exchange")
    action: Text = doc("deprecated by the exchange")
    type: Text = doc("limit")
    status: Text = doc("resting, canceled or executed")
    yes_price: Price = wire("yes_price_dollars", "limit as a price of YES, dollars")
    no_price: Price = wire("no_price_dollars", "the same as a price of NO, dollars")
    initial_count: Count = wire("initial_count_fp", "contracts asked for")
    fill_count: Count = wire("fill_count_fp", "contracts filled so far")
    remaining_count: Count = wire("remaining_count_fp", "contracts that still rest; 0 once canceled")
    taker_fill_cost: Money = wire("taker_fill_cost_dollars", "dollars moved by fills as taker")
    maker_fill_cost: Money = wire("maker_fill_cost_dollars", "dollars moved by fills as maker")
    taker_fees: Money = wire("taker_fees_dollars", "fees paid as taker, dollars")
    maker_fees: Money = wire("maker_fees_dollars", "fees paid as maker, dollars")
    created_time: Time = doc("creation")
    last_update_time: Time = doc("last fill, amendment or cancel")
    expiration_time: Time = doc("end; null: good till canceled")
    self_trade_prevention_type: Text = doc("taker_at_cross stops the incoming order, maker cancels the resting one")
    order_group_id: Text = doc("its group")
    cancel_order_on_pause: Flag = doc("canceled when trading pauses")
    subaccount_number: Integer = doc("0 primary, 1 to 63 numbered")
    exchange_index: Integer = doc("the shard on which it trades")


class ItemError(Record):
    """Why one item of a batch failed."""

    code: Text = doc("the exchange's word for it")
    message: Text = doc("what it said")
    details: Text = doc("more of it")


class OrderResult(Record):
    """What became of one write: the order's id first, then what it did. Fields that a kind of write does not answer are None."""

    order_id: Text = doc("order id; null where an item of a batch failed")
    client_order_id: Text = doc("your own id of it")
    fill_count: Count = doc("contracts filled at once")
    remaining_count: Count = doc("contracts that rest now")
    reduced_by: Count = doc("contracts taken out of the book by a cancel")
    average_fill_price: Price = doc("mean YES price of those fills, dollars; null where there were none")
    average_fee_paid: Money = doc("mean fee for a contract of those fills, dollars")
    ts_ms: Milliseconds = doc("when the matching engine did it")
    error: Annotated[ItemError | None, Json] = doc("why this item of a batch failed")

    @property
    def ok(self) -> bool:
        """Whether it was done."""
        return self.error is None

    def __repr__(self) -> str:
        if self.error is not None:
            return f"<OrderResult failed: {self.error.code or self.error.message}>"
        said = {"filled": self.fill_count, "resting": self.remaining_count, "canceled": self.reduced_by}
        done = ", ".join(f"{word} {count}" for word, count in said.items() if count is not None)
        return f"<OrderResult {self.order_id} {done}>".replace(" >", ">")


class QueuePosition(Record):
    """How many contracts stand before an order at its price; 0 is the front."""

    order_id: Text = doc("order id")
    market_ticker: Text = doc("market")
    queue_position: Count = wire("queue_position_fp", "contracts ahead of it")

    def __repr__(self) -> str:
        return f"<QueuePosition {self.order_id}: {self.queue_position} contracts ahead>"


class OrderGroup(Record):
    """Orders that are canceled together once too many contracts of them fill within 15 seconds."""

    order_group_id: Text = wire(("order_group_id", "id"), "group id")
    contracts_limit: Count = wire("contracts_limit_fp", "contracts that may fill within a rolling 15 s")
    is_auto_cancel_enabled: Flag = doc("whether the limit is armed")
    orders: Annotated[tuple[str, ...] | None, Json] = doc("ids of its orders, where one group was asked for")
    subaccount: Integer = doc("0 primary, 1 to 63 numbered; answered on creation")
    exchange_index: Integer = doc("its shard")

    def __repr__(self) -> str:
        return f"<OrderGroup {self.order_group_id} limit {self.contracts_limit}>"
