"""Live data: how a game stands, what an event's underlying does, and the exchange's own weather index."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from kalshi_lab.models.fields import (
    Flag,
    Integer,
    Json,
    Key,
    Kind,
    Milliseconds,
    Number,
    Record,
    Text,
    doc,
    key,
    milliseconds,
    wire,
)
from kalshi_lab.models.milestone import Texts


class LiveData(Record):
    """How a milestone stands, a game's score, say."""

    milestone_id: Key = key("the milestone")
    type: Text = doc("decides what `details` holds: basketball_game and others")
    details: Annotated[dict[str, Any] | None, Json] = doc("free-form, by type")


class EventLiveData(Record):
    """What an event's underlying does."""

    type: Text = doc("decides what `details` holds")
    details: Annotated[dict[str, Any] | None, Json] = doc("free-form, by type")
    is_historical: Flag = doc("whether it is frozen")
    default_range: Text = doc("the range that a chart of it starts with")
    range_options: Texts = doc("the ranges that can be asked for")


class Period(Record):
    """One period of a game."""

    events: Annotated[tuple[dict[str, Any], ...] | None, Json] = doc("its plays, free-form by sport")


class PlayByPlay(Record):
    """A game, play by play."""

    periods: Annotated[tuple[Period, ...] | None, Json] = doc("its periods in order")


class StationReading(Record):
    """What one weather station said for one minute."""

    station_id: Text = doc("the station")
    code: Text = doc("ok, missing, late, range, rate_spatial, extreme or pending; new words are kept")
    source: Text = doc("hf_asos or metar")
    temp_f: Number = doc("temperature as read, degrees Fahrenheit")
    obs_time: Milliseconds = wire("obs_time_ms", "observed")
    received_at: Milliseconds = wire("received_at_ms", "received")
    primary_code: Text = doc("why the station's primary source was passed over")


class WeatherPoint(Record):
    """One minute of the weather index."""

    time: Annotated[datetime, BeforeValidator(milliseconds), Kind("milliseconds")] = Field(
        validation_alias="t", description="the minute"
    )
    value: Number = wire("v", "the index in the units of the answer, to the hundredth; null where incomplete")
    status: Text = doc("normal, degraded or incomplete; new words are kept")
    contributors: Integer = doc("stations used")
    receipt_basis: Text = doc("how a point was filled in afterwards; null on others")
    stations: Annotated[tuple[StationReading, ...] | None, Json] = doc("the stations' readings, where asked for")


class WeatherIndex(Record):
    """The temperature of a city by the minute, from several stations; `kl.frame(index.timeseries)` makes a frame of it."""

    city: Key = key("the city")
    units: Text = doc("the unit of the values")
    config_version: Text = doc("the configuration that it was computed with")
    timeseries: Annotated[tuple[WeatherPoint, ...], Json, BeforeValidator(lambda value: value or ())] = Field(
        (), description="its minutes in order"
    )


class CalibratedStation(Record):
    """What one station counts for in the weather index, and by how much it is corrected."""

    station_id: Text = doc("the station")
    weight: Number = doc("its weight; the weights of a calibration sum to 1")
    offset_c: Number = doc("its correction, degrees Celsius")
    update_note: Text = doc("what changed")


class WeatherCalibration(Record):
    """One configuration of the weather index of a city."""

    config_version: Key = key("the configuration")
    published_at: Milliseconds = wire("published_at_ms", "published")
    effective_at: Milliseconds = wire("effective_at_ms", "in use from")
    change_reason: Text = doc("why it replaced the one before")
    calibration_window_start: Milliseconds = wire("calibration_window_start_ms", "start of the data it was fitted to")
    calibration_window_end: Milliseconds = wire(
        "calibration_window_end_ms", "end of the data it was fitted to, exclusive"
    )
    city_reference_c: Number = doc("the city's reference temperature, degrees Celsius")
    stations: Annotated[tuple[CalibratedStation, ...] | None, Json] = doc("its stations")


class WeatherCalibrations(Record):
    """All configurations of the weather index of a city."""

    city: Key = key("the city")
    units: Text = doc("the unit of the index")
    calibrations: Annotated[tuple[WeatherCalibration, ...] | None, Json] = doc("the configurations, oldest first")
