"""One ladder at one time: the pieces of the line between its strikes, which market pays in which, and where open tails end."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal

from kalshi_lab.analysis.science import science
from kalshi_lab.analysis.strikes import Cell, exact, partition, payoff, unit_of
from kalshi_lab.errors import UsageError

if TYPE_CHECKING:
    from decimal import Decimal

    import polars as pl

Tails = Literal["step"] | tuple[float, float] | None
Ends = list[tuple[float | None, float | None]]


@dataclass(frozen=True, slots=True)
class Bounds:
    """The least and the greatest mass of each piece that bids and asks allow; `possible` is false where they allow nothing."""

    possible: bool
    cells: list[tuple[float | None, float | None]]
    extremes: Any

    def mean(self, ends: Ends, half: float) -> dict[str, float | None]:
        """The least and the greatest mean that they allow, all mass of a piece at an end of it, half a unit inside."""
        if not self.possible or any(end is None for end in chain.from_iterable(ends)):
            return {"mean_low": None, "mean_high": None}
        low = [end + half for end, _ in ends if end is not None]
        high = [half - end for _, end in ends if end is not None]
        return {"mean_low": self.extremes(low), "mean_high": -self.extremes(high)}


@dataclass(frozen=True, slots=True)
class Rungs:
    """The markets that have a price, and the pieces between their strikes in order.

    `kinds[k]` is which of the distinct patterns of payment piece k has; `pays[i][j]` whether market i pays in pattern j; `caps[k]` the
    ask of a market that pays in piece k alone and has no bid, else 1.
    """

    cells: list[Cell]
    kinds: list[int]
    pays: list[list[bool]]
    prices: list[float]
    weights: list[float]
    limits: list[tuple[float, float]]
    caps: list[float]
    unit: Decimal | None

    @property
    def half(self) -> float:
        """Half the unit in which the number is published, 0 where it is not known."""
        return float(self.unit) / 2 if self.unit is not None else 0.0

    def pieces(self) -> list[tuple[float | None, float | None, str]]:
        """Low, high and label of each piece; None is open."""
        return [(_float(cell.low), _float(cell.high), str(cell)) for cell in self.cells]

    def spread(self, masses: list[float]) -> list[float]:
        """The mass of each piece from that of each pattern; pieces that no market tells apart share alike, up to their caps."""
        found = [0.0] * len(self.kinds)
        for kind, mass in enumerate(masses):
            open_ = [place for place, other in enumerate(self.kinds) if other == kind]
            left = mass
            for place in sorted(open_, key=lambda piece: self.caps[piece]):
                found[place] = min(self.caps[place], left / len(open_))
                left -= found[place]
                open_ = [other for other in open_ if other != place]
            found[self._widest(kind)] += left
        return found

    def shared(self, fitted: list[float]) -> float:
        """The mass of pieces that no market tells apart from others."""
        return sum(mass for mass, kind in zip(fitted, self.kinds, strict=True) if self.kinds.count(kind) > 1)

    def _widest(self, kind: int) -> int:
        """The piece of a pattern with the highest cap."""
        return max(
            (place for place, other in enumerate(self.kinds) if other == kind), key=lambda place: self.caps[place]
        )

    def cuts(self) -> list[tuple[int, float, float]] | None:
        """For a ladder of thresholds alone the chance of lying beyond each: (pieces below it, chance, weight); None for any other."""
        found = []
        for row, price, weight in zip(self.pays, self.prices, self.weights, strict=True):
            inside = [row[kind] for kind in self.kinds]
            below = inside.index(not inside[0]) if any(inside) and not all(inside) else len(inside)
            if below == len(inside) or inside[0] in inside[below:]:
                return None
            found.append((below, 1 - price if inside[0] else price, weight))
        return found

    def priced(self, fitted: list[float]) -> list[float]:
        """What each market costs under masses of the pieces."""
        return [sum(mass for mass, kind in zip(fitted, self.kinds, strict=True) if row[kind]) for row in self.pays]

    def ends(self, tails: Tails) -> Ends:
        """Where each piece begins and ends, by the assumption about the tails; with a unit, half of it beyond its outermost values."""
        found = [self._range(cell) for cell in self.cells]
        if tails is None:
            return found
        closed = [high - low for low, high in found if low is not None and high is not None]
        first, last = found[0], found[-1]
        if first[0] is None:
            low = tails[0] if tails != "step" else first[1] - closed[0] if first[1] is not None and closed else None
            found[0] = (_inside(low, first[1], "low"), first[1])
        if last[1] is None:
            high = tails[1] if tails != "step" else last[0] + closed[-1] if last[0] is not None and closed else None
            found[-1] = (found[-1][0], _inside(high, last[0], "high"))
        return found

    def bounds(self) -> Bounds:
        """What the bids and asks allow."""
        np, optimize = science("numpy"), science("scipy.optimize")
        rows = np.array([[row[kind] for kind in self.kinds] for row in self.pays], dtype=float)
        low, high = (np.array([limit[side] for limit in self.limits]) for side in (0, 1))

        def least(goal: Any) -> float | None:
            found = optimize.linprog(
                goal, A_ub=np.vstack([rows, -rows]), b_ub=np.append(high, -low), A_eq=np.ones((1, rows.shape[1])), b_eq=[1.0],
                method="highs",
            )  # fmt: skip
            return float(found.fun) if found.status == 0 else None

        if least(np.zeros(rows.shape[1])) is None:
            return Bounds(possible=False, cells=[(None, None)] * len(self.cells), extremes=least)
        units = np.eye(rows.shape[1])
        cells: Ends = [(least(one), 0.0 - (least(-one) or 0.0)) for one in units]
        return Bounds(possible=True, cells=cells, extremes=least)

    def _range(self, cell: Cell) -> tuple[float | None, float | None]:
        values = cell.values(self.unit) if self.unit is not None else (cell.low, cell.high)
        low, high = (_float(value) for value in values or (cell.low, cell.high))
        return (None if low is None else low - self.half), (None if high is None else high + self.half)


def rungs(part: pl.DataFrame, unit: float | str | None) -> Rungs:
    """The ladder of the markets of one event at one time. Raises UsageError where they are about several subjects."""
    subjects = part["custom_strike"].n_unique() if "custom_strike" in part.columns else 1
    if subjects > 1:
        hint = "Filter the frame to one of them, by custom_strike"
        raise UsageError(f"the markets are about {subjects} different subjects, which make no ladder", hint=hint)
    rows = list(part.select("strike_type", "floor_strike", "cap_strike", "p", "w", "bid", "ask", "real").iter_rows())
    known = [(cell, row) for row in rows if (cell := payoff(*row[:3])) is not None]
    chosen = unit_of([cell for cell, _ in known]) if unit == "strikes" else None if unit is None else exact(unit)
    real = [(cell, row) for cell, row in known if row[7]]
    pieces = partition([cell for cell, _ in real], chosen)
    asks = {(cell.low, cell.high): row[6] for cell, row in known if not row[7] and row[5] == 0 and row[6] is not None}
    patterns = list(dict.fromkeys(pattern for _, pattern in pieces))
    return Rungs(
        cells=[cell for cell, _ in pieces],
        kinds=[patterns.index(pattern) for _, pattern in pieces],
        pays=[[pattern[number] for pattern in patterns] for number in range(len(real))],
        prices=[row[3] for _, row in real],
        weights=[row[4] for _, row in real],
        limits=[(row[5] if row[5] is not None else 0.0, row[6] if row[6] is not None else 1.0) for _, row in real],
        caps=[asks.get((cell.low, cell.high), 1.0) for cell, _ in pieces],
        unit=chosen,
    )


def _inside(end: float | None, beside: float | None, name: str) -> float | None:
    wrong = end is not None and beside is not None and (end > beside if name == "low" else end < beside)
    if wrong:
        raise UsageError(f"tails end at {end:g}, inside the strikes", hint=f"Give ends beyond {beside:g}, or None")
    return end


def _float(value: Decimal | None) -> float | None:
    return None if value is None else float(value)
