"""Pictures of co-movement: all pairs at once, and which moves first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from kalshi_lab.charts.house import BLUE, CYCLE, GRID, MUTED, Picture, canvas, literal, say

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from kalshi_lab.analysis.correlation import Correlation, LeadLag

SHOWN, NAMED, CURVES = 60, 25, 4


def correlation(result: Correlation) -> Picture:
    """A heat map of the pairs' correlations, those that are flagged framed; pairs that could not be tested stay grey.

    Of more than 60 series, those in the strongest pairs are drawn.
    """
    names = _strongest(result)
    note = result.conclusion + (
        f"; {len(names)} of {len(result.names):,} series shown" if len(names) < len(result.names) else ""
    )
    size = max(3.2, min(6.6, 1.8 + 0.26 * len(names)))
    with canvas(f"Correlation of changes ({result.method})", note, height=size, ratios=(1,)) as (picture, (axes,)):
        axes.grid(visible=False)
        if len(names) < 2:  # noqa: PLR2004 - a pair
            say(axes, "no pairs")
            axes.set_xticks([])
            axes.set_yticks([])
            return picture
        place = {name: at for at, name in enumerate(names)}
        cells = [[float("nan")] * len(names) for _ in names]
        for a, b, r in result.table.select("a", "b", result.method).rows():
            if a in place and b in place and r is not None:
                cells[place[a]][place[b]] = cells[place[b]][place[a]] = r
        axes.set_facecolor(GRID)
        drawn = axes.imshow(cells, cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
        _frames(axes, result.table.filter("flagged"), place)
        labels = [literal(name, 28) for name in names] if len(names) <= NAMED else []
        axes.set_yticks(range(len(labels)), labels, fontsize=8)
        axes.set_xticks(range(len(labels)), labels, rotation=60, ha="right", rotation_mode="anchor", fontsize=8)
        picture.figure.colorbar(drawn, ax=axes, shrink=0.8, label="correlation; framed: beyond chance")
    return picture


def _strongest(result: Correlation) -> list[str]:
    if len(result.names) <= SHOWN:
        return list(result.names)
    ranked = result.table.drop_nulls(result.method).sort(
        pl.col(result.method).abs(), descending=True, maintain_order=True
    )
    kept: dict[str, None] = {}
    for a, b in ranked.select("a", "b").rows():
        kept |= {a: None, b: None}
        if len(kept) >= SHOWN:
            break
    return sorted(list(kept or dict.fromkeys(result.names))[:SHOWN])


def _frames(axes: Axes, flagged: pl.DataFrame, place: dict[str, int]) -> None:
    from matplotlib.patches import Rectangle

    for a, b in flagged.select("a", "b").rows():
        if a in place and b in place:
            for x, y in ((place[a], place[b]), (place[b], place[a])):
                axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, fill=False, edgecolor="black", linewidth=1))


def lead_lag(result: LeadLag) -> Picture:
    """The correlation at each lag of the pairs that are related most (four at most), with the band that chance stays in for one pair."""
    ranked = result.table.sort("p", nulls_last=True, maintain_order=True).drop_nulls("p").head(CURVES)
    with canvas("Lead and lag", result.conclusion, height=4.4, ratios=(1,)) as (picture, (axes,)):
        axes.axhline(0, color=MUTED, linewidth=0.8)
        axes.axvline(0, color=MUTED, linewidth=0.8, linestyle=":")
        for at, (a, b) in enumerate(ranked.select("a", "b").rows()):
            curve = result.curves.filter((pl.col("a") == a) & (pl.col("b") == b)).drop_nulls("r")
            colour = CYCLE[at % len(CYCLE)]
            label = f"{literal(a, 24)} before {literal(b, 24)}"
            axes.plot(
                curve["lag"].to_list(),
                curve["r"].to_list(),
                color=colour,
                marker="o",
                markersize=3.5,
                linewidth=1.2,
                label=label,
            )
            if not at:
                low, high = curve["low"].to_list(), curve["high"].to_list()
                axes.fill_between(
                    curve["lag"].to_list(),
                    low,
                    high,
                    color=BLUE,
                    alpha=0.12,
                    linewidth=0,
                    label="its interval, over all lags",
                )
        axes.set(
            ylim=(-1.05, 1.05), xlabel=f"steps of {result.every} by which the first is ahead", ylabel="correlation"
        )
        if ranked.is_empty():
            say(axes, "no pair tested")
        else:
            axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, fontsize=8)
    return picture
