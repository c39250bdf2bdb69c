"""How liquid a market is: spread, depth near the mid, imbalance, and a score whose weights and scales are said and can be given.

Depth weighs a contract at distance d from the mid by 1 - d / (within + 0.01), so that it counts less the further away it rests.
The score is the weighted mean of its components' scores from 0 to 100, each interpolated between the knots of its scale: the default
scale is a convention, `Scale.of(markets)` takes the percentiles of the markets that it is given, mid-ranks for ties.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import groupby, pairwise
from operator import itemgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import polars as pl

from kalshi_lab.analysis.base import Basis, Result
from kalshi_lab.analysis.engine import default_engine
from kalshi_lab.analysis.given import given
from kalshi_lab.analysis.slippage import Amount, levels_of
from kalshi_lab.errors import UsageError, unknown
from kalshi_lab.models.quote import priced

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kalshi_lab.analysis.engine import Engine
    from kalshi_lab.book import OrderBook
    from kalshi_lab.models import Orderbook

UNITS = {
    "spread": "dollars", "depth": "contracts, weighted by nearness", "top_size": "contracts", "volume_24h": "contracts",
    "open_interest": "contracts",
}  # fmt: skip
# Reads `measures`: spread, top_size, volume_24h, open_interest, exact decimals, null where unknown.
REDUCTION = " UNION ALL ".join(
    f"SELECT '{name}' AS component, CAST({name} AS DECIMAL(18, 6)) AS value, COUNT(*) AS n FROM measures GROUP BY {name}"  # noqa: S608 - own names
    for name in ("spread", "top_size", "volume_24h", "open_interest")
)
TICK, LOPSIDED, POOR = Decimal("0.01"), Decimal("0.5"), 25.0
GRADES = ((76.0, "liquid"), (51.0, "moderate"), (26.0, "thin"), (-math.inf, "illiquid"))
SCHEMA = pl.Schema(
    {
        "component": pl.String(),
        "value": pl.Float64(),
        "unit": pl.String(),
        "score": pl.Float64(),
        "weight": pl.Float64(),
    }
)


@dataclass(frozen=True, slots=True)
class Scale:
    """What values of a component score from 0 to 100: rising knots (value, score) for each, straight lines between them."""

    knots: Mapping[str, tuple[tuple[float, float], ...]]
    said: str
    n: int | None = None

    @classmethod
    def of(cls, markets: pl.DataFrame, *, engine: Engine | None = None) -> Scale:
        """The percentiles of the markets of a frame: columns yes_bid, yes_ask, yes_bid_size, yes_ask_size, volume_24h, open_interest.

        Spread and sizes at the top count where `is_priced` holds, the others where they are known. A spread scores the share of markets
        that are wider, the others the share that have less, equals counting half. UsageError for a missing column.
        """
        need = ("yes_bid", "yes_ask", "yes_bid_size", "yes_ask_size", "volume_24h", "open_interest")
        markets = given(markets, *need)
        real, wide = priced(), pl.Decimal(18, 6)
        measures = markets.with_columns(pl.col(need).cast(wide)).select(
            pl.when(real).then(pl.col("yes_ask") - pl.col("yes_bid")).alias("spread"),
            pl.when(real).then(pl.col("yes_bid_size") + pl.col("yes_ask_size")).alias("top_size"),
            "volume_24h", "open_interest",
        )  # fmt: skip
        return cls.counted((engine or default_engine()).run(REDUCTION, measures=measures))

    @classmethod
    def counted(cls, reduced: pl.DataFrame) -> Scale:
        """From the rows of REDUCTION."""
        rows = sorted(reduced.drop_nulls("value").select("component", "value", "n").rows())
        knots = {name: _ranks(name, list(part)) for name, part in groupby(rows, key=itemgetter(0))}
        n = sum(row[2] for row in rows if row[0] == "spread")
        return cls(MappingProxyType(knots), f"percentiles of {n:,} markets", n)

    def score(self, component: str, value: Decimal | float | None) -> float | None:
        """From 0 to 100; None where the value or its scale is not known."""
        knots = self.knots.get(component)
        if value is None or not knots:
            return None
        at = float(value)
        if at <= knots[0][0] or at >= knots[-1][0]:
            return knots[0][1] if at <= knots[0][0] else knots[-1][1]
        (low, first), (high, last) = next(pair for pair in pairwise(knots) if pair[0][0] <= at <= pair[1][0])
        return first + (last - first) * (at - low) / (high - low)


def _ranks(name: str, rows: Sequence[tuple[str, Any, int]]) -> tuple[tuple[float, float], ...]:
    total, below, knots = sum(row[2] for row in rows), 0, []
    for _, value, n in rows:
        rank = 100 * (below + n / 2) / total
        knots.append((float(value), 100 - rank if name == "spread" else rank))
        below += n
    return tuple(knots)


CONVENTION = Scale(
    MappingProxyType(
        {
            "spread": ((0.01, 100.0), (0.20, 0.0)), "depth": ((0.0, 0.0), (1000.0, 100.0)), "top_size": ((0.0, 0.0), (1000.0, 100.0)),
            "volume_24h": ((0.0, 0.0), (10_000.0, 100.0)), "open_interest": ((0.0, 0.0), (5000.0, 100.0)),
        }
    ),
    "a convention: spread 0.20 to 0.01 dollars, depth to 1,000, volume to 10,000, open interest to 5,000 contracts",
)  # fmt: skip
WEIGHTS = {"spread": 0.3, "depth": 0.3, "volume_24h": 0.2, "open_interest": 0.2}
BOOK_ALONE = {"spread": 0.5, "depth": 0.5}


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Liquidity(Result):
    """One market's liquidity: a row for each component, with its value, unit, score from 0 to 100 and weight (Float64).

    `mid`, `spread` in dollars, `bid_depth`, `ask_depth` (contracts within `within` dollars of the mid), `depth` (the same, weighted by
    nearness), `imbalance` from -1 to 1 of these contracts, `score`: exact or None where not known. Without a two-sided quote none is.
    """

    chart: ClassVar[str] = "liquidity"
    ticker: str
    within: Decimal
    mid: Decimal | None
    spread: Decimal | None
    bid_depth: Decimal | None
    ask_depth: Decimal | None
    depth: Decimal | None
    score: float | None
    scale: Scale = field(default=CONVENTION)
    book: Any = None

    @property
    def imbalance(self) -> Decimal | None:
        """(bid - ask) / (bid + ask) of the contracts within reach; None where there are none or no mid."""
        if self.bid_depth is None or self.ask_depth is None or not self.bid_depth + self.ask_depth:
            return None
        return (self.bid_depth - self.ask_depth) / (self.bid_depth + self.ask_depth)

    @property
    def grade(self) -> str | None:
        """In a word: liquid from 76 on, moderate from 51, thin from 26, else illiquid; None without a score."""
        return None if self.score is None else next(word for least, word in GRADES if self.score >= least)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Components of the score that are below 25, and a book of which three quarters lie on one side."""
        poor = self.table.filter((pl.col("score") < POOR) & (pl.col("weight") > 0))["component"].to_list()
        lopsided = self.imbalance is not None and abs(self.imbalance) > LOPSIDED
        return (*(f"poor {name.replace('_', ' ')}" for name in poor), *(["lopsided book"] if lopsided else []))

    @property
    def conclusion(self) -> str:
        """The score in words, or why there is none."""
        if self.score is None:
            without = self.table.filter((pl.col("weight") > 0) & pl.col("score").is_null())["component"].to_list()
            return f"score not known, for want of {', '.join(without).replace('_', ' ')}"
        noted = f"; {', '.join(self.warnings)}" if self.warnings else ""
        return f"{self.ticker} is {self.grade}, {self.score:.0f} of 100 by {self.scale.said}{noted}"


