"""What an account holds and has done: balance, positions, fills, settlements, money moved in, out and about.

The exchange still sends some amounts as whole cents: those fields say so in their names, and have a property in dollars beside them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from kalshi_lab import money
from kalshi_lab.models.fields import (
    Count,
    Flag,
    Integer,
    Json,
    Key,
    Money,
    Price,
    Record,
    Text,
    Time,
    Unix,
    doc,
    key,
    wire,
)

if TYPE_CHECKING:
    from decimal import Decimal


class ShardBalance(Record):
    """Cash on one shard."""

    exchange_index: Integer = doc("shard")
    balance: Money = doc("dollars on it")


class Balance(Record):
    """The account's cash and the value of what it holds."""

    balance: Money = wire("balance_dollars", "available cash, dollars")
    balance_cents: Integer = wire("balance", "the same in whole cents, cut")
    portfolio_value_cents: Integer = wire("portfolio_value", "value of the open positions, cents")
    updated_ts: Unix = doc("as of")
    balance_breakdown: Annotated[tuple[ShardBalance, ...] | None, Json] = doc(
        "by shard; absent for keys of one subaccount"
    )

    @property
    def portfolio_value(self) -> Decimal | None:
        """Value of the open positions, dollars."""
        return money.units(self.portfolio_value_cents, 2)

    def __repr__(self) -> str:
        return f"<Balance {self.balance} dollars, positions {self.portfolio_value} dollars>"


class Fill(Record):
    """One execution of one of your orders.

    `outcome_side` and `book_side` say what it did, and `exposure` says it for every record.
    """

    fill_id: Key = key("fill id")
    trade_id: Text = doc("deprecated by the exchange: the same id")
    order_id: Text = doc("order id")
    ticker: Text = doc("market")
    market_ticker: Text = doc("deprecated by the exchange: the same ticker")
    outcome_side: Text = doc("yes or no: the exposure gained")
    book_side: Text = doc("bid or ask: the same in terms of the YES book")
    side: Text = doc("deprecated by the exchange")
    action: Text = doc("deprecated by the exchange")
    count: Count = wire("count_fp", "contracts")
    yes_price: Price = wire("yes_price_dollars", "price of YES, dollars")
    no_price: Price = wire("no_price_dollars", "price of NO, dollars")
    is_taker: Flag = doc("whether it took liquidity")
    fee_cost: Money = doc("fee paid, dollars")
    created_time: Time = doc("execution")
    subaccount_number: Integer = doc("0 primary, 1 to 63 numbered")
    exchange_index: Integer = doc("shard")
    ts: Unix = doc("deprecated by the exchange: the time in whole seconds")

    @property
    def exposure(self) -> str | None:
        """The exposure that it gained, yes or no, also of records from before `outcome_side`.

        There a fill that closes a position carries the opposite `side` of its order, so that the side of a fill is its exposure
        whether it was a buy or a sell: in 106 of 106 recorded closing fills.
        """
        return self.outcome_side or self.side


class MarketPosition(Record):
    """What the account holds in one market."""

    ticker: Key = key("market")
    position: Count = wire("position_fp", "net contracts: positive YES, negative NO; 0 is a closed position")
    market_exposure: Money = wire("market_exposure_dollars", "cost of the open position, dollars")
    total_traded: Money = wire("total_traded_dollars", "dollars traded in the market")
    realized_pnl: Money = wire("realized_pnl_dollars", "realised profit and loss, dollars")
    fees_paid: Money = wire("fees_paid_dollars", "fees so far, dollars")
    last_updated_ts: Time = doc("last change")
    exchange_index: Integer = doc("shard")
    resting_orders_count: Integer = doc("open orders; dropped by the exchange in July 2026")


class EventPosition(Record):
    """What the account holds in the markets of one event."""

    event_ticker: Key = key("event")
    event_exposure: Money = wire("event_exposure_dollars", "cost of the open positions, dollars")
    total_cost: Money = wire("total_cost_dollars", "cost basis over the event, dollars")
    total_cost_shares: Count = wire("total_cost_shares_fp", "contracts traded over the event")
    realized_pnl: Money = wire("realized_pnl_dollars", "realised profit and loss, dollars")
    fees_paid: Money = wire("fees_paid_dollars", "fees so far, dollars")


