"""The journal against the ledger: which pages, looks and batches were acknowledged and are not in the store any more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from kalshi_lab.store.journal import BATCH, FOLDED, LOST, PAGE, SNAPSHOT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kalshi_lab.store.journal import Entry

KEY = ("run_id", "walk", "page")
HELD: dict[str, dict[str, Any]] = {
    "ledger": {
        "run_id": pl.String, "dataset": pl.String, "scope": pl.String, "walk": pl.String, "page": pl.Int64, "sha256": pl.String,
        "time": pl.Datetime("us", "UTC"),
    },
    "snapshots": {"run_id": pl.String, "time": pl.Datetime("us", "UTC")},
    "recordings": {"recording": pl.String, "frames": pl.Int64},
    "pruned": {"owner": pl.String, "before": pl.Datetime("us", "UTC")},
}  # fmt: skip
LEDGER = "SELECT run_id, dataset, scope, walk, page, sha256, time FROM ledger"
SNAPSHOTS = "SELECT run_id, time FROM snapshots"
RECORDINGS = "SELECT recording, frames FROM recordings"
PRUNED = "SELECT owner, max(before) AS before FROM pruned WHERE name = 'snapshots' GROUP BY owner"
QUESTIONS = {"ledger": LEDGER, "snapshots": SNAPSHOTS, "recordings": RECORDINGS, "pruned": PRUNED}
PAGES: dict[str, Any] = {
    "kind": pl.String, "run_id": pl.String, "dataset": pl.String, "scope": pl.String, "walk": pl.String, "page": pl.Int64,
    "received": pl.Int64, "stored": pl.Int64, "sha256": pl.String, "time": pl.Datetime("us", "UTC"),
}  # fmt: skip


def nothing() -> dict[str, pl.DataFrame]:
    """What a store that is not there holds."""
    return {name: pl.DataFrame(schema=schema) for name, schema in HELD.items()}


def lost_pages(entries: Sequence[Entry], held: dict[str, pl.DataFrame]) -> pl.DataFrame:
    """The pages that were acknowledged and are not in the ledger: the columns of `PAGES`; `stored` is null where nobody knows any more.

    Pages of a run whose dataset and scope another run has read to its end since are not among them, and an end mark is page 0 of no walk.
    """
    ledger = held["ledger"]
    known = _frame(entry for entry in entries if entry.kind in {PAGE, FOLDED})
    single = known.filter(pl.col("kind") == PAGE).unique(KEY, keep="last", maintain_order=True)
    ranges = known.filter(pl.col("kind") == FOLDED).with_columns(
        pl.int_ranges(1, pl.col("page") + 1).alias("page"),
        pl.lit(None, pl.Int64).alias("stored"),
        pl.lit(None, pl.Int64).alias("received"),
    )
    every = pl.concat([ranges.explode("page"), single]).unique(KEY, keep="last", maintain_order=True)
    gone = every.join(ledger, on=KEY, how="anti").join(_forgotten(entries), on=KEY, how="anti")
    ends = ledger.filter(pl.col("walk") == "").group_by("dataset", "scope").agg(pl.max("time").alias("ended"))
    joined = gone.join(ends, on=["dataset", "scope"], how="left", maintain_order="left")
    return joined.filter(pl.col("ended").is_null() | (pl.col("ended") < pl.col("time"))).select(PAGES.keys())


def changed_pages(entries: Sequence[Entry], held: dict[str, pl.DataFrame]) -> pl.DataFrame:
    """The pages whose checksum in the ledger is not the one that was acknowledged last."""
    known = _frame(entry for entry in entries if entry.kind == PAGE and entry.sha256).unique(
        KEY, keep="last", maintain_order=True
    )
    joined = known.join(held["ledger"].select(*KEY, "sha256"), on=KEY, suffix="_held", maintain_order="left")
    return joined.filter(pl.col("sha256") != pl.col("sha256_held")).select(PAGES.keys())


def lost_for_good(entries: Sequence[Entry], held: dict[str, pl.DataFrame]) -> list[Entry]:
    """The looks and batches that were acknowledged and are not in the store, which no request brings back; last batches only."""
    forgotten = {(entry.run_id, entry.page) for entry in entries if entry.kind == LOST}
    before = {row["owner"]: row["before"] for row in held["pruned"].to_dicts()}
    looks = set(held["snapshots"].get_column("run_id"))
    frames = dict(held["recordings"].select("recording", "frames").iter_rows())
    last = {(entry.kind, entry.run_id): entry for entry in entries if entry.kind in {SNAPSHOT, BATCH}}
    found = []
    for entry in last.values():
        if entry.kind == SNAPSHOT:
            pruned = entry.scope in before and entry.time < before[entry.scope]
            gone = entry.run_id not in looks and not pruned
        else:
            gone = frames.get(entry.run_id, -1) < entry.page
        if gone and (entry.run_id, entry.page) not in forgotten:
            found.append(entry)
    return found


def not_journalled(entries: Sequence[Entry], held: dict[str, pl.DataFrame]) -> int:
    """How many pages of the ledger the journal does not have: those from before there was one, or cut off between the two."""
    last = _frame(entry for entry in entries if entry.kind == FOLDED).select(
        "run_id", "walk", pl.col("page").alias("until")
    )
    single = _frame(entry for entry in entries if entry.kind == PAGE)
    left = held["ledger"].join(single, on=KEY, how="anti").join(last, on=["run_id", "walk"], how="left")
    return left.filter(pl.col("until").is_null() | (pl.col("page") > pl.col("until"))).height


def _frame(entries: Iterable[Entry]) -> pl.DataFrame:
    rows = [tuple(getattr(entry, name) for name in PAGES) for entry in entries]
    return pl.DataFrame(rows, schema=PAGES, orient="row")


def _forgotten(entries: Sequence[Entry]) -> pl.DataFrame:
    return _frame(entry for entry in entries if entry.kind == LOST).select(KEY)
