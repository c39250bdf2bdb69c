"""What the exchange knows of the world: milestones (games, elections, releases) and the teams and persons in them."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from kalshi_lab.models.fields import Json, Key, Record, Text, Time, doc, key

Texts = Annotated[tuple[str, ...] | None, Json]


class Milestone(Record):
    """Something that happens in the world and that events are about: a game, an election, a release."""

    title_field: ClassVar[str] = "title"

    id: Key = key("milestone id")
    category: Text = doc("Sports, Elections, Esports, Crypto and others")
    type: Text = doc("football_game, political_race and others: decides what `details` holds")
    title: Text = doc("title")
    notification_message: Text = doc("the text with which it is announced")
    start_date: Time = doc("starts")
    end_date: Time = doc("ends")
    primary_event_tickers: Texts = doc("the events at its core")
    related_event_tickers: Texts = doc("all events linked to it, those at its core among them")
    source_id: Text = doc("its id at the provider of the data")
    source_ids: Annotated[dict[str, str] | None, Json] = doc("its ids by provider")
    details: Annotated[dict[str, Any] | None, Json] = doc("free-form, by type: home_team_id, league and the like")
    last_updated_ts: Time = doc("last change of this description")


class StructuredTarget(Record):
    """A team, a person or another thing that a strike can name; custom strikes hold their ids."""

    title_field: ClassVar[str] = "name"

    id: Key = key("target id")
    name: Text = doc("name")
    type: Text = doc("soccer_team, ufc_competitor and others: decides what `details` holds")
    details: Annotated[dict[str, Any] | None, Json] = doc("free-form, by type: abbreviation, country and the like")
    source_id: Text = doc("its id at the provider of the data")
    source_ids: Annotated[dict[str, str] | None, Json] = doc("its ids by provider")
    last_updated_ts: Time = doc("last change of this description")
