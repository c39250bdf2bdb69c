"""Incentive programs: what the exchange pays for quoting and trading certain markets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kalshi_lab import money
from kalshi_lab.models.fields import Count, Flag, Integer, Key, Record, Text, Time, doc, key, wire

if TYPE_CHECKING:
    from decimal import Decimal


class IncentiveProgram(Record):
    """A reward for liquidity or volume in one market over a span of time."""

    id: Key = key("program id")
    market_id: Text = doc("the market's UUID")
    market_ticker: Text = doc("the market")
    incentive_type: Text = doc("liquidity, volume, margin_maker_volume, margin_taker_volume; new words are kept")
    incentive_description: Text = doc("its terms")
    start_date: Time = doc("starts")
    end_date: Time = doc("ends")
    period_reward: Integer = doc("reward of the whole period, centi-cents: 10,000 are one dollar")
    max_reward_per_account: Integer = doc("the most that one account can get, centi-cents; null: no limit")
    paid_out: Flag = doc("whether it is paid out")
    discount_factor_bps: Integer = doc("discount of sizes away from the best price, basis points")
    target_size: Count = wire("target_size_fp", "contracts to be quoted")

    @property
    def period_reward_dollars(self) -> Decimal | None:
        """The reward of the whole period in exact dollars."""
        return money.units(self.period_reward, 4)

    @property
    def max_reward_per_account_dollars(self) -> Decimal | None:
        """The most that one account can get in exact dollars; None where there is no limit."""
        return money.units(self.max_reward_per_account, 4)
