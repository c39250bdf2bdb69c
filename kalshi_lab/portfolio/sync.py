"""The sync of an account: what it did and what it holds, from the exchange into the store, live and historical as one.

Each part stands alone: one that fails is reported, leaves the others done and its own watermark where it was.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from kalshi_lab import markup
from kalshi_lab.clock import When, moment
from kalshi_lab.errors import AuthFailed, ClockSkew, Forbidden, NotFound, RequestError, SchemaDrift, UsageError, one_of
from kalshi_lab.ingest.loader import Load, Loaded
from kalshi_lab.ingest.progress import Progress
from kalshi_lab.observe import new_request_id
from kalshi_lab.portfolio.looks import Looks
from kalshi_lab.portfolio.walks import Walks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime

    from kalshi_lab.clock import Clock
    from kalshi_lab.errors import LabError
    from kalshi_lab.ingest.loader import Walk
    from kalshi_lab.kalshi.client import AsyncKalshi
    from kalshi_lab.store import Store

log = logging.getLogger(__name__)
PartName = Literal[
    "subaccounts", "balances", "positions", "fills", "orders", "settlements", "deposits", "withdrawals", "shard_transfers",
    "subaccount_transfers",
]  # fmt: skip
# in this order: what is held is looked at before what was done is read, so that every look is explained by what follows it
PARTS: tuple[PartName, ...] = (
    "subaccounts", "balances", "positions", "fills", "orders", "settlements", "deposits", "withdrawals", "shard_transfers",
    "subaccount_transfers",
)  # fmt: skip
HASHED = 16  # hex digits of an account's name
COUNTS = """
SELECT (SELECT count(*) FROM subaccounts WHERE account = $1) AS subaccounts,
       (SELECT count(*) FROM balances WHERE account = $1) AS balances, (SELECT count(*) FROM positions WHERE account = $1) AS positions,
       (SELECT count(*) FROM fills WHERE account = $1) AS fills, (SELECT count(*) FROM orders WHERE account = $1) AS orders,
       (SELECT count(*) FROM settlements WHERE account = $1) AS settlements,
       (SELECT count(*) FROM deposits WHERE account = $1) AS deposits,
       (SELECT count(*) FROM withdrawals WHERE account = $1) AS withdrawals,
       (SELECT count(*) FROM shard_transfers WHERE account = $1) AS shard_transfers,
       (SELECT count(*) FROM subaccount_transfers WHERE account = $1) AS subaccount_transfers
