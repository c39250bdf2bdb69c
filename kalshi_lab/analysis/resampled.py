"""Bootstrap intervals that draw whole clusters, from each cluster's sums."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from kalshi_lab.analysis.ratio import FEWEST
from kalshi_lab.analysis.science import science
from kalshi_lab.errors import UsageError
from kalshi_lab.money import MICRO

if TYPE_CHECKING:
    from collections.abc import Sequence

SCHEMA = {
    "score": pl.String, "bin_low": pl.Float64, "bin_high": pl.Float64, "value": pl.Float64, "low": pl.Float64, "high": pl.Float64,
}  # fmt: skip
AT_ONCE = 20_000_000  # draws held in memory


def intervals(
    levels: pl.DataFrame,
    edges: Sequence[tuple[float, float]],
    replicates: int,
    seed: int,
    confidence: float,
    *,
    clustered: bool,
) -> pl.DataFrame:
    """See `Calibration.bootstrap`; `levels` has cluster, bin, price and weight (millionths), won, `edges` those of its bins."""
    if not clustered:
        raise UsageError("the bootstrap draws clusters, and none was named", hint='Give cluster="event_ticker"')
    if replicates < 1:
        raise UsageError(f"replicates={replicates!r} is no number of draws", hint="Write 999")
    np = science("numpy")
    places = {place: column for column, place in enumerate(levels["bin"].unique().sort())}
    if not places:
        return pl.DataFrame(schema=SCHEMA)
    groups, sums = _sums(levels, places, np)
    rng = np.random.default_rng(seed)
    step = max(1, AT_ONCE // groups)
    drawn = np.concatenate(
        [
            rng.multinomial(groups, np.full(groups, 1 / groups), size=min(step, replicates - done)) @ sums
            for done in range(0, replicates, step)
        ]
    )
    value, several = _scores(sums.sum(axis=0, keepdims=True), len(places), np), _scores(drawn, len(places), np)
    named: list[tuple[str, float | None, float | None]] = [
        (name, None, None) for name in ("brier", "skill", "ece", "base_rate")
    ]
    named += [("win_rate", low, high) for low, high in edges]
    rows = []
    told = np.concatenate([np.full(len(named) - len(edges), True), _told(sums, len(places), np)])
    for column, name in enumerate(named):
        known = several[told[column] & np.isfinite(several[:, column]), column]
        ends = np.quantile(known, [(1 - confidence) / 2, (1 + confidence) / 2]) if len(known) else (None, None)
        rows.append((*name, *(None if end is None else float(end) for end in (value[0, column], *ends))))
    return pl.DataFrame(rows, schema=SCHEMA, orient="row").with_columns(pl.col("value").fill_nan(None))


def _sums(levels: pl.DataFrame, places: dict[int, int], np: Any) -> tuple[int, Any]:
    """A row for each cluster: its sums of w, w x f and w x o in each bin, then w x (f - o)**2 over all."""
    f, w, o = pl.col("price") / MICRO, pl.col("weight") / MICRO, pl.col("won").cast(pl.Float64)
    summed = (
        levels.group_by("cluster", "bin")
        .agg(w=w.sum(), wf=(w * f).sum(), wo=(w * o).sum(), loss=(w * (f - o) ** 2).sum())
        .sort("cluster", "bin")
    )
    row = (summed["cluster"].rle_id()).to_numpy()
    column = summed["bin"].replace_strict(places, return_dtype=pl.Int64).to_numpy()
    count, groups = len(places), summed["cluster"].n_unique()
    sums = np.zeros((groups, 3 * count + 1))
    for place, name in enumerate(("w", "wf", "wo")):
        sums[row, place * count + column] = summed[name].to_numpy()
    np.add.at(sums[:, -1], row, summed["loss"].to_numpy())
    return groups, sums


def _told(sums: Any, count: int, np: Any) -> Any:
    """Which bins have enough clusters with wins and with losses for draws of them to tell how the win rate varies."""
    w, wo = sums[:, :count], sums[:, 2 * count : 3 * count]
    return np.minimum((wo > 0).sum(axis=0), (w > wo).sum(axis=0)) >= FEWEST


def _scores(sums: Any, count: int, np: Any) -> Any:
    """Brier, skill, calibration error, base rate and each bin's win rate from sums, a row for each draw."""
    w, wf, wo, loss = sums[:, :count], sums[:, count : 2 * count], sums[:, 2 * count : 3 * count], sums[:, -1]
    whole = w.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        brier, rate = loss / whole, wo.sum(axis=1) / whole
        skill, ece = 1 - brier / (rate * (1 - rate)), np.abs(wf - wo).sum(axis=1) / whole
        return np.column_stack([brier, skill, ece, rate, wo / w])
