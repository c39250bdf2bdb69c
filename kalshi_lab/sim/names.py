"""Tickers, titles and rules of events and markets, made from their columns, and the way back from a ticker to its row."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from kalshi_lab.sim import catalog
from kalshi_lab.sim.catalog import SERIES, TEAMS, Spec, pairing
from kalshi_lab.sim.draws import words
from kalshi_lab.sim.layout import ABOVE, BINARY, COMBINED, GAME, LADDER, Events, Markets, floors
from kalshi_lab.sim.wire import DAY, uuid

if TYPE_CHECKING:
    from typing import Any

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_NAMES = 0x4E4D
_DISCLAIMER = (
    "This market belongs to a simulation. Nothing in it is a statement about real people, teams, prices or the weather."
)
_TOPICS = (
    "rail safety",
    "school meals",
    "port dredging",
    "rural broadband",
    "bridge repair",
    "seed labelling",
    "water reuse",
    "grid storage",
)


@dataclass(frozen=True, slots=True)
class EventText:
    """What an event says about itself."""

    ticker: str
    title: str
    sub_title: str


@dataclass(frozen=True, slots=True)
class MarketText:
    """What a market says about itself; `yes` names both sides, strikes are None where it has none."""

    ticker: str
    title: str
    yes: str
    rules: str
    strike_type: str
    floor: float | None = None
    cap: float | None = None
    custom: dict[str, str] | None = None
    details: str = _DISCLAIMER


class Names:
    """The texts of one world, and its tickers' rows."""

    def __init__(self, seed: int, events: Events, markets: Markets) -> None:
        self.seed, self.events, self.markets = seed, events, markets
        self._tickers: list[str] = []
        self._rows: dict[str, int] = {}
        self.grew()
        self.event = lru_cache(maxsize=20_000)(self._event)
        self.text = lru_cache(maxsize=20_000)(self._text)
        self.team = lru_cache(maxsize=1_000)(self._team_identifier)

    def grew(self) -> None:
        """Name the events that are new."""
        self._floors = floors(self.events, self.markets.event, self.markets.place)
        for row in range(len(self._tickers), len(self.events)):
            self._tickers.append(self._event_ticker(row))
            self._rows[self._tickers[-1]] = row

    def spec(self, event: int) -> Spec:
        """The series of an event."""
        return SERIES[int(self.events.series[event])]

    def event_ticker(self, event: int) -> str:
        """The event's ticker."""
        return self._tickers[event]

    def market(self, market: int) -> str:
        """The market's ticker."""
        event = int(self.markets.event[market])
        suffix = self._suffix(event, market)
        return f"{self._tickers[event]}-{suffix}" if suffix else self._tickers[event]

    def find_event(self, ticker: str) -> int | None:
        """The row of an event, None for an unknown ticker."""
        return self._rows.get(ticker)

    def find_market(self, ticker: str) -> int | None:
        """The row of a market, None for an unknown ticker."""
        parent = ticker
        while parent:
            event = self._rows.get(parent)
            if event is not None:
                first = int(self.events.first[event])
                found = (
                    row for row in range(first, first + int(self.events.count[event])) if self.market(row) == ticker
                )
                return next(found, None)
            # a strike may hold a dash of its own, the sign of a negative one
            parent = parent.rpartition("-")[0]
        return None

    def teams(self, event: int) -> tuple[tuple[str, str], tuple[str, str]]:
        """Code and city of the two teams of a game, home last."""
        away, home = pairing(int(self.events.day[event]) // DAY, int(self.events.tag[event]))
        return TEAMS[away], TEAMS[home]

    def shape(self, event: int) -> int:
        """Which kind of event it is."""
        return int(self.events.shape[event])

    def _event_ticker(self, event: int) -> str:
        spec, day, tag = self.spec(event), _day(int(self.events.day[event])), int(self.events.tag[event])
        stamp = f"{day.tm_year % 100:02d}{_MONTHS[day.tm_mon - 1]}"
        if spec is catalog.COMBO:
            return f"{spec.ticker}-S{day.tm_year}{tag & 0xFFFFFFFFFFF:011X}"
        if spec is catalog.INFLATION:
            return f"{spec.ticker}-{stamp}"
        if spec is catalog.POLITICS:
            return f"{spec.ticker}-{stamp}{day.tm_mday:02d}-HR{1000 + tag}"
        if spec is catalog.BITCOIN:
            return f"{spec.ticker}-{stamp}{day.tm_mday:02d}17"
        away, home = self.teams(event) if spec.league else (("", ""), ("", ""))
        return f"{spec.ticker}-{stamp}{day.tm_mday:02d}{away[0]}{home[0]}"

    def _suffix(self, event: int, market: int) -> str:
        shape, place = self.shape(event), int(self.markets.place[market])
        if shape == BINARY:
            return ""
        if shape == GAME:
            return self.teams(event)[1 - place][0]
        if shape == COMBINED:
            return f"{int(words(self.seed, _NAMES, 1, event)[0]) >> 20:011X}"
        if shape == LADDER and 0 < place < int(self.events.count[event]) - 1:
            return f"B{self._floors[market] + 0.5:.1f}"
        return f"T{self._number(event, market)}"

    def _number(self, event: int, market: int) -> str:
        return f"{self._floors[market]:.{self.spec(event).decimals}f}"

    def _event(self, event: int) -> EventText:
        spec, ticker = self.spec(event), self._tickers[event]
        date = time.strftime("%b %-d, %Y", _day(int(self.events.day[event])))
        if spec.shape == "ladder":
            return EventText(ticker, f"Highest temperature in {spec.subject} on {date}?", f"On {date}")
        if spec is catalog.BITCOIN:
            return EventText(ticker, f"Bitcoin price on {date} at 5 PM EST?", f"{date}, 5 PM EST")
        if spec is catalog.INFLATION:
            return EventText(ticker, "How much do consumer prices rise in the month?", f"Release of {date}")
        if spec is catalog.POLITICS:
            number = 1000 + int(self.events.tag[event])
            return EventText(
                ticker, f"Will H.R. {number} on {_TOPICS[number % len(_TOPICS)]} pass the House?", f"Before {date}"
            )
        if spec is catalog.COMBO:
            return EventText(ticker, "Combination of markets", "")
        (away, away_city), (home, home_city) = self.teams(event)
        tail = "" if spec.shape == "game" else ": Total points"
        return EventText(ticker, f"{away_city} at {home_city}{tail}", f"{away} at {home} ({date.split(',')[0]})")

    def _text(self, market: int) -> MarketText:
        event = int(self.markets.event[market])
        made = {LADDER: self._ladder, ABOVE: self._above, GAME: self._game, BINARY: self._binary, COMBINED: self._combo}
        return made[self.shape(event)](event, market)

    def _ladder(self, event: int, market: int) -> MarketText:
        floor, place = float(self._floors[market]), int(self.markets.place[market])
        city, when = self.spec(event).subject, self.event(event).sub_title.replace("On ", "on ", 1)
        low, high = f"{floor:.0f}°", f"{floor + 1:.0f}°"
        strikes: tuple[float | None, float | None] = (floor, floor + 1)
        yes, rule, kind = f"{low} to {high}", f"between {low} and {high}", "between"
        if place == 0:
            yes, rule, kind, strikes = f"{floor - 1:.0f}° or below", f"below {low}", "less", (None, floor)
        elif place == int(self.events.count[event]) - 1:
            yes, rule, kind, strikes = f"{high} or above", f"above {low}", "greater", (floor, None)
        rules = f"The market resolves to Yes when the highest temperature that the station in {city} reports {when} is {rule} Fahrenheit."
        title = f"Will the highest temperature in {city} be {rule} {when}?"
        details = f"Whole degrees of the final daily report count. {_DISCLAIMER}"
        return MarketText(self.market(market), title, yes, rules, kind, *strikes, details=details)

    def _above(self, event: int, market: int) -> MarketText:
        spec, floor = self.spec(event), float(self._floors[market])
        number = f"{floor:,.{spec.decimals}f}"
        if spec is catalog.BITCOIN:
            yes, what = f"${floor + 0.01:,.0f} or above", f"the price of one Bitcoin is above ${number}"
        elif spec is catalog.INFLATION:
            yes, what = f"Above {number}%", f"the monthly change of consumer prices is above {number}%"
        else:
            yes, what = f"Over {number} points", f"both teams together score over {number} points"
        rules = (
            f"The market resolves to Yes when {what} ({self.event(event).sub_title}), as published by {spec.source[0]}."
        )
        return MarketText(self.market(market), f"Will it be that {what}?", yes, rules, "greater", round(floor, 2))

    def _game(self, event: int, market: int) -> MarketText:
        (_, away), (_, home) = self.teams(event)
        spec, (code, city) = self.spec(event), self.teams(event)[1 - int(self.markets.place[market])]
        custom = {f"{spec.league}_team": self.team(int(self.events.series[event]), code)}
        rules = f"The market resolves to Yes when {city} wins the {spec.subject} {away} at {home} ({self.event(event).sub_title})."
        details = f"A game that is called off and not replayed within two days resolves to a fair price. {_DISCLAIMER}"
        title = f"{away} at {home} Winner?"
        return MarketText(self.market(market), title, city, rules, "structured", custom=custom, details=details)

    def _team_identifier(self, series: int, code: str) -> str:
        number = [known for known, _ in TEAMS].index(code)
        high, low = (int(words(self.seed, _NAMES, what, series, number)[0]) for what in (2, 3))
        return uuid(high, low)

    def _binary(self, event: int, market: int) -> MarketText:
        text = self.event(event)
        rules = (
            f"The market resolves to Yes when the bill named in the question passes a recorded vote ({text.sub_title})."
        )
        return MarketText(self.market(market), text.title, "Passes", rules, "custom", custom={"Chamber": "House"})

    def legs(self, market: int) -> list[dict[str, str]]:
        """The legs of a combo: market and event tickers, and the side that must come true."""
        return [
            {
                "event_ticker": self._tickers[int(self.markets.event[leg])],
                "market_ticker": self.market(leg),
                "side": side,
            }
            for leg, side in self._leg_rows(market)
        ]

    def _leg_rows(self, market: int) -> list[tuple[int, str]]:
        pairs = zip(self.markets.legs[market].tolist(), self.markets.sides[market].tolist(), strict=True)
        return [(leg, "yes" if side else "no") for leg, side in pairs if leg >= 0]

    def _combo(self, event: int, market: int) -> MarketText:
        legs = self.legs(market)
        title = ",".join(f"{side} {self.text(leg).yes}" for leg, side in self._leg_rows(market))
        custom = {
            "Associated Events": ",".join(leg["event_ticker"] for leg in legs),
            "Associated Market Sides": ",".join(leg["side"] for leg in legs),
            "Associated Markets": ",".join(leg["market_ticker"] for leg in legs),
            "Multivariate Event Ticker": self._tickers[event],
        }
        return MarketText(self.market(market), title, title, "", "custom", custom=custom)

    def settled_value(self, event: int, value: float) -> str:
        """What the source published for a settled event; a combination has no value of its own."""
        shape, spec = self.shape(event), self.spec(event)
        if shape == COMBINED:
            return ""
        if shape == BINARY:
            return "Yes" if value >= 0 else "No"
        if shape == GAME:
            return self.teams(event)[1][1] if value >= 0 else self.teams(event)[0][1]
        return f"{value:.0f}" if shape == LADDER or spec.league else f"{value:.{spec.decimals}f}"

    def metadata(self, event: int) -> dict[str, Any]:
        """Free-form data of the event: for games the competition and its part."""
        spec = self.spec(event)
        return (
            {"competition": spec.league.title(), "competition_scope": "Game" if spec.shape == "game" else "Total"}
            if spec.league
            else {}
        )


def _day(seconds: int) -> time.struct_time:
    return time.gmtime(seconds)
