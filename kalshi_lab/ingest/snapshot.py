"""Snapshots: all quotes of a listing at one instant, kept as changes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kalshi_lab import markup
from kalshi_lab.ingest.drift import check
from kalshi_lab.ingest.looks import look
from kalshi_lab.ingest.quotes import keep
from kalshi_lab.observe import new_request_id
from kalshi_lab.store.journal import SNAPSHOT, Entry

if TYPE_CHECKING:
    from datetime import datetime

    from kalshi_lab.clock import Clock
    from kalshi_lab.kalshi.client import AsyncKalshi
    from kalshi_lab.store import Store


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One look at a listing: how many markets, how many quotes changed since the look before, what was left out."""

    time: datetime
    scope: str
    markets: int
    changed: int
    gone: int
    quarantined: int
    complete: bool
    combos_left_out: int | None
    combos_exact: bool = True

    def __repr__(self) -> str:
        return (
            f"<Snapshot {self.time:%Y-%m-%d %H:%M:%S} UTC: {self.markets:,} markets, {self.changed:,} changed, {self.gone:,} gone"
            f"{combos_said(self.combos_left_out, exact=self.combos_exact)}{'' if self.complete else ', NOT complete'}>"
        )

    def _repr_html_(self) -> str:
        facts = {
            name: getattr(self, name)
            for name in ("time", "scope", "markets", "changed", "gone", "quarantined", "complete")
        }
        combos = combos_said(self.combos_left_out, exact=self.combos_exact).removeprefix(", ")
        return markup.card("Snapshot", facts | ({"combos": combos} if combos else {}))


def combos_said(count: int | None, *, exact: bool) -> str:
    """How many combos were left out, in words."""
    if count is None:
        return ""
    return f", {count:,} combos left out" if exact else f", {count:,} or more combos left out"


async def combos_left_out(kalshi: AsyncKalshi, **filters: Any) -> tuple[int, bool]:
    """How many combos a listing without them leaves out, and whether that is exact: one request counts up to a page of them."""
    pages = kalshi.markets.list(combos="only", max_pages=1, **filters)
    count = (await pages.frame(exact=True)).height
    return count, not pages.truncated


async def snapshot(
    kalshi: AsyncKalshi,
    store: Store,
    clock: Clock,
    *,
    status: str | None = "open",
    series: str | None = None,
    event: str | None = None,
    tickers: list[str] | None = None,
    combos: bool = False,
    progress: bool | None = None,
) -> Snapshot:
    """Read a listing to its end and keep what changed; on an error nothing is written, since half a listing proves nothing gone."""
    filters = {"status": status, "series": series, "event": event, "tickers": tickers}
    scope = json.dumps({name: value for name, value in {**filters, "combos": combos}.items() if value}, sort_keys=True)
    pages = kalshi.markets.list(combos=combos, **filters)  # type: ignore[arg-type]
    time = clock.now()
    seen = await look(pages, store, progress)
    count, exact = (None, True) if combos or tickers else await combos_left_out(kalshi, **filters)
    run_id = new_request_id()
    time, changed, gone = await store.write(
        lambda connection: keep(connection, seen, scope, time, run_id=run_id, memory=store.remembered),
        lambda kept: [
            Entry(SNAPSHOT, run_id, "quotes", scope, received=seen.markets, stored=kept[1] + kept[2], time=kept[0])
        ],
    )
    await check(store, "quotes", run_id, seen.markets + len(seen.refused), len(seen.refused))
    return Snapshot(
        time,
        scope,
        seen.markets,
        changed,
        gone,
        len(seen.refused),
        complete=True,
        combos_left_out=count,
        combos_exact=exact,
    )
