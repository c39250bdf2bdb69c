"""Trades and candlesticks."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from kalshi_lab.models.fields import (
    Count,
    Flag,
    Integer,
    Key,
    Number,
    Price,
    Record,
    Text,
    Time,
    UnixTime,
    doc,
    key,
    wire,
)


class Trade(Record):
    """A public trade: prices in exact dollars, the count in contracts, to the hundredth."""

    trade_id: Key = key("trade id")
    ticker: Text = doc("market")
    created_time: Time = doc("execution")
    yes_price: Price = wire("yes_price_dollars", "price of the YES contract, dollars")
    no_price: Price = wire("no_price_dollars", "price of the NO contract, dollars: 1 - YES price")
    count: Count = wire("count_fp", "contracts")
    taker_outcome_side: Text = doc("yes or no: the exposure that the taker gained")
    taker_book_side: Text = doc("bid or ask: the same in terms of the YES book")
    taker_side: Text = doc("deprecated by the exchange")
    is_block_trade: Flag = doc("matched away from the book")


def _ohlc(group: str, name: str, doc: str) -> Price:
    found: Price = wire((f"{group}_{name}_dollars", f"{group}_{name}"), doc)
    return found


class Candlestick(Record):
    """One period of a market: the quote and the trades in it, from the live or the historical endpoint alike.

    Prices are exact dollars of the YES contract; trade prices are null in a period without trades.
    """

    nested: ClassVar[tuple[str, ...]] = ("price", "yes_bid", "yes_ask")

    ticker: Key = key("market")
    interval_minutes: Integer = doc("length of the period: 1, 60 or 1440 minutes")
    end_time: UnixTime = Field(
        validation_alias="end_period_ts", description="the end of the period, which belongs to it"
    )
    price_open: Price = _ohlc("price", "open", "first traded price")
    price_high: Price = _ohlc("price", "high", "highest traded price")
    price_low: Price = _ohlc("price", "low", "lowest traded price")
    price_close: Price = _ohlc("price", "close", "last traded price")
    price_mean: Price = _ohlc("price", "mean", "volume-weighted mean price")
    price_previous: Price = _ohlc("price", "previous", "close of the period before")
    price_min: Price = _ohlc("price", "min", "least price, where sent")
    price_max: Price = _ohlc("price", "max", "greatest price, where sent")
    yes_bid_open: Price = _ohlc("yes_bid", "open", "first YES bid")
    yes_bid_high: Price = _ohlc("yes_bid", "high", "highest YES bid")
    yes_bid_low: Price = _ohlc("yes_bid", "low", "lowest YES bid")
    yes_bid_close: Price = _ohlc("yes_bid", "close", "last YES bid")
    yes_ask_open: Price = _ohlc("yes_ask", "open", "first YES ask")
    yes_ask_high: Price = _ohlc("yes_ask", "high", "highest YES ask")
    yes_ask_low: Price = _ohlc("yes_ask", "low", "lowest YES ask")
    yes_ask_close: Price = _ohlc("yes_ask", "close", "last YES ask")
    volume: Count = wire(("volume_fp", "volume"), "contracts traded in the period")
    open_interest: Count = wire(("open_interest_fp", "open_interest"), "contracts outstanding at the end")


class ForecastPoint(Record):
    """What the markets of an event together forecast: one percentile in one period."""

    event_ticker: Key = key("the event")
    end_time: UnixTime = Field(
        validation_alias="end_period_ts", description="the end of the period, which belongs to it"
    )
    interval_minutes: Integer = wire("period_interval", "length of the period in minutes; 0: five seconds")
    percentile: Integer = doc("the percentile in hundredths: 5000 is the median")
    raw_numerical_forecast: Number = doc("the forecast as computed")
    numerical_forecast: Number = doc("the forecast as shown")
    formatted_forecast: Text = doc("the forecast as text")
