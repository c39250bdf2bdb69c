"""Theses: written down, researched, looked at again, resolved and scored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kalshi_lab.lab.verbs import Verbs
from kalshi_lab.portal import Facade, blocking
from kalshi_lab.research import thesis as research
from kalshi_lab.research.thesis import track

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from decimal import Decimal

    import polars as pl

    from kalshi_lab.research.thesis import Thesis, TrackRecord


class AsyncTheses(Verbs):
    """Think: theses."""

    async def thesis(
        self,
        name: str,
        *,
        tickers: str | Iterable[str] | None = None,
        probability: float | str | Decimal | Mapping[str, float | str | Decimal] | None = None,
        because: str = "",
        status: str | None = None,
        claim: str | None = None,
        confidence: float | str | Decimal | None = None,
        bull: str | None = None,
        bear: str | None = None,
        assumptions: Iterable[str] | None = None,
        invalidation: Iterable[str] | None = None,
        evidence: Iterable[Mapping[str, Any]] | None = None,
        note: str | None = None,
    ) -> Thesis:
        """Write a thesis down, change it, or look at one: with tickers and a probability of YES it is kept with the prices of this moment.

        With the name alone (or as much of it as no other has) it is shown as it stands, and resolved from the exchange's own results once
        they are there. A new thesis needs tickers, probability (one, or one for each ticker) and because; later every word can be changed
        by itself, and each change is a version: nothing is overwritten. status: "draft", "active" or "abandoned". `bull` is the case for
        your claim, `bear` the case against it. `invalidation`: what would change your mind: "price KXA-1 < 0.2", "series KXHIGHNY > 90",
        "after 2026-12-01" are checked exactly, other words give a hint where evidence has them. `evidence`: mappings with url or title,
        and passage, published, stance ("yes", "no", "neutral": which outcome it speaks for), relevance, ticker.
        Raises UsageError for what cannot be: see `kalshi_lab.research.thesis.thesis`.
        """
        chosen: dict[str, Any] = {"tickers": tickers, "probability": probability, "because": because, "status": status}
        words: dict[str, Any] = {"claim": claim, "confidence": confidence, "bull": bull, "bear": bear, "note": note}
        lists: dict[str, Any] = {"assumptions": assumptions, "invalidation": invalidation, "evidence": evidence}
        return await research.thesis(self.kalshi, self.store, self.clock, name, **chosen, **words, **lists)

    async def theses(self) -> pl.DataFrame:
        """All theses at their latest version, a row for each market: your probability, the price then, the result, Brier scores.

        Columns: name, version, status; created_at (of the first version) and time (of this one), Datetime(us, UTC); ticker;
        probability, yes_bid and yes_ask of when it was written down, Float64; result (null until final), settlement_value; brier (yours)
        and market_brier (of the mid price then), Float64, null where there is none. It looks at the store alone: `lab.thesis(name)`
        asks the exchange for results.
        """
        return await research.theses(self.store)

    async def track_record(self) -> TrackRecord:
        """How all theses did against the market: what each said first, and on average while it was active; calibration and skill.

        Those that are active are looked at first. See `kalshi_lab.research.thesis.track_record` for the table and what counts; below 30
        events it says that nothing can be concluded.
        """
        return await track.looked(self.kalshi, self.store, self.clock)


class Theses(Facade):
    """The blocking face of `AsyncTheses`."""

    thesis = blocking(AsyncTheses.thesis)
    theses = blocking(AsyncTheses.theses)
    track_record = blocking(AsyncTheses.track_record)