"""
COLUMNS: dict[str, Any] = {
    "part": pl.String, "status": pl.String, "new": pl.Int64, "received": pl.Int64, "stored": pl.Int64, "duplicate": pl.Int64,
    "quarantined": pl.Int64, "pages": pl.Int64, "resumed_pages": pl.Int64, "run_id": pl.String, "problem": pl.String,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class PartSync:
    """What was done of one part: received = stored + duplicate + quarantined; of what is refreshed, stored counts each row once.

    status: done, forbidden (the key may not ask for it) or failed; `problem` says why. new: rows that the store did not have.
    """

    part: str
    status: Literal["done", "forbidden", "failed"]
    new: int
    received: int
    stored: int
    duplicate: int
    quarantined: int
    pages: int
    resumed_pages: int
    run_id: str
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class PortfolioSync:
    """What the sync of an account did, part by part. `account` is the name under which the store keeps it, never the key's id."""

    account: str
    parts: dict[str, PartSync]
    subaccounts: tuple[int, ...]
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether nothing failed; what the key may not ask for is no failure."""
        return all(part.status != "failed" for part in self.parts.values())

    @property
    def problems(self) -> dict[str, str]:
        """Why a part was not done, by its name."""
        return {name: part.problem for name, part in self.parts.items() if part.problem is not None}

    def frame(self) -> pl.DataFrame:
        """A row for each part.

        Columns: part, status String; new, received, stored, duplicate, quarantined, pages, resumed_pages Int64; run_id, problem String.
        """
        rows = [[getattr(part, name) for name in COLUMNS] for part in self.parts.values()]
        return pl.DataFrame(rows, schema=COLUMNS, orient="row")

    def __repr__(self) -> str:
        done = [part for part in self.parts.values() if part.status == "done"]
        new = ", ".join(f"{part.new:,} {name(part.part)}" for part in done if part.new) or "nothing"
        failed = [part.part for part in self.parts.values() if part.status == "failed"]
        aside = sum(part.quarantined for part in done)
        said = f", {aside:,} QUARANTINED" if aside else ""
        said += f", FAILED: {', '.join(failed)}" if failed else ""
        return f"<PortfolioSync {self.account}: {new} new{said}, in {self.seconds:.1f} s>"

    def _repr_html_(self) -> str:
        shown = ("part", "status", "new", "received", "quarantined", "pages")
        rows = [[getattr(part, word) for word in shown] for part in self.parts.values()]
        facts = {
            "account": self.account, "subaccounts": ", ".join(map(str, self.subaccounts)), "seconds": f"{self.seconds:.1f}",
        }  # fmt: skip
        failed = [
            markup.warning(f"{name(part.part)}: {part.problem}")
            for part in self.parts.values()
            if part.status == "failed"
        ]
        return markup.card("Sync of the portfolio", facts, markup.table(shown, rows), *failed)


def name(part: str) -> str:
    """A part in words."""
    return part.replace("_", " ")


def account_of(kalshi: AsyncKalshi) -> str:
    """The name of a client's account in the store: a hash of its environment and key id, always the same, which gives away neither.

    Raises UsageError for a client without a key.
    """
    signer = kalshi.door.signer
    if signer is None:
        raise UsageError(
            "your own portfolio needs a key, and this session has none",
            hint="Give one: kl.Lab(credentials=kl.Credentials.from_env())",
        )
    text = f"kalshi_lab account\n{kalshi.settings.environment}\n{signer.credentials.key_id}"
    return hashlib.sha256(text.encode()).hexdigest()[:HASHED]


async def sync(
    kalshi: AsyncKalshi,
    store: Store,
    clock: Clock,
    account: str | None = None,
    *,
    what: str | Sequence[str] | None = None,
    since: When | None = None,
    full: bool = False,
    progress: bool | None = None,
) -> PortfolioSync:
    """Bring what an account did and holds into the store: what is new since the last sync, and a day before it for what came late.

    what: parts alone (subaccounts, balances, positions, fills, orders, settlements, deposits, withdrawals, shard_transfers,
    subaccount_transfers); all by default. since: how far back the first sync goes, else to the beginning. full: everything again.
    Deposits, withdrawals and transfers take no time and are listed whole. A part that fails is in the result, and the others are done.
    Raises UsageError without a key, before anything is sent; AuthFailed and ClockSkew, which no part can survive; and the first
    failure where every part failed.
    """
    own, chosen = account_of(kalshi), _chosen(what)
    if account not in {None, own}:
        raise UsageError(f"this session's account is {own}, not {account}", hint="Leave the account out")
    now = clock.now()
    begin = None if since is None else moment(since, now=now, what="since")
    if begin is not None and begin >= now:
        raise UsageError(
            f"since {begin.isoformat()} is not in the past", hint='Give a time or a span, as in since="30d"'
        )
    job = _Sync(kalshi, store, clock, own, begin, full, progress)
    return await job.run(chosen, now)


def _chosen(what: str | Sequence[str] | None) -> list[PartName]:
    names = PARTS if what is None else [what] if isinstance(what, str) else list(what)
    wanted = {one_of("part of a portfolio", part, PARTS) for part in names}
    if not wanted:
        raise UsageError(
            "no part of the portfolio was named", hint=f"Leave what= out, or give some of {', '.join(PARTS)}"
        )
    return [part for part in PARTS if part in wanted]


@dataclass
class _Sync:
    kalshi: AsyncKalshi
    store: Store
    clock: Clock
    account: str
    since: datetime | None
    full: bool
    progress: bool | None

    async def run(self, chosen: Sequence[PartName], now: datetime) -> PortfolioSync:
        """Do the parts one after the other; subaccounts are asked for in any case, since the others are read of each."""
        began, self._now, self._until = self.clock.monotonic(), now, now
        before = await self._counts()
        found: dict[str, tuple[PartSync, LabError | None]] = {
            "subaccounts": await self._part("subaccounts", self._subaccounts)
        }
        told = found["subaccounts"][0].status != "forbidden"
        self._where = await self._looks.places(told=told)
        if {"fills", "orders", "settlements"} & set(chosen):
            self._until = await self._complete_to(now)
        for part in chosen:
            if part != "subaccounts":
                found[part] = await self._part(part, getattr(self, f"_{part}", None) or self._money(part))
        parts = {part: found[part] for part in chosen}
        problems = [problem for _, problem in parts.values() if problem is not None]
        if len(problems) == len(parts):
            raise problems[0]
        after = await self._counts()
        made: dict[str, PartSync] = {
            part: replace(done, new=after.get(part, 0) - before.get(part, 0)) for part, (done, _) in parts.items()
        }
        numbers = tuple(place.number for place in self._where)
        return PortfolioSync(self.account, made, numbers, self.clock.monotonic() - began)

    async def _part(self, part: str, work: Callable[[str], Awaitable[Loaded]]) -> tuple[PartSync, LabError | None]:
        run_id = new_request_id()
        try:
            done = await work(run_id)
        except (AuthFailed, ClockSkew):
            raise
        except (RequestError, SchemaDrift) as error:
            refused = isinstance(error, Forbidden | NotFound)
            log.log(logging.INFO if refused else logging.WARNING, "sync of %s: %s", name(part), error)
            status: Any = "forbidden" if refused else "failed"
            return _told(part, status, Loaded(run_id), str(error)), error
        return _told(part, "done", done), None

    async def _counts(self) -> dict[str, int]:
        return {} if self.store.is_new else (await self.store.read(COUNTS, [self.account])).row(0, named=True)

    async def _complete_to(self, now: datetime) -> datetime:
        """Up to when the exchange's answers about its members are complete, as it says; now where it does not."""
        try:
            told = (await self.kalshi.exchange.user_data_time()).as_of_time
        except RequestError as error:
            log.info("how far the exchange's answers go is not known: %s", error)
            return now
        return now if told is None else min(told, now)

    @property
    def _walks(self) -> Walks:
        return Walks(self.kalshi, self.store, self.account, self._where, self._now, self._until, self.since, self.full)

    @property
    def _looks(self) -> Looks:
        return Looks(self.kalshi, self.store, self.clock, self.account)

    async def _subaccounts(self, run_id: str) -> Loaded:
        return await self._looks.subaccounts(run_id)

    async def _balances(self, run_id: str) -> Loaded:
        return await self._looks.balances(run_id, self._where)

    async def _positions(self, run_id: str) -> Loaded:
        return await self._looks.positions(run_id, self._where, full=self.full)

    async def _fills(self, run_id: str) -> Loaded:
        return await self._read("fills", run_id, self._walks.fills)

    async def _settlements(self, run_id: str) -> Loaded:
        return await self._read("settlements", run_id, self._walks.settlements)

    async def _orders(self, run_id: str) -> Loaded:
        """Those that rest now, and then those that were made, or rested, when they were last seen."""
        first = new_request_id()
        resting = await self._load("orders", f"{self._walks.scope} resting", first, self._walks.resting(), resume=False)

        async def walks(begun: datetime) -> list[Walk]:
            return await self._walks.orders(begun, first)

        return _together(await self._read("orders", run_id, walks), resting)

    def _money(self, part: str) -> Callable[[str], Awaitable[Loaded]]:
        async def work(run_id: str) -> Loaded:
            return await self._load(part, self._walks.scope, run_id, self._walks.money(part), resume=False)

        return work

    async def _read(self, dataset: str, run_id: str, walks: Callable[[datetime], Awaitable[list[Walk]]]) -> Loaded:
        """What a run that was broken off left, where there is one, and then what happened since it began."""
        scope, before = self._walks.scope, Loaded(run_id)
        if (begun := await self._walks.broken_off(dataset)) is not None:
            before = await self._load(dataset, scope, run_id, await walks(begun), resume=True)
        done = await self._load(dataset, scope, new_request_id(), await walks(self._until), resume=False)
        return _together(done, before)

    async def _load(self, dataset: str, scope: str, run_id: str, walks: list[Walk], *, resume: bool) -> Loaded:
        with Progress(f"sync {name(dataset)}", shown=self.progress, clock=self.clock) as bar:
            return await Load(self.store, self.clock, dataset, scope, run_id, bar).run(walks, resume=resume)


def _told(part: str, status: Any, done: Loaded, problem: str | None = None) -> PartSync:
    counts: dict[str, Any] = {one.name: getattr(done, one.name) for one in fields(done)}
    return PartSync(part=part, status=status, new=0, problem=problem, **counts)


def _together(done: Loaded, before: Loaded) -> Loaded:
    """Two runs as one, under the name of the later."""
    names = [one.name for one in fields(done) if one.name != "run_id"]
    return replace(done, **{each: getattr(done, each) + getattr(before, each) for each in names})
