"""How fast recorded order-book frames become books: ours, and those of other clients in the same run.

    KALSHI_LAB_RECORDINGS=... python tests/bench/bench_book.py --peer pykalshi=PYTHON --peer kalshi-sdk=PYTHON

Each PYTHON is an interpreter in whose environment that client is installed. Every measurement is a child process that holds the
frames in memory, as bytes off the wire, and takes CPU time of decoding and applying alone: from a snapshot on, one core, with
sequence numbers checked where the client's book checks them; the median of three passes, each into new books. "+ best" also reads
best bid and ask after each frame. Rounds go through all variants in turn; a slow one ends its pass after some seconds and its rate
counts what it did. kalshi-sdk refuses snapshots without their empty side, so it gets both.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from itertools import groupby
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROOT = Path(__file__).parents[2]
CAPTURE = "btc15m_20260513T215130Z.parquet"
OURS = ("kalshi_lab, bytes", "kalshi_lab, bytes + best", "kalshi_lab, dict", "kalshi_lab, dict + best")
SLICE = 1000  # frames between two looks at the clock
ENOUGH = 2.0  # CPU seconds after which a slow variant ends its pass
PASSES = 3  # in one process: the first also warms it


def ours(ticker: str, *, best: bool) -> Callable[[Sequence[Any]], None]:
    from kalshi_lab import OrderBook

    book = OrderBook(ticker)

    def plain(frames: Sequence[Any]) -> None:
        apply = book.apply
        for frame in frames:
            apply(frame)

    def quoted(frames: Sequence[Any]) -> None:
        apply, bid, ask = book.apply, book.best_bid, book.best_ask
        for frame in frames:
            apply(frame)
            bid()
            ask()

    return quoted if best else plain


def pykalshi(ticker: str, *, best: bool) -> Callable[[Sequence[Any]], None]:
    from pykalshi.feed import OrderbookDeltaMessage, OrderbookSnapshotMessage
    from pykalshi.orderbook import OrderbookManager

    book = OrderbookManager(ticker)

    def apply(frames: Sequence[bytes]) -> None:
        for frame in frames:
            data = json.loads(frame)
            if data["type"] == "orderbook_delta":
                change = OrderbookDeltaMessage.model_validate(data["msg"])
                book.apply_delta(change.side, change.price_dollars, change.delta_fp)
            else:
                whole = OrderbookSnapshotMessage.model_validate(data["msg"])
                book.apply_snapshot(whole.yes_dollars_fp, whole.no_dollars_fp)
            if best:
                _ = book.best_bid, book.best_ask

    return apply


def kalshi_sdk(_ticker: str, *, best: bool) -> Callable[[Sequence[Any]], None]:
    from kalshi.ws.models.orderbook_delta import OrderbookDeltaMessage, OrderbookSnapshotMessage
    from kalshi.ws.orderbook import OrderbookManager

    books = OrderbookManager()

    def apply(frames: Sequence[bytes]) -> None:
        for frame in frames:
            data = json.loads(frame)
            if data["type"] == "orderbook_delta":
                book = books.apply_delta(OrderbookDeltaMessage.model_validate(data))
            else:
                data["msg"] = {"yes_dollars_fp": [], "no_dollars_fp": []} | data["msg"]
                book = books.apply_snapshot(OrderbookSnapshotMessage.model_validate(data))
            if best:  # it gives levels in ascending order
                _ = book.yes and book.yes[-1].price, book.no and 1 - book.no[-1].price

    return apply


def child(work: str, path: str) -> None:
    """Measure in this process and print the frames a CPU second of each pass, as JSON."""
    frames: list[Any] = Path(path).read_bytes().split(b"\n")
    markets = [json.loads(frame)["msg"]["market_ticker"] for frame in frames]
    if "dict" in work:
        frames = [json.loads(frame) for frame in frames]
    print(json.dumps([single(work, frames, markets) for _ in range(PASSES)]))


def single(work: str, frames: list[Any], markets: list[str]) -> float:
    """Frames a CPU second of one pass into new books, a book for each market."""
    make = {"kalshi_lab": ours, "pykalshi": pykalshi, "kalshi-sdk": kalshi_sdk}[work.split(",", maxsplit=1)[0]]
    start, done, spent = 0, 0, 0.0
    for ticker, group in groupby(markets):
        stop = start + len(list(group))
        apply = make(ticker, best=work.endswith("+ best"))
        for place in range(start, stop, SLICE):
            some = frames[place : min(place + SLICE, stop)]
            before = time.process_time()
            apply(some)
            spent, done = spent + time.process_time() - before, done + len(some)
            if spent > ENOUGH:
                return done / spent
        start = stop
    return done / spent


def measured(work: str, python: str, path: str) -> float:
    """Frames a CPU second of one variant: the median of its passes."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [python, __file__, "--child", work, path]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=300)
    return median(json.loads(done.stdout.strip().splitlines()[-1]))


def report(recording: Path, rounds: int, peers: dict[str, str], *, limit: int = 0) -> dict[str, float]:
    """Measure, print and return the medians; `limit` takes only the first frames."""
    from tests.book import recorded

    variants = dict.fromkeys(OURS, sys.executable)
    variants |= {f"{name}, bytes{best}": python for name, python in peers.items() for best in ("", " + best")}
    rates: dict[str, list[float]] = {work: [] for work in variants}
    frames = recorded.capture(recording).frames[: limit or None]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frames"
        path.write_bytes(b"\n".join(frames))
        for _ in range(rounds):
            for work, python in variants.items():
                rates[work].append(measured(work, python, str(path)))
    print(f"{len(frames):,} frames of {recording.name}, frames a CPU second, {rounds} rounds")
    for work, found in rates.items():
        print(f"{work:28} median {median(found):12,.0f}   lowest {min(found):12,.0f}   highest {max(found):12,.0f}")
    return {work: median(found) for work, found in rates.items()}


def main(given: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PYTHON", help="pykalshi or kalshi-sdk")
    parser.add_argument("--child", nargs=2, metavar=("WORK", "FRAMES"), help=argparse.SUPPRESS)
    options: Any = parser.parse_args(given)
    if options.child:
        child(*options.child)
        return
    sys.path.insert(0, str(ROOT))
    folder = os.environ.get("KALSHI_LAB_RECORDINGS")
    if not folder:
        parser.error("KALSHI_LAB_RECORDINGS names no recordings")
    peers = dict(peer.split("=", 1) for peer in options.peer)
    report(Path(folder) / "ws" / CAPTURE, options.rounds, peers)


if __name__ == "__main__":
    main(sys.argv[1:])
