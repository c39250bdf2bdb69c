"""What a taker's order does to the price, fitted from trades; and where they do not tell, the result says so.

The model is that of L. Glosten and L. Harris, "Estimating the Components of the Bid/Ask Spread" (1988), with size under a square root
(B. Torre, "BARRA Market Impact Model Handbook", 1997): the price of taker order t with sign Q (+1 bought YES, -1 sold) and V contracts is
P = m + c Q, and the value m moves by b Q sqrt(V) for good, so that from one order to the next

    P(t) - P(t-1) = c (Q(t) - Q(t-1)) + b Q(t) sqrt(V(t)) + noise,

fitted by least squares, c the half spread in dollars, b the impact in dollars per square root of a contract. Variances are Newey and
West's (1987) within each market, added over markets.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import polars as pl

from kalshi_lab.analysis.base import Basis, Result
from kalshi_lab.analysis.engine import default_engine
from kalshi_lab.analysis.given import framed, given
from kalshi_lab.analysis.science import science
from kalshi_lab.analysis.tape import flags, instants, texts, whole
from kalshi_lab.errors import UsageError
from kalshi_lab.money import CENTI, MICRO

if TYPE_CHECKING:
    from decimal import Decimal

    from kalshi_lab.analysis.engine import Engine

# Reads `tape`: ticker, time in microseconds, price of YES in millionths, size in hundredths of a contract, yes 1 or 0 (null: unknown),
# block 1 or 0. Trades of one market, instant and side are one taker's order that met several makers; its price is the last it paid.
REDUCTION = """
SELECT ticker, time, yes, COUNT(*) AS trades, SUM(size) AS size, CASE WHEN yes = 1 THEN MAX(price) ELSE MIN(price) END AS price
FROM tape WHERE yes IS NOT NULL AND block = 0 AND size > 0
GROUP BY ticker, time, yes
"""
FEWEST, BINS = 50, 8
POWERS = tuple(place / 20 for place in range(1, 31))
SCHEMA = pl.Schema(
    {"contracts": pl.Float64(), "orders": pl.Int64(), "moved": pl.Float64(), "moved_low": pl.Float64(), "moved_high": pl.Float64(),
     "impact": pl.Float64(), "low": pl.Float64(), "high": pl.Float64()}
)  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Impact(Result):
    """The square-root law of price impact: a row for each eighth of the orders by size.

    Columns: contracts (their mean), orders Int64; moved, moved_low, moved_high: the value's mean move in the taker's direction, measured;
    impact, low, high: the fitted b sqrt(contracts) and its interval, all in dollars. `coefficient` is b, `half_spread` c, each with its
    interval (None with fewer than 50 orders); `power` the interval of the exponent that fits best in place of one half, None where there is
    no impact to tell it from.
    """

    chart: ClassVar[str] = "impact"
    coefficient: float | None
    coefficient_interval: tuple[float, float] | None
    half_spread: float | None
    half_spread_interval: tuple[float, float] | None
    power: tuple[float, float] | None

    @property
    def supported(self) -> bool:
        """Whether the interval of the coefficient lies above zero, so that the data show an impact that grows with size."""
        return self.coefficient_interval is not None and self.coefficient_interval[0] > 0

    def expected(self, contracts: float | Decimal) -> float | None:
        """Half spread and impact of an order, dollars a contract; None where the data do not support the law."""
        if not self.supported or self.coefficient is None or self.half_spread is None:
            return None
        return self.half_spread + self.coefficient * math.sqrt(float(contracts))

    @property
    def conclusion(self) -> str:
        """The law in words, or that there is none to see."""
        if self.coefficient is None or self.coefficient_interval is None:
            return f"too few orders to fit an impact ({FEWEST} are needed)"
        low, high = (100 * each for each in self.coefficient_interval)
        fitted = f"{100 * self.coefficient:.3g} cents x sqrt(contracts), {low:.3g} to {high:.3g}"
        if not self.supported:
            return f"the data do not support an impact that grows with size: {fitted}"
        if self.power is None or self.power[0] <= 0.5 <= self.power[1]:  # noqa: PLR2004 - a square root
            return f"the price moves by {fitted}"
        return f"the price moves with size, but not as a square root: power {self.power[0]:g} to {self.power[1]:g}"


def impact(
    trades: pl.DataFrame,
    *,
    ticker: str = "ticker",
    time: str = "created_time",
    price: str = "yes_price",
    count: str = "count",
    side: str = "taker_outcome_side",
    block: str | None = "is_block_trade",
    confidence: float = 0.95,
    engine: Engine | None = None,
) -> Impact:
    """Fit the half spread and the square-root impact of takers' orders from trades of one or more markets.

    Columns: `ticker`; `time`, Datetime with a zone; `price` of YES in dollars; `count` contracts; `side` yes or no, what the taker bought;
    `block` flags of block trades (None: there are none). Trades of a market at one instant and side are one order. Trades without a side,
    without a count, and block trades are left out and counted. Raises UsageError for missing columns, prices outside [0, 1] and nulls.
    """
    if not 0 < confidence < 1:
        raise UsageError(f"confidence {confidence!r} is no share between 0 and 1", hint="Write 0.95 for 95%")
    trades = given(trades)
    known = block if block is None or block in trades.columns else None
    rows = framed(trades, {"ticker": ticker, "time": time, "price": price, "size": count, "yes": side, "block": known})
    tape = pl.DataFrame(
        {
            "ticker": texts(rows["ticker"], name=ticker), "time": instants(rows["time"], name=time),
            "price": whole(rows["price"], MICRO, what="price in [0, 1]", name=price, highest=1),
            "size": whole(rows["size"], CENTI, what="count of contracts", name=count, highest=1e12),
            "yes": flags(rows["yes"], what="side", name=side),
            "block": flags(rows["block"], what="flag", name=str(block)).fill_null(0) if known else pl.repeat(0, rows.height, eager=True),
        }
    )  # fmt: skip
    if nulls := tape["price"].null_count():
        raise UsageError(f"column {price!r}: {nulls:,} rows hold null", hint="Leave them out")
    out = pl.col("size").fill_null(0) <= 0
    excluded = tape.select(
        pl.col("yes").is_null().sum().alias("trades without a side"), (pl.col("block") != 0).sum().alias("block trades"),
        out.sum().alias("trades without a count"),
    ).row(0, named=True)  # fmt: skip
    orders = (engine or default_engine()).run(REDUCTION, tape=tape)
    return _fitted(orders.sort("ticker", "time", "yes"), confidence, excluded)


def _fitted(orders: pl.DataFrame, confidence: float, excluded: dict[str, int]) -> Impact:
    np, same = science("numpy"), pl.col("ticker") == pl.col("ticker").shift(1)
    sign = (2 * pl.col("yes") - 1).cast(pl.Float64)
    steps = orders.with_columns(
        sign=sign, size=pl.col("size").cast(pl.Float64) / CENTI, price=pl.col("price").cast(pl.Float64) / MICRO
    ).with_columns(
        moved=pl.when(same).then(pl.col("price").diff()), turned=pl.when(same).then(pl.col("sign").diff()),
    ).drop_nulls("moved")  # fmt: skip
    basis = Basis(
        steps.height, "order", "each order after a market's first counts once", "the next order in the market",
        f"{confidence * 100:g}% by Newey and West within {orders['ticker'].n_unique():,} market(s)", MappingProxyType(excluded),
    )  # fmt: skip
    y, turned, sign_, size = (steps[name].to_numpy() for name in ("moved", "turned", "sign", "size"))
    x = np.column_stack([turned, sign_ * np.sqrt(size)])
    if steps.height < FEWEST or np.linalg.matrix_rank(x) < 2:  # noqa: PLR2004 - two unknowns
        nothing: dict[str, Any] = dict.fromkeys(
            ("coefficient", "coefficient_interval", "half_spread", "half_spread_interval", "power")
        )
        return Impact(table=pl.DataFrame(schema=SCHEMA), basis=basis, **nothing)
    (c, b), wide = _least_squares(x, y, steps["ticker"].to_list())
    reach = float(science("scipy.stats").norm.ppf(0.5 + confidence / 2))
    interval = (b - reach * wide[1], b + reach * wide[1])
    table = _binned(size, sign_ * (y - c * turned), reach, b, interval)
    power = _power(turned, sign_, size, y, confidence) if interval[0] > 0 else None
    return Impact(
        table=table, basis=basis, coefficient=b, coefficient_interval=interval, half_spread=c,
        half_spread_interval=(c - reach * wide[0], c + reach * wide[0]), power=power,
    )  # fmt: skip


def _least_squares(x: Any, y: Any, markets: list[str]) -> tuple[tuple[float, float], list[float]]:
    """The two coefficients and their standard errors."""
    np = science("numpy")
    inverse = np.linalg.inv(x.T @ x)
    fit = inverse @ x.T @ y
    moments = x * (y - x @ fit)[:, None]
    lags = int(4 * (len(y) / 100) ** (2 / 9))
    meat = moments.T @ moments
    names = np.array(markets)
    for lag in range(1, min(lags, len(y) - 1) + 1):
        together = (names[lag:] == names[:-lag])[:, None]
        cross = (moments[lag:] * together).T @ moments[:-lag]
        meat += (1 - lag / (lags + 1)) * (cross + cross.T)
    variance = np.diag(inverse @ meat @ inverse) * len(y) / (len(y) - 2)
    return (float(fit[0]), float(fit[1])), [math.sqrt(max(float(each), 0.0)) for each in variance]


def _binned(size: Any, moved: Any, reach: float, b: float, interval: tuple[float, float]) -> pl.DataFrame:
    np, rows = science("numpy"), []
    for part in np.array_split(np.argsort(size, kind="stable"), BINS):
        contracts, root = float(size[part].mean()), float(np.sqrt(size[part]).mean())
        mean, wide = float(moved[part].mean()), reach * float(moved[part].std(ddof=1)) / math.sqrt(len(part))
        rows.append(
            (contracts, len(part), mean, mean - wide, mean + wide, b * root, interval[0] * root, interval[1] * root)
        )
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _power(turned: Any, sign: Any, size: Any, y: Any, confidence: float) -> tuple[float, float]:
    """The exponents from 0.05 to 1.5 that the likelihood ratio does not reject in place of one half."""
    np, left = science("numpy"), []
    for power in POWERS:
        x = np.column_stack([turned, sign * size**power])
        fit = np.linalg.lstsq(x, y, rcond=None)[0]
        left.append(float(((y - x @ fit) ** 2).sum()))
    bound = float(science("scipy.stats").chi2.ppf(confidence, 1))
    kept = (
        [power for power, each in zip(POWERS, left, strict=True) if len(y) * math.log(each / min(left)) <= bound]
        if min(left) > 0
        else [0.5]
    )
    return kept[0], kept[-1]
