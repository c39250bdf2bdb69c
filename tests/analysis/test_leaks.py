"""Forecasts of a store: what was known at the decision, and nothing that came later."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from kalshi_lab import Lab
from kalshi_lab.analysis.labelled import Labelled, labelled
from kalshi_lab.errors import UsageError
from kalshi_lab.store import Store
from kalshi_lab.store.writes import insert

if TYPE_CHECKING:
    from pathlib import Path

CLOSE = datetime(2026, 11, 10, 5, tzinfo=UTC)  # midnight Eastern: the end of 9 November there
DECISION = CLOSE - timedelta(days=1)
MOMENT = timedelta(microseconds=1)
TYPES: dict[str, Any] = {"time": pl.Datetime("us", "UTC"), "price": pl.Decimal(9, 6), "count": pl.Decimal(18, 2)}


class Desk:
    """A store that is filled by hand."""

    def __init__(self, path: Path) -> None:
        self.store = Store(path / "kalshi.duckdb")
        self.add("series", ticker="S", category="Weather", fee_type="quadratic", fee_multiplier=1.0)
        self.settle()

    def settle(self, ticker: str = "S-E-1", **more: Any) -> None:
        self.add("results", **{"ticker": ticker, "event_ticker": "S-E", "result": "yes", "close_time": CLOSE} | more)

    def candle(self, end: datetime, bid: str | None, ask: str | None, **more: Any) -> None:
        each: dict[str, Any] = {"ticker": "S-E-1", "interval_minutes": 60, "end_time": end}
        self.add("candlesticks", **each | {"yes_bid_close": bid, "yes_ask_close": ask} | more)

    def quote(self, time: datetime, bid: str, ask: str, **more: Any) -> None:
        each: dict[str, Any] = {"ticker": "S-E-1", "time": time, "scope": "", "gone": False}
        self.add("quotes", **each | {"yes_bid": bid, "yes_ask": ask} | more)

    def trade(self, name: str, time: datetime, price: str, count: str = "10", **more: Any) -> None:
        each: dict[str, Any] = {"trade_id": name, "ticker": "S-E-1", "created_time": time, "yes_price": price}
        self.add("trades", **each | {"count": count, "taker_outcome_side": "yes"} | more)

    def add(self, table: str, **row: Any) -> None:
        columns = {}
        for name, value in row.items():
            money = isinstance(value, str) and value.replace(".", "").isdigit() and name != "result"
            kind = TYPES["count"] if name in {"count", "volume"} else TYPES["price"]
            series = pl.Series(name, [Decimal(value) if money else value])
            columns[name] = (
                series.cast(kind) if money else series.cast(TYPES["time"]) if isinstance(value, datetime) else series
            )
        asyncio.run(self.store.write(lambda connection: insert(connection, table, pl.DataFrame(columns))))

    def known(
        self, horizon: Any = "1d", price: str = "mid", weight: str = "contract-day", series: str | None = None
    ) -> pl.DataFrame:
        return asyncio.run(labelled(self.store, Labelled.asked(horizon, price, weight, series)))

    def row(self, **options: Any) -> dict[str, Any]:
        return self.known(**options).row(0, named=True)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_candle_that_ends_after_the_decision_is_not_seen(desk: Desk) -> None:
    """CAL-1: the last candle that had ended by then counts, even where the next began before; one that ends at that moment is known."""
    desk.candle(DECISION - timedelta(hours=1), "0.20", "0.24")
    desk.candle(DECISION + MOMENT, "0.90", "0.98", price_close="0.95", volume="500")
    row = desk.row()
    assert (row["price"], row["priced_at"], row["last_price"], row["volume"]) == (
        pytest.approx(0.22), DECISION - timedelta(hours=1), None, 0,
    )  # fmt: skip
    desk.candle(DECISION, "0.30", "0.34")
    assert desk.row()["priced_at"] == DECISION


def test_a_quote_after_the_decision_is_not_seen(desk: Desk) -> None:
    """Lesson 40: no snapshot after the decision time; the newest before it wins over an older candle."""
    desk.candle(DECISION - timedelta(hours=2), "0.20", "0.24")
    desk.quote(DECISION - timedelta(minutes=5), "0.40", "0.44", last_price="0.41", volume="70")
    desk.quote(DECISION + MOMENT, "0.97", "0.99", last_price="0.98", volume="9000")
    row = desk.row()
    assert (row["yes_bid"], row["yes_ask"], row["last_price"], row["volume"], row["size"]) == (
        0.40,
        0.44,
        0.41,
        70,
        "1-99",
    )


def test_a_market_that_left_its_listing_has_no_quote(desk: Desk) -> None:
    """A departure hides the older quote; one after the decision does not."""
    desk.quote(DECISION - timedelta(hours=2), "0.40", "0.44")
    desk.quote(DECISION + MOMENT, "0.40", "0.44", gone=True)
    assert desk.row()["price"] == pytest.approx(0.42)
    desk.quote(DECISION - timedelta(hours=1), "0.40", "0.44", gone=True)
    assert desk.row()["price"] is None


@pytest.mark.parametrize("how", ["settled", "told"])
def test_a_market_decided_early_is_cut_at_the_decision(desk: Desk, how: str) -> None:
    """Determined ten hours before its close, its horizon counts back from there: the quote between, which knows, is not seen."""
    early = CLOSE - timedelta(hours=10)
    desk.candle(early - timedelta(hours=25), "0.20", "0.24")
    desk.candle(early - timedelta(hours=23), "0.60", "0.64")
    desk.candle(early + timedelta(hours=1), "0.98", "0.99")
    assert desk.row(horizon="2h")["price"] == pytest.approx(0.985)
    if how == "settled":
        desk.settle("S-E-2", settlement_ts=early)
        desk.candle(early - timedelta(hours=25), "0.20", "0.24", ticker="S-E-2")
        desk.candle(early + timedelta(hours=1), "0.98", "0.99", ticker="S-E-2")
        row = desk.known().row(1, named=True)
        near = desk.known(horizon="2h").row(1, named=True)
    else:
        told = {
            "recording": "r",
            "frame": 1,
            "kind": "market_lifecycle_v2",
            "event_type": "determined",
            "details": "{}",
        }
        desk.add("lifecycle", **told, ticker="S-E-1", time=early, received_at=early)
        row, near = desk.row(), desk.row(horizon="2h")
    assert (row["ended_at"], row["decided_at"]) == (early, early - timedelta(days=1))
    assert row["price"] == pytest.approx(0.22)
    assert near["price"] in (pytest.approx(0.22), pytest.approx(0.62))


def test_trades_after_the_decision_are_not_seen(desk: Desk) -> None:
    """Neither the last price, nor the weight by trades or dollars, nor the volume."""
    desk.trade("a", DECISION - timedelta(hours=3), "0.30", "10")
    desk.trade("b", DECISION - timedelta(hours=2), "0.25", "4", taker_outcome_side="no")
    desk.trade("c", DECISION + MOMENT, "0.90", "1000")
    row = desk.row(price="last", weight="trade")
    assert (row["price"], row["weight"], row["volume"], row["priced_at"]) == (
        0.25,
        2,
        14,
        DECISION - timedelta(hours=2),
    )
    assert desk.row(weight="dollar")["weight"] == pytest.approx(10 * 0.30 + 4 * 0.75)


def test_the_executable_price_is_the_ask_with_its_fee(desk: Desk) -> None:
    """0.07 x 0.24 x 0.76 at the ask; no price and no fee where a side is missing; none known is not zero."""
    desk.candle(DECISION, "0.20", "0.24")
    row = desk.row(price="executable")
    assert (row["price"], row["fee"]) == (0.24, pytest.approx(0.07 * 0.24 * 0.76))
    desk.settle("T-E-1", event_ticker="T-E")
    desk.candle(DECISION, "0.20", "0.24", ticker="T-E-1")
    unknown = desk.known(series="T").row(0, named=True)
    assert (unknown["price"], unknown["fee"], unknown["series_ticker"]) == (pytest.approx(0.22), None, "T")
    desk.candle(DECISION + timedelta(hours=23), "0", "0.02")
    row = desk.row(horizon="1h", price="executable")
    assert (row["price"], row["fee"]) == (None, None)


def test_fees_are_the_events_own_and_waived_while_they_are(desk: Desk) -> None:
    """An event's multiplier wins over its series', and a waiver that lasts beyond the decision makes the fee zero."""
    desk.candle(DECISION, "0.20", "0.24")
    desk.add("events", event_ticker="S-E", series_ticker="S", fee_multiplier_override=0.5)
    assert desk.row()["fee"] == pytest.approx(0.035 * 0.24 * 0.76)
    desk.add("markets", ticker="S-E-1", fee_waiver_expiration_time=DECISION + MOMENT)
    assert desk.row()["fee"] == 0


def test_a_row_for_each_horizon_and_dates_of_the_exchanges_clock(desk: Desk) -> None:
    """Lesson 38: open, decision, end and close are all there; the day is Eastern and ends at midnight there."""
    desk.candle(CLOSE - timedelta(hours=2), "0.50", "0.54")
    desk.candle(DECISION - timedelta(hours=2), "0.20", "0.24")
    desk.add("markets", ticker="S-E-1", open_time=CLOSE - timedelta(days=3))
    known = desk.known(["1h", "1d", "7d"])
    assert known["horizon"].to_list() == ["1h", "1d", "7d"]
    assert known["price"].to_list() == [pytest.approx(0.52), pytest.approx(0.22), None]
    assert known["close_date_et"].to_list() == [date(2026, 11, 9)] * 3
    assert known["decided_date_et"].to_list() == [date(2026, 11, 9), date(2026, 11, 9), date(2026, 11, 3)]
    assert known["open_time"][0] == CLOSE - timedelta(days=3)
    assert (known["decided_at"] < known["ended_at"]).all()
    assert known.schema["outcome"] == pl.Int8


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"horizon": "soon"}, "horizon 'soon' is no length of time"),
        ({"horizon": []}, "no horizon"),
        ({"horizon": "0h"}, "no time before the end"),
        ({"horizon": timedelta(days=-1)}, "no time before the end"),
        ({"price": "middle"}, "Did you mean 'mid'|middle"),
        ({"weight": "day"}, "weight"),
    ],
)
def test_unknown_words_are_refused(desk: Desk, options: dict[str, Any], words: str) -> None:
    """Before anything is read."""
    with pytest.raises(UsageError, match=words):
        desk.known(**options)


def test_the_verb_and_the_function_agree_to_the_last_digit(tmp_path: Path) -> None:
    """One query over the store, or the frame of forecasts through `kl.calibration`: the same table and scores."""
    from polars.testing import assert_frame_equal

    from kalshi_lab import calibration

    desk = Desk(tmp_path)
    for place in range(2, 40):
        ticker = f"S-E{place % 7}-{place}"
        desk.settle(ticker, event_ticker=f"S-E{place % 7}", result="yes" if place % 3 else "no")
        desk.candle(DECISION, f"0.{10 + 2 * place}", f"0.{11 + 2 * place}", ticker=ticker, volume=f"{place * 40}")
    with Lab("sim", base_url="http://127.0.0.1:1", home=tmp_path) as lab:
        over = lab.calibration(horizon=["1h", "1d"], by=["size", "horizon"])
        known = lab.forecasts(horizon=["1h", "1d"])
        with pytest.raises(UsageError, match="by"):
            lab.calibration(by="color")
        assert lab.calibration(weight="dollar").excluded == {"no price": 1, "no weight": 38}
    frame = calibration(known, cluster="event_ticker", by=["size", "horizon"])
    assert_frame_equal(over.frame(), frame.frame(), check_exact=True)
    assert_frame_equal(over.scores, frame.scores, check_exact=True)
    assert over.excluded == frame.excluded == {"no price": 2}
    said = repr(over)
    assert "Calibration of 76 forecasts" in said
    assert "horizon 1h, 1d before the end, at the mid price" in said
    assert "contract-day" in said
    assert "clustered by event_ticker" in said
    assert "horizon 1h, 1d" in repr(frame)
