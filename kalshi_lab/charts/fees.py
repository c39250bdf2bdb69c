"""Pictures of what trading costs."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from kalshi_lab.charts.house import BLUE, INK, ORANGE, Picture, canvas, legend, need
from kalshi_lab.fees import OrderFees

if TYPE_CHECKING:
    from kalshi_lab.fees import FeeSchedule
    from kalshi_lab.models import Event, Series

CENTS = tuple(Decimal(place) / 100 for place in range(1, 100))
ROLES: tuple[tuple[Literal["taker", "maker"], str], ...] = (("taker", BLUE), ("maker", ORANGE))


def fees(
    schedule: Series | Event | FeeSchedule | tuple[str, Any],
    *,
    title: str = "Fees",
    count: int = 100,
    fills: pl.DataFrame | None = None,
    at: Any = None,
) -> Picture:
    """The fee for one contract over the price, as taker and as maker, in cents, when `count` contracts are filled at once.

    `schedule` and `at` are those of `kl.fee`. `fills` marks what was really charged: a frame with columns yes_price, count,
    fee_cost and is_taker, as `portfolio.fills().frame()` has them; a small fill may lie above its line, since a fee is rounded
    up. Raises UsageError for a missing column, and where no fee can be computed.
    """
    if fills is not None:
        need(fills, "yes_price", "count", "fee_cost", "is_taker")
    with canvas(title, _said(fills, count), height=4.2, ratios=(1,)) as (picture, (axes,)):
        for role, colour in ROLES:
            costs = [
                float(OrderFees(schedule).add(price, count, role=role, at=at).net * 100 / count) for price in CENTS
            ]
            name = role if any(costs) else f"{role}: no fee"
            axes.plot([float(price) for price in CENTS], costs, color=colour, linewidth=1.8, label=name)
        if fills is not None:
            _charged(axes, fills)
        axes.set(xlim=(0, 1), xlabel="price of YES (dollars)", ylabel="fee (cents per contract)")
        axes.set_ylim(bottom=-0.04 * axes.get_ylim()[1])
        legend(picture.figure, axes)
    return picture


def _charged(axes: Any, fills: pl.DataFrame) -> None:
    each = fills.select(
        pl.col("yes_price").cast(pl.Float64),
        "is_taker",
        cents=pl.col("fee_cost").cast(pl.Float64) * 100 / pl.col("count").cast(pl.Float64),
    ).drop_nulls()
    for taker, mark in ((True, "D"), (False, "o")):
        part = each.filter(pl.col("is_taker") == taker)
        if part.height:
            label = f"charged as {'taker' if taker else 'maker'}"
            axes.plot(
                part["yes_price"].to_list(), part["cents"].to_list(), linestyle="", marker=mark, color=INK, label=label
            )


def _said(fills: pl.DataFrame | None, count: int) -> str:
    lines = f"lines: an order of {count:,} contracts filled at once"
    if fills is None:
        return lines
    paid = fills["fee_cost"].cast(pl.Float64).sum()
    return (
        f"{lines}; marks: {'1 fill' if fills.height == 1 else f'{fills.height:,} fills'}, {paid:,.4f} dollars charged"
    )
