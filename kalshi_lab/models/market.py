"""A market: one YES/NO question, its quote and how it is settled."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator

from kalshi_lab import markup, money
from kalshi_lab.models import quote
from kalshi_lab.models.fields import (
    Count,
    Flag,
    Integer,
    Json,
    Key,
    Kind,
    Money,
    Number,
    Price,
    Record,
    Text,
    Time,
    doc,
    key,
    wire,
)

Dollars = Annotated[Decimal, BeforeValidator(money.price), Kind("price")]


class PriceRange(Record):
    """A band of the price grid: prices from start to end in steps."""

    start: Dollars = key("where the band starts, dollars")
    end: Dollars = key("where it ends, dollars")
    step: Dollars = key("the tick inside it, dollars")


class Leg(Record):
    """One leg of a combo market: the side of a market that must win."""

    event_ticker: Text = doc("the leg's event")
    market_ticker: Text = doc("the leg's market")
    side: Text = doc("yes or no")
    yes_settlement_value: Price = wire(
        "yes_settlement_value_dollars", "payout of one YES contract of the leg, dollars; null before it is settled"
    )


class Market(Record):
    """A market as the exchange describes it. Prices are exact dollars of the YES contract, counts are contracts, times are UTC."""

    title_field: ClassVar[str] = "title"

    ticker: Key = key("market id")
    event_ticker: Text = doc("the event that the market belongs to")
    market_type: Text = doc("binary or scalar")
    title: Text = doc("the question; deprecated in favour of the sub titles and the event's title")
    subtitle: Text = doc("deprecated")
    yes_sub_title: Text = doc("what YES means, short")
    no_sub_title: Text = doc("what NO means, short")
    status: Text = doc(
        "initialized, inactive, active, closed, determined, disputed, amended, finalized; new words are kept"
    )
    result: Text = doc("yes, no, scalar; empty before the outcome is known")
    yes_bid: Price = wire("yes_bid_dollars", "best YES bid, dollars; 0 where there is none")
    yes_bid_size: Count = wire("yes_bid_size_fp", "contracts at the best YES bid")
    yes_ask: Price = wire("yes_ask_dollars", "best YES ask, dollars; 1 where there is none")
    yes_ask_size: Count = wire("yes_ask_size_fp", "contracts at the best YES ask")
    no_bid: Price = wire("no_bid_dollars", "best NO bid, dollars: 1 - YES ask")
    no_ask: Price = wire("no_ask_dollars", "best NO ask, dollars: 1 - YES bid")
    last_price: Price = wire("last_price_dollars", "last traded YES price, dollars; 0 before the first trade")
    previous_yes_bid: Price = wire("previous_yes_bid_dollars", "YES bid a day ago, dollars")
    previous_yes_ask: Price = wire("previous_yes_ask_dollars", "YES ask a day ago, dollars")
    previous_price: Price = wire("previous_price_dollars", "last price a day ago, dollars")
    volume: Count = wire("volume_fp", "contracts traded over the market's life")
    volume_24h: Count = wire("volume_24h_fp", "contracts traded in the last 24 hours")
    open_interest: Count = wire("open_interest_fp", "contracts outstanding")
    liquidity: Money = wire("liquidity_dollars", "deprecated by the exchange, always 0")
    notional_value: Price = wire("notional_value_dollars", "what one winning contract pays, dollars")
    created_time: Time = doc("creation")
    updated_time: Time = doc("last change apart from trading")
    open_time: Time = doc("trading opens")
    close_time: Time = doc("trading ends; may move earlier where can_close_early")
    expected_expiration_time: Time = doc("forecast of the resolution; may precede close_time")
    expiration_time: Time = doc("deprecated")
    latest_expiration_time: Time = doc("latest possible resolution")
    occurrence_datetime: Time = doc("when the underlying happens")
    settlement_ts: Time = doc("payout; settled markets only")
    settlement_value: Price = wire(
        "settlement_value_dollars", "payout of one YES contract, dollars; null before the outcome is known"
    )
    settlement_timer_seconds: Integer = doc("seconds between determination and payout")
    settlement_bounds_type: Text = doc("default or floor")
    settlement_floor: Price = wire(
        "settlement_floor_dollars", "least payout where the bounds are of type floor, dollars"
    )
    expiration_value: Text = doc("the underlying value used for settlement; empty before")
    can_close_early: Flag = doc("whether close_time may be advanced")
    early_close_condition: Text = doc("when it may close early")
    fee_waiver_expiration_time: Time = doc("no fees until then")
    strike_type: Text = doc("how the strikes decide YES: greater, less, between, structured, custom and others")
    floor_strike: Number = doc("lower bound for YES")
    cap_strike: Number = doc("upper bound for YES")
    functional_strike: Text = doc("value-to-payout function")
    custom_strike: Annotated[dict[str, Any] | None, Json] = doc("free-form strike")
    rules_primary: Text = doc("main rules")
    rules_secondary: Text = doc("further rules")
    mve_collection_ticker: Text = doc("the collection of a combo market; null otherwise")
    mve_selected_legs: Annotated[tuple[Leg, ...] | None, Json] = doc("the legs of a combo market")
    primary_participant_key: Text = doc("the main participant")
    price_level_structure: Text = doc("a label of the price grid; price_ranges is what counts")
    price_ranges: Annotated[tuple[PriceRange, ...] | None, Json] = doc("the bands in which prices move")
    is_provisional: Flag = doc("may be deleted after determination if it never traded")
    exchange_index: Integer = doc("the shard on which it trades")

    @property
    def is_priced(self) -> bool:
        """Whether both sides are really quoted."""
        return quote.is_priced(self.yes_bid, self.yes_ask)

    @property
    def mid(self) -> Decimal | None:
        """The middle of the quote in dollars; None where a side is missing."""
        return quote.mid(self.yes_bid, self.yes_ask)

    @property
    def spread(self) -> Decimal | None:
        """Ask minus bid in dollars; None where a side is missing."""
        return (
            self.yes_ask - self.yes_bid
            if self.is_priced and self.yes_ask is not None and self.yes_bid is not None
            else None
        )

    @property
    def is_combo(self) -> bool:
        """Whether this is a multivariate market, a bet on several events at once."""
        return is_combo(self.ticker, self.mve_collection_ticker)

    def __repr__(self) -> str:
        if self.result:
            return f"<Market {self.ticker} {self.status}, result {self.result}>"
        said = f"{self.yes_bid}/{self.yes_ask}" if self.is_priced else "not quoted on both sides"
        return f"<Market {self.ticker} {self.status}, {said}>"

    def _repr_html_(self) -> str:
        facts = {
            "ticker": self.ticker,
            "YES means": self.yes_sub_title,
            "status": f"{self.status}, result {self.result}" if self.result else self.status,
            "bid / ask (dollars)": f"{self.yes_bid} / {self.yes_ask}" if self.is_priced else "not quoted on both sides",
            "last price (dollars)": self.last_price,
            "volume, last 24 h (contracts)": f"{self.volume}, {self.volume_24h}",
            "created": self.created_time,
            "opens, closes": f"{self.open_time}, {self.close_time}",
            "rules": self.rules_primary,
        }
        return markup.card(self.title or self.ticker, facts)


def is_combo(ticker: str, collection: str | None) -> bool:
    """Whether a ticker is that of a combo, a multivariate market."""
    return bool(collection) or ticker.startswith("KXMVE")
