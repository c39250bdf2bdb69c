"""An event and the series that it belongs to."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any, ClassVar

import polars as pl
from pydantic import BeforeValidator, Field

from kalshi_lab import markup
from kalshi_lab.models.fields import Count, Flag, Integer, Json, Key, Number, Record, Text, Time, doc, key, wire
from kalshi_lab.models.market import Market

WHOLE = pl.Schema(
    {
        "ticker": pl.String(), "yes_sub_title": pl.String(), "status": pl.String(), "result": pl.String(), "strike_type": pl.String(),
        "floor_strike": pl.Float64(), "cap_strike": pl.Float64(), "yes_bid": pl.Decimal(9, 6), "yes_bid_size": pl.Decimal(18, 2),
        "yes_ask": pl.Decimal(9, 6), "yes_ask_size": pl.Decimal(18, 2), "mid": pl.Decimal(10, 7), "last_price": pl.Decimal(9, 6),
        "volume": pl.Decimal(18, 2), "volume_24h": pl.Decimal(18, 2), "open_interest": pl.Decimal(18, 2),
    }
)  # fmt: skip


class SettlementSource(Record):
    """An official source of outcomes."""

    name: Text = doc("the source")
    url: Text = doc("its address")


Sources = Annotated[tuple[SettlementSource, ...] | None, Json]


class Event(Record):
    """A question with one or more markets. `markets` holds them where they were asked for, and is empty otherwise."""

    apart: ClassVar[tuple[str, ...]] = ("markets",)
    title_field: ClassVar[str] = "title"

    event_ticker: Key = key("event id")
    series_ticker: Text = doc("the series that the event belongs to")
    title: Text = doc("full title")
    sub_title: Text = doc("short title")
    category: Text = doc("deprecated by the exchange in favour of the series' category")
    mutually_exclusive: Flag = doc("whether at most one of its markets can settle at YES")
    collateral_return_type: Text = doc("MECNET, DIRECNET or empty")
    strike_date: Time = doc("the date that it is about")
    strike_period: Text = doc("the period that it is about")
    settlement_sources: Sources = doc("official sources of the outcome")
    product_metadata: Annotated[dict[str, Any] | None, Json] = doc("free-form")
    last_updated_ts: Time = doc("last change of this description")
    fee_type_override: Text = doc("fee type of this event; null: the series' own")
    fee_multiplier_override: Number = doc("fee multiplier of this event; null: the series' own")
    available_on_brokers: Flag = doc("whether brokers offer it")
    exchange_index: Integer = doc("the shard on which it trades")
    markets: Annotated[tuple[Market, ...], BeforeValidator(lambda value: value or ())] = Field(
        (), description="its markets"
    )

    def frame(self, *, exact: bool = False) -> pl.DataFrame:
        """Its markets as one frame, in the order of their strikes.

        Columns: ticker, yes_sub_title, status, result, strike_type String, floor_strike, cap_strike Float64, then yes_bid, yes_ask, mid,
        last_price Float64 dollars (mid null without a real quote) and yes_bid_size, yes_ask_size, volume, volume_24h, open_interest
        Float64 contracts; `exact=True` gives Decimal(9, 6), for mid Decimal(10, 7), and Decimal(18, 2).
        """
        rows = [tuple(getattr(market, name) for name in WHOLE) for market in sorted(self.markets, key=_rung)]
        made = pl.DataFrame(rows, schema=WHOLE, orient="row")
        return made if exact else made.cast({pl.Decimal: pl.Float64})

    def plot(self) -> Any:
        """All its markets in one picture, a `Picture`: see `kl.charts.event`."""
        return import_module("kalshi_lab.charts").event(self)  # charts stand floors above, so it is reached by name

    def _repr_html_(self) -> str:
        facts = {
            "event": self.event_ticker,
            "series": self.series_ticker,
            "mutually exclusive": self.mutually_exclusive,
        }
        rows = [(m.ticker, m.yes_sub_title, m.status, m.yes_bid, m.yes_ask) for m in self.markets]
        header = ("market", "YES means", "status", "bid", "ask")
        return markup.card(self.title or self.event_ticker, facts, *([markup.table(header, rows)] if rows else []))


def _rung(market: Market) -> tuple[float, float, str]:
    """Its place on the ladder: what pays below everything first; those without strikes last."""
    low, high = market.floor_strike, market.cap_strike
    if low is None and high is None:
        return float("inf"), float("inf"), market.ticker
    return (
        float("-inf") if low is None else low,
        float("inf") if high is None else high,
        market.ticker,
    )


class Series(Record):
    """A template of events that recur: its fees, sources and terms."""

    title_field: ClassVar[str] = "title"

    ticker: Key = key("series id")
    title: Text = doc("title")
    category: Text = doc("primary category")
    categories: Annotated[tuple[str, ...] | None, Json] = doc("categories under which it is found")
    tags: Annotated[tuple[str, ...] | None, Json] = doc("subjects")
    frequency: Text = doc("free text, such as daily or weekly")
    fee_type: Text = doc("quadratic, quadratic_with_maker_fees, quadratic_with_combo_maker_fees, flat")
    fee_multiplier: Number = doc("the factor in the fee formula")
    settlement_sources: Sources = doc("official sources of the outcome")
    contract_url: Text = doc("filing")
    contract_terms_url: Text = doc("terms")
    product_metadata: Annotated[dict[str, Any] | None, Json] = doc("free-form")
    additional_prohibitions: Annotated[tuple[str, ...] | None, Json] = doc("who may not trade it")
    volume: Count = wire("volume_fp", "contracts traded, where asked for")
    last_updated_ts: Time = doc("last change of this description")
    exchange_index: Integer = doc("the shard on which it trades")


class MarketPicture(Record):
    """How a market of an event is shown."""

    market_ticker: Text = doc("the market")
    image_url: Text = doc("its picture")
    color_code: Text = doc("its colour")


class EventMetadata(Record):
    """How an event is shown and where its outcome comes from."""

    image_url: Text = doc("the event's picture")
    featured_image_url: Text = doc("the picture of its featured market")
    market_details: Annotated[tuple[MarketPicture, ...] | None, Json] = doc("pictures and colours of its markets")
    settlement_sources: Sources = doc("official sources of the outcome")
    competition: Text = doc("the competition that it belongs to")
    competition_scope: Text = doc("what of the competition it is about")


class SeriesFeeChange(Record):
    """A change of a series' fees, past or planned."""

    id: Key = key("id of the change")
    series_ticker: Text = doc("the series")
    fee_type: Text = doc("quadratic, quadratic_with_maker_fees, quadratic_with_combo_maker_fees, flat")
    fee_multiplier: Number = doc("the factor in the fee formula")
    scheduled_ts: Time = doc("when it takes effect")


class EventFeeChange(Record):
    """A change of the fees of one event, past or planned, which then differ from those of its series."""

    id: Key = key("id of the change")
    event_ticker: Text = doc("the event")
    series_ticker: Text = doc("its series")
    fee_type_override: Text = doc("the event's own fee type; null: the series' again")
    fee_multiplier_override: Number = doc("the event's own factor in the fee formula; null: the series' again")
    scheduled_ts: Time = doc("when it takes effect")
