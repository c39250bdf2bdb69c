"""Recorded book channels as the frames that were on the wire."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    from pathlib import Path

BOOK = ("orderbook_snapshot", "orderbook_delta")


@dataclass(frozen=True)
class Capture:
    """One recording: each frame, when it was received (Unix ns), and its market and number."""

    frames: list[bytes]
    received: list[int]
    keys: list[tuple[str, int]]


def captures(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / "ws").glob("btc15m_2*.parquet"))


def capture(path: Path) -> Capture:
    """The frames of a recording in the order of their arrival."""
    ids = pl.read_parquet(path.parent / "btc15m_markets.parquet").select("market_ticker", "market_id")
    rows = (
        pl.read_parquet(path)
        .with_columns(pl.col("type", "market_ticker", "side", "price_dollars").cast(pl.String))
        .filter(pl.col("type").is_in(BOOK))
        .join(ids, on="market_ticker", how="left")
        .sort("recv_ns", "seq")
    )
    made = rows.select(frame=_frame()).to_series().to_list()
    keys = list(rows.select("market_ticker", "seq").iter_rows())
    return Capture([text.encode() for text in made], rows["recv_ns"].to_list(), keys)


def _frame() -> pl.Expr:
    time = pl.from_epoch("exch_ts_us", time_unit="us").dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
    delta = [
        '{"market_ticker":"', pl.col("market_ticker"), '","market_id":"', pl.col("market_id"), '","price_dollars":"',
        pl.col("price_dollars"), '","delta_fp":"', pl.col("delta_fp"), '","side":"', pl.col("side"), '","ts":"', time, '","ts_ms":',
        pl.col("exch_ts_us") // 1000, "}",
    ]  # fmt: skip
    msg = pl.when(pl.col("type") == BOOK[0]).then(pl.col("msg_json")).otherwise(_joined(delta))
    return _joined(['{"type":"', pl.col("type"), '","sid":2,"seq":', pl.col("seq"), ',"msg":', msg, "}"])


def _joined(parts: list[Any]) -> pl.Expr:
    return pl.concat_str([pl.lit(part) if isinstance(part, str) else part for part in parts])


def checkpoints(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """The recorder's own top five levels a side, where they can be relied on, by the name of the capture."""
    rows = pl.read_parquet(folder / "ws" / "btc15m_checkpoints.parquet").filter("reliable")
    rows = rows.with_columns(
        pl.col("run", "market_ticker").cast(pl.String),
        ns=pl.col("ts").str.to_datetime(time_unit="ns", time_zone="UTC").cast(pl.Int64),
    )
    made: dict[str, list[dict[str, Any]]] = {}
    for path in captures(folder):
        stamp = path.stem.removeprefix("btc15m_")
        made[path.stem] = rows.filter(pl.col("run").str.contains(stamp)).to_dicts()
    return made


def stream(folder: Path) -> list[dict[str, Any]]:
    """Every frame of a minute of twelve markets, as received."""
    recorded = json.loads((folder / "ws" / "cockpit_orderbook_stream.json").read_text(encoding="utf-8"))
    return [one["frame"] for one in recorded["frames"]]


def lines(folder: Path) -> list[dict[str, Any]]:
    """Every frame of a capture of two channels, ticker and book."""
    text = (folder / "ws" / "btc15m_frames_20260511T053112Z.jsonl").read_text(encoding="utf-8")
    return [json.loads(line)["frame"] for line in text.splitlines()]
