"""Makes the README's pictures: `python tests/pictures.py`.

A world whose long shots are priced too high on purpose, so that the diagram has something to show, and one in time lapse.
"""

from __future__ import annotations

import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

import kalshi_lab as kl
from kalshi_lab.sim import start

PICTURES = Path(__file__).parents[1] / "notebooks" / "img"
CITIES = ("KXHIGHNY", "KXHIGHCHI", "KXHIGHMIA", "KXHIGHAUS")
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def reliability() -> None:
    """Sync four series of settled markets, compare their prices twelve hours before the close, save the diagram."""
    with start(markets=1000, clock="frozen", longshot_bias=0.25) as exchange, tempfile.TemporaryDirectory() as home:
        with kl.Lab("sim", base_url=exchange.url, home=home) as lab:
            for series in CITIES:
                lab.sync("markets", status="settled", series=series)
                lab.sync("candlesticks", status="settled", series=series)
            result = lab.calibration(horizon="12h")
        print(result)
        print(result.plot().save(PICTURES / "reliability.png"))


def book_path() -> None:
    """Record two hours of a market in time lapse, replay its book, save the picture."""
    with (
        start(markets=1000, clock="frozen", start=NOON) as exchange,
        tempfile.TemporaryDirectory() as home,
        kl.Lab("sim", base_url=exchange.url, home=home) as lab,
    ):
        market = lab.markets(series="KXHIGHNY").sort((pl.col("yes_bid") - 0.5).abs(), "ticker").row(0, named=True)
        ticker = market["ticker"]
        with lab.record(tickers=ticker):
            for _ in range(60):
                time.sleep(0.1)
                exchange.advance(120)
        trades = lab.sql("SELECT * FROM trades WHERE ticker = ?", [ticker])
        picture = kl.charts.book_path(lab.replay(ticker), title=market["title"], trades=trades)
        print(picture.save(PICTURES / "book_path.png"))


if __name__ == "__main__":
    reliability()
    book_path()
