"""Pictures of the lab's own work: its requests."""

from __future__ import annotations

import polars as pl

from kalshi_lab.charts.house import (
    BLUE,
    GRID,
    ORANGE,
    RED,
    ROWS_SHOWN,
    Picture,
    canvas,
    counted,
    legend,
    literal,
    need,
    say,
)


def stats(frame: pl.DataFrame, *, title: str = "Requests") -> Picture:
    """Requests by operation: how many attempts, retries and failures there were, and how long an answer took.

    `frame` is what `lab.stats()` gives: operation (text), attempts, retries, failures (integers), latency_p50,
    latency_p95 and latency_p99 (seconds, null where none was measured); where it has host and breaker (text), hosts that are left alone
    are named. The busiest 40 operations are drawn. Raises UsageError for a missing column.
    """
    need(frame, "operation", "attempts", "retries", "failures", "latency_p50", "latency_p95", "latency_p99")
    rows = frame.sort("attempts", descending=True, maintain_order=True).head(ROWS_SHOWN)
    total = frame.select(pl.col("attempts", "retries", "failures").sum()).row(0)
    note = f"{total[0]:,} attempts, {total[1]:,} of them retries, {total[2]:,} failed{_left_alone(frame)}"
    places, height = list(range(rows.height)), 1.8 + 0.34 * max(rows.height, 3)
    with canvas(title, note, columns=2, height=height, ratios=(1, 1)) as (picture, (left, right)):
        for name, colour, thick in (("attempts", BLUE, 0.7), ("retries", ORANGE, 0.45), ("failures", RED, 0.2)):
            left.barh(places, rows[name].to_list(), height=thick, color=colour, alpha=0.8, label=name)
        left.set_yticks(places, [literal(name, 30) for name in rows["operation"].to_list()])
        timed = rows.with_row_index("place").drop_nulls(["latency_p50", "latency_p99"])
        right.hlines(
            timed["place"].to_list(),
            timed["latency_p50"].to_list(),
            timed["latency_p99"].to_list(),
            color=GRID,
            linewidth=5,
        )
        for name, colour, label in (
            ("latency_p50", BLUE, "median"),
            ("latency_p95", ORANGE, "95%"),
            ("latency_p99", RED, "99%"),
        ):
            seconds = rows[name].cast(pl.Float64).fill_null(float("nan")).to_list()
            right.plot(seconds, places, linestyle="", marker="o", markersize=5, color=colour, label=label)
        right.set_yticks(places, [""] * len(places))
        counted(left, "x")
        for axes, label in ((left, "requests"), (right, "seconds to the answer")):
            axes.set(ylim=(max(rows.height, 1) - 0.4, -0.6), xlabel=label)
            axes.set_xlim(left=0)
            axes.grid(visible=False, axis="y")
        if rows.is_empty():
            say(left, "no requests")
            left.set_xlim(0, 1)
        else:
            legend(picture.figure, left, right)
    return picture


def _left_alone(frame: pl.DataFrame) -> str:
    """Words on the hosts whose circuit is not closed."""
    if not {"host", "breaker"} <= set(frame.columns):
        return ""
    hosts = frame.filter(pl.col("breaker") != "closed")["host"].unique().sort().to_list()
    return f"; left alone for now: {', '.join(hosts)}" if hosts else ""
