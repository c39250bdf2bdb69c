"""Family live_data: how games stand, what events' underlyings do, and the exchange's weather index."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kalshi_lab.clock import between, span
from kalshi_lab.errors import UsageError
from kalshi_lab.kalshi import params
from kalshi_lab.kalshi.family import Family, envelope, listed, read
from kalshi_lab.kalshi.operations import call
from kalshi_lab.models import EventLiveData, LiveData, PlayByPlay, WeatherCalibrations, WeatherIndex
from kalshi_lab.portal import Facade, blocking

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import timedelta

    from kalshi_lab.clock import When

BATCH = 100  # milestones in one request, at most


class AsyncLiveData(Family):
    """What happens right now; milestones are found by `milestones.list(event=...)`."""

    async def batch(self, milestones: str | Iterable[str], *, player_stats: bool = False) -> tuple[LiveData, ...]:
        """How up to 100 milestones stand, in one request; those without live data may be missing."""
        ids = params.several(milestones, "milestones", most=BATCH) or []
        asked = tuple(("milestone_ids", one) for one in ids) + _stats(player_stats)
        reply = await self._send(call("get_live_datas", asked))
        return tuple(read(LiveData, reply, row) for row in listed(reply, "live_datas"))

    async def event(self, event: str, *, range: str | None = None) -> EventLiveData:  # noqa: A002 - the exchange's word
        """What an event's underlying does; range: one of the `range_options` of an earlier answer."""
        made = call("get_event_live_data", params.given(range=range), event_ticker=params.ticker(event, "event"))
        return await self._object(EventLiveData, made, "live_data")

    async def milestone(self, milestone: str, *, player_stats: bool = False) -> LiveData:
        """How a milestone stands; NotFound where it has no live data."""
        made = call("get_live_data_by_milestone", _stats(player_stats), milestone_id=milestone)
        return await self._object(LiveData, made, "live_data")

    async def typed_milestone(
        self,
        type: str,  # noqa: A002 - the exchange's word, as on the record
        milestone: str,
        *,
        player_stats: bool = False,
    ) -> LiveData:
        """The same under a milestone's type; deprecated by the exchange: use `milestone`."""
        made = call("get_live_data", _stats(player_stats), type=type, milestone_id=milestone)
        return await self._object(LiveData, made, "live_data")

    async def game_stats(self, milestone: str) -> PlayByPlay:
        """A game play by play; no periods where the exchange has none."""
        reply = await self._send(call("get_game_stats", milestone_id=milestone))
        return read(PlayByPlay, reply, envelope(reply).get("pbp") or {})

    async def weather(
        self,
        city: str,
        *,
        since: When | None = None,
        until: When | None = None,
        last: timedelta | str | None = None,
        detailed: bool = False,
    ) -> WeatherIndex:
        """The weather index of a city by the minute, over a window or over the `last` span ("15m"), to the second.

        `detailed` adds the readings of its stations. `kl.frame(index.timeseries)` is a frame of its minutes.
        """
        if last is not None and (since is not None or until is not None):
            raise UsageError("weather takes a window or a last span", hint='Give since and until, or last="15m"')
        first, end = between(since, until, now=self._clock.now())
        bounds = {"from": first, "to": end}
        asked = params.given(
            **{name: round(at.timestamp() * 1000) for name, at in bounds.items() if at is not None},
            last_sec=None if last is None else int(span(last, what="last").total_seconds()),
            detailed=detailed or None,
        )
        return await self._object(WeatherIndex, call("get_weather_index", asked, city=city))

    async def weather_calibrations(self, city: str) -> WeatherCalibrations:
        """How the weather index of a city is computed, now and before."""
        return await self._object(WeatherCalibrations, call("get_weather_index_calibrations", city=city))


def _stats(wanted: bool) -> params.Params:
    return params.given(include_player_stats=wanted or None)


class LiveDataFamily(Facade):
    """The blocking face of `AsyncLiveData`."""

    batch = blocking(AsyncLiveData.batch)
    event = blocking(AsyncLiveData.event)
    milestone = blocking(AsyncLiveData.milestone)
    typed_milestone = blocking(AsyncLiveData.typed_milestone)
    game_stats = blocking(AsyncLiveData.game_stats)
    weather = blocking(AsyncLiveData.weather)
    weather_calibrations = blocking(AsyncLiveData.weather_calibrations)