class Settlement(Record):
    """A market that paid out. Counts and costs mirror all trades of its life: profit is not revenue minus these costs."""

    ticker: Key = key("market")
    event_ticker: Text = doc("event")
    market_result: Text = doc("yes, no or scalar")
    yes_count: Count = wire("yes_count_fp", "YES contracts")
    yes_total_cost: Money = wire("yes_total_cost_dollars", "cost of the YES contracts, dollars")
    no_count: Count = wire("no_count_fp", "NO contracts")
    no_total_cost: Money = wire("no_total_cost_dollars", "cost of the NO contracts, dollars")
    revenue_cents: Integer = wire("revenue", "payout, cents")
    value_cents: Integer = wire("value", "payout of one YES contract, cents")
    fee_cost: Money = doc("fees of the position, dollars")
    settled_time: Time = doc("payout")
    exchange_index: Integer = doc("shard")

    @property
    def revenue(self) -> Decimal | None:
        """Payout in dollars."""
        return money.units(self.revenue_cents, 2)

    @property
    def value(self) -> Decimal | None:
        """Payout of one YES contract in dollars."""
        return money.units(self.value_cents, 2)


class _Movement(Record):
    """Money that came in or went out."""

    id: Key = key("its id")
    status: Text = doc("pending, applied, failed or returned")
    type: Text = doc("ach, wire, crypto, debit or apm")
    amount_cents: Integer = doc("amount, cents")
    fee_cents: Integer = doc("fee, cents")
    created_ts: Unix = doc("begun")
    finalized_ts: Unix = doc("ended; null while pending")

    @property
    def amount(self) -> Decimal | None:
        """Amount in dollars."""
        return money.units(self.amount_cents, 2)

    @property
    def fee(self) -> Decimal | None:
        """Fee in dollars."""
        return money.units(self.fee_cents, 2)


class Deposit(_Movement):
    """Money that came in."""


class Withdrawal(_Movement):
    """Money that went out."""


class RestingOrderValue(Record):
    """What the resting orders bind."""

    total_cents: Integer = wire("total_resting_order_value", "in all, cents")
    breakdown: Annotated[tuple[ShardBalance, ...] | None, Json] = wire(
        "resting_order_value_breakdown", "by shard, dollars"
    )

    @property
    def total(self) -> Decimal | None:
        """In all, dollars."""
        return money.units(self.total_cents, 2)


class ShardTransfer(Record):
    """Money moved between shards of the exchange."""

    transfer_id: Key = key("transfer id")
    source: Text = doc("event_contract or margined")
    destination: Text = doc("event_contract or margined")
    source_exchange_shard: Integer = doc("from shard")
    destination_exchange_shard: Integer = doc("to shard")
    amount: Money = doc("dollars")
    status: Text = doc("pending or complete")
    created_ts: Unix = doc("begun")


class SubaccountBalance(Record):
    """Cash of one subaccount on one shard."""

    subaccount_number: Integer = doc("0 primary, 1 to 63 numbered")
    exchange_index: Integer = doc("shard")
    balance: Money = doc("dollars")
    updated_ts: Unix = doc("as of")


class SubaccountNetting(Record):
    """Whether a subaccount's positions within an event free collateral."""

    subaccount_number: Integer = doc("0 primary, 1 to 63 numbered")
    enabled: Flag = doc("whether they do")
    exchange_index: Integer = doc("shard")


class SubaccountTransfer(Record):
    """Money moved between subaccounts."""

    transfer_id: Key = key("transfer id")
    from_subaccount: Integer = doc("from")
    to_subaccount: Integer = doc("to")
    amount_cents: Integer = doc("amount, cents")
    created_ts: Unix = doc("moved")
    exchange_index: Integer = doc("shard")

    @property
    def amount(self) -> Decimal | None:
        """Amount in dollars."""
        return money.units(self.amount_cents, 2)


class ShardShare(Record):
    """The share of the balance that a shard is to hold."""

    exchange_index: Integer = doc("shard")
    percent: Integer = doc("percent")


class TargetAllocation(Record):
    """How the balance is spread over the shards."""

    allocations: Annotated[tuple[ShardShare, ...] | None, Json] = doc("shares; they add up to 100")
    resting_margin_reservation: Text = doc("none, max or sum")
