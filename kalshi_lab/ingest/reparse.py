"""`reparse`: what could not be read when it came, and answers as they were received, read again with today's models."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

import msgspec
import polars as pl

from kalshi_lab import markup
from kalshi_lab.door import Call, Reply
from kalshi_lab.errors import LabError
from kalshi_lab.ingest import datasets
from kalshi_lab.ingest.loader import Decoded, Part
from kalshi_lab.ingest.progress import Progress
from kalshi_lab.kalshi import candles
from kalshi_lab.kalshi.pages import Arrived, Listing, decode
from kalshi_lab.models import Candlestick, Event, Market, Series, Trade
from kalshi_lab.store import bodies, mended, writes
from kalshi_lab.store.queries import QUOTE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from kalshi_lab.clock import Clock
    from kalshi_lab.ingest.datasets import Decode
    from kalshi_lab.store import Store
    from kalshi_lab.store.connection import Connection

BARS = ("ticker", "interval_minutes", "end_time")
KEPT = "SELECT run_id, dataset, scope, walk, page, request_id, path, time, sha256 FROM bodies ORDER BY time, run_id, walk, page"
BODY = "SELECT body FROM bodies WHERE run_id = $1 AND walk = $2 AND page = $3"
SERIES_OF = "SELECT event_ticker, series_ticker FROM events WHERE list_contains($1, event_ticker)"


@dataclass(frozen=True, slots=True)
class Reparsed:
    """What reading again brought.

    recovered: rows that are out of the quarantine and in their tables; known: rows that are out of it and were in their tables already;
    left: rows that still cannot be read, by dataset and reason in `reasons`; answers and rows: kept answers that were read again, and
    the rows in them.
    """

    recovered: int
    known: int
    left: int
    reasons: tuple[tuple[str, str, int], ...]
    answers: int
    rows: int
    seconds: float

    def __repr__(self) -> str:
        read = f", {self.rows:,} rows of {self.answers:,} kept answers read again" if self.answers else ""
        known = f" ({self.known:,} known)" if self.known else ""
        return f"<Reparsed: {self.recovered:,} rows recovered{known}, {self.left:,} still unreadable{read}, in {self.seconds:.1f} s>"

    def _repr_html_(self) -> str:
        facts: dict[str, object] = {
            "recovered": f"{self.recovered:,}",
            "known": f"{self.known:,}",
            "left": f"{self.left:,}",
        }
        facts |= {"answers read again": f"{self.answers:,}", "rows in them": f"{self.rows:,}"} if self.answers else {}
        left = [(dataset, reason, f"{rows:,}") for dataset, reason, rows in self.reasons[:10]]
        return markup.card("Read again", facts, *([markup.table(("left", "reason", "rows"), left)] if left else []))


class Counts(NamedTuple):
    """Rows that left the quarantine: stored, and known already."""

    stored: int = 0
    known: int = 0


async def reparse(store: Store, clock: Clock, *, answers: bool, progress: bool | None = None) -> Reparsed:
    """Read the quarantine again, and with `answers` also what was kept as received; see `AsyncLab.reparse`."""
    began = clock.monotonic()
    total, read, rows = Counts(), 0, 0
    with Progress("reparse", unit="pages", shown=progress) as bar:
        for work in [*await _pages(store), *await _looks(store)]:
            found = await store.write(work)
            total = Counts(total.stored + found.stored, total.known + found.known)
            bar.advance(1)
        for page in (await store.read(KEPT)).to_dicts() if answers else ():
            rows += await _again(store, page)
            read += 1
            bar.advance(1)
    left = [(row["dataset"], row["reason"], row["rows"]) for row in (await store.read(mended.LEFT)).to_dicts()]
    seconds = clock.monotonic() - began
    return Reparsed(total.stored, total.known, sum(one[2] for one in left), tuple(left), read, rows, seconds)


async def _pages(store: Store) -> list[Callable[[Connection], Counts]]:
    """What is to be done for each page of the ledger that left rows behind."""
    found: list[Callable[[Connection], Counts]] = []
    for page in (await store.read(mended.PAGES)).to_dicts():
        events, nested = _sorted(page["dataset"], page["raws"])
        found += [partial(_recover, page=page, dataset=page["dataset"], raws=events)] if events else []
        found += [partial(_recover, page=page, dataset="markets", raws=nested)] if nested else []
    return found


def _sorted(dataset: str, raws: list[str]) -> tuple[list[str], list[str]]:
    """The rows that are of the dataset, and markets that came along within events."""
    nested = [raw for raw in raws if dataset == "events" and _field(raw, "ticker")]
    return [raw for raw in raws if raw not in nested], nested


def _field(raw: str, name: str) -> str:
    try:
        row = msgspec.json.decode(raw)
    except ValueError:
        return ""
    return str(row.get(name) or "") if isinstance(row, dict) else ""


def _recover(connection: Connection, page: dict[str, Any], dataset: str, raws: list[str]) -> Counts:
    """Rows of one page, out of the quarantine and into their tables; the page's counts in the ledger stay balanced."""
    decoded = _decoded(dataset, page, _body(dataset, raws))
    unread = {one.raw for one in decoded.refused} if decoded else set(raws)
    taken = mended.take_out(connection, page["run_id"], page["request_id"], [raw for raw in raws if raw not in unread])
    if decoded is None or not taken:
        return Counts()
    parts = _stamped(connection, decoded.parts, page, nested=dataset != page["dataset"])
    stored, *_ = [_put(connection, part, page["run_id"]) for part in parts]
    known = len(taken) - stored
    if dataset == page["dataset"]:
        mended.balance(
            connection, page["run_id"], page["request_id"], quarantined=-len(taken), stored=stored, duplicate=known
        )
    else:  # markets that come along are counted where they cannot be read, and nowhere else
        mended.balance(connection, page["run_id"], page["request_id"], quarantined=-len(taken), received=-len(taken))
    return Counts(stored, known)


