"""What an account did, as walks for a load: executions, orders, settlements, and money moved.

The exchange's answers are cut at its cutoffs, so live ones are read first and then what only the historical side has by now. What was
read to its end is in the coverage, by subaccount; the next walk begins `LATE` before that, since records may arrive late.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from kalshi_lab import frames
from kalshi_lab.ingest import coverage
from kalshi_lab.ingest.loader import Decoded, Part, Walk
from kalshi_lab.ingest.sides import MovingCutoff, Stage, chained
from kalshi_lab.ingest.windows import OPENED, OVERLAP, merged
from kalshi_lab.kalshi.pages import decode
from kalshi_lab.store.queries import last_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from kalshi_lab.kalshi.client import AsyncKalshi
    from kalshi_lab.kalshi.pages import Arrived, AsyncPages, Listing
    from kalshi_lab.store import Store

    Pages = Callable[["Place", "datetime | None", "datetime | None"], AsyncPages[Any]]

LATE = timedelta(hours=24)  # what happened so long before a sync may have arrived after it, and is read again
ALIVE = timedelta(minutes=1)  # a run that kept a page so lately may be another sync that is still at work
SETTLED = ("account", "subaccount_number", "ticker", "settled_time")
RESTED = """
SELECT min(coalesce(created_time, $3)) AS oldest FROM orders
WHERE account = $1 AND status = 'resting' AND run_id IS DISTINCT FROM $2
"""


@dataclass(frozen=True, slots=True)
class Place:
    """A subaccount, and how requests name it: not at all where the exchange does not tell an account's subaccounts."""

    number: int
    asked: int | None


@dataclass(frozen=True, slots=True)
class Begun:
    """Where a walk begins (None: at the beginning), and the stretch of time that is known once it has ended."""

    since: datetime | None
    grows: datetime
    until: datetime

    @property
    def name(self) -> str:
        """The same in a walk's name, so that a walk resumes only one that began at the same moment."""
        return "all" if self.since is None else f"since {self.since:%Y-%m-%dT%H:%M:%SZ}"


