"""Scanners: which markets of a listing are close, busy, wide, about to end or new, why each is in, and why the others are not.

One predicate says what a real quote is (`models.quote`), and one gate what can be traded; everything else is a threshold that the
result names. Prices are compared as whole millionths of a dollar, so that a spread of 5 cents is 5 cents.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypedDict, Unpack, cast, get_args

import polars as pl

from kalshi_lab.analysis.base import Basis, Result
from kalshi_lab.analysis.category import category as category_named
from kalshi_lab.analysis.category import guessed_category
from kalshi_lab.analysis.given import given
from kalshi_lab.analysis.slippage import safe_size
from kalshi_lab.clock import span
from kalshi_lab.errors import UsageError, one_of, unknown
from kalshi_lab.models import quote
from kalshi_lab.models.market import is_combo
from kalshi_lab.money import MICRO

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kalshi_lab.book import OrderBook
    from kalshi_lab.models import ExchangeStatus, Market, Orderbook

Dollars = float | Decimal
Kind = Literal["close_race", "high_volume", "wide_spread", "expiring", "new"]
KINDS: tuple[str, ...] = get_args(Kind)
NEEDED = ("ticker", "status", "yes_bid", "yes_ask", "volume_24h", "close_time")
SHOWN = (
    "ticker", "event_ticker", "category", "title", "yes_sub_title", "bid", "ask", "mid", "spread", "volume_24h", "open_interest",
    "depth", "created_time", "open_time", "ends", "score", "reason",
)  # fmt: skip
TIMES = ("created_time", "open_time", "close_time", "expected_expiration_time")
# A profile is what a market must have besides: contracts traded in 24 hours, the widest spread in dollars, contracts at its two best
# quotes together, how young it must be; and, where its book is known, contracts that either side can buy before a price slips.
PROFILES: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "raw": {},
        "tradeable": {"min_volume": 1000, "max_spread": 0.10},
        "liquid": {"min_volume": 5000, "max_spread": 0.05, "min_size": 60, "deep": 60},
        "early": {"min_volume": 100, "max_spread": 0.05, "min_size": 40, "max_age": "72h", "deep": 40},
    }
)
LIMITS = ("min_volume", "max_spread", "min_size", "max_age", "min_depth", "slippage")
SLIPPAGE = Decimal("0.02")  # dollars above the best price that still count as depth


class Filters(TypedDict, total=False):
    """What a scan can be asked besides its kind: what each kind looks for, then what any market must have; see `scan`."""

    low: Dollars | None
    high: Dollars | None
    volume: float | None
    spread: Dollars | None
    within: timedelta | str | None
    unpriced: bool | None
    min_volume: float | None
    max_spread: Dollars | None
    min_size: float | None
    max_age: timedelta | str | None
    min_depth: float | None
    slippage: Dollars | None


# what each kind looks for, unless it is told otherwise
DEFAULTS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "close_race": {"low": 0.40, "high": 0.60},
        "high_volume": {"volume": 10_000},
        "wide_spread": {"spread": 0.05},
        "expiring": {"within": "24h"},
        "new": {"within": "24h", "unpriced": False},
    }
)


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Scan(Result):
    """Markets that a scan found, best first, with the reason each is in; `basis.excluded` counts the others by theirs."""

    kind: str
    asked: Mapping[str, Any] = field(default_factory=dict)
    trading: bool | None = None
    without_depth: int = 0
    chart: ClassVar[str] = "scan"

    @property
    def conclusion(self) -> str:
        """What was found, in words."""
        halted = "the exchange is not trading now; " if self.trading is False else ""
        if self.table.is_empty():
            return f"{halted}no market fits"
        first = self.table.row(0, named=True)
        unknown_depth = f"; the depth of {self.without_depth:,} is not known" if self.without_depth else ""
        return f"{halted}{self.table.height:,} found, first {first['ticker']}: {first['reason']}{unknown_depth}"


def scan(
    markets: pl.DataFrame,
    kind: Kind,
    *,
    now: datetime,
    profile: str = "raw",
    category: str | None = None,
    top: int | None = None,
    combos: bool = False,
    trading: bool | None = None,
    books: Mapping[str, OrderBook | Orderbook] | None = None,
    **filters: Unpack[Filters],
) -> Scan:
    """The markets of a listing that are of a kind, best first.

    `markets` has the columns of `lab.markets()`: ticker, status, yes_bid, yes_ask, volume_24h and close_time are needed, others used
    where they are there; a column `category` is believed, else the category is guessed from the ticker. Kinds and what they take:

    - "close_race": mid price between `low` and `high` (0.40, 0.60 dollars); score 1 - 2 |mid - 0.5|.
    - "high_volume": `volume` contracts (10,000) or more in 24 hours; score min(log10(volume_24h + 1) / 6, 1).
    - "wide_spread": `spread` dollars (0.05) or wider; score min(spread / 0.20, 1).
    - "expiring": ends `within` (24h), by its close or its expected expiration, whichever is first; score 1 - hours left / hours asked.
    - "new": created, or where that is not known opened, `within` the last (24h); without a real quote only with `unpriced=True`.

    `profile` is raw, tradeable, liquid or early; `min_volume` (contracts in 24 hours), `max_spread` (dollars), `min_size` (contracts at
    the best bid and ask together), `max_age` (since creation) and `min_depth` win over it. Depth is how many contracts can be bought, of
    YES or of NO, whichever are fewer, within `slippage` dollars (0.02) of the best price, in the `books` that are given by ticker; without
    a market's book it is not known: `min_depth` leaves such a market out, a profile lets it stand, and the result says how many there are.
    Combos are left out unless asked for. Only markets that are active and not past their close count, and, but for new ones, only real
    quotes. `trading` is whether the exchange trades now, where that is known.

    Table: ticker, event_ticker, category, title, yes_sub_title String; bid, ask, mid, spread Float64 dollars; volume_24h, open_interest,
    depth Float64 contracts (depth null where not known); created_time, open_time, ends Datetime(us, UTC); score Float64 of 0 to 1;
    reason String. Raises UsageError for a missing column, prices outside [0, 1], and words and options that do not exist.
    """
    kind, asked = _asked(kind, profile, {name: value for name, value in filters.items() if value is not None})
    if top is not None and top < 0:
        raise UsageError(f"top={top} makes no sense", hint="Give 0 or more, or None for all")
    rows = _ready(markets, now).with_columns(_depth(markets, books or {}, asked))
    wanted = _category(category)
    verdicts = [*_gate(now, kind, asked), *_limits(asked, now), *_fits(kind, asked, now)]
    if wanted is not None:
        verdicts.insert(0, (pl.col("category") == wanted, f"not in {wanted}"))
    if not combos:
        verdicts.insert(0, (~pl.col("combo"), "combos"))
    kept, excluded = _sieved(rows, verdicts)
    found = kept.with_columns(_score(kind, asked, now).alias("score"), _reason(kind, now).alias("reason"))
    order = "ends" if kind == "expiring" else "created_time" if kind == "new" else "score"
    found = found.sort(order, "ticker", descending=[order != "ends", False], nulls_last=True)
    if top is not None and found.height > top:
        excluded["beyond the first " + str(top)] = found.height - top
        found = found.head(top)
    basis = Basis(
        n=rows.height,
        unit="market",
        weighting="each market counts once",
        horizon=f"as of {now:%Y-%m-%d %H:%M} UTC",
        excluded=excluded,
    )
    shallow = found["depth"].null_count() if {"deep", "min_depth"} & set(asked) else 0
    return Scan(
        table=found.select(SHOWN), basis=basis, kind=kind, asked=MappingProxyType(asked), trading=trading, without_depth=shallow
    )  # fmt: skip


def why_not_tradeable(market: Market, *, now: datetime, status: ExchangeStatus | None = None) -> str:
    """Why a market cannot be traded now, in words; empty where it can.

    It must be active and not past its close, and where the exchange's status is given that must say plainly that it is up and trading:
    a status that does not say so counts as no.
    """
    if market.status != "active":
        return f"{market.ticker} is {market.status or 'of unknown status'}"
    if market.close_time is not None and now >= market.close_time:
        return f"{market.ticker} closed at {market.close_time:%Y-%m-%d %H:%M} UTC"
    if status is not None and (status.exchange_active is not True or status.trading_active is not True):
        return f"the exchange is not known to be trading: {status!r}"
    return ""


def _asked(kind: str, profile: str, options: Mapping[str, Any]) -> tuple[Kind, dict[str, Any]]:
    kind = cast("Kind", one_of("kind of scan", kind, KINDS))
    given = PROFILES[one_of("profile", profile, PROFILES)]
    allowed = (*DEFAULTS[kind], *LIMITS)
    for name in options:
        if name not in allowed:
            raise unknown(f"option of a {kind} scan", name, allowed)
    asked = {**DEFAULTS[kind], **given, **options}
    if asked.get("min_depth") is not None:
        asked.pop("deep", None)  # one's own limit wins over the profile's
    for name in ("within", "max_age"):
        if asked.get(name) is not None:
            asked[name] = span(asked[name], what=name)
    return kind, asked


def _depth(markets: pl.DataFrame, books: Mapping[str, OrderBook | Orderbook], asked: Mapping[str, Any]) -> pl.Series:
    """Contracts that can be bought within the slippage asked for, of the side with fewer; null without a book."""
    bound = asked.get("slippage", SLIPPAGE)

    def of(ticker: str) -> float | None:
        if ticker not in books or getattr(books[ticker], "stale", False):
            return None
        return float(
            min(safe_size(books[ticker], side=side, average=None, marginal=bound).contracts for side in ("yes", "no"))
        )

    return pl.Series("depth", [of(ticker) for ticker in markets["ticker"]], dtype=pl.Float64)


def _category(name: str | None) -> str | None:
    return None if name is None else category_named(name)


def _ready(markets: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """The columns that a scan uses, prices also as millionths."""
    if now.tzinfo is None:
        raise UsageError("now has no time zone", hint="Give a datetime in UTC")
    markets = given(markets, *NEEDED)
    texts = ("event_ticker", "title", "yes_sub_title", "category", "mve_collection_ticker")
    counts = ("open_interest", "yes_bid_size", "yes_ask_size")
    absent = [pl.lit(None, pl.String).alias(name) for name in texts if name not in markets.columns]
    absent += [pl.lit(None, pl.Float64).alias(name) for name in counts if name not in markets.columns]
    absent += [pl.lit(None, pl.Datetime("us", "UTC")).alias(name) for name in TIMES if name not in markets.columns]
    rows = markets.with_columns(absent).with_columns(
        micro(pl.col("yes_bid")).alias("bid_micro"), micro(pl.col("yes_ask")).alias("ask_micro"),
        pl.col("volume_24h", *counts).cast(pl.Float64), quote.priced().alias("priced"),
        category=pl.coalesce("category", pl.col("ticker").map_elements(guessed_category, pl.String)),
        combo=pl.struct("ticker", "mve_collection_ticker").map_elements(lambda row: is_combo(*row.values()), pl.Boolean),
    )  # fmt: skip
    wrong = rows.filter(~pl.col("bid_micro").is_between(0, MICRO) | ~pl.col("ask_micro").is_between(0, MICRO)).height
    if wrong:
        raise UsageError(
            f"columns 'yes_bid' and 'yes_ask': {wrong:,} rows hold no price in [0, 1]", hint="A price is dollars"
        )
    return rows.with_columns(
        bid=dollars(pl.col("bid_micro")), ask=dollars(pl.col("ask_micro")),
        mid=pl.when("priced").then(dollars(pl.col("bid_micro") + pl.col("ask_micro"), 2 * MICRO)),
        spread_micro=pl.when("priced").then(pl.col("ask_micro") - pl.col("bid_micro")),
        spread=pl.when("priced").then(dollars(pl.col("ask_micro") - pl.col("bid_micro"))),
        born=pl.coalesce("created_time", "open_time"),
        ends=pl.min_horizontal("close_time", "expected_expiration_time"),
    )  # fmt: skip


def micro(price: pl.Expr) -> pl.Expr:
    """Dollars as whole millionths; null where it is not a number."""
    return (price.cast(pl.Float64) * MICRO).round().cast(pl.Int64, strict=False)


def dollars(millionths: pl.Expr, each: int = MICRO) -> pl.Expr:
    """Whole millionths as the dollars nearest to them: Polars divides by multiplying, which may miss by a bit."""
    return (millionths / each).round(7)


def _whole(price: float | Decimal) -> int:
    return round(float(price) * MICRO)


Verdict = tuple[pl.Expr, str]


def _gate(now: datetime, kind: str, asked: Mapping[str, Any]) -> list[Verdict]:
    """What must hold of any market, the first that fails being the reason why it is out."""
    gate = [
        (pl.col("status") == "active", "not active"),
        (pl.col("close_time").is_null() | (pl.col("close_time") > now), "past their close"),
    ]
    if kind != "new" or not asked["unpriced"]:
        gate.append((pl.col("priced"), "without a real quote"))
    return gate


def _limits(asked: Mapping[str, Any], now: datetime) -> list[Verdict]:
    limits: list[Verdict] = []
    if asked.get("min_volume") is not None:
        enough = pl.col("volume_24h") >= float(asked["min_volume"])
        limits.append((enough, f"traded fewer than {asked['min_volume']:,} contracts in 24 hours"))
    if asked.get("max_spread") is not None:
        narrow = pl.col("spread_micro") <= _whole(asked["max_spread"])
        limits.append((narrow, f"with a spread over {asked['max_spread']:.4g} dollars"))
    if asked.get("min_size") is not None:
        deep = pl.col("yes_bid_size") + pl.col("yes_ask_size") >= float(asked["min_size"])
        limits.append((deep, f"with fewer than {asked['min_size']:,} contracts at the best quotes"))
    within = f"contracts within {asked.get('slippage', SLIPPAGE):.4g} dollars of the best price"
    if asked.get("min_depth") is not None:
        limits.append((pl.col("depth").is_not_null(), "without a known book"))
        limits.append(
            (pl.col("depth") >= float(asked["min_depth"]), f"with fewer than {asked['min_depth']:,} {within}")
        )
    if asked.get("deep") is not None:
        limits.append(
            (
                (pl.col("depth") >= float(asked["deep"])).fill_null(value=True),
                f"with fewer than {asked['deep']:,} {within}",
            )
        )
    if asked.get("max_age") is not None:
        limits.append((pl.col("born") >= now - asked["max_age"], "older than asked"))
    return limits


def _fits(kind: str, asked: Mapping[str, Any], now: datetime) -> list[Verdict]:
    """What makes a market one of this kind."""
    twice = pl.col("bid_micro") + pl.col("ask_micro")
    if kind == "close_race":
        low, high = _whole(asked["low"]), _whole(asked["high"])
        return [
            (twice.is_between(2 * low, 2 * high), f"priced outside {asked['low']:.4g} to {asked['high']:.4g} dollars")
        ]
    if kind == "high_volume":
        return [(pl.col("volume_24h") >= float(asked["volume"]), f"below {asked['volume']:,} contracts in 24 hours")]
    if kind == "wide_spread":
        return [(pl.col("spread_micro") >= _whole(asked["spread"]), f"tighter than {asked['spread']:.4g} dollars")]
    if kind == "expiring":
        return [
            (pl.col("ends").is_not_null(), "without an end"),
            (pl.col("ends") <= now + asked["within"], f"ending later than in {_words(asked['within'])}"),
        ]
    return [
        (pl.col("born").is_not_null(), "without a time of creation"),
        (pl.col("born") >= now - asked["within"], f"created more than {_words(asked['within'])} ago"),
    ]


def _sieved(rows: pl.DataFrame, verdicts: list[Verdict]) -> tuple[pl.DataFrame, dict[str, int]]:
    """The rows of which all holds, and how many fell at each hurdle; what is not known does not hold."""
    excluded: dict[str, int] = {}
    for holds, otherwise in verdicts:
        kept = rows.filter(holds.fill_null(value=False))
        if kept.height < rows.height:
            excluded[otherwise] = rows.height - kept.height
        rows = kept
    return rows, excluded


def _score(kind: str, asked: Mapping[str, Any], now: datetime) -> pl.Expr:
    hours = (pl.col("ends") - now).dt.total_microseconds() / 3.6e9
    scores = {
        "close_race": 1 - (pl.col("bid_micro") + pl.col("ask_micro") - MICRO).abs() / MICRO,
        "high_volume": pl.min_horizontal((pl.col("volume_24h") + 1).log10() / 6, pl.lit(1.0)),
        "wide_spread": pl.min_horizontal(pl.col("spread_micro") / (0.20 * MICRO), pl.lit(1.0)),
    }
    if kind in scores:
        return scores[kind]
    if kind == "expiring":
        return (1 - hours / pl.lit(asked["within"] / timedelta(hours=1))).clip(0, 1)
    age = (now - pl.col("born")).dt.total_microseconds() / 3.6e9
    return (1 - age / pl.lit(asked["within"] / timedelta(hours=1))).clip(0, 1)


def _reason(kind: str, now: datetime) -> pl.Expr:
    """Why a market is in, in words."""
    hours = pl.concat_str(((pl.col("ends") - now).dt.total_minutes() / 60).round(1).cast(pl.String), pl.lit(" h left"))
    cents = (pl.col("mid") * 100).round(2).cast(pl.String)
    words = {
        "close_race": pl.format("mid {}c is close to even", cents),
        "high_volume": pl.format("{} contracts in 24 hours", pl.col("volume_24h").round(2).cast(pl.String)),
        "wide_spread": pl.format(
            "spread {}c, {}c to its middle", (pl.col("spread") * 100).round(2), (pl.col("spread") * 50).round(2)
        ),
        "expiring": hours,
    }
    if kind in words:
        return words[kind]
    age = ((now - pl.col("born")).dt.total_minutes() / 60).round(1).cast(pl.String)
    empty = (pl.col("bid_micro") == 0) & (pl.col("ask_micro").is_in([0, MICRO]))
    no_quotes = pl.when(empty.fill_null(value=True)).then(pl.lit("no quotes yet")).otherwise(pl.lit("one side quoted"))
    label = pl.when("priced").then(pl.format("at {}c", cents)).otherwise(no_quotes)
    return pl.format("{} h old, {}", age, label)


def _words(length: timedelta) -> str:
    hours = length / timedelta(hours=1)
    return f"{hours:g} h"
