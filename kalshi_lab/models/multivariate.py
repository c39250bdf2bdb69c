"""Collections of events whose markets can be combined, and the combo markets made from them."""

from __future__ import annotations

from typing import Annotated, ClassVar

from kalshi_lab.models.fields import Flag, Integer, Json, Key, Record, Text, Time, doc, key
from kalshi_lab.models.market import Market, PriceRange
from kalshi_lab.models.milestone import Texts


class AssociatedEvent(Record):
    """An event of a collection, and how many legs it may supply."""

    ticker: Text = doc("the event")
    is_yes_only: Flag = doc("whether its legs must be YES")
    size_min: Integer = doc("least number of legs from it; null: no limit")
    size_max: Integer = doc("greatest number of legs from it; null: no limit")
    active_quoters: Texts = doc("who quotes it")


class Collection(Record):
    """Events whose markets can be combined to one bet, and the rules of combining them."""

    title_field: ClassVar[str] = "title"

    collection_ticker: Key = key("collection id")
    series_ticker: Text = doc("the series of the combos made from it")
    title: Text = doc("title")
    description: Text = doc("what can be combined")
    functional_description: Text = doc("how the legs decide the outcome")
    open_date: Time = doc("combos can be made from then on")
    close_date: Time = doc("and until then")
    associated_events: Annotated[tuple[AssociatedEvent, ...] | None, Json] = doc("the events that supply legs")
    associated_event_tickers: Texts = doc("deprecated by the exchange: the tickers of those events")
    is_ordered: Flag = doc("whether the order of the legs matters")
    is_single_market_per_event: Flag = doc("deprecated by the exchange")
    is_all_yes: Flag = doc("deprecated by the exchange")
    size_min: Integer = doc("least number of legs")
    size_max: Integer = doc("greatest number of legs; 0: no limit")
    price_level_structure: Text = doc("a label of the price grid of new combos; price_ranges is what counts")
    price_ranges: Annotated[tuple[PriceRange, ...] | None, Json] = doc("the bands in which prices of new combos move")
    exchange_index: Integer = doc("the shard on which its combos trade")


class ComboMarket(Record):
    """A combo market that was made, or that was there already for the same legs."""

    market_ticker: Key = key("market id")
    event_ticker: Text = doc("the event that the market belongs to")
    market: Annotated[Market | None, Json] = doc("the market itself, where it was asked for")