@dataclass(frozen=True, slots=True)
class Walks:
    """The walks over an account's records at a moment. `until`: up to when the exchange's answers are complete by its own word."""

    kalshi: AsyncKalshi
    store: Store
    account: str
    places: Sequence[Place]
    now: datetime
    until: datetime
    since: datetime | None = None
    full: bool = False

    @property
    def scope(self) -> str:
        """What the ledger calls the question."""
        return json.dumps({"account": self.account})

    async def fills(self, first: datetime) -> list[Walk]:
        """Executions: live, then those that only the historical side has by then."""
        kalshi, cutoff = self.kalshi, MovingCutoff(self.kalshi, "trades_created_ts")
        return [
            self._walk(
                "fills", (place, begun), cutoff,
                lambda place, since, _: kalshi.portfolio.fills(since=since, subaccount=place.asked),
                lambda place, since, until: kalshi.historical.fills(since=since, until=until, subaccount=place.asked),
            )
            for place, begun in await self._begun("fills", first)
        ]  # fmt: skip

    def resting(self) -> list[Walk]:
        """The orders that rest now, all of them."""
        return [
            self._plain(str(place.number), self.kalshi.orders.list(status="resting", subaccount=place.asked), "orders", "order_id")
            for place in self.places
        ]  # fmt: skip

    async def orders(self, first: datetime, run_id: str) -> list[Walk]:
        """Orders made since the last sync, and since the oldest that rested then and no longer does (not in the run of those that rest)."""
        kalshi, cutoff = self.kalshi, MovingCutoff(self.kalshi, "orders_updated_ts")
        oldest = (await self.store.read(RESTED, [self.account, run_id, OPENED])).item()
        return [
            self._walk(
                "orders", (place, self._earlier(begun, oldest)), cutoff,
                lambda place, since, _: kalshi.orders.list(since=since, subaccount=place.asked),
                lambda place, since, until: kalshi.historical.orders(since=since, until=until, subaccount=place.asked),
            )
            for place, begun in await self._begun("orders", first)
        ]  # fmt: skip

    async def settlements(self, first: datetime) -> list[Walk]:
        """Markets that paid out. They age out of the answers, and no other endpoint has them: what is kept here is all there is."""
        kalshi = self.kalshi
        return [
            self._walk(
                "settlements", (place, begun), None,
                lambda place, since, _: kalshi.portfolio.settlements(since=since, subaccount=place.asked),
            )
            for place, begun in await self._begun("settlements", first)
        ]  # fmt: skip

    def money(self, what: str) -> list[Walk]:
        """Deposits, withdrawals or transfers: the whole listing, since none of them takes a time."""
        listing = getattr(self.kalshi.portfolio, what)()
        return [self._plain("all", listing, what, *listing.listing.unique)]

    def _plain(self, name: str, pages: AsyncPages[Any], table: str, *keys: str) -> Walk:
        def read(arrived: Arrived) -> Decoded:
            return self._decoded(pages.listing, arrived, table, ("account", *keys))

        return Walk(name, lambda cursor, seen: pages.arrivals(cursor, seen=seen), read)

    async def broken_off(self, dataset: str) -> datetime | None:
        """When the last run over the question began, if it did not come to its end."""
        rows = [] if self.full or self.store.is_new else await last_run(self.store, dataset, self.scope)
        if not rows or any(not row["walk"] for row in rows) or max(row["time"] for row in rows) > self.now - ALIVE:
            return None
        begun: datetime = min(row["begun"] for row in rows)
        return begun

    async def _begun(self, dataset: str, first: datetime) -> list[tuple[Place, Begun]]:
        """Where to begin in each subaccount; a run knows nothing of what came after it began, at `first`."""
        held, until = {} if self.full else await self._held(dataset), min(self.until, first)
        return [(place, self._from(held.get(self._subject(place), []), until)) for place in self.places]

    async def _held(self, dataset: str) -> dict[str, list[tuple[datetime, datetime]]]:
        subjects = [self._subject(place) for place in self.places]
        found = await coverage.held(self.store, dataset, subjects, margin=LATE)
        return {subject: merged(stretches) for subject, stretches in found.items()}

    def _subject(self, place: Place) -> str:
        return f"{self.account}/{place.number}"

    def _from(self, held: Iterable[tuple[datetime, datetime]], until: datetime) -> Begun:
        wanted = self.since or OPENED
        for since, end in held:
            if since <= wanted <= end:
                return Begun(end, since, max(until, end))
        return Begun(self.since, wanted, max(until, wanted))

    def _earlier(self, begun: Begun, oldest: datetime | None) -> Begun:
        if begun.since is None or oldest is None:
            return begun
        since = min(begun.since, oldest - OVERLAP)
        return Begun(since if since > OPENED else None, begun.grows, begun.until)

    def _walk(
        self,
        table: str,
        where: tuple[Place, Begun],
        cut: MovingCutoff | None,
        live: Pages,
        historical: Pages | None = None,
    ) -> Walk:
        place, begun = where
        listing = live(place, None, None).listing
        keys = SETTLED if table == "settlements" else ("account", *listing.unique)

        async def now() -> AsyncPages[Any]:
            return live(place, begun.since, None)

        async def gone() -> AsyncPages[Any] | None:
            cutoff = await cut.fresh() if cut is not None else None
            if historical is None or cutoff is None or (begun.since is not None and begun.since >= cutoff):
                return None
            return historical(place, begun.since, cutoff + OVERLAP)

        def read(arrived: Arrived) -> Decoded:
            return self._decoded(listing, arrived, table, keys, place)

        def finish() -> Sequence[Part]:
            known = [(self._subject(place), begun.grows, begun.until)]
            return [coverage.finished(table, known, begun.until, cut.at if cut is not None else None)]

        return chained(f"{place.number} {begun.name}", [Stage("live", now), Stage("historical", gone)], read, finish)

    def _decoded(
        self, listing: Listing[Any], arrived: Arrived, table: str, keys: tuple[str, ...], place: Place | None = None
    ) -> Decoded:
        """A page as rows of the account; those whose time is part of their key and missing are put aside."""
        batch = decode(listing, arrived.reply)
        frame, refused = batch.frame.with_columns(account=pl.lit(self.account)), batch.refused
        if table == "settlements" and place is not None:
            frame = frame.with_columns(subaccount_number=pl.lit(place.number, pl.Int64))
            frame, undated = _dated(listing, arrived, frame, refused)
            refused = (*refused, *undated)
        lasting = table == "fills"
        part = Part(table, keys, frame, refresh=not lasting, within="created_time" if lasting else "")
        return Decoded((part,), refused, batch.received)


def _dated(
    listing: Listing[Any], arrived: Arrived, frame: pl.DataFrame, refused: tuple[frames.Refused, ...]
) -> tuple[pl.DataFrame, list[frames.Refused]]:
    """The settlements that say when they were, and those that do not, as received."""
    here = frame.get_column("settled_time").is_not_null()
    if here.all():
        return frame, []
    bad = {one.raw for one in refused}
    raws = [
        text for raw in frames.raw_rows(arrived.reply.body, listing.key) if (text := bytes(raw).decode()) not in bad
    ]
    told = zip(raws, here, strict=True)
    return frame.filter(here), [frames.Refused(raw, "settled_time: none") for raw, dated in told if not dated]
