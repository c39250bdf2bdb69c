"""When so many rows could not be read that the exchange must have changed its format."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kalshi_lab.errors import SchemaDrift

if TYPE_CHECKING:
    from kalshi_lab.store import Store

MOST = 100  # rows of a run that may be put aside
SHARE = 0.05  # of a run's rows, where there are enough of them to speak of a share
ENOUGH = 20
REPARSED = ("candlesticks", "events", "markets", "quotes", "series", "trades")  # what `reparse` reads again

REASONS = """
SELECT split_part(reason, ':', 1) AS reason, count(*) AS rows FROM quarantine WHERE run_id = $1
GROUP BY ALL ORDER BY rows DESC, reason LIMIT 5
"""


async def check(store: Store, dataset: str, run_id: str, received: int, quarantined: int) -> None:
    """Raise SchemaDrift, with the reasons, where more than 100 rows or more than 5% of a run were put aside; all is kept by then."""
    if quarantined <= MOST and (received < ENOUGH or quarantined <= SHARE * received):
        return
    found = await store.read(REASONS, [run_id])
    reasons = "; ".join(f"{reason} ({rows:,} rows)" for reason, rows in found.iter_rows())
    again = "lab.reparse() recovers them" if dataset in REPARSED else "lab.portfolio.sync(full=True) reads them again"
    raise SchemaDrift(
        f"{quarantined:,} of {received:,} rows of {dataset} could not be read, so the exchange has changed its format: {reasons}",
        hint=f"All of them are kept: after an update of this library {again}",
    )
