"""Returns of makers and takers: what each side of each trade cost, paid and was charged, by price, side, role and size of the trade.

Every trade has a taker, who bought YES or NO, and a maker, who holds the other side at one dollar less the price. A contract of a side
bought at c dollars that pays o (1 or 0) earns o - c gross and o - c - f net, where f is the fee's formula, rate x c x (1 - c); its return
is that over what was paid, (o - c)/c and (o - c - f)/(c + f). Gross, what the taker loses the maker earns. C. Buergi, W. Deng, K. Whelan,
"Makers and Takers: The Economics of the Kalshi Prediction Market", CESifo Working Paper 12122 (2025), for the returns and the slope.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import polars as pl

from kalshi_lab.analysis import ratio
from kalshi_lab.analysis.base import Basis, Result
from kalshi_lab.analysis.engine import default_engine
from kalshi_lab.analysis.given import framed
from kalshi_lab.analysis.tape import TRADED, banded, edges, flags, rates, texts, weighting, whole
from kalshi_lab.money import CENTI, MICRO

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from decimal import Decimal

    from kalshi_lab.analysis.engine import Engine
    from kalshi_lab.fees import FeeSchedule

Weight = Literal["contract", "trade", "dollar"]
SIZES = (0, 1, 10, 100, 1_000, 10_000, 100_000)  # contracts
LARGEST = 10**9
HALF = 0.5 / MICRO  # prices are whole millionths: a gain of less is none
# Reads `tape`: see `kalshi_lab.analysis.tape`.
REDUCTION = """
SELECT {keys}price, yes, won, taker_rate, maker_rate, COUNT(*) AS n, CAST(SUM(size) AS BIGINT) AS size
FROM tape GROUP BY {keys}price, yes, won, taker_rate, maker_rate
"""
KEYS = ("role", "side", "low_price", "high_price")
MEASURES = ("gross", "net")
ROLES = (("taker", 1), ("maker", 0))


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Returns(Result):
    """What makers and takers earned.

    `table` is by role, side and band of price; `overall` by role alone and by role and side (side null: both); `slopes` has for each role
    the line earned = intercept + slope x price with the slope's interval: a slope above 0 is a favourite-longshot bias. As every maker
    holds the other side of a taker's contract, both roles have one slope, unless dollars are the weight.
    """

    overall: pl.DataFrame
    slopes: pl.DataFrame
    chart: ClassVar[str] = "returns"

    @property
    def edge(self) -> float | None:
        """What makers earn per contract, gross, in dollars."""
        return self._of("maker", "gross")

    def _of(self, role: str, name: str) -> float | None:
        found = self.overall.filter(pl.col("role") == role, pl.col("side").is_null())[name]
        return None if found.is_empty() else found[0]

    @property
    def conclusion(self) -> str:
        """Who earned what, and whether dear contracts did better than cheap ones."""
        said = [_earned(self, role) for role, _ in ROLES if self._of(role, "gross") is not None]
        one = self.slopes.select(pl.col("slope", "low", "high").round(9)).unique(maintain_order=True).height == 1
        for role, _, slope, low, high in self.slopes.head(1 if one else 2).iter_rows():
            bias = (
                "favourite-longshot bias"
                if low > 0
                else "the reverse of a favourite-longshot bias"
                if high < 0
                else "no clear bias by price"
            )
            said.append(f"{'both' if one else f'{role}s'}: {bias} (slope {slope:+.3f}, {low:+.3f} to {high:+.3f})")
        return "; ".join(said) or "no trades"


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class SizeEffects(Result):
    """What makers and takers earned by the size of the trade: a row for each role and band of contracts."""

    chart: ClassVar[str] = "size_effects"

    @property
    def conclusion(self) -> str:
        """Whether takers of large trades did better than those of small ones."""
        takers = self.table.filter(pl.col("role") == "taker", pl.col("gross_low").is_not_null()).sort("low_size")
        if takers.height < 2:  # noqa: PLR2004 - a comparison needs two
            return "too few sizes to compare"
        small, large = (takers.row(place, named=True) for place in (0, -1))
        apart = small["gross_high"] < large["gross_low"] or large["gross_high"] < small["gross_low"]
        many, few = f"from {large['low_size']:g} contracts", f"below {small['high_size']:g}"
        said = f"takers of trades {many} earn {_cents(large['gross'])}, {few} {_cents(small['gross'])}"
        return f"{said}; the intervals {'lie apart' if apart else 'overlap'}"


def _earned(result: Returns, role: str) -> str:
    low, high = result._of(role, "net_low"), result._of(role, "net_high")  # noqa: SLF001 - its own
    net = result._of(role, "net")  # noqa: SLF001 - its own
    said = f"{role}s earn {_cents(result._of(role, 'gross'))} a contract gross"  # noqa: SLF001 - its own
    if net is None:
        return said
    between = "" if low is None else f" ({_cents(low)} to {_cents(high)})"
    return f"{said}, {_cents(net)} net{between}"


def _cents(dollars: float | None) -> str:
    return "an unknown sum" if dollars is None else f"{100 * dollars:+.2f}c"


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked, checked: `sql` reads the tape, `returns` and `sizes` finish."""

    weight: str = "contract"
    bands: list[float] = field(default_factory=lambda: edges(10))
    confidence: float = 0.95
    clustered: bool = True
    extra: tuple[str, ...] = ()  # cost, fee: known per row
    sizes: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        weighting(self.weight)
        ratio.level(self.confidence)

    def sql(self, source: str = "") -> str:
        """The reduction, over a SELECT that gives the tape, or over a table of that name."""
        cases = " ".join(f"WHEN size < {round(high * CENTI)} THEN {place}" for place, high in enumerate(self.sizes[1:]))
        keys = (["cluster"] if self.clustered else []) + list(self.extra)
        made = REDUCTION.format(keys="".join(f"{key}, " for key in keys))
        if self.sizes:
            made = (
                made.replace("SELECT ", f"SELECT CASE {cases} ELSE {len(self.sizes) - 1} END AS band, ", 1)
                + f", CASE {cases} ELSE {len(self.sizes) - 1} END"
            )
        return f"WITH tape AS ({source}) {made}" if source else made

    def returns(self, reduced: pl.DataFrame) -> Returns:
        """From the reduced rows to the result."""
        held, basis = self._held(reduced)
        sides = held.with_columns(banded("cost_micro", self.bands).alias("place")).drop_nulls("place")
        table = self._measured(sides, ["role", "side", "place"])
        low, high = (
            pl.col("place").replace_strict(dict(enumerate(ends)), return_dtype=pl.Float64)
            for ends in (self.bands[:-1], self.bands[1:])
        )
        table = table.with_columns(low_price=low, high_price=high).select(*KEYS, pl.exclude(*KEYS, "place"))
        both = self._measured(held, ["role"]).with_columns(side=pl.lit(None, pl.String))
        overall = pl.concat([both, self._measured(held, ["role", "side"]).select(both.columns)])
        overall = overall.select("role", "side", pl.exclude("role", "side")).sort(
            "role", "side", descending=[True, False], nulls_last=False
        )
        lines = [
            (role, *found)
            for role, _ in ROLES
            if (found := self._slope(held.filter(pl.col("role") == role))) is not None
        ]
        names = ("role", "intercept", "slope", "low", "high")
        slopes = pl.DataFrame(lines, schema={"role": pl.String} | dict.fromkeys(names[1:], pl.Float64), orient="row")
        return Returns(table=table, overall=overall, slopes=slopes, basis=basis)

    def size_effects(self, reduced: pl.DataFrame) -> SizeEffects:
        """From the reduced rows to the result."""
        held, basis = self._held(reduced)
        table = self._measured(held, ["role", "band"])
        shares = [
            (pl.col(name) / pl.col(name).sum().over("role")).alias(f"{name}_share") for name in ("n", "contracts")
        ]
        ends = dict(enumerate(pairwise([*self.sizes, float("inf")])))
        low, high = (
            pl.col("band").replace_strict({place: pair[end] for place, pair in ends.items()}, return_dtype=pl.Float64)
            for end in (0, 1)
        )
        table = table.with_columns(*shares, low_size=low, high_size=high).sort("role", "band", descending=[True, False])
        first = ("role", "low_size", "high_size", "n", "n_share", "contracts", "contracts_share")
        return SizeEffects(table=table.select(*first, pl.exclude(*first, "band")), basis=basis)

    def _held(self, reduced: pl.DataFrame) -> tuple[pl.DataFrame, Basis]:
        """Both sides of every trade that counts, with weights and weighted sums; and what the result rests on."""
        reason = (
            pl.when(pl.col("won").is_null()).then(pl.lit("without a yes or no result"))
            .when(pl.col("yes") == -1).then(pl.lit("block trades"))
            .when(pl.col("yes").is_null()).then(pl.lit("without the taker's side"))
            .when(pl.col("price").is_null() | pl.col("size").is_null()).then(pl.lit("without a price or count"))
            .when(~pl.col("price").is_between(1, MICRO - 1)).then(pl.lit("at a price of 0 or 1"))
        )  # fmt: skip
        marked = reduced.with_columns(reason=reason)
        left = marked.drop_nulls("reason").group_by("reason").agg(pl.col("n").sum()).sort("reason")
        good = marked.filter(pl.col("reason").is_null())
        good = ratio.numbered(good) if self.clustered else good.with_columns(cluster=pl.lit(None, pl.UInt32))
        held = pl.concat([self._of_role(good, role, taker) for role, taker in ROLES])
        unknown = int(good.filter(pl.col("taker_rate").is_null())["n"].sum()) if "fee" not in good.columns else 0
        excluded = dict(left.iter_rows()) | (
            {"from the net figures, their fees being unknown": unknown} if unknown else {}
        )
        clusters = good["cluster"].n_unique() if self.clustered and good.height else 0
        interval = (
            f"{self.confidence * 100:g}% clustered by event ({clusters:,} clusters)" if self.clustered else "none"
        )
        return held, Basis(int(good["n"].sum()), "trade", weighting(self.weight), "the settlement", interval, excluded)

    def _of_role(self, good: pl.DataFrame, role: str, taker: int) -> pl.DataFrame:
        bought, zero = pl.col("yes") == taker, pl.lit(0.0)  # whether this role holds YES
        held = good.select(
            pl.lit(role).alias("role"), pl.when(bought).then(pl.lit("yes")).otherwise(pl.lit("no")).alias("side"), "cluster",
            *(["band"] if self.sizes else []), "n", (pl.col("size") / CENTI).alias("contracts"),
            pl.when(bought).then("price").otherwise(MICRO - pl.col("price")).alias("cost_micro"),
            (pl.col("won") == bought.cast(pl.Int32)).cast(pl.Float64).alias("won"),
            (pl.col("cost") / MICRO if "cost" in good.columns else zero).alias("extra"),
            (pl.col("fee" if "fee" in good.columns else f"{role}_rate") / MICRO).alias("fee"),
        )  # fmt: skip
        price = pl.col("cost_micro") / MICRO
        weight = {
            "contract": pl.col("contracts"),
            "trade": pl.col("n").cast(pl.Float64),
            "dollar": pl.col("contracts") * price,
        }[self.weight]
        fee = pl.col("fee") if "fee" in good.columns else pl.col("fee") * price * (1 - price)
        return held.with_columns(price=price, weight=weight, fee=fee).with_columns(
            gross=pl.col("won") - pl.col("price") - pl.col("extra")
        ).with_columns(net=pl.col("gross") - pl.col("fee"))  # fmt: skip

    def _measured(self, held: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
        """The columns of every table: what the rows of each key earned."""
        paid = pl.col("price") + pl.col("extra")
        hit = (pl.col("gross") > HALF).cast(pl.Float64)
        plain = {"mean_price": pl.col("price"), "win_rate": pl.col("won"), "hit_rate": hit, "gross": pl.col("gross")}
        plain["return_gross"] = pl.col("gross") / paid
        ordered = held.sort(*keys, "cluster", "cost_micro", "won", "n", "contracts", nulls_last=True)
        found = ratio.means(_weighed(ordered, keys, plain), keys, list(plain), self.confidence)
        known = ordered.drop_nulls("net")
        charged = {"fee": pl.col("fee"), "net": pl.col("net"), "return_net": pl.col("net") / (paid + pl.col("fee"))}
        after = ratio.means(_weighed(known, keys, charged), keys, list(charged), self.confidence)
        found = found.join(
            after.select(*keys, *(f"{name}{end}" for name in charged for end in ("", "_low", "_high"))),
            on=keys,
            how="left",
            maintain_order="left",
        )
        found = ratio.certain(found, ("gross", "net"), self.confidence)
        contracts = ratio.sums(ordered, keys, "contracts")
        found = found.join(contracts, on=keys, how="left", maintain_order="left").sort(keys)
        if not self.clustered:
            found = found.with_columns(
                pl.lit(None, pl.Float64).alias(f"{name}_{end}") for name in MEASURES for end in ("low", "high")
            )
            found = found.with_columns(clusters=pl.lit(None, pl.UInt32))
        ends = (f"{name}{end}" for name in MEASURES for end in ("", "_low", "_high"))
        return found.select(
            *keys,
            "n",
            "contracts",
            "clusters",
            "mean_price",
            "win_rate",
            "hit_rate",
            *ends,
            "fee",
            "return_gross",
            "return_net",
        )

    def _slope(self, held: pl.DataFrame) -> tuple[float, float, float, float] | None:
        if not self.clustered:
            return None
        w, x, y = pl.col("weight"), pl.col("price"), pl.col("gross")
        ordered = held.sort("cluster", "cost_micro", "won", "n", "contracts", nulls_last=True)
        return ratio.slope(
            ordered.select("cluster", w=w, wx=w * x, wxx=w * x * x, wy=w * y, wxy=w * x * y, v=w, vx=w * x),
            self.confidence,
        )


def _weighed(rows: pl.DataFrame, keys: list[str], columns: dict[str, pl.Expr]) -> pl.DataFrame:
    sums = ((pl.col("weight") * each).alias(name) for name, each in columns.items())
    return rows.select(*keys, "cluster", "n", "weight", *sums)


def prepared(
    trades: Any,
    *,
    outcome: str,
    cluster: str | None,
    price: str,
    side: str,
    count: str | None,
    fees: tuple[str, Any] | FeeSchedule | None,
    cost: str | None = None,
    fee: str | None = None,
) -> pl.DataFrame:
    """The tape of a user's frame."""
    rows = framed(
        trades,
        {
            "price": price,
            "side": side,
            "outcome": outcome,
            "count": count,
            "cluster": cluster,
            "cost": cost,
            "fee": fee,
        },
    )
    made = {
        "price": whole(rows["price"], MICRO, what="price in [0, 1]", name=price, highest=1).cast(pl.Int32),
        "yes": flags(rows["side"], what="side", name=side),
        "won": flags(rows["outcome"], what="outcome", name=outcome),
    }
    made["size"] = (
        whole(rows["count"], CENTI, what="count of contracts", name=count, highest=LARGEST)
        if count
        else pl.repeat(CENTI, rows.height, dtype=pl.Int64, eager=True)
    )
    if cluster:
        made["cluster"] = texts(rows["cluster"], name=cluster)
    for role, name in (("cost", cost), ("fee", fee)):
        if name:
            made[role] = whole(rows[role], MICRO, what="sum of dollars", name=name, highest=LARGEST)
    return pl.DataFrame(made).with_columns(**rates(fees))


def returns(
    trades: Any,
    *,
    outcome: str = "result",
    cluster: str | None = "event_ticker",
    price: str = TRADED["price"],
    side: str = TRADED["side"],
    count: str | None = TRADED["count"],
    fees: tuple[str, Any] | FeeSchedule | None = ("quadratic", 1),
    cost: str | None = None,
    fee: str | None = None,
    weight: Weight = "contract",
    bins: int | Sequence[float | Decimal] = 10,
    confidence: float = 0.95,
    engine: Engine | None = None,
) -> Returns:
    """What the makers and takers of trades with known results earned, by price, side and role, gross and net of fees.

    A row of `trades` is a trade: `price` of YES in dollars, `side` that the taker bought and `outcome` as yes/no, True/False or 1/0,
    `count` in contracts (None: 1 each), `cluster` the event whose trades share their fate (None: no intervals). `fees` are the terms, by
    default the exchange's common ones, unrounded; or `fee` names a column of dollars a contract, which both sides pay. `cost` names a
    column of dollars a contract paid above the price, such as half a spread. `weight`: each "contract", "trade" or "dollar" paid counts
    once. `bins` is a number of bands of the price paid, or their edges.

    The result's table: role, side String; low_price, high_price Float64 dollars (the lower edge included); n Int64; contracts Float64;
    clusters; mean_price; win_rate; hit_rate (a gross gain above 0); gross, net (dollars a contract), fee, and the intervals gross_low,
    gross_high, net_low, net_high (`ratio.means`, `ratio.certain`); return_gross, return_net (shares of what was paid). Left out and
    counted: trades without result, side, price or count, at 0 or 1 dollar. Raises UsageError for a missing column and for values that
    are no price, side, outcome or count.
    """
    extra = tuple(name for name, given in (("cost", cost), ("fee", fee)) if given)
    question = Question(weight, edges(bins), confidence, cluster is not None, extra)
    ready = prepared(
        trades, outcome=outcome, cluster=cluster, price=price, side=side, count=count, fees=fees, cost=cost, fee=fee
    )
    return question.returns((engine or default_engine()).run(question.sql(), tape=ready))


def size_effects(
    trades: Any,
    *,
    sizes: Iterable[float] = SIZES,
    outcome: str = "result",
    cluster: str | None = "event_ticker",
    price: str = TRADED["price"],
    side: str = TRADED["side"],
    count: str = TRADED["count"],
    fees: tuple[str, Any] | FeeSchedule | None = ("quadratic", 1),
    weight: Weight = "contract",
    confidence: float = 0.95,
    engine: Engine | None = None,
) -> SizeEffects:
    """What makers and takers earned by the size of the trade; see `returns` for the arguments and the figures.

    `sizes` are the lower edges of the bands in contracts, from 0. The table: role, low_size, high_size (contracts; infinite in the last
    band), n, n_share, contracts, contracts_share, then as in `returns`.
    """
    question = Question(weight, confidence=confidence, clustered=cluster is not None, sizes=checked_sizes(sizes))
    ready = prepared(trades, outcome=outcome, cluster=cluster, price=price, side=side, count=count, fees=fees)
    return question.size_effects((engine or default_engine()).run(question.sql(), tape=ready))


def checked_sizes(sizes: Iterable[float]) -> tuple[float, ...]:
    """The lower edges of bands of contracts."""
    return tuple(edges([*sizes, LARGEST], top=LARGEST)[:-1])
