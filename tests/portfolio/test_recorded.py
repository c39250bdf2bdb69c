"""The ledger against a recorded account: 432 fills, and what the exchange said it held at 65 moments."""

from __future__ import annotations

import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from kalshi_lab.portfolio.ledger import ledger
from tests.portfolio.conftest import frame

RECORDINGS = os.environ.get("KALSHI_LAB_RECORDINGS")
pytestmark = [
    pytest.mark.recordings,
    pytest.mark.skipif(not RECORDINGS, reason="KALSHI_LAB_RECORDINGS names no recordings"),
]


def recorded(name: str) -> Any:
    return json.loads((Path(RECORDINGS or "") / "rest-current" / name).read_text())


@pytest.fixture(scope="module")
def fills() -> pl.DataFrame:
    made = frame(recorded("btc15m_account/fills.json")["fills"])
    assert made.height == 432
    return made


def test_64_of_65_recorded_positions_are_the_ledger_s(fills: pl.DataFrame) -> None:
    """PF-3, lesson 31: position and cost are equal in 64 of 65; for the 65th no fill was recorded, and its contracts are orphans."""
    equal, orphans = 0, []
    for told in recorded("btc15m_account/positions.json")["market_positions"]:
        time = told["last_updated_ts"]
        before = pl.col("created_time") <= pl.lit(time).str.to_datetime(time_unit="us", time_zone="UTC")
        own = fills.filter((pl.col("ticker") == told["ticker"]) & before)
        look = pl.DataFrame({"ticker": [told["ticker"]], "position": [Decimal(told["position_fp"])], "time": [time]})
        looks = look.with_columns(pl.col("time").str.to_datetime(time_unit="us", time_zone="UTC"))
        found = ledger(own, positions=looks, method="average").table.to_dicts()
        row = found[0] if found else {"position": 0, "cost": 0, "complete": True, "unknown": 0}
        assert row["position"] == Decimal(told["position_fp"])
        if row["complete"] and row["cost"] == Decimal(told["market_exposure_dollars"]):
            equal += 1
        else:
            orphans.append((told["ticker"], row["unknown"], row["cost"]))
    assert equal == 64
    assert orphans == [("KXBTC15M-26MAY102215-15", 2, None)]


def test_profit_and_fees_are_those_recorded(fills: pl.DataFrame) -> None:
    """PF-5, lesson 33: wherever fills were recorded, realised profit, fees and dollars traded are the exchange's; four looks have none."""
    compared = 0
    for told in recorded("btc15m_account/positions.json")["market_positions"]:
        before = pl.col("created_time") <= pl.lit(told["last_updated_ts"]).str.to_datetime(
            time_unit="us", time_zone="UTC"
        )
        own = fills.filter((pl.col("ticker") == told["ticker"]) & before)
        if own.is_empty():
            continue
        row = ledger(own, method="average").table.row(0, named=True)
        names = ("realized_pnl_dollars", "fees_paid_dollars", "total_traded_dollars")
        assert (row["gross"], row["fees"], row["traded"]) == tuple(Decimal(told[name]) for name in names)
        compared += 1
    assert compared >= 40


def test_fees_and_cash_are_those_of_the_records(fills: pl.DataFrame) -> None:
    """PF-6, section 11: the ledger's fees are the sum of the records, and cash moved in whole cents with each order of that era."""
    found = ledger(fills)
    assert found.table["fees"].sum() == fills["fee_cost"].sum()
    cost, fee = pl.col("no_price") * pl.col("count"), pl.col("fee_cost")
    own = pl.when(pl.col("side") == "yes").then(pl.col("yes_price") * pl.col("count")).otherwise(cost)
    closed = pl.when(pl.col("action") == "sell").then(pl.col("count") - own - fee).otherwise(-own - fee)
    moved = fills.group_by("order_id").agg(cash=closed.sum())
    whole = (moved["cash"].cast(pl.Decimal(38, 6)) * 100).cast(pl.Int64).cast(pl.Decimal(38, 6)) == moved["cash"] * 100
    assert whole.sum() >= moved.height - 10


def test_one_sale_of_what_no_record_bought(fills: pl.DataFrame) -> None:
    """Lesson 31: in 80 markets one sale has no purchase; its three contracts are unknown, all others explain themselves."""
    found = ledger(fills)
    strange = found.table.filter(~pl.col("complete"))
    assert strange.select("ticker", "unknown").rows() == [("KXBTC15M-26MAY100930-30", Decimal(3))]
    assert found.closings.filter(pl.col("gross").is_null())["contracts"].sum() == 3


def test_fractional_fills(fills: pl.DataFrame) -> None:
    """Lesson 22: 33 fills with hundredths of contracts and fees to six decimals: nothing is cut."""
    del fills
    told = recorded("cockpit/portfolio_fills_redacted.json")["payload"]["fills"]
    assert len(told) == 33
    rows = [{**one, "fill_id": one.get("fill_id") or f"r{number}"} for number, one in enumerate(told)]
    unique = [{**one, "fill_id": f"r{number}"} for number, one in enumerate(rows)]
    found = ledger(frame(unique))
    assert found.basis.n == 33
    assert found.table["fees"].sum() == sum(Decimal(one["fee_cost"]) for one in told)
    assert found.table["traded"].sum() == sum(
        Decimal(one["count_fp"]) * Decimal(one[f"{one['outcome_side']}_price_dollars"]) for one in told
    )