def liquidity(
    book: OrderBook | Orderbook,
    *,
    volume_24h: Amount | None = None,
    open_interest: Amount | None = None,
    within: Amount = "0.10",
    weights: Mapping[str, float] | None = None,
    scale: Scale | None = None,
) -> Liquidity:
    """Spread, depth within a distance of the mid, imbalance and a composite score from 0 to 100 of one book.

    `volume_24h` and `open_interest` are contracts, None where not known; `within` is in dollars. `weights` name components (spread,
    depth, top_size, volume_24h, open_interest) and sum to 1; without them spread and depth weigh 0.3, volume and open interest 0.2
    each, or the first two one half where neither of the others is given. `scale` is `Scale.of(markets)` for percentiles, under which
    top_size stands in for depth, since quotes of a whole exchange have no depth. A component that is not known leaves the score unknown:
    None, never zero. UsageError for weights that do not sum to 1 +- 0.001, and for a stale book.
    """
    reach = Decimal(str(within))
    if not reach > 0:
        raise UsageError(f"within={within!r} is no distance in dollars", hint='Ten cents are "0.10"')
    scale = scale or CONVENTION
    chosen = _weights(weights, scale, alone=volume_24h is None and open_interest is None)
    bids, asks = levels_of(book)
    mid = book.mid
    values: dict[str, Decimal | None] = dict.fromkeys(UNITS)
    values["volume_24h"], values["open_interest"] = (_known(value) for value in (volume_24h, open_interest))
    near = None
    if mid is not None:
        near = [
            [(abs(price - mid), size) for price, size in side if abs(price - mid) <= reach] for side in (bids, asks)
        ]
        values["spread"], values["top_size"] = asks[0][0] - bids[0][0], bids[0][1] + asks[0][1]
        values["depth"] = sum((size * (1 - far / (reach + TICK)) for side in near for far, size in side), Decimal(0))
    scores = {name: scale.score(name, value) for name, value in values.items()}
    used = [(weight, scores[name]) for name, weight in chosen.items() if weight > 0]
    whole = None if any(score is None for _, score in used) else sum(weight * (score or 0.0) for weight, score in used)
    rows = [
        (name, None if value is None else float(value), UNITS[name], scores[name], chosen.get(name, 0.0))
        for name, value in values.items()
    ]
    depths = [sum((size for _, size in side), Decimal(0)) for side in near] if near else [None, None]
    said = ", ".join(f"{name} {weight:g}" for name, weight in chosen.items())
    return Liquidity(
        table=pl.DataFrame(rows, schema=SCHEMA, orient="row"),
        basis=Basis(len(bids) + len(asks), "level", f"{said}; scale {scale.said}", "the book as it stands", "none, exact",
                    MappingProxyType({f"beyond {reach} dollars of the mid": _beyond(near, bids, asks)})),
        ticker=book.ticker, within=reach, mid=mid, spread=values["spread"], bid_depth=depths[0], ask_depth=depths[1],
        depth=values["depth"], score=whole, scale=scale, book=book,
    )  # fmt: skip


def _beyond(near: list[list[Any]] | None, bids: Sequence[Any], asks: Sequence[Any]) -> int:
    return 0 if near is None else len(bids) + len(asks) - sum(len(side) for side in near)


def _known(value: Amount | None) -> Decimal | None:
    return None if value is None else Decimal(str(value))


def _weights(given: Mapping[str, float] | None, scale: Scale, *, alone: bool) -> dict[str, float]:
    if given is None:
        usual = BOOK_ALONE if alone else WEIGHTS
        return {
            ("top_size" if name == "depth" and name not in scale.knots else name): each for name, each in usual.items()
        }
    for name in given:
        if name not in UNITS:
            raise unknown("component", name, UNITS)
    chosen = {name: float(weight) for name, weight in given.items()}
    if any(weight < 0 for weight in chosen.values()) or not abs(sum(chosen.values()) - 1) <= 0.001:  # noqa: PLR2004 - as said
        raise UsageError(f"the weights sum to {sum(chosen.values()):g}", hint="Give weights of 0 or more that sum to 1")
    return chosen
