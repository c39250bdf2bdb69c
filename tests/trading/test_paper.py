"""The paper account: the same checks, fills from the book as it stands, and nothing sent."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

import kalshi_lab as kl
from tests.trading.conftest import written

if TYPE_CHECKING:
    from kalshi_lab.sim.process import Exchange
    from tests.trading.conftest import Quoted


def test_a_paper_order_takes_the_book_once_pays_its_fee_and_sends_nothing(
    lab: kl.Lab, exchange: Exchange, quoted: Quoted
) -> None:
    """EX-1: the same liquidity is not taken twice, cash is exact, and the exchange sees nothing but GETs."""
    book = lab.kalshi.markets.orderbook(quoted.ticker)
    price, there = book.asks[0]
    limits = kl.Limits(contracts=None, order_risk=None, day_risk=None, position=None, slippage=None, day_loss=None)
    paper = lab.paper(cash=1000, limits=limits)
    first = paper.trading.buy(quoted.ticker, there - 1, price, time_in_force="immediate_or_cancel")
    second = paper.trading.buy(quoted.ticker, 5, price, time_in_force="immediate_or_cancel")
    assert first.result is not None
    assert second.result is not None
    assert (first.result.fill_count, second.result.fill_count, second.result.remaining_count) == (there - 1, 1, 0)
    fills = paper.fills()
    series = lab.kalshi.series.one(
        lab.kalshi.events.one(lab.kalshi.markets.one(quoted.ticker).event_ticker).series_ticker
    )
    assert fills["fee"].to_list() == [kl.fee(price, there - 1, series), kl.fee(price, 1, series)]
    assert paper.cash == 1000 - there * price - sum(fills["fee"])
    assert paper.positions == {quoted.ticker: there}
    assert written(exchange) == []
    assert paper.trading.audit()["mode"].unique().to_list() == ["paper"]


def test_the_same_checks_and_the_cash_bear_on_paper(
    lab: kl.Lab, quoted: Quoted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EX-4: limits, kill switch and cash refuse a paper order as they would a live one."""
    paper = lab.paper(cash="2.00")
    with pytest.raises(kl.OrderRejected, match="size"):
        paper.trading.buy(quoted.ticker, 101, "0.01")
    with pytest.raises(kl.OrderRejected, match="dollars free"):
        paper.trading.buy(quoted.ticker, 5, quoted.bid)
    monkeypatch.setenv("KALSHI_LAB_KILL_SWITCH", "1")
    with pytest.raises(kl.OrderRejected, match="kill_switch"):
        paper.trading.buy(quoted.ticker, 1, quoted.bid)
    assert paper.trading.audit()["state"].to_list() == ["rejected", "failed", "rejected"]


def test_what_rests_can_be_changed_and_taken_back_and_fills_when_the_book_comes_to_it(
    lab: kl.Lab, quoted: Quoted
) -> None:
    """EX-1: resting orders hold their cash back, and are filled at their own limit once a later book crosses it."""
    paper = lab.paper(cash=100)
    made = paper.trading.buy(quoted.ticker, 10, quoted.bid)
    assert paper.cash == 100 - 10 * quoted.bid
    paper.look()
    assert paper.fills().is_empty()
    paper.trading.decrease(made.order_id, reduce_to=4)
    amended = paper.trading.amend(made.order_id, price=quoted.bid - Decimal("0.01"), count=3)
    assert amended.ok
    assert paper.cash == 100 - 3 * (quoted.bid - Decimal("0.01"))
    working = paper._twin.desk.orders[made.order_id]
    working.price = quoted.ask  # as if the book had come down to the order
    paper.look()
    [fill] = paper.fills().to_dicts()
    assert (fill["count"], fill["price"], fill["is_taker"]) == (3, quoted.ask, False)
    other = paper.trading.buy(quoted.ticker, 1, 1 - quoted.ask, side="no")
    paper.trading.cancel(other.order_id)
    with pytest.raises(kl.NotFound, match="no resting order"):
        paper.trading.amend(other.order_id, price=quoted.ask, count=1)


def test_what_is_held_is_paid_out_by_the_result_and_later_trades_fill_what_rests(lab: kl.Lab, quoted: Quoted) -> None:
    """EX-1: a trade beyond the limit fills what rests, once; a final result pays what is held."""
    paper = lab.paper(cash=100)
    desk = paper._twin.desk
    paper.trading.buy(quoted.ticker, 10, quoted.bid)
    market, [working] = lab.kalshi.markets.one(quoted.ticker), desk.resting
    later, below = working.since + timedelta(seconds=1), quoted.bid - Decimal("0.01")
    beyond = kl.Trade(trade_id="t", ticker=quoted.ticker, yes_price=below, count=Decimal(4), created_time=later)
    told = [beyond, beyond.model_copy(update={"trade_id": "early", "created_time": working.since})]

    async def trades(*_: object, **__: object) -> Any:
        for one in told:
            yield one

    desk.looks.markets.trades = trades  # type: ignore[method-assign]
    for _ in range(2):
        paper.look()
    assert paper.positions == {quoted.ticker: 4}
    cash = desk.account.cash
    desk._pay(market.model_copy(update={"status": "determined", "result": "yes"}))
    assert paper.positions == {quoted.ticker: 4}
    desk._pay(market.model_copy(update={"status": "finalized", "result": "yes"}))
    assert (paper.positions, desk.account.cash) == ({}, cash + 4)


def test_a_strategy_of_the_backtest_runs_forward_unchanged(lab: kl.Lab, exchange: Exchange, quoted: Quoted) -> None:
    """EX-1: `strategy(view) -> orders` sees the same view and its orders pass the same checks."""
    seen: list[Any] = []

    def strategy(view: kl.View) -> list[Any]:
        seen.append(view)
        held = view.positions.get(quoted.ticker, 0)
        if not held:
            return [
                view.buy(quoted.ticker, 10),
                view.buy(quoted.ticker, 2, limit=quoted.bid, rests=True),
                view.buy(quoted.ticker, 500),
            ]
        return [*(view.cancel(one) for one in view.resting), view.sell(quoted.ticker, 99)]

    paper = lab.paper(cash=1000)
    first = paper.step(strategy, [quoted.ticker])
    assert [one.verb for one in first] == ["create", "create"]  # the third is refused by its size
    assert paper.positions == {quoted.ticker: 10}
    second = paper.step(strategy, [quoted.ticker])
    assert [one.verb for one in second] == ["cancel", "create"]
    assert paper.positions == {}
    assert seen[0].books[quoted.ticker].yes_ask == quoted.ask
    assert (seen[1].past.height, len(seen[1].resting)) == (2, 1)
    assert seen[1].quotes["yes_bid"].to_list() == [float(quoted.bid)]
    assert written(exchange) == []
