"""What must be true together: the states of the world that a set of markets allows, from their strikes and from what the exchange says.

Only four things link markets here: strikes on one number of one subject, an event that the exchange calls mutually exclusive, the legs of
a combo, and a market with itself. Everything else, however correlated, may happen independently.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import pairwise, product
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kalshi_lab.models import Event, Market

Unit = Decimal | Literal["strikes"] | None
MOST_STATES = 4096  # of a combo's legs together
ABOVE, BELOW = ("greater", "greater_or_equal"), ("less", "less_or_equal")


class Cell(NamedTuple):
    """A range of values of the number that decides; None is open, an end belongs to it where it is closed."""

    low: Decimal | None
    high: Decimal | None
    low_closed: bool = False
    high_closed: bool = False

    @property
    def inside(self) -> Decimal:
        """A value inside."""
        if self.low is None:
            return Decimal(0) if self.high is None else self.high if self.high_closed else self.high - 1
        if self.high is None:
            return self.low if self.low_closed else self.low + 1
        return (self.low + self.high) / 2

    def values(self, unit: Decimal) -> tuple[Decimal | None, Decimal | None] | None:
        """The least and the greatest multiple of a unit inside, None where it is open there; None where there is none at all."""
        low = None if self.low is None else _multiple(self.low, unit, up=True, closed=self.low_closed)
        high = None if self.high is None else _multiple(self.high, unit, up=False, closed=self.high_closed)
        return None if low is not None and high is not None and low > high else (low, high)

    def __str__(self) -> str:
        if self.low is None and self.high is None:
            return "any value"
        if self.low == self.high:
            return f"v = {self.low:f}"
        low = "" if self.low is None else f"{self.low:f} {'<=' if self.low_closed else '<'} "
        if self.high is None:
            return f"v {'>=' if self.low_closed else '>'} {self.low:f}"
        return f"{low}v {'<=' if self.high_closed else '<'} {self.high:f}"


@dataclass(frozen=True, slots=True)
class State:
    """One way in which things can end: which of a group's markets pay on YES then."""

    label: str
    yes: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Markets that are linked, and every state of the world that their links allow.

    `doubtful` states are ruled out by the `assumptions` only; `given` is what the links themselves rest on.
    """

    events: tuple[str, ...]
    tickers: tuple[str, ...]
    states: tuple[State, ...]
    link: Literal["strikes", "exclusive", "combo", "alone"]
    assumptions: tuple[str, ...] = ()
    doubtful: tuple[State, ...] = ()
    given: tuple[str, ...] = ()


def exact(value: float | Decimal | str) -> Decimal:
    """A strike as the exchange wrote it."""
    return (value if isinstance(value, Decimal) else Decimal(str(value))).normalize()


def payoff(strike_type: str | None, floor: float | None, cap: float | None) -> Cell | None:
    """The values for which a market pays on YES; None where its strikes don't say.

    greater: above the floor; less: below the cap; between: from floor to cap, both included.
    """
    if strike_type in ABOVE and floor is not None:
        return Cell(exact(floor), None, strike_type == "greater_or_equal", False)
    if strike_type in BELOW and cap is not None:
        return Cell(None, exact(cap), False, strike_type == "less_or_equal")
    if strike_type == "between" and floor is not None and cap is not None and floor <= cap:
        return Cell(exact(floor), exact(cap), True, True)
    return None


def holds(cell: Cell, value: Decimal) -> bool:
    """Whether a value lies in a cell."""
    above = cell.low is None or value > cell.low or (cell.low_closed and value == cell.low)
    below = cell.high is None or value < cell.high or (cell.high_closed and value == cell.high)
    return above and below


def partition(cells: Sequence[Cell], unit: Decimal | None = None) -> list[tuple[Cell, tuple[bool, ...]]]:
    """The line cut at all strikes: each piece with which of the cells hold it, neighbours that are alike joined.

    With a unit only pieces stay that hold a multiple of it.
    """
    ends = sorted({end for cell in cells for end in (cell.low, cell.high) if end is not None})
    pieces = [Cell(None, ends[0] if ends else None)]
    for low, high in pairwise([*ends, None]):
        pieces += [Cell(low, low, True, True), Cell(low, high)]
    found: list[tuple[Cell, tuple[bool, ...]]] = []
    for piece in pieces:
        if unit is not None and piece.values(unit) is None:
            continue
        row = tuple(holds(cell, piece.inside) for cell in cells)
        if found and found[-1][1] == row:
            last = found.pop()[0]
            piece = Cell(last.low, piece.high, last.low_closed, piece.high_closed)  # noqa: PLW2901 - the two joined
        found.append((piece, row))
    return found


def unit_of(cells: Iterable[Cell]) -> Decimal | None:
    """The unit in which values must be published for neighbouring brackets to leave no gap; None where the strikes don't say one.

    Brackets such as 51 to 52, 53 to 54 leave gaps that are all one power of ten, no wider than a bracket, and of which all strikes are
    multiples.
    """
    ranges = sorted(cell for cell in cells if cell.low is not None and cell.high is not None)
    gaps = {low.low - high.high for high, low in pairwise(ranges) if low.low is not None and high.high is not None}
    gap = gaps.pop() if len(gaps) == 1 else Decimal(0)
    if gap <= 0 or gap.normalize().as_tuple().digits != (1,):
        return None
    fits = all(cell.high - cell.low >= gap and not cell.high % gap and not cell.low % gap for cell in ranges)  # type: ignore[operator] # both are there
    return gap.normalize() if fits else None


def linked(
    events: Iterable[Event], *, unit: Unit = "strikes", complete: bool = False, one_value: bool = False
) -> list[Group]:
    """The groups of linked markets of some events, single events first, then combos whose legs are all among them."""
    known = list(events)
    plain = {event.event_ticker: [m for m in event.markets if not m.mve_selected_legs] for event in known}
    found: list[Group] = []
    if one_value:
        found += _joint(known, plain, unit)
    else:
        for event in known:
            found += _of_event(event, plain[event.event_ticker], unit, complete=complete)
    combos = [market for event in known for market in event.markets if market.mve_selected_legs]
    return found + [group for combo in combos if (group := _of_combo(combo, found)) is not None]


def _cell(market: Market) -> Cell | None:
    return payoff(market.strike_type, market.floor_strike, market.cap_strike)


def _of_event(event: Event, markets: list[Market], unit: Unit, *, complete: bool) -> list[Group]:
    name, exclusive = (event.event_ticker,), bool(event.mutually_exclusive) and len(markets) > 1
    cells = {market.ticker: cell for market in markets if (cell := _cell(market)) is not None}
    subjects: dict[str, list[str]] = {}
    for market in markets:
        if market.ticker in cells:
            subjects.setdefault(str(market.custom_strike or ""), []).append(market.ticker)
    if exclusive and any(_overlap([cells[ticker] for ticker in tickers]) for tickers in subjects.values()):
        exclusive = False  # nested strikes are not, whatever the event is called
    if exclusive and not (len(cells) == len(markets) and len(subjects) == 1):
        return [_exclusive(name, [market.ticker for market in markets], complete=complete)]
    lines = [_line(name, tickers, cells, unit, exclusive=exclusive) for tickers in subjects.values()]
    return lines + [_alone(name, market.ticker) for market in markets if market.ticker not in cells]


def _joint(events: list[Event], plain: dict[str, list[Market]], unit: Unit) -> list[Group]:
    """All markets with strikes as of one number, since the caller says so; the others alone."""
    markets = [market for event in events for market in plain[event.event_ticker]]
    cells = {market.ticker: cell for market in markets if (cell := _cell(market)) is not None}
    owner = {market.ticker: (market.event_ticker or "",) for market in markets}
    said = ("the events are decided by one and the same number, as the caller says",)
    names = tuple(event.event_ticker for event in events)
    line = [_line(names, list(cells), cells, unit, exclusive=False)] if cells else []
    line = [replace(group, given=said) for group in line]
    return line + [_alone(owner[market.ticker], market.ticker) for market in markets if market.ticker not in cells]


def _overlap(cells: list[Cell]) -> bool:
    """Whether two cells share more than a point."""
    return any(sum(row) > 1 and piece.low != piece.high for piece, row in partition(cells))


def _line(events: tuple[str, ...], tickers: list[str], cells: dict[str, Cell], unit: Unit, *, exclusive: bool) -> Group:
    mine = [cells[ticker] for ticker in tickers]
    chosen = unit_of(mine) if unit == "strikes" else unit
    most = 1 if exclusive else len(mine)  # of an exclusive event at most one pays
    every, some = (_states(partition(mine, step), most) for step in (None, chosen))
    doubtful = tuple(state for state in every if state.yes not in {other.yes for other in some})
    notes = (f"the published value is a whole multiple of {chosen:f}",) if doubtful and chosen is not None else ()
    return Group(events, tuple(tickers), some, "strikes", notes, doubtful)


def _states(pieces: list[tuple[Cell, tuple[bool, ...]]], most: int) -> tuple[State, ...]:
    return tuple(State(str(piece), row) for piece, row in pieces if sum(row) <= most)


def _exclusive(events: tuple[str, ...], tickers: list[str], *, complete: bool) -> Group:
    states = tuple(State(f"{ticker} wins", tuple(other == ticker for other in tickers)) for ticker in tickers)
    none = (State("none wins", (False,) * len(tickers)),)
    if complete:
        said = "one of the event's markets pays on YES, as the caller says"
        return Group(events, tuple(tickers), states, "exclusive", (said,), none)
    return Group(events, tuple(tickers), states + none, "exclusive")


def _alone(events: tuple[str, ...], ticker: str) -> Group:
    return Group(events, (ticker,), (State("yes", (True,)), State("no", (False,))), "alone")


def _of_combo(combo: Market, groups: list[Group]) -> Group | None:
    """A combo with its legs and all that is linked to them; None where a leg is missing or the states are too many."""
    legs = {str(leg.market_ticker): leg.side == "yes" for leg in combo.mve_selected_legs or ()}
    mine = [group for group in groups if any(ticker in legs for ticker in group.tickers)]
    tickers = tuple(ticker for group in mine for ticker in group.tickers)
    size = 1
    for group in mine:
        size *= len(group.states)
    if not set(legs) <= set(tickers) or size > MOST_STATES:
        return None
    states = []
    for parts in product(*(group.states for group in mine)):
        row = tuple(yes for part in parts for yes in part.yes)
        won = all(row[tickers.index(leg)] == side for leg, side in legs.items())
        states.append(State(" and ".join(part.label for part in parts), (*row, won)))
    events = tuple(dict.fromkeys([combo.event_ticker or "", *(event for group in mine for event in group.events)]))
    notes = tuple(dict.fromkeys(note for group in mine for note in group.assumptions))
    return Group(events, (*tickers, combo.ticker), tuple(states), "combo", notes)


def _multiple(value: Decimal, unit: Decimal, *, up: bool, closed: bool) -> Decimal:
    """The nearest multiple of a unit at or beyond an end."""
    steps = value // unit
    if steps * unit > value:  # decimals divide towards zero
        steps -= 1
    on = steps * unit == value
    if on:
        return value if closed else value + (unit if up else -unit)
    return (steps + 1) * unit if up else steps * unit
