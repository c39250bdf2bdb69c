"""The track record: what was said in all theses, held against what the market said and what came of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Final

import polars as pl

from kalshi_lab import frames
from kalshi_lab.analysis.base import Basis, Result
from kalshi_lab.analysis.calibration import calibration
from kalshi_lab.kalshi import named
from kalshi_lab.research.thesis import held, lookup, scoring, standing, versions

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal

    from kalshi_lab.analysis.result import Calibration
    from kalshi_lab.clock import Clock
    from kalshi_lab.kalshi.client import AsyncKalshi
    from kalshi_lab.research.thesis.record import Thesis, ThesisMarket
    from kalshi_lab.store import Store

ENOUGH: Final = 30  # events; below, one lucky streak decides
FIRST, LOG, HELD = "Brier, first word", "log score, first word", "Brier, while active"
FORECASTS: dict[str, Any] = {
    "name": pl.String,
    "status": pl.String,
    "ticker": pl.String,
    "event_ticker": pl.String,
    "said_at": frames.TIME,
    "ended_at": frames.TIME,
    "probability": pl.Float64,
    "market": pl.Float64,
    "result": pl.String,
    "paid": pl.Float64,
    "brier": pl.Float64,
    "market_brier": pl.Float64,
    "log": pl.Float64,
    "market_log": pl.Float64,
    "held": pl.Float64,
    "market_held": pl.Float64,
    "held_hours": pl.Float64,
}
SCORES: dict[str, Any] = {
    "measure": pl.String,
    "n": pl.Int64,
    "events": pl.Int64,
    "you": pl.Float64,
    "market": pl.Float64,
    "skill": pl.Float64,
    "skill_low": pl.Float64,
    "skill_high": pl.Float64,
}


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class TrackRecord(Result):
    """What was said first in each thesis of each market that has ended, those given up included; see `track_record`.

    `table` is a row for each forecast, `scores` a row for each measure: n, events, you, market, skill = 1 - you / market and its 95%
    interval, clustered by event (null below two events).
    """

    scores: pl.DataFrame
    chart: ClassVar[str] = "track_record"

    @cached_property
    def calibration(self) -> Calibration:
        """How often what you said came true, in five bins; payouts between 0 and 1 are left out and counted."""
        paid = pl.col("paid")
        whole = self.table.with_columns(outcome=pl.when(paid.is_in([0.0, 1.0])).then(paid).cast(pl.Int8))
        said = "what was said first"
        return calibration(whole, price="probability", cluster="event_ticker", bins=5, horizon=said)

    @property
    def enough(self) -> bool:
        """Whether there are events enough to conclude anything."""
        return self.table["event_ticker"].n_unique() >= ENOUGH

    @property
    def conclusion(self) -> str:
        """Who is better, if that can be told."""
        row = self.scores.row(0, named=True)
        if row["n"] == 0:
            return "nothing to compare with the market yet"
        told = f"Brier {row['you']:.4f}, the market's {row['market']:.4f} over {row['n']} in {_events(row['events'])}"
        if row["events"] < ENOUGH:
            return f"{told}: too few to conclude anything, {ENOUGH} events are the least"
        if row["skill"] is None or row["skill_low"] is None:
            return f"{told}: skill cannot be judged"
        skill = f"skill {row['skill']:+.3f}, {row['skill_low']:+.3f} to {row['skill_high']:+.3f}"
        if row["skill_low"] > 0:
            return f"{told}: better than the market ({skill})"
        return f"{told}: {'worse than the market' if row['skill_high'] < 0 else 'no difference that chance would not make'} ({skill})"


def _events(count: int) -> str:
    return "1 event" if count == 1 else f"{count} events"


def track_record(theses: Iterable[Thesis]) -> TrackRecord:
    """Score theses with their histories and what is known of their markets' outcomes.

    The forecast of a thesis is what it said first while it was active, next to the middle of the quote of that moment; a later word,
    nearer to the end, cannot mend it. Beside it stands what was held on average over the time that it was active. Abandoned theses
    count, since leaving out what was given up would flatter; drafts never said anything. A forecast of exactly 0 or 1 that was refuted
    makes the log score infinite.

    `table`: name, status, ticker, event_ticker String; said_at, ended_at (UTC); probability and market (Float64, market null without a
    real quote); result, paid; brier, market_brier, log, market_log; held, market_held (Brier scores over held_hours).
    """
    rows, left = [], {"not settled": 0, "void or without a payout": 0, "never active": 0}
    for thesis in theses:
        for market in thesis.markets:
            why = _left(thesis, market)
            if why:
                left[why] += 1
            else:
                rows.append(_row(thesis, market))
    table = pl.DataFrame(rows, schema=FORECASTS).sort("said_at", "name", "ticker")
    measures = ((FIRST, "brier", "market_brier"), (LOG, "log", "market_log"), (HELD, "held", "market_held"))
    scores = pl.DataFrame([_measure(table, *each) for each in measures], schema=SCORES, orient="row")
    events = table["event_ticker"].n_unique()
    basis = Basis(
        table.height, "forecast", "each market of each thesis counts once", "what was said first, at the middle of the quote then",
        f"95% interval clustered by event ({events:,} clusters)", left,
    )  # fmt: skip
    return TrackRecord(table=table, basis=basis, scores=scores)


def _left(thesis: Thesis, market: ThesisMarket) -> str:
    said = thesis.history.filter(pl.col("ticker") == market.ticker, pl.col("status") == held.ACTIVE)
    if said.is_empty():
        return "never active"
    if market.result is None:
        return "not settled"
    return "" if market.outcome is not None else "void or without a payout"


def _row(thesis: Thesis, market: ThesisMarket) -> dict[str, Any]:
    said = thesis.history.filter(pl.col("ticker") == market.ticker, pl.col("status") == held.ACTIVE).sort("version")
    first = said.row(0, named=True)
    middle = scoring.middle(first["yes_bid"], first["yes_ask"])
    paid = market.outcome
    own = scoring.exact(first["probability"])
    over = held.held(thesis, market)
    known = over if isinstance(over, scoring.Held) else None
    return {
        "name": thesis.name, "status": thesis.status, "ticker": market.ticker, "event_ticker": market.event, "said_at": first["time"],
        "ended_at": market.ended_at, "probability": first["probability"], "market": _float(middle), "result": market.result,
        "paid": _float(paid), "brier": _float(scoring.brier(own, paid)), "market_brier": _float(scoring.brier(middle, paid)),
        "log": scoring.log_loss(own, paid), "market_log": scoring.log_loss(middle, paid),
        "held": known and known.own, "market_held": known and known.market, "held_hours": known and known.seconds / 3600,
    }  # fmt: skip


def _float(value: Decimal | None) -> float | None:
    return None if value is None else float(value)


def _measure(table: pl.DataFrame, measure: str, own: str, market: str) -> tuple[Any, ...]:
    """The mean scores of both over what can be compared, and the skill with its interval."""
    both = table.select("event_ticker", own, market).drop_nulls()
    events = both["event_ticker"].n_unique()
    if both.is_empty():
        return measure, 0, 0, None, None, None, None, None
    you, theirs = math.fsum(both[own]) / both.height, math.fsum(both[market]) / both.height
    skill = 1 - you / theirs if theirs and math.isfinite(theirs) else None
    low, high = scoring.skill_interval(both.rows()) if math.isfinite(you) and math.isfinite(theirs) else (None, None)
    return measure, both.height, events, you, theirs, skill, low, high


async def looked(kalshi: AsyncKalshi, store: Store, clock: Clock) -> TrackRecord:
    """The track record of all theses in the store, after a look at those that are not resolved yet: one request for all their markets."""
    kept = await versions.latest(store)
    found = await named.markets(
        kalshi, list(dict.fromkeys(ticker for one in kept for ticker in _asked(one))), archived=True
    )
    for one in kept:
        if one.status == held.ACTIVE:
            own = {ticker: found[ticker] for ticker in _asked(one) if ticker in found}
            await standing.settled(kalshi, store, clock, one, found=own, wanted=False)
    whole = []
    for one in await versions.latest(store):
        markets = tuple(market if market.result else market.seen(found.get(market.ticker)) for market in one.markets)
        past, path = await versions.history(store, one.name), await lookup.kept(store, one.tickers)
        whole.append(replace(one, markets=markets, history=past, path=path))
    return track_record(whole)


def _asked(thesis: Thesis) -> list[str]:
    """The markets that the exchange is asked for: all of a thesis that is active, and those that its criteria name; else the undecided."""
    if thesis.status == held.ACTIVE:
        return [*thesis.tickers, *standing.others(thesis)]
    return [market.ticker for market in thesis.markets if market.result is None and thesis.status != "draft"]
