"""Which stretches of time were asked for and which were read to their end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from kalshi_lab.ingest.loader import Part
from kalshi_lab.ingest.windows import OVERLAP, merged
from kalshi_lab.store import writes
from kalshi_lab.store.connection import fetch

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime, timedelta

    from kalshi_lab.ingest.windows import Stretch
    from kalshi_lab.store import Store
    from kalshi_lab.store.connection import Connection

KEYS = ("dataset", "subject", "interval_minutes", "since", "complete")
TIME = pl.Datetime("us", "UTC")
SCHEMA: dict[str, Any] = {
    "dataset": pl.String, "subject": pl.String, "interval_minutes": pl.Int64, "since": TIME, "until": TIME, "complete": pl.Boolean,
    "asked_at": TIME, "cutoff": TIME,
}  # fmt: skip
KNOWN = """
SELECT subject, since, until, asked_at FROM coverage
WHERE dataset = $1 AND interval_minutes = $2 AND complete = $3 AND ($4 IS NULL OR list_contains($4, subject))
"""


async def held(
    store: Store, dataset: str, subjects: Sequence[str], *, minutes: int = 0, margin: timedelta = OVERLAP
) -> dict[str, list[Stretch]]:
    """The time that was read of each subject; what was read within `margin` of its happening may have been incomplete."""
    if store.is_new:
        return {}
    found = await store.read(KNOWN, [dataset, minutes, True, list(subjects)])
    stretches: dict[str, list[Stretch]] = {}
    for subject, since, until, asked_at in found.iter_rows():
        stretches.setdefault(subject, []).append((since, min(until, asked_at - margin)))
    return {subject: merged(each) for subject, each in stretches.items()}


def finished(
    dataset: str, read: Iterable[tuple[str, datetime, datetime]], asked_at: datetime, cutoff: datetime | None, minutes: int = 0
) -> Part:  # fmt: skip
    """The rows that say so: subject, since, until; written in the transaction of the last page."""
    rows = [(dataset, subject, minutes, since, until, True, asked_at, cutoff) for subject, since, until in read]
    return Part("coverage", KEYS, pl.DataFrame(rows, schema=SCHEMA, orient="row"), refresh=True)


async def asked(
    store: Store, dataset: str, wanted: Sequence[tuple[str, datetime, datetime]], now: datetime, minutes: int = 0
) -> None:
    """Note what is wanted before the first of it is read: where it goes on from what was wanted before, that becomes longer."""

    def write(connection: Connection) -> None:
        subjects = [subject for subject, _, _ in wanted]
        before: dict[str, list[Stretch]] = {}
        for subject, since, until, _ in fetch(connection, KNOWN, [dataset, minutes, False, subjects]).iter_rows():
            before.setdefault(subject, []).append((since, until))
        rows = [
            (dataset, subject, minutes, *_grown(before.get(subject, ()), (since, until)), False, now, None)
            for subject, since, until in wanted
        ]
        frame = pl.DataFrame(rows, schema=SCHEMA, orient="row").unique(KEYS, keep="last", maintain_order=True)
        writes.upsert(connection, "coverage", KEYS, frame)

    if wanted:
        await store.write(write)


def _grown(before: Iterable[Stretch], wanted: Stretch) -> Stretch:
    for since, until in before:
        if since <= wanted[0] <= until:
            return since, max(until, wanted[1])
    return wanted
