"""`lab.portfolio` on the simulated exchange, over HTTP and a real store."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl
import pytest

import kalshi_lab as kl
from kalshi_lab.errors import UsageError
from kalshi_lab.kalshi.orders import NewOrder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START = datetime(2026, 11, 20, 15, tzinfo=UTC)
WORLD: dict[str, Any] = {"start": START, "clock": "frozen", "markets": 180, "history_days": 10}


def order(lab: kl.Lab, ticker: str, side: str, count: int, price: float, *, rests: bool = False) -> None:
    word = "good_till_canceled" if rests else "immediate_or_cancel"
    lab.kalshi.orders.create(
        NewOrder(
            ticker=ticker, side=side, count=str(count), price=f"{price:.2f}", time_in_force=word,  # type: ignore[arg-type]
            self_trade_prevention_type="taker_at_cross",
        )
    )  # fmt: skip


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[kl.Lab]:
    """Eight markets bought, four of them partly sold, one paid out, one order that rests far away."""
    with kl.Lab("sim", home=tmp_path_factory.mktemp("home"), writable=True, world=WORLD) as made:
        open_ = made.markets(status="open").filter((pl.col("yes_bid") > 0.1) & (pl.col("yes_ask") < 0.9))
        later = open_.sort("close_time", "ticker")
        chosen = pl.concat([later.head(2), later.tail(6)]).select("ticker", "yes_bid", "yes_ask").rows()
        for ticker, _, ask in chosen:
            order(made, ticker, "bid", 10, ask)
        assert made.simulated is not None
        made.simulated.advance(1)
        for ticker, bid, _ in chosen[1:5]:
            order(made, ticker, "ask", 4, max(bid - 0.2, 0.01))
        order(made, chosen[7][0], "bid", 50, 0.01, rests=True)
        made.simulated.advance(8 * 3600)
        made.portfolio.sync(progress=False)
        yield made


def test_every_figure_agrees_with_the_exchange(lab: kl.Lab) -> None:
    """PF-3, PF-5, PF-6: positions, cost, profit, fees, dollars traded of each market, and the cash but for what rests."""
    found = lab.portfolio.reconcile()
    assert found.unexplained.is_empty()
    figures = found.frame().filter(pl.col("figure") != "cash")
    assert set(figures["reason"]) == {"agrees"}
    assert figures.height >= 30
    assert found.frame().filter(pl.col("figure") == "cash")["reason"].to_list() == ["bound by resting orders"]


def test_positions_are_worth_what_the_book_pays(lab: kl.Lab) -> None:
    """PF-4, PF-8: one request for all prices; the sum at the bid is what the exchange says they are worth where all have one."""
    lab.simulated.reset_log()
    held = lab.portfolio.positions(exact=True)
    asked = [one for one in lab.simulated.requests() if one["path"].endswith("/markets")]
    assert len(asked) == 1
    assert held.height >= 5
    live = {row["ticker"]: row for row in lab.markets(tickers=held["ticker"].to_list()).to_dicts()}
    for row in held.to_dicts():
        quoted = live[row["ticker"]]["yes_bid"]
        assert (row["bid"] is None) == (not 0 < quoted < 1)
        assert row["bid"] is None or float(row["bid"]) == pytest.approx(quoted)
        assert row["value"] is None or row["unrealized"] == row["value"] - row["cost"] - row["fees"]


def test_prices_that_do_not_come_leave_positions_standing(lab: kl.Lab) -> None:
    """PF-4: the exchange answers nothing: every position is there, without a price."""
    lab.simulated.faults("/markets", "status", status=400, times=1)
    held = lab.portfolio.positions()
    assert held.height >= 5
    assert held["value"].null_count() == held.height
    assert held["cost"].null_count() == 0


def test_profit_by_series_and_by_thesis(lab: kl.Lab) -> None:
    """PF-7, PF-9: series come from the store, theses are those that name the market: no id to copy, no link to keep."""
    ledger = lab.portfolio.ledger()
    sold = ledger.closings["ticker"].unique().sort().to_list()
    unnamed = lab.portfolio.pnl("series").frame()
    assert unnamed["key"].null_count() == 1
    lab.sync("markets", tickers=sold, progress=False)
    lab.sync("events", progress=False)
    named = lab.portfolio.pnl("series").frame()
    assert named["key"].null_count() == 0
    assert named["net"].sum() == lab.portfolio.pnl().net == ledger.net
    live = ledger.open["ticker"].to_list()
    both = [ticker for ticker in sold if ticker in live][:2]
    lab.thesis("held and sold", tickers=both, probability=0.5, because="a test")
    by_thesis = dict(lab.portfolio.pnl("thesis").frame().select("key", "net").iter_rows())
    own = ledger.table.filter(pl.col("ticker").is_in(both))["net"].sum()
    assert by_thesis["held and sold"] == own


def test_each_figure_opens_down_to_its_fills(lab: kl.Lab) -> None:
    """PF-8: the parts of a market's profit add up to it, and name fills that the store has."""
    ledger, fills = lab.portfolio.ledger(), set(lab.portfolio.fills()["fill_id"])
    for ticker in ledger.closings["ticker"].unique():
        told = lab.portfolio.explain(ticker)
        row = ledger.table.filter(pl.col("ticker") == ticker).row(0, named=True)
        assert told.frame()["net"].sum() == row["net"]
        assert set(told.frame()["opened_by"]) <= fills
    assert lab.portfolio.tax_lots(2026).height == ledger.closings.height


def test_the_summary_is_theirs(lab: kl.Lab) -> None:
    """PF-7: the same figures in one card."""
    told, made = lab.portfolio.summary(), lab.portfolio.pnl()
    assert told.realized == made.net
    assert told.trades == made.frame()["closings"].sum()
    assert told.orphans == 0


def test_a_market_whose_settlement_is_gone_is_closed_by_its_result(lab: kl.Lab) -> None:
    """PF-6: settlements age out; what the market paid is still known from its listing."""
    paid = lab.portfolio.settlements(exact=True)
    assert paid.height >= 1
    ticker = paid["ticker"][0]
    before = lab.portfolio.ledger().table.filter(pl.col("ticker") == ticker).row(0, named=True)
    lab.sync("markets", tickers=[ticker], progress=False)
    with duckdb.connect(str(lab.store.path)) as store:
        store.execute("DELETE FROM settlements WHERE ticker = ?", [ticker])
    assert ticker not in lab.portfolio.settlements()["ticker"].to_list()
    after = lab.portfolio.ledger().table.filter(pl.col("ticker") == ticker).row(0, named=True)
    assert (after["gross"], after["position"]) == (before["gross"], Decimal(0))


def test_without_a_key_it_says_so(tmp_path: Path) -> None:
    """Nothing is asked of the exchange without a key."""
    with kl.Lab("prod", home=tmp_path) as bare, pytest.raises(UsageError, match="key"):
        bare.portfolio.ledger()
