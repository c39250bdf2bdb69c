"""The account's limits and keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, NoReturn

from kalshi_lab import markup
from kalshi_lab.errors import UsageError
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
    from collections.abc import Iterator


class Bucket(Record):
    """A token bucket."""

    refill_rate: Integer = doc("tokens a second")
    bucket_capacity: Integer = doc("tokens when full")


class TierGrant(Record):
    """Why the account has its tier."""

    exchange_instance: Text = doc("event_contract or margined")
    level: Text = doc("tier")
    expires_ts: Unix = doc("until; null: for good")
    source: Text = doc("where it comes from")


class AccountLimits(Record):
    """The rate limits of the account."""

    usage_tier: Text = doc("basic, advanced, expert, premier, paragon, prime or prestige")
    read: Annotated[Bucket | None, Json] = doc("for reads")
    write: Annotated[Bucket | None, Json] = doc("for writes")
    grants: Annotated[tuple[TierGrant, ...] | None, Json] = doc("what the tier rests on")

    def __repr__(self) -> str:
        rates = [f"{side.refill_rate}/s" if side else "unknown" for side in (self.read, self.write)]
        return f"<AccountLimits {self.usage_tier}, read {rates[0]}, write {rates[1]} tokens>"


class EndpointCost(Record):
    """Tokens of one endpoint, where they are not the default."""

    method: Text = doc("HTTP method")
    path: Text = doc("path")
    cost: Integer = doc("tokens")


class EndpointCosts(Record):
    """What requests cost."""

    default_cost: Integer = doc("tokens of any endpoint that is not listed")
    endpoint_costs: Annotated[tuple[EndpointCost, ...] | None, Json] = doc("the others")


class VolumeGoal(Record):
    """What a tier asks for."""

    level: Text = doc("tier")
    earn_volume_goal: Count = wire("earn_volume_goal_fp", "contracts in 30 days to earn it")
    keep_volume_goal: Count = wire("keep_volume_goal_fp", "contracts in 30 days to keep it")


class VolumeProgress(Record):
    """How far the account is on its way to the next tier."""

    computed_ts: Unix = doc("as of")
    trailing_30d_volume: Count = wire("trailing_30d_volume_fp", "contracts in the last 30 days")
    goals: Annotated[tuple[VolumeGoal, ...] | None, Json] = doc("what the tiers ask for")


class ApiKey(Record):
    """A key of the account."""

    api_key_id: Key = key("key id")
    name: Text = doc("its name")
    scopes: Annotated[tuple[str, ...] | None, Json] = doc("what it may do")
    subaccount: Integer = doc("the only subaccount that it may use; null: all")
    fcm_subtrader_id: Text = doc("the subtrader that it belongs to")


class ApiKeys(Record):
    """All keys of the account."""

    api_keys: Annotated[tuple[ApiKey, ...] | None, Json] = doc("the keys")
    api_key_region_expiration_ts: Unix = doc(
        "after it, keys may not trade Sports, Elections or Entertainment; null: no such end"
    )


class NewApiKey(Record):
    """A key that was just made. `private_key` is shown this once and never printed."""

    api_key_id: Key = key("key id")
    key_type: Text = doc("rsa or ed25519, where the exchange made the pair")
    private_key: Text = doc("the private key as PEM text, where the exchange made the pair")
    warning: Text = doc("what the exchange has to say")

    def __repr__(self) -> str:
        return f"<NewApiKey {self.api_key_id}>"

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        yield "api_key_id", self.api_key_id

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise UsageError(
            "a new key is not pickled, so that it is written nowhere by accident", hint="Keep its PEM text in a file"
        )

    def _repr_html_(self) -> str:
        return markup.card("A new API key", {"id": self.api_key_id, "type": self.key_type, "warning": self.warning})


class Subtrader(Record):
    """A trader below a clearing member."""

    subtrader_id: Key = key("subtrader id")
    exchange_indices: Annotated[tuple[int, ...] | None, Json] = doc("shards on which it exists")
    trading_blocked: Flag = doc("blocked by the exchange")
    fcm_trading_blocked: Flag = doc("blocked by the clearing member")
    propagation_pending: Flag = doc("not yet everywhere")


class FcmFill(Record):
    """An execution of a subtrader."""

    fill_id: Key = key("fill id")
    ticker: Text = doc("market")
    taker_outcome_side: Text = doc("yes or no: the exposure that the taker gained")
    count: Count = wire("count_fp", "contracts")
    yes_price: Price = wire("yes_price_dollars", "price of YES, dollars")
    created_time: Time = doc("execution")
    maker_order_id: Text = doc("the maker's order, where it is yours")
    maker_subtrader_id: Text = doc("the maker, where it is yours")
    maker_fee_cost: Money = doc("the maker's fee, dollars")
    taker_order_id: Text = doc("the taker's order, where it is yours")
    taker_subtrader_id: Text = doc("the taker, where it is yours")
    taker_fee_cost: Money = doc("the taker's fee, dollars")
    exchange_index: Integer = doc("shard")


class DailyCap(Record):
    """What a subtrader may spend on event contracts in a day, dollars."""

    subtrader_id: Text = doc("subtrader")
    limit: Money = doc("the cap")
    executed_utilization: Money = doc("used by executions")
    resting_order_utilization: Money = doc("bound by resting orders")
    pending_order_utilization: Money = doc("bound by orders on their way")
    cap_date: Text = doc("the day")
