"""The words by which the exchange's own search narrows down."""

from __future__ import annotations

from typing import Annotated

from kalshi_lab.models.fields import Json, Record, doc
from kalshi_lab.models.milestone import Texts


class Scopes(Record):
    """What of a competition there are markets for."""

    scopes: Texts = doc("Games, Futures, Awards and others")


class SportFilter(Record):
    """What there are markets for in one sport."""

    scopes: Texts = doc("Games, Futures, Awards and others, over all its competitions")
    competitions: Annotated[dict[str, Scopes] | None, Json] = doc("scopes by competition")


class SportFilters(Record):
    """What there are markets for, by sport."""

    filters_by_sports: Annotated[dict[str, SportFilter] | None, Json] = doc("by sport")
    sport_ordering: Texts = doc("the sports in the order in which they are shown")