def _stamped(connection: Connection, parts: Iterable[Part], page: dict[str, Any], *, nested: bool) -> list[Part]:
    """The parts as the run brought them; markets within events with the series of their event."""
    stamp = {"run_id": pl.lit(page["run_id"]), "seen_at": pl.lit(page["time"], pl.Datetime("us", "UTC"))}
    made = [(part, part.frame.with_columns(**stamp)) for part in parts]
    if nested:
        names = made[0][1].get_column("event_ticker").drop_nulls().unique().to_list()
        of = {row["event_ticker"]: row["series_ticker"] for row in writes.rows(connection, SERIES_OF, [names])}
        series = pl.col("event_ticker").replace_strict(of, default=None, return_dtype=pl.String)
        made = [
            (part, frame.with_columns(series_ticker=series) if part.table == "markets" else frame)
            for part, frame in made
        ]
    return [type(part)(part.table, part.keys, frame, part.refresh, part.within) for part, frame in made]


def _put(connection: Connection, part: Part, run_id: str) -> int:
    """The rows of a part into their table; how many are the run's first of their key."""
    if not part.refresh:
        return writes.insert_new(connection, part.table, part.keys, part.frame, within=part.within)
    before = mended.of_run(connection, part.table, part.keys, part.frame, run_id)
    mended.merge(connection, part.table, part.keys, part.frame)
    return part.frame.select(part.keys).n_unique() - before


async def _looks(store: Store) -> list[Callable[[Connection], Counts]]:
    """What is to be done for each snapshot that left rows behind, newest first: what came after it is known by then."""
    return [partial(_recover_quotes, look=look) for look in (await store.read(mended.LOOKS)).to_dicts()]


