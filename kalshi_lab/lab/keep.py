"""The API into DuckDB: snapshots and syncs, incremental and resumable."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from kalshi_lab.clock import between
from kalshi_lab.errors import UsageError
from kalshi_lab.ingest import history
from kalshi_lab.ingest.collector import AsyncCollector, Collector
from kalshi_lab.ingest.recorded_markets import CHANNELS, wanted
from kalshi_lab.ingest.recorder import AsyncRecording, Recording
from kalshi_lab.ingest.reparse import Reparsed, reparse
from kalshi_lab.ingest.rounds import Work, planned
from kalshi_lab.ingest.snapshot import Snapshot, snapshot
from kalshi_lab.kalshi.params import filtered
from kalshi_lab.kalshi.params import tickers as checked_tickers
from kalshi_lab.lab.verbs import Verbs
from kalshi_lab.portal import Facade, blocking, faced
from kalshi_lab.research.news.imported import import_news
from kalshi_lab.research.thesis.imported import import_theses
from kalshi_lab.store import archive as archives
from kalshi_lab.store import export as exports
from kalshi_lab.store import imports, lake_export
from kalshi_lab.store.files import checked
from kalshi_lab.store.lake import Lake

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import timedelta
    from os import PathLike

    import polars as pl

    from kalshi_lab.clock import When
    from kalshi_lab.ingest.history import SyncResult
    from kalshi_lab.kalshi.stream import AsyncStream


class AsyncKeep(Verbs):
    """Keep: what the exchange says, into the store."""

    async def snapshot(
        self,
        *,
        status: str | None = "open",
        series: str | None = None,
        event: str | None = None,
        tickers: str | Iterable[str] | None = None,
        combos: bool = False,
        progress: bool | None = None,
    ) -> Snapshot:
        """Keep the quotes of a listing as they are now: a row for each that changed since the snapshot before.

        Raises UsageError for a status or ticker that cannot be, SchemaDrift (all is kept by then) where too many rows cannot be read.
        """
        self.store.writable()
        names = None if tickers is None else checked_tickers(tickers)
        chosen: dict[str, Any] = {
            "status": None if names else status,
            "series": series,
            "event": event,
            "tickers": names,
        }
        return await snapshot(self.kalshi, self.store, self.clock, **chosen, combos=combos, progress=progress)

    async def sync(
        self,
        dataset: Literal["markets", "events", "series", "trades", "candlesticks"],
        *,
        status: str | None = None,
        series: str | None = None,
        event: str | None = None,
        tickers: str | Iterable[str] | None = None,
        since: When | None = None,
        until: When | None = None,
        interval: str | int = "1h",
        combos: bool = False,
        nested: bool = False,
        resume: bool = True,
        dry_run: bool = False,
        progress: bool | None = None,
    ) -> SyncResult:
        """Bring a dataset into the store: what is new or changed is read and written once, and an interrupted sync carries on where it was.

        Live and historical data are one. What was read before is not read again, but for the last hour of it; `resume=False` reads all
        anew. `dry_run=True` only says what it would take: `.expected` has requests, rows, minutes and megabytes, where they can be told.
        markets: `status` as a filter (None for all, with the settled ones that only the historical endpoint still has); events:
        `nested=True` brings their markets along; trades: of `tickers`, an `event`, a `series` or the whole exchange, in [since, until);
        candlesticks: of `tickers`, an `event` or a `series`, over each market's life or [since, until). Combos are left out unless
        asked for, and the result says how many.
        Raises UsageError for a dataset, status, ticker or time that cannot be, SchemaDrift (all is kept by then) where too many rows cannot
        be read, and the error of a request that failed for good; what was read before it is kept.
        """
        self.store.writable()
        ask = history.asked(
            dataset, status=status, series=series, event=event, tickers=tickers, since=since, until=until, interval=interval,
            combos=combos, nested=nested, now=self.clock.now(),
        )  # fmt: skip
        return await history.sync(
            self.kalshi, self.store, self.clock, ask, resume=resume, dry_run=dry_run, progress=progress
        )

    async def export(
        self,
        path: str | PathLike[str] | Lake,
        dataset: str | None = None,
        *,
        datasets: Iterable[str] | None = None,
        format: Literal["parquet", "csv"] | None = None,  # noqa: A002 - the field's word
        since: When | None = None,
        until: When | None = None,
        series: str | None = None,
    ) -> pl.DataFrame:
        """Write a table of the store as files for other tools, and say what was written.

        `path` a `kl.Lake`, of a folder or of object storage: bring the lake up to date with what the store has of `datasets` (None: all
        that the exchange says to everybody), one file a UTC day; where nothing changed nothing is read. Each file is read back, counted
        and hashed before it takes its place; days that the store pruned stay. `kl.Lab(store=lake)` asks and thinks over it. Else `path`
        and one `dataset`: format: csv where the path ends in .csv and nothing else is said, else parquet. parquet: `path` is the folder,
        `<path>/trades/date=2026-11-22/series=KXHIGHNY/trades.parquet`, sorted by ticker and time; only what changed since the last
        export is written, in whole UTC days. csv: `path` is the file, written anew, exactly [since, until), safe to open as a
        spreadsheet: a text that begins like a formula gets an apostrophe. Decimals are exact and times UTC in both. A file takes its
        place whole; one that was there stands until then. Files of what the store no longer holds stay. Raises UsageError for an odd
        path, a dataset or a choice that there is not, DiskFull, StoreError. Columns of what it gives: file String; rows, bytes Int64.
        """
        first, last = between(since, until, now=self.clock.now())
        if isinstance(path, Lake):
            if series or format:
                raise UsageError("a lake is written whole, as Parquet", hint="Leave out series= and format=")
            names = (
                None if datasets is None and dataset is None else [*([dataset] if dataset else []), *(datasets or ())]
            )
            return await lake_export.export(self.store, path, lake_export.asked(names, first, last))
        if dataset is None or datasets is not None:
            raise UsageError(
                "name one dataset", hint='lab.export("out", "trades"), or a whole lake: lab.export(kl.Lake("lake"))'
            )
        what = exports.chosen(dataset, first, last, filtered(series, "series"))
        place = checked(path, "path")
        return await exports.export(self.store, place, what, format or ("csv" if place.suffix == ".csv" else "parquet"))

    async def archive(self, path: str | PathLike[str]) -> pl.DataFrame:
        """Write the whole store into one file that any later version, and any reader of Parquet, can read.

        Columns of what it gives: table String; rows, bytes Int64.
        A zip of Parquet files with a manifest of rows and hashes, all of one moment; it takes its place whole. `import_file` makes a
        store of it again. Raises UsageError for an odd path, DiskFull, StoreError.
        """
        return await archives.archive(self.store, checked(path, "path"), self.clock.now())

    async def import_file(self, path: str | PathLike[str]) -> pl.DataFrame:
        """Bring a file into the store: what `archive` wrote, or the SQLite database or theses.json of the tool before this library.

        An archive goes into an empty store alone (`kl.Lab(home=...)`), whole or not at all, once every hash in it is checked. The
        database goes into any: what is held already stays as it is, every row is kept whole in `table("imported")`, its news become
        articles (`lab.news`), and a second import adds nothing. Columns of what it gives: table, into String; received = stored + duplicate
        + quarantined, Int64. Raises UsageError for any other file, StoreCorrupt for a damaged archive, StoreError for theses that
        cannot be read.
        """
        self.store.writable()
        if Path(path).suffix == ".json":
            return await import_theses(self.store, Path(path))
        now = self.clock.now()
        told = await imports.import_file(self.store, Path(path), now)
        if "news_articles" not in told["table"]:
            return told
        return told.vstack((await import_news(self.store, now)).cast(told.schema))

    def record(
        self,
        *,
        tickers: str | Iterable[str] | None = None,
        series: str | None = None,
        event: str | None = None,
        channels: str | Iterable[str] = CHANNELS,
    ) -> AsyncRecording:
        """Record the live stream into the store, in the background: books, trades, tickers, and the life of markets.

        Of `tickers`, and of the open markets of a `series` or an `event`, which are joined by those that are created or activated
        later where market_lifecycle_v2 is among the channels. Without any of them: what the exchange sends of all markets. Every
        message is kept once, every gap is a row of `table("gaps")`, and trades missed while the connection was lost are brought by
        REST. Tables: book_changes, trades, ticks, lifecycle, recordings, gaps; `book` and `replay` rebuild the books.
        Needs credentials. Raises UsageError for an unknown channel, or where there is no such market.
        """
        self.store.writable()
        asked = wanted(tickers, series, event, channels)

        def stream(names: list[str]) -> AsyncStream:
            said = False if "orderbook_delta" in asked.channels else None  # the exchange may change its default
            return self.kalshi.stream(asked.channels, tickers=names or None, use_yes_price=said)

        made = AsyncRecording(self.kalshi, self.store, self.clock, asked, stream)
        self._background.add(made)
        return made

    def collect(
        self,
        every: timedelta | str = "15m",
        *,
        sync_every: timedelta | str = "1h",
        series: str | Iterable[str] | None = None,
        trades: str | Iterable[str] | None = None,
        rounds: int | None = None,
    ) -> AsyncCollector:
        """Collect in the background for as long as it is left alone: a snapshot at every tick, and a sync now and then.

        Ticks are aligned to the clock ("15m": at 0, 15, 30 and 45 past) and a few seconds later, by an amount drawn once. A sync brings
        series, open events, open markets with their rules, which the exchange does not tell any more once a market is final, results,
        and the trades of the series named in `trades`. series: those alone (None: the whole exchange); rounds: end after so many. A
        round that fails is logged, and the next one goes on; ticks missed while this machine was asleep or a round took long are
        counted. `status` tells how it goes, and the table `rounds` has a row for each round. Raises StoreBusy, with its holder,
        where another collector works on the same store.
        """
        self.store.writable()
        plan = planned(every, sync_every, series=series, trades=trades, rounds=rounds)
        work = Work(self.kalshi, self.store, self.clock, plan, snapshot=self.snapshot, sync=self.sync)
        made = AsyncCollector(self.store, self.clock, plan, work)
        self._background.add(made)
        return made

    async def reparse(self, *, bodies: bool = False, progress: bool | None = None) -> Reparsed:
        """Read what could not be read when it came (`table("quarantine")`) again with today's models, without asking the exchange.

        What can be read goes into its tables as if it had been read at once: under its run, never over what was seen later, and with
        the counts of its page in the ledger moved from quarantined to stored or duplicate. The rest stays where it is. Messages of a
        stream stay too: a book that missed one keeps its gap. bodies=True also reads the answers that `keep_bodies=True` kept again, and
        refreshes the rows that are in the tables from them. Raises UsageError in a lab over a lake, which only reads.
        """
        self.store.writable()
        return await reparse(self.store, self.clock, answers=bodies, progress=progress)


class Keep(Facade):
    """The blocking face of `AsyncKeep`."""

    snapshot = blocking(AsyncKeep.snapshot)
    sync = blocking(AsyncKeep.sync)
    export = blocking(AsyncKeep.export)
    archive = blocking(AsyncKeep.archive)
    import_file = blocking(AsyncKeep.import_file)
    record = faced(AsyncKeep.record, Recording)
    collect = faced(AsyncKeep.collect, Collector)
    reparse = blocking(AsyncKeep.reparse)
