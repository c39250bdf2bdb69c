"""Looks at what an account holds: subaccounts, cash, and positions, of which a row is kept for each change.

A look is written in one transaction with its rows in the ledger. Nothing is taken for closed because it was not in an answer that was
not whole, or that was empty.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import polars as pl

from kalshi_lab import frames, money
from kalshi_lab.errors import Forbidden, NotFound, RequestError
from kalshi_lab.ingest.drift import check
from kalshi_lab.ingest.loader import Loaded
from kalshi_lab.kalshi.pages import decode
from kalshi_lab.models.portfolio import MarketPosition
from kalshi_lab.portfolio.walks import Place
from kalshi_lab.store import journal, writes
from kalshi_lab.store.connection import fetch

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from kalshi_lab.clock import Clock
    from kalshi_lab.kalshi.client import AsyncKalshi
    from kalshi_lab.kalshi.pages import AsyncPages
    from kalshi_lab.models.portfolio import Balance, SubaccountBalance
    from kalshi_lab.store import Store
    from kalshi_lab.store.connection import Connection

TIME = pl.Datetime("us", "UTC")
TICK, STALE = timedelta(microseconds=1), timedelta(seconds=1)
ASKED_ALONE = 20  # markets that left the open positions and are asked for one by one
SOUGHT = timedelta(days=7)  # for which a position that left every answer is looked for
# which of a position's columns make a change
HELD = tuple(name for name in frames.schema(MarketPosition) if name not in {"ticker", "resting_orders_count"})
OPEN = ~pl.col("gone") & ~pl.col("settled").fill_null(value=False)
LAST = """
SELECT * FROM positions WHERE account = $1 AND subaccount_number = $2
QUALIFY row_number() OVER (PARTITION BY ticker ORDER BY looked_at DESC) = 1
"""
LOOKED = """
SELECT max(looked_at) AS last, coalesce(bool_or(with_settled), false) AS settled FROM position_looks
WHERE account = $1 AND subaccount_number = $2
"""
KNOWN = "SELECT subaccount_number FROM subaccounts WHERE account = $1 ORDER BY subaccount_number"
CASH: dict[str, Any] = {
    "subaccount_number": pl.Int64, "exchange_index": pl.Int64, "balance": pl.Decimal(18, 6), "portfolio_value": pl.Decimal(18, 6),
    "updated_ts": TIME, "extra": pl.String,
}  # fmt: skip
SUBACCOUNTS: dict[str, Any] = {
    "account": pl.String, "subaccount_number": pl.Int64, "netting": pl.Boolean, "run_id": pl.String, "seen_at": TIME,
}  # fmt: skip


@dataclass(slots=True)
class _Page:
    walk: str
    number: int
    frame: pl.DataFrame
    refused: tuple[frames.Refused, ...]
    sha256: str
    request_id: str


@dataclass(slots=True)
class Look:
    """The pages of one look at the positions of a subaccount; open ones first."""

    place: Place
    time: datetime
    open: int = 0
    with_settled: bool = False
    whole: bool = True
    pages: list[_Page] = field(default_factory=list)

    async def read(self, name: str, listing: AsyncPages[MarketPosition], *, settled: bool) -> int:
        """Read a listing to its end; how many rows it had."""
        before, walk = len(self.pages), f"{self.place.number} {name}"
        async for arrived in listing.arrivals():
            batch = await asyncio.to_thread(decode, listing.listing, arrived.reply)
            digest = hashlib.sha256(arrived.reply.body).hexdigest()
            frame = batch.frame.with_columns(settled=pl.lit(settled))
            number = len(self.pages) - before + 1
            self.pages.append(_Page(walk, number, frame, batch.refused, digest, arrived.reply.request_id))
        return sum(page.frame.height for page in self.pages[before:])

    @property
    def frame(self) -> pl.DataFrame:
        """A row for each market; what is open counts before what is settled."""
        made = pl.concat([_nothing(), *(page.frame for page in self.pages)])
        return made.unique("ticker", keep="first", maintain_order=True)

    @property
    def refused(self) -> list[frames.Refused]:
        """What could not be read."""
        return [row for page in self.pages for row in page.refused]


def _nothing() -> pl.DataFrame:
    return frames.empty(MarketPosition).with_columns(settled=pl.lit(None, pl.Boolean))


@dataclass(frozen=True, slots=True)
class Looks:
    """The looks at what an account holds; each is a run of its own."""

    kalshi: AsyncKalshi
    store: Store
    clock: Clock
    account: str

    async def subaccounts(self, run_id: str) -> Loaded:
        """The subaccounts that exist. Raises RequestError, Forbidden for a key without them."""
        found = await self.kalshi.portfolio.subaccount_balances()
        numbers = sorted({row.subaccount_number for row in found if row.subaccount_number is not None})
        try:
            netting = {row.subaccount_number: row.enabled for row in await self.kalshi.portfolio.netting()}
        except RequestError:  # which is more than to know of them, and may not be allowed
            netting = {}
        now = self.clock.now()
        rows = [(self.account, number, netting.get(number), run_id, now) for number in numbers]
        frame, keys = pl.DataFrame(rows, schema=SUBACCOUNTS, orient="row"), ("account", "subaccount_number")
        fresh = await self.store.write(lambda connection: writes.upsert(connection, "subaccounts", keys, frame))
        return Loaded(run_id, 1, frame.height, fresh, frame.height - fresh)

    async def places(self, *, told: bool) -> list[Place]:
        """The subaccounts as far as they are known; the primary one alone where the exchange does not tell."""
        found = [] if self.store.is_new else (await self.store.read(KNOWN, [self.account])).to_series().to_list()
        return [Place(number, number) for number in found] if found else [Place(0, 0 if told else None)]

    async def balances(self, run_id: str, where: Sequence[Place]) -> Loaded:
        """The cash: in all and by shard, of each subaccount where there are several, and of each by shard."""
        portfolio, time = self.kalshi.portfolio, self.clock.now()
        whole = await portfolio.balance()
        rows = [_cash(whole)]
        rows += [
            {"exchange_index": one.exchange_index, "balance": one.balance, "updated_ts": whole.updated_ts}
            for one in whole.balance_breakdown or ()
        ]
        if len(where) > 1:
            rows += [_cash(await portfolio.balance(subaccount=one.asked), one.number) for one in where]
        rows += [_of_subaccount(row) for row in await _by_subaccount(self.kalshi)]
        frame = pl.DataFrame([dict.fromkeys(CASH) | row for row in rows], schema=CASH).with_columns(
            account=pl.lit(self.account), looked_at=pl.lit(time, TIME), run_id=pl.lit(run_id)
        )

        def keep(connection: Connection) -> list[writes.Page]:
            connection.execute("DELETE FROM balances WHERE account = ? AND looked_at = ?", [self.account, time])
            writes.insert(connection, "balances", frame)
            page = writes.Page(
                run_id, "balances", self.scope, "cash", 1, "", frame.height, frame.height, 0, 0, "", "", time
            )
            return _entered(connection, [page, *self._end(run_id, "balances", time)])

        await self.store.write(keep, journal.pages)
        return Loaded(run_id, 1, frame.height, frame.height)

    async def positions(self, run_id: str, where: Sequence[Place], *, full: bool) -> Loaded:
        """The positions of each subaccount; settled ones are listed once and then asked for when they stop being open.

        Raises RequestError; what was open is kept also where only the listing of the settled ones failed.
        """
        done, problem = Loaded(run_id), None
        for place in where:
            look = Look(place, self.clock.now())
            open_now = self.kalshi.portfolio.positions(subaccount=place.asked)
            look.open = await look.read("open", open_now, settled=False)
            try:
                await self._settled(look, full=full)
            except RequestError as error:
                problem, look.with_settled, look.whole = error, False, False
            end = place is where[-1] and problem is None
            pages = await self.store.write(partial(self._keep, run_id=run_id, look=look, end=end), journal.pages)
            done = _added(done, pages)
        if problem is not None:
            raise problem
        await check(self.store, "positions", run_id, done.received, done.quarantined)
        return done

    async def _settled(self, look: Look, *, full: bool) -> None:
        """What is settled by now: everything on the first look, later the markets that are not among the open ones any more."""
        number, kalshi = look.place.number, self.kalshi
        known = (await self.store.read(LOOKED, [self.account, number])).item(0, "settled")
        left = _left(await self.store.read(LAST, [self.account, number]), look.frame, look.time)
        if not known or full or len(left) > ASKED_ALONE:
            asked = look.place.asked
            await look.read("settled", kalshi.portfolio.positions(settled="settled", subaccount=asked), settled=True)
            await look.read("historical", kalshi.historical.positions(subaccount=asked), settled=True)
            look.with_settled = True
            return
        for ticker in left:
            one: dict[str, Any] = {"ticker": ticker, "subaccount": look.place.asked}
            live, archived = ticker, f"{ticker} historical"
            if not await look.read(live, kalshi.portfolio.positions(**one, settled="settled"), settled=True):
                await look.read(archived, kalshi.historical.positions(**one), settled=True)

    def _keep(self, connection: Connection, run_id: str, look: Look, *, end: bool) -> list[writes.Page]:
        """Write what changed since the last look, and the look."""
        place, now = look.place, look.frame
        last = fetch(connection, LAST, [self.account, place.number])
        looked = fetch(connection, LOOKED, [self.account, place.number]).item(0, "last")
        late = looked is not None and looked - look.time > STALE  # another was made and kept while this one was read
        time = look.time if looked is None else max(look.time, looked + TICK)
        gone, changed = _gone(last, now), now.clear() if late else _changed(last, now)
        complete = not look.refused and look.whole and not late and bool(look.open or not gone.height)
        gone = gone if complete else now.clear()
        stamp = {
            "account": pl.lit(self.account), "subaccount_number": pl.lit(place.number, pl.Int64), "looked_at": pl.lit(time, TIME),
            "run_id": pl.lit(run_id),
        }  # fmt: skip
        rows = pl.concat([changed.with_columns(gone=pl.lit(value=False)), gone.with_columns(gone=pl.lit(value=True))])
        writes.insert(connection, "positions", rows.with_columns(**stamp))
        row = {"positions": now.height, "changed": rows.height, "complete": complete, "with_settled": look.with_settled}
        if not late:
            writes.insert(connection, "position_looks", pl.DataFrame([row]).with_columns(**stamp))
        aside = {"dataset": "positions", "run_id": run_id, "time": time}
        for page in look.pages:
            told = [{**aside, "request_id": page.request_id, "reason": why, "raw": raw} for raw, why in page.refused]
            writes.put_aside(connection, told)
        ends = self._end(run_id, "positions", time) if end else []
        return _entered(connection, [*self._pages(run_id, look.pages, changed, time), *ends])

    def _pages(self, run_id: str, pages: Sequence[_Page], changed: pl.DataFrame, time: datetime) -> list[writes.Page]:
        """The pages of a look as the ledger has them; a row that a later page repeats is a duplicate there."""
        fresh, found = set(changed.get_column("ticker")), []
        for page in pages:
            mine, aside = fresh & set(page.frame.get_column("ticker")), len(page.refused)
            fresh -= mine
            received, stored = page.frame.height + aside, len(mine)
            found.append(
                writes.Page(
                    run_id, "positions", self.scope, page.walk, page.number, "", received, stored, received - stored - aside, aside,
                    page.sha256, page.request_id, time,
                )
            )  # fmt: skip
        return found

    def _end(self, run_id: str, dataset: str, time: datetime) -> list[writes.Page]:
        return [writes.Page(run_id, dataset, self.scope, "", 0, "", 0, 0, 0, 0, "", "", time)]

    @property
    def scope(self) -> str:
        """What the ledger calls the question."""
        return json.dumps({"account": self.account})


def _cash(found: Balance, number: int | None = None) -> dict[str, Any]:
    extra = json.dumps(found.model_extra, sort_keys=True, default=str) if found.model_extra else None
    cash = (
        money.units(found.balance_cents, 2) if found.balance is None else found.balance
    )  # dollars are newer than cents
    return {
        "subaccount_number": number, "balance": cash, "portfolio_value": found.portfolio_value, "updated_ts": found.updated_ts,
        "extra": extra,
    }  # fmt: skip


def _of_subaccount(row: SubaccountBalance) -> dict[str, Any]:
    return {name: getattr(row, name) for name in ("subaccount_number", "exchange_index", "balance", "updated_ts")}


async def _by_subaccount(kalshi: AsyncKalshi) -> Sequence[SubaccountBalance]:
    """Of each subaccount and shard; none for a key that has no subaccounts."""
    try:
        return await kalshi.portfolio.subaccount_balances()
    except (Forbidden, NotFound):
        return ()


def _left(last: pl.DataFrame, now: pl.DataFrame, time: datetime) -> list[str]:
    """The markets that were open when they were last seen, or left lately without a word, and are not in this look."""
    wanted = last.filter(OPEN | (pl.col("gone") & (pl.col("looked_at") > time - SOUGHT)))
    return wanted.join(now, on="ticker", how="anti").get_column("ticker").sort().to_list()


def _changed(last: pl.DataFrame, now: pl.DataFrame) -> pl.DataFrame:
    """The rows that differ from what was last seen of their market."""
    names = (*HELD, "settled")
    before = last.filter(~pl.col("gone")).select(
        "ticker", *(pl.col(one).alias(f"{one}_before") for one in names), was=True
    )
    joined = now.join(before, on="ticker", how="left", maintain_order="left")
    differs = [pl.col(one).ne_missing(pl.col(f"{one}_before")) for one in names]
    return joined.filter(pl.col("was").is_null() | pl.any_horizontal(differs)).select(now.columns)


def _gone(last: pl.DataFrame, now: pl.DataFrame) -> pl.DataFrame:
    """The markets that were open and are in no answer: nothing is held of them, and what they made is not known."""
    left = last.filter(OPEN).join(now, on="ticker", how="anti").select("ticker", "exchange_index")
    nothing = left.with_columns(position=pl.lit(0).cast(now.schema["position"]))
    return pl.concat([now.clear(), nothing], how="diagonal")


def _entered(connection: Connection, pages: list[writes.Page]) -> list[writes.Page]:
    writes.enter(connection, pages)
    return pages


def _added(done: Loaded, pages: Sequence[writes.Page]) -> Loaded:
    names = ("received", "stored", "duplicate", "quarantined")
    sums = {name: getattr(done, name) + sum(getattr(page, name) for page in pages) for name in names}
    return Loaded(done.run_id, done.pages + sum(bool(page.walk) for page in pages), **sums)
