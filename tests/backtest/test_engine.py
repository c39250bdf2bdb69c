"""Backtests: what an order gets, what it costs, what is paid in the end, and what the figures say of it."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

import kalshi_lab as kl
from kalshi_lab.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

START = datetime(2026, 11, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
FREE: dict[str, Any] = {"fees": None}


def quotes(*rows: tuple[Any, ...]) -> pl.DataFrame:
    """Rows of ticker, hours after the start, bid, ask, and sizes where they are known."""
    padded = [(*row, *(None,) * (6 - len(row))) for row in rows]
    return pl.DataFrame(
        [(t, START + h * HOUR, b, a, bs, az) for t, h, b, a, bs, az in padded],
        schema=["ticker", "time", "yes_bid", "yes_ask", "yes_bid_size", "yes_ask_size"],
        orient="row",
        schema_overrides={
            "yes_bid": pl.Float64,
            "yes_ask": pl.Float64,
            "yes_bid_size": pl.Float64,
            "yes_ask_size": pl.Float64,
        },
    )


def results(*rows: tuple[str, float, str, float | None]) -> pl.DataFrame:
    made = [(t, START + h * HOUR, r, v) for t, h, r, v in rows]
    schema = {"ticker": pl.String, "time": pl.Datetime("us", "UTC"), "result": pl.String, "value": pl.Float64}
    return pl.DataFrame(made, schema=schema, orient="row")


def once(*orders: Callable[[kl.View], Any]) -> Callable[[kl.View], list[Any]]:
    """A strategy that gives these orders the first time that it is asked."""
    asked = []

    def strategy(view: kl.View) -> list[Any]:
        asked.append(view.time)
        return [order(view) for order in orders] if len(asked) == 1 else []

    return strategy


def buy(side: str = "yes", count: float = 10, **more: Any) -> Callable[[kl.View], Any]:
    return lambda view: view.buy("A", count, side=side, **more)


def only(result: kl.Backtest) -> dict[str, Any]:
    return result.markets.row(0, named=True)


def test_yes_is_bought_at_the_ask_and_no_at_one_dollar_less_the_bid() -> None:
    """TH-7: executable entries, not mids."""
    offered, settled = quotes(("A", 0, 0.40, 0.45)), results(("A", 5, "yes", 1.0))
    yes = kl.backtest(once(buy("yes")), offered, settled, **FREE)
    no = kl.backtest(once(buy("no")), offered, settled, **FREE)
    assert (yes.trades["price"][0], no.trades["price"][0]) == (0.45, 0.60)
    assert (only(yes)["net"], only(no)["net"]) == (pytest.approx(5.5), pytest.approx(-6.0))
    assert yes.profit == pytest.approx(5.5)


def test_the_exchange_s_fees_are_paid() -> None:
    """TH-7: fees."""
    result = kl.backtest(once(buy(count=100)), quotes(("A", 0, 0.40, 0.50)), results(("A", 5, "no", 0.0)))
    assert result.fees == float(kl.fee("0.5", 100, ("quadratic", 1), at=START)) == 1.75
    assert only(result)["net"] == pytest.approx(-51.75)


@pytest.mark.parametrize(
    ("result", "value", "net"),
    [("yes", None, 5.5), ("no", None, -4.5), ("scalar", 0.3, -1.5), ("void", None, 0.0), ("yes", 1.0, 5.5)],
)
def test_every_kind_of_result_pays_what_it_pays(result: str, value: float | None, net: float) -> None:
    """TH-7: scalar is no NO, and a void gives the cost back."""
    made = kl.backtest(once(buy()), quotes(("A", 0, 0.40, 0.45)), results(("A", 5, result, value)), **FREE)
    assert only(made)["net"] == pytest.approx(net)
    no = kl.backtest(once(buy("no")), quotes(("A", 0, 0.40, 0.45)), results(("A", 5, result, value)), **FREE)
    paid = {"yes": -6.0, "no": 4.0, "scalar": 10 * (0.7 - 0.6), "void": 0.0}[result]
    assert only(no)["net"] == pytest.approx(paid)


def test_a_scalar_without_a_value_is_told_and_not_guessed() -> None:
    with pytest.raises(UsageError, match="needs a value"):
        kl.backtest(once(buy()), quotes(("A", 0, 0.4, 0.45)), results(("A", 5, "scalar", None)))


def test_only_what_is_offered_is_had_and_what_was_taken_is_gone() -> None:
    """TH-7: partial fills."""
    offered = quotes(("A", 0, 0.40, 0.45, 5, 7), ("A", 1, 0.40, 0.45, 5, 7))
    result = kl.backtest(once(buy(), buy(count=3)), offered, results(("A", 5, "yes", 1.0)), **FREE)
    assert result.trades["count"].to_list() == [7.0]
    assert result.trades["short"].to_list() == ["no more was offered"]
    assert result.refused["why"].to_list() == ["all that was offered is taken"]
    unsized = kl.backtest(
        once(buy(count=500)), quotes(("A", 0, 0.4, 0.45)), results(("A", 5, "yes", 1.0)), available=50, **FREE
    )
    assert unsized.trades["count"].to_list() == [50.0]
    assert unsized.basis.excluded["fills at quotes of unknown size (not left out)"] == 1


@pytest.mark.parametrize(
    ("more", "count", "why"),
    [
        ({"max_position": 4}, 4.0, "the position's limit"),
        ({"max_stake": 0.9}, 2.0, "the stake's limit"),
        ({"capital": 1.0}, 2.0, "the cash"),
    ],
)
def test_position_stake_and_cash_hold_back(more: dict[str, Any], count: float, why: str) -> None:
    """TH-7: position limits and capital."""
    made = kl.backtest(once(buy()), quotes(("A", 0, 0.4, 0.45)), results(("A", 5, "yes", 1.0)), **FREE, **more)
    assert made.trades.select("count", "short").rows() == [(count, why)]


def test_cash_is_never_negative_with_fees() -> None:
    offered = quotes(*((f"M{n}", n, 0.40, 0.45) for n in range(50)))
    settled = results(*((f"M{n}", 100, "no", 0.0) for n in range(50)))
    made = kl.backtest(lambda view: [view.buy(t, 13) for t in view.quotes["ticker"]], offered, settled, capital=37.5)
    assert made.equity["cash"].min() >= 0
    assert made.refused.height > 0


def test_a_limit_is_kept() -> None:
    made = kl.backtest(once(buy(limit=0.44), buy("no", limit=0.6)), quotes(("A", 0, 0.4, 0.45)), results(), **FREE)
    assert made.refused["why"].to_list() == ["beyond the limit"]
    assert made.trades["side"].to_list() == ["no"]


def test_yes_and_no_annul_each_other_and_what_is_held_can_be_sold() -> None:
    """TH-7, lesson 28: a sale closes, and a pair pays one dollar at once."""
    offered, settled = quotes(("A", 0, 0.40, 0.45), ("A", 1, 0.60, 0.65)), results(("A", 5, "no", 0.0))

    def netted(view: kl.View) -> list[Any]:
        return [view.buy("A", 10)] if view.time == START else [view.buy("A", 10, side="no")]

    def sold(view: kl.View) -> list[Any]:
        return [view.buy("A", 10)] if view.time == START else [view.sell("A", 99)]

    for strategy in (netted, sold):
        made = kl.backtest(strategy, offered, settled, **FREE)
        assert only(made)["net"] == pytest.approx(10 * (0.60 - 0.45))
        assert only(made)["open"] == 0
        assert made.equity["positions"][-1] == 0


def test_an_order_for_what_is_not_held_or_not_traded_is_refused() -> None:
    offered, settled = quotes(("A", 0, 0.0, 0.45), ("A", 9, 0.4, 0.45)), results(("A", 5, "yes", 1.0))
    made = kl.backtest(
        lambda view: [view.sell("A", 1), view.buy("A", 1, side="no"), view.buy("B", 1)], offered, settled, **FREE
    )
    assert made.trades.is_empty()
    assert set(made.refused["why"]) == {
        "nothing offered on that side",
        "no market that was open and known then",
    }
    assert "nothing can be said" in made.conclusion


def test_latency_meets_the_quote_of_later() -> None:
    offered = quotes(("A", 0, 0.40, 0.45), ("A", 1, 0.50, 0.55))
    made = kl.backtest(once(buy()), offered, results(("A", 5, "yes", 1.0)), latency="1h", **FREE)
    assert made.trades.select("price", "time").rows() == [(0.55, START + HOUR)]
    late = kl.backtest(once(buy()), offered, results(("A", 0.5, "yes", 1.0)), latency="1h", **FREE)
    assert late.refused["why"].to_list() == ["not traded any more, or no quote"]


def test_what_has_no_result_stays_open_and_is_told() -> None:
    """Lesson 26: unknown is not zero."""
    made = kl.backtest(once(buy()), quotes(("A", 0, 0.40, 0.45)), results(), **FREE)
    assert made.basis.excluded["still open at the end"] == 1
    assert made.basis.n == 0
    assert made.table.is_empty()
    assert made.profit == pytest.approx(10 * (0.40 - 0.45))  # at what it could be sold for


def test_the_curve_and_its_drawdown() -> None:
    offered = quotes(("A", 0, 0.40, 0.45), ("A", 1, 0.20, 0.25), ("A", 2, 0.60, 0.65))
    made = kl.backtest(once(buy(count=100)), offered, results(("A", 5, "yes", 1.0)), capital=100, **FREE)
    assert made.equity["equity"].to_list() == pytest.approx([95, 75, 115, 155])
    assert made.drawdown == pytest.approx(0.25)
    assert made.turnover == pytest.approx(0.45)


def test_figures_are_clustered_by_event() -> None:
    rows = [(f"E{n // 5}-{n}", 0, 0.40, 0.45) for n in range(50)]
    frame = quotes(*rows).with_columns(event_ticker=pl.col("ticker").str.split("-").list.first())
    settled = results(*((t, 5, "yes" if t < "E5" else "no", None) for t, *_ in rows))
    made = kl.backtest(
        lambda view: [view.buy(t, 1) for t in view.quotes["ticker"]], frame, settled, times=[START], **FREE
    )
    row = made.table.row(0, named=True)
    assert (row["markets"], row["clusters"]) == (50, 10)
    assert row["net"] == pytest.approx(25 * 1 / (50 * 0.45) - 1)
    assert row["net_low"] < row["net"] < row["net_high"]
    assert "clustered by event" in repr(made)


def test_two_runs_are_the_same() -> None:
    offered = quotes(*((f"M{n}", n % 7, 0.1 + n / 100, 0.15 + n / 100) for n in range(40)))
    settled = results(*((f"M{n}", 50, "yes" if n % 3 else "no", None) for n in range(40)))
    runs = [
        kl.backtest(lambda view: [view.buy(t, 2) for t in view.quotes["ticker"]], offered, settled) for _ in range(2)
    ]
    assert runs[0].trades.equals(runs[1].trades)
    assert runs[0].equity.equals(runs[1].equity)
    shuffled = kl.backtest(
        lambda view: [view.buy(t, 2) for t in sorted(view.quotes["ticker"])],
        offered.sample(fraction=1, shuffle=True, seed=1),
        settled,
    )
    assert shuffled.profit == pytest.approx(runs[0].profit)


@pytest.mark.parametrize(
    ("order", "why"),
    [
        (lambda view: view.buy("A", 0), "no number of contracts"),
        (lambda view: view.buy("A", 0.001), "no number of contracts"),
        (lambda view: view.buy("A", "many"), "is no number"),
        (lambda view: view.buy("A", 1, side="maybe"), "unknown side"),
        (lambda view: view.buy("A", 1, limit=45), "no price"),
        (lambda _view: ("A", 1), "gives orders"),
    ],
)
def test_orders_that_are_none_are_refused(order: Callable[[kl.View], Any], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        kl.backtest(once(order), quotes(("A", 0, 0.4, 0.45)), results())


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        (quotes(("A", 0, 0.4, 0.45)).drop("yes_ask"), "no column 'yes_ask'"),
        (quotes(("A", 0, 40, 45)), "outside 0 to 1"),
        (quotes(("A", 0, 0.4, 0.45)).with_columns(pl.col("time").dt.replace_time_zone(None)), "no time zone"),
    ],
)
def test_frames_that_are_none_are_refused(frame: pl.DataFrame, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        kl.backtest(once(buy()), frame, results())


@pytest.mark.long
def test_the_picture_is_drawn_whatever_there_is() -> None:
    """VIS-1: one point, none, many."""
    for frame in (quotes(), quotes(("A", 0, 0.4, 0.45)), quotes(*(("A", n, 0.4, 0.45) for n in range(200)))):
        made = kl.backtest(once(buy()), frame, results(("A", 500, "yes", 1.0)))
        assert made.plot().png().startswith(b"\x89PNG")


@pytest.mark.recordings
def test_a_recorded_signal_loses_what_it_lost() -> None:
    """TH-7: the published loss of 7,865 trades at opening prices: gross -0.2897, net -0.3005 a contract, hits 24.78%."""
    folder = Path(os.environ["KALSHI_LAB_RECORDINGS"])
    rows = pl.read_parquet(folder / "bulk" / "opening_price_signals.parquet").with_row_index("n")
    yes = pl.col("direction") == 1
    bought = pl.when(yes).then("p").otherwise(1 - pl.col("p"))
    won = pl.when(yes).then("y").otherwise(1 - pl.col("y"))
    half = (won - bought - pl.col("gross_pnl")).round(6)  # the opening spread's, which the file leaves out
    made = rows.with_columns(
        half=half, paid=bought + half, market=pl.format("{}-{}", "ticker", "n"), time=pl.lit(START)
    )
    sides = dict(made.select("market", pl.when(yes).then(pl.lit("yes")).otherwise(pl.lit("no"))).iter_rows())
    halves = {market: Decimal(str(cost)) for market, cost in made.select("market", "half").iter_rows()}
    offered = made.select("time", ticker="market", yes_bid=pl.col("p"), yes_ask=pl.col("p"))
    won_by = pl.when(pl.col("y") == 1).then(pl.lit("yes")).otherwise(pl.lit("no"))
    settled = made.select(ticker="market", time=pl.col("time") + HOUR, result=won_by)

    def spread(ticker: str, _price: Decimal, count: Decimal, _time: datetime) -> Decimal:
        return halves[ticker] * count

    def both(ticker: str, price: Decimal, count: Decimal, time: datetime) -> Decimal:
        paid = min(max(price + halves[ticker], Decimal("0.01")), Decimal("0.99"))
        return spread(ticker, price, count, time) + Decimal("0.07") * count * paid * (1 - paid)

    def bet(view: kl.View) -> list[Any]:
        return [view.buy(t, 1, side=sides[t]) for t in view.quotes["ticker"]]

    gross, net = (kl.backtest(bet, offered, settled, times=[START], fees=cost) for cost in (spread, both))
    before, after = (one.table.filter(measure="a contract").row(0, named=True) for one in (gross, net))
    assert (before["markets"], round(before["net"], 4), round(after["net"], 4)) == (7865, -0.2897, -0.3005)
    assert round(before["win_rate"], 4) == 0.2478
    assert after["net_high"] < 0
    assert "a loss" in net.conclusion


@pytest.mark.recordings
def test_what_that_signal_could_not_have_bought_is_refused() -> None:
    """TH-7: with the half spread in the price, 1,239 of its trades would have cost a dollar or more: no exchange sells them."""
    folder = Path(os.environ["KALSHI_LAB_RECORDINGS"])
    rows = pl.read_parquet(folder / "bulk" / "opening_price_signals.parquet").with_row_index("n")
    yes = pl.col("direction") == 1
    won = pl.when(yes).then("y").otherwise(1 - pl.col("y"))
    made = rows.with_columns(paid=(won - pl.col("gross_pnl")).round(6), market=pl.format("{}-{}", "ticker", "n"))
    sides = dict(made.select("market", pl.when(yes).then(pl.lit("yes")).otherwise(pl.lit("no"))).iter_rows())
    offered = made.select(
        ticker="market", time=pl.lit(START), yes_bid=pl.when(yes).then(0.0).otherwise(1 - pl.col("paid")).clip(0, 1),
        yes_ask=pl.when(yes).then("paid").otherwise(1.0).clip(0, 1),
    )  # fmt: skip
    result = kl.backtest(
        lambda view: [view.buy(t, 1, side=sides[t]) for t in view.quotes["ticker"]],
        offered,
        results(),
        times=[START],
        **FREE,
    )
    assert (result.trades.height, result.refused.height) == (6626, 1239)