def _recover_quotes(connection: Connection, look: dict[str, Any]) -> Counts:
    """Rows of one snapshot, out of the quarantine and into the changes of its listing."""
    decoded = _decoded("markets", look, _body("markets", look["raws"]))
    unread = {one.raw for one in decoded.refused} if decoded else set(look["raws"])
    taken = mended.take_out(connection, look["run_id"], "", [raw for raw in look["raws"] if raw not in unread])
    if decoded is None or not taken:
        return Counts()
    frame = decoded.parts[0].frame.drop("series_ticker").unique("ticker", keep="last", maintain_order=True)
    mended.look(connection, look["scope"], look["time"], frame.select("ticker", *QUOTE))
    seen = {"run_id": pl.lit(look["run_id"]), "seen_at": pl.lit(look["time"], pl.Datetime("us", "UTC"))}
    writes.insert_new(connection, "markets", ["ticker"], frame.with_columns(**seen))
    more = "UPDATE snapshots SET markets = markets + $3 WHERE scope = $1 AND time = $2"
    connection.execute(more, [look["scope"], look["time"], frame.height])
    return Counts(frame.height, len(taken) - frame.height)


async def _again(store: Store, page: dict[str, Any]) -> int:
    """One kept answer read again: what is in the tables from it or before it is refreshed, nothing is added; its rows."""
    packed = (await store.read(BODY, [page["run_id"], page["walk"], page["page"]])).item()
    body = await asyncio.to_thread(bodies.unpacked, packed, page["sha256"])
    dataset = "markets" if page["dataset"] == "quotes" else page["dataset"]
    decoded = await asyncio.to_thread(_decoded, dataset, page, body)
    if decoded is None:
        return 0

    def refresh(connection: Connection) -> int:
        for part in _stamped(connection, decoded.parts, page, nested=False):
            mended.merge(connection, part.table, part.keys, part.frame, add=False)
        return decoded.parts[0].frame.height

    return await store.write(refresh)


def _body(dataset: str, raws: Sequence[str]) -> bytes:
    """Rows as a page of their listing."""
    return f'{{"{dataset}":[{",".join(raws)}]}}'.encode()


_LISTINGS: dict[str, tuple[type[Any], tuple[str, ...]]] = {
    "candlesticks": (Candlestick, BARS),
    "events": (Event, ("event_ticker",)),
    "markets": (Market, ("ticker",)),
    "series": (Series, ("ticker",)),
    "trades": (Trade, ("trade_id",)),
}


def _decoded(dataset: str, page: dict[str, Any], body: bytes) -> Decoded | None:
    """A page decoded as when it came; None where it is no page of its dataset today either."""
    call = Call("reparse", page.get("path") or "/reparse")
    arrived = Arrived(Reply(call, 200, body, "", 1, 0.0, len(body), page["time"]), "")
    scope = _scope(page["scope"])
    record, unique = _LISTINGS[dataset]
    read: dict[str, Decode] = {"events": datasets.events, "series": datasets.series, "trades": datasets.trades}
    read |= {"markets": datasets.markets_of(scope.get("series")), "candlesticks": partial(_bars, scope.get("interval"))}
    try:
        return read[dataset](Listing(record, dataset, call, unique), arrived)
    except (LabError, ValueError):
        return None


def _bars(minutes: Any, listing: Listing[Any], arrived: Arrived) -> Decoded:
    """Candlesticks: rows that say their market themselves, or an answer about several markets, or about the one in its path."""
    reply, path = arrived.reply, arrived.reply.call.path
    if path == "/reparse":
        batch = decode(listing, reply)
    elif path == "/markets/candlesticks":
        batch = candles.of_markets(reply, int(minutes))
    else:
        batch = candles.of_market(reply, unquote(path.split("/")[-2]), int(minutes))
    return Decoded((Part("candlesticks", BARS, batch.frame, refresh=True),), batch.refused, batch.received)


def _scope(text: str | None) -> dict[str, Any]:
    found = json.loads(text or "{}")
    return found if isinstance(found, dict) else {}
