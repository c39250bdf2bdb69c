"""What the agent said, kept for ever, and judged by the exchange's results."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from kalshi_lab import frames
from kalshi_lab.models import quote
from kalshi_lab.research.agent.engine import kept
from kalshi_lab.research.thesis import scoring
from kalshi_lab.store import writes

if TYPE_CHECKING:
    from decimal import Decimal

    from kalshi_lab.research.agent.report import Report
    from kalshi_lab.store import Store

ROW: Final[dict[str, Any]] = {
    "id": pl.String, "ticker": pl.String, "event_ticker": pl.String, "time": frames.TIME, "probability": frames.PRICE,
    "confidence": pl.String, "yes_bid": frames.PRICE, "yes_ask": frames.PRICE, "method": pl.String, "mode": pl.String,
    "verified": pl.Boolean, "cost": frames.MONEY, "report": pl.String,
}  # fmt: skip
ALL: Final = """
SELECT p.* EXCLUDE (report), r.result, r.settlement_value FROM predictions AS p LEFT JOIN results AS r USING (ticker) ORDER BY p.time, p.id
"""
SCORED: Final[dict[str, Any]] = {
    **{name: kind for name, kind in ROW.items() if name != "report"}, "result": pl.String, "outcome": pl.Float64, "brier": pl.Float64,
    "market_brier": pl.Float64, "log_score": pl.Float64,
}  # fmt: skip


async def keep(store: Store, report: Report) -> None:
    """Keep a report as a prediction."""
    frame = pl.DataFrame([kept(report)], schema=ROW)
    await store.write(lambda connection: writes.insert(connection, "predictions", frame))


async def scored(store: Store) -> pl.DataFrame:
    """Every prediction with its scores, exact until the last step."""
    rows = [_scored(row) for row in (await store.read(ALL)).to_dicts()]
    return frames.floats(pl.DataFrame(rows, schema=SCORED))


def _scored(row: dict[str, Any]) -> dict[str, Any]:
    paid = scoring.outcome(row["result"] or None, row["settlement_value"])
    mid = quote.mid(row["yes_bid"], row["yes_ask"])
    plain = {name: row[name] for name in SCORED if name in row}
    own = row["probability"]
    return plain | {
        "result": row["result"] or None, "outcome": None if paid is None else float(paid),
        "brier": _float(None if own is None else scoring.brier(own, paid)), "market_brier": _float(scoring.brier(mid, paid)),
        "log_score": _log(own, paid),
    }  # fmt: skip


def _float(value: Decimal | None) -> float | None:
    return None if value is None else float(value)


def _log(own: Decimal | None, paid: Decimal | None) -> float | None:
    """The logarithm of the probability that was given to what happened; None without an outcome of yes or no."""
    if own is None or paid is None or paid not in {0, 1}:
        return None
    given = float(own if paid == 1 else 1 - own)
    return math.log(given) if given > 0 else -math.inf
