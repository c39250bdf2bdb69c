"""Ladders to distributions: what the markets of an event together say about the number that decides it.

Each market's price is the probability of a range: above a strike, below one, between two. The distribution over the pieces into which all
strikes cut the line is the one closest to the prices: with p(i) the price of market i, a(i, k) whether it pays in piece k, w(i) its weight,

    minimise sum_i w(i) (sum_k a(i, k) q(k) - p(i))**2  over  q >= 0, sum_k q(k) = 1

For a pure ladder of thresholds this is isotonic regression of the prices on the strikes, for brackets the projection on the simplex.
Sources: R. E. Barlow, D. J. Bartholomew, J. M. Bremner, H. D. Brunk, "Statistical Inference under Order Restrictions" (1972); C. L. Lawson,
R. J. Hanson, "Solving Least Squares Problems" (1974), whose NNLS solves it, by way of scipy.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import polars as pl

from kalshi_lab.analysis.base import Basis, Result
from kalshi_lab.analysis.given import given
from kalshi_lab.analysis.rungs import Rungs, Tails, rungs
from kalshi_lab.analysis.science import science
from kalshi_lab.errors import UsageError
from kalshi_lab.models.quote import mids, priced

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

STRIKES = ("strike_type", "floor_strike", "cap_strike")
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
MOVED = 0.0005  # dollars; a price that moved less did not need repair
TIGHTEST = 0.001  # dollars of spread, below which no quote counts more
DUST = 1e-12  # of all mass; below it is the solver's own rounding
CELLS = pl.Schema(
    {
        "event_ticker": pl.String(), "time": pl.Datetime("us", "UTC"), "low": pl.Float64(), "high": pl.Float64(), "label": pl.String(),
        "probability": pl.Float64(), "probability_low": pl.Float64(), "probability_high": pl.Float64(),
    }
)  # fmt: skip
Key = tuple[str | None, "datetime | None"]


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Ladder(Result):
    """The distribution that an event's prices imply, at one time or at many.

    `frame()` has a row for each piece of the line: event_ticker String, time Datetime (null without one), low and high Float64 (null:
    open), label String, probability Float64, probability_low and probability_high Float64 (what bids and asks allow; null unless asked).
    `summary` has a row for each event and time: event_ticker, time; markets UInt32; mean, mean_low, mean_high Float64 (null where it hangs
    on an open tail); a column for each quantile, q5, q50, ... (null in an open tail); below, above Float64, the mass of the open
    tails; shared Float64, the mass of pieces that no quote tells apart, which have equal parts of it; moved UInt32, markets whose price
    the repair moved; repaired and repaired_total Float64 dollars, the largest move and the sum of all.
    """

    summary: pl.DataFrame
    tails: str
    chart: ClassVar[str] = "ladder"

    @property
    def latest(self) -> dict[str, Any]:
        """The last row of `summary`; empty without one."""
        return self.summary.row(-1, named=True) if self.summary.height else {}

    @property
    def mean(self) -> float | None:
        """The mean at the last time; None where it hangs on an open tail."""
        return self.latest.get("mean")

    @property
    def conclusion(self) -> str:
        """The last distribution in words."""
        last = self.latest
        if not last:
            return "no ladder"
        names = [name for name in self.summary.columns if name.startswith("q") and name[1:2].isdigit()]
        said = ", ".join(f"{name} {_figure(last[name])}" for name in names)
        ends = f"mean {_figure(last['mean'])} ({_figure(last['mean_low'])} to {_figure(last['mean_high'])})"
        tails = f"{last['below']:.3f} below and {last['above']:.3f} above all strikes, {self.tails}"
        if last["shared"] > MOVED:
            tails += f"; {last['shared']:.3f} lies in pieces that no quote tells apart, in equal parts"
        many = f"{self.summary.height} times, the last: " if self.summary.height > 1 else ""
        worst = self.summary["repaired"].max()
        return f"{many}{ends}; {said}; {tails}; prices moved by at most {_figure(worst)} dollars to fit"  # type: ignore[arg-type] # a float


def ladder(
    frame: pl.DataFrame,
    *,
    price: str = "mid",
    weight: str | None = "spread",
    unit: float | str | None = "strikes",
    tails: Literal["step"] | tuple[float, float] | None = "step",
    quantiles: Sequence[float] = QUANTILES,
) -> Ladder:
    """The distribution that the markets of an event imply, repaired where their prices contradict one another.

    `frame`: a row for each market (and time), with strike_type, floor_strike and cap_strike as in `Market`, yes_bid and yes_ask in dollars;
    event_ticker and time, where there are such columns, part it. Markets without strikes or without a real quote are left out and counted.
    `price`: "mid"; "bounds", which adds what bids and asks allow (by linear programme: slow over a long history); or a column of prices.
    `weight`: "spread" (one over the squared spread), a column, or None (each the same). `unit`: the unit of the published number, as in
    `kl.arbitrage`. `tails`: what lies beyond the outermost strikes: "step" assumes that it ends one neighbouring step further out,
    (low, high) says where, None assumes nothing, so that a mean exists only where nothing lies there.

    Pieces that no quote tells apart (two brackets without one) share what is left for them in equal parts, none more than its ask.
    Inside a piece the mass is spread evenly: `mean_low` and `mean_high` put all of it at its ends instead. Raises UsageError for a missing
    column, prices outside [0, 1], several subjects in one event, and without the extra `analysis`. Method and sources: this module.
    """
    frame = given(frame)
    _needed(frame, price, weight)
    chosen = [name for name in ("event_ticker", "time") if name in frame.columns]
    excluded: Counter[str] = Counter()
    ready = _priced(frame, price, weight, excluded)
    levels = _checked(quantiles)
    cells: list[tuple[Any, ...]] = []
    totals: list[dict[str, Any]] = []
    for key, part in _parts(ready, chosen):
        made = rungs(part, unit)
        if not len(made.prices):
            excluded["times or events without a market to go by"] += 1
            continue
        fitted = _fitted(made)
        bounds = made.bounds() if price == "bounds" else None
        excluded["ladders whose bids and asks contradict one another"] += bounds is not None and not bounds.possible
        ends = made.ends(tails)
        allowed = bounds.cells if bounds else [(None, None)] * len(fitted)
        cells += [
            (*key, *piece, mass, *limits) for piece, mass, limits in zip(made.pieces(), fitted, allowed, strict=True)
        ]
        totals.append(_total(key, made, fitted, ends, levels) | (bounds.mean(ends, made.half) if bounds else {}))
    basis = Basis(
        n=sum(total["markets"] for total in totals),
        unit="price",
        weighting={None: "each price counts once", "spread": "one over the squared spread"}.get(weight, f"by {weight}"),
        horizon="the times of the frame" if "time" in chosen else "the frame as given",
        interval="what bids and asks allow"
        if price == "bounds"
        else "mean_low to mean_high: wherever inside the pieces",
        excluded=dict(excluded),
    )
    table = pl.DataFrame(cells, schema=CELLS, orient="row")
    return Ladder(table=table, basis=basis, summary=_summary(totals, levels), tails=_said(tails))


def repaired(
    frame: pl.DataFrame, *, weight: str | None = "spread", unit: float | str | None = "strikes"
) -> pl.DataFrame:
    """What each market of a ladder costs under the distribution that comes closest to all of them: ticker, probability Float64.

    `frame` is what `ladder` takes at one time, with ticker. Markets without strikes, without a real quote, and of events whose markets
    say nothing of each other (fewer than two of them) are not there.
    """
    frame = given(frame)
    _needed(frame, "mid", weight)
    parted = [name for name in ("event_ticker",) if name in frame.columns]
    ready = _priced(frame, "mid", weight, Counter()).filter("real")
    found = []
    for _, part in _parts(ready, parted):
        made = rungs(part, unit)
        if len(made.prices) == part.height > 1:
            found.append(part.select("ticker", probability=pl.Series(made.priced(_fitted(made)), dtype=pl.Float64)))
    return pl.concat(found) if found else pl.DataFrame(schema={"ticker": pl.String, "probability": pl.Float64})


def _needed(frame: pl.DataFrame, price: str, weight: str | None) -> None:
    quotes = ("yes_bid", "yes_ask") if price in {"mid", "bounds"} else (price,)
    extra = () if weight in {None, "spread"} else (weight,)
    missing = [name for name in (*STRIKES, *quotes, *extra) if name not in frame.columns]
    if missing:
        raise UsageError(
            f"the frame of {frame.height:,} rows lacks {', '.join(str(name) for name in missing)}",
            hint="Give markets with their strikes and quotes, as lab.markets(event=...) has them",
        )


def _priced(frame: pl.DataFrame, price: str, weight: str | None, excluded: Counter[str]) -> pl.DataFrame:
    """The frame with `p`, `w`, `bid` and `ask` as floats, and without the markets that say nothing."""
    quoted = {"yes_bid", "yes_ask"} <= set(frame.columns)
    value = mids() if price in {"mid", "bounds"} else pl.col(price).cast(pl.Float64)
    heavy = _weights(weight, quoted=quoted)
    limits = [pl.col(name).cast(pl.Float64) if quoted else pl.lit(None, pl.Float64) for name in ("yes_bid", "yes_ask")]
    made = frame.with_columns(value.alias("p"), heavy.alias("w"), limits[0].alias("bid"), limits[1].alias("ask"))
    wrong = made.filter(pl.any_horizontal(~pl.col("p", "bid", "ask").is_between(0, 1)))
    if wrong.height:
        name = "yes_bid and yes_ask" if price in {"mid", "bounds"} else price
        raise UsageError(f"column {name}: {wrong.height:,} of {made.height:,} rows hold no price in [0, 1]")
    light = made.filter(~((pl.col("w") > 0) & pl.col("w").is_finite()).fill_null(value=True))
    if light.height:
        raise UsageError(f"column {weight}: {light.height:,} of {made.height:,} rows hold no weight above 0")
    real = priced() if quoted and price in {"mid", "bounds"} else pl.col("p").is_not_null()
    ranged = pl.any_horizontal(
        pl.col("strike_type").str.starts_with("greater") & pl.col("floor_strike").is_not_null(),
        pl.col("strike_type").str.starts_with("less") & pl.col("cap_strike").is_not_null(),
        (pl.col("strike_type") == "between")
        & pl.col("floor_strike").is_not_null()
        & pl.col("cap_strike").is_not_null(),
    ).fill_null(value=False)
    excluded["without strikes"] = made.filter(~ranged).height
    excluded["without a real quote"] = made.filter(ranged & ~real).height
    return made.filter(ranged).with_columns(real.alias("real"))


def _weights(weight: str | None, *, quoted: bool) -> pl.Expr:
    if weight not in {None, "spread"}:
        return pl.col(str(weight)).cast(pl.Float64)
    if weight is None or not quoted:
        return pl.lit(1.0)
    return 1 / (pl.col("yes_ask").cast(pl.Float64) - pl.col("yes_bid").cast(pl.Float64)).clip(TIGHTEST) ** 2


def _parts(frame: pl.DataFrame, chosen: Sequence[str]) -> list[tuple[Key, pl.DataFrame]]:
    if not chosen:
        return [((None, None), frame)]
    parts = frame.sort(chosen, maintain_order=True).partition_by(chosen, as_dict=True, maintain_order=True)
    place = {name: number for number, name in enumerate(chosen)}
    return [
        (tuple(key[place[name]] if name in place else None for name in ("event_ticker", "time")), part)  # type: ignore[misc] # a pair
        for key, part in parts.items()
    ]


def _fitted(made: Rungs) -> list[float]:
    """The masses of the pieces that come closest to the prices."""
    cuts = made.cuts()
    return _mixed(made) if cuts is None else _pooled(cuts, len(made.cells))


def _pooled(cuts: list[tuple[int, float, float]], pieces: int) -> list[float]:
    """The masses from chances of lying beyond cuts (place, chance, weight) by pooling neighbours that are out of order."""
    pools: list[tuple[float, float, list[int]]] = []
    for place, chance, weight in sorted(cuts):
        pool = (chance, weight, [place])
        while pools and (pools[-1][0] < pool[0] or pools[-1][2][-1] == place):
            value, before, places = pools.pop()
            both = before + pool[1]
            pool = ((value * before + pool[0] * pool[1]) / both, both, places + pool[2])
        pools.append(pool)
    beyond = dict.fromkeys(range(pieces + 1), 1.0) | {pieces: 0.0}
    for value, _, places in pools:
        beyond |= dict.fromkeys(places, min(1.0, max(0.0, value)))
    return [max(0.0, beyond[piece] - beyond[piece + 1]) for piece in range(pieces)]


def _mixed(made: Rungs) -> list[float]:
    """The masses where markets pay in ranges, by least squares over all distributions.

    With masses that add up to one, A q - p is (A - p 1') q; so the least |(A - p 1') x|**2 + (1' x - 1)**2 over x >= 0 points, made to
    add up to one, to the q sought, whatever the scale of x.
    """
    np = science("numpy")
    root = np.sqrt(np.array(made.weights) / max(made.weights))
    rows = (np.array(made.pays, dtype=float) - np.array(made.prices)[:, None]) * root[:, None]
    ones = np.ones(rows.shape[1])
    found = science("scipy.optimize").nnls(np.vstack([rows, ones]), np.append(np.zeros(len(rows)), 1.0))[0]
    shared = np.where(found > DUST * found.sum(), found, 0.0)
    return made.spread((shared / shared.sum()).tolist())


def _total(
    key: Key, made: Rungs, fitted: list[float], ends: list[tuple[float | None, float | None]], levels: Sequence[float]
) -> dict[str, Any]:
    moves = [abs(now - before) for now, before in zip(made.priced(fitted), made.prices, strict=True)]
    lows, highs = ([end[side] for end in ends] for side in (0, 1))
    low, high = _mean(fitted, lows, made.half), _mean(fitted, highs, -made.half)
    return {
        "event_ticker": key[0], "time": key[1], "markets": len(made.prices),
        "mean": None if low is None or high is None else (low + high) / 2, "mean_low": low, "mean_high": high,
        **{_name(level): _quantile(level, fitted, ends) for level in levels},
        "below": fitted[0] if made.cells[0].low is None else 0.0, "above": fitted[-1] if made.cells[-1].high is None else 0.0,
        "shared": made.shared(fitted), "moved": sum(move > MOVED for move in moves), "repaired": max(moves),
        "repaired_total": sum(moves),
    }  # fmt: skip


def _mean(masses: list[float], places: list[float | None], shift: float) -> float | None:
    """The mean with all mass at these places; None where there is mass at an unknown one."""
    if any(place is None and mass > 0 for mass, place in zip(masses, places, strict=True)):
        return None
    return sum(mass * (place + shift) for mass, place in zip(masses, places, strict=True) if place is not None)


def _quantile(level: float, masses: list[float], ends: list[tuple[float | None, float | None]]) -> float | None:
    """Where the distribution function reaches a level, mass spread evenly inside each piece; None in an open tail."""
    reached = 0.0
    for mass, (low, high) in zip(masses, ends, strict=True):
        if mass > 0 and reached + mass >= level - 1e-12:
            return None if low is None or high is None else low + (high - low) * min(1.0, (level - reached) / mass)
        reached += mass
    return None


def _checked(quantiles: Sequence[float]) -> list[float]:
    if not all(0 < level < 1 for level in quantiles):
        raise UsageError(
            f"quantiles {list(quantiles)!r:.80} are not all above 0 and below 1", hint="Give shares: 0.5 is the median"
        )
    return sorted(set(quantiles))


def _name(level: float) -> str:
    return f"q{100 * level:g}"


def _summary(totals: list[dict[str, Any]], levels: Sequence[float]) -> pl.DataFrame:
    floats = ["mean", "mean_low", "mean_high", *map(_name, levels), "below", "above", "shared"]
    schema = {"event_ticker": pl.String(), "time": pl.Datetime("us", "UTC"), "markets": pl.UInt32()} | dict.fromkeys(
        floats, pl.Float64()
    )
    return pl.DataFrame(
        totals,
        schema=schema | {"moved": pl.UInt32(), "repaired": pl.Float64(), "repaired_total": pl.Float64()},
        orient="row",
    )


def _said(tails: Tails) -> str:
    if tails is None:
        return "about which nothing is assumed"
    return "taken to end one step further out" if tails == "step" else f"taken to end at {tails[0]:g} and {tails[1]:g}"


def _figure(value: float | None) -> str:
    return "none" if value is None else f"{round(value, 6):.4g}"
