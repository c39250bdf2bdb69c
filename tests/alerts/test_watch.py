"""The watch in the background: on the simulated exchange's own stream, and without one."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

import kalshi_lab as kl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.research.desk import Desk, Exchange

START = datetime(2026, 11, 22, 14, tzinfo=UTC)
A, B = "KXA-1", "KXB-2"


def until(ready: Callable[[], object], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[kl.Lab]:
    world: dict[str, Any] = {"start": START, "clock": "frozen", "markets": 100}
    with kl.Lab("sim", home=tmp_path_factory.mktemp("watch"), world=world) as made:
        yield made


@pytest.fixture(scope="module")
def ticker(lab: kl.Lab) -> str:
    """A market that is quoted, and far from its end."""
    found = lab.markets(status="open").filter(pl.col("yes_bid").is_between(0.2, 0.7), pl.col("yes_ask") < 0.8)
    return str(found.sort("close_time", descending=True)["ticker"][0])


def test_it_fires_from_the_stream(lab: kl.Lab, ticker: str) -> None:
    """AL-2: a price that moves fires the alert at once, by the stream alone: the next look is an hour away."""
    market = lab.market(ticker)
    near = float(market.mid or 0)
    alert = lab.alerts.add(kl.above(ticker, near + 0.002) | kl.below(ticker, near - 0.002), label="moved")
    told = kl.ToNotebook(show=lambda _: None)
    lab.alerts.send_to(told)
    watch = lab.alerts.start(every="1h")
    until(lambda: watch.status.live == 1)
    assert lab.alerts.history().is_empty()
    for _ in range(200):
        lab.simulated.advance(600)  # type: ignore[union-attr]  # the sim has it
        if not lab.alerts.history().is_empty():
            break
    until(lambda: lab.alerts.history().height == 1)
    until(lambda: [one.alert_id for one in told.alarms] == [alert])
    assert (watch.status.fired, watch.status.rounds, watch.status.failed) == (1, 1, 0)
    assert watch.status.messages > 0
    lab.alerts.stop()
    assert watch.status.state == "stopped"


def test_an_unknown_market_costs_the_others_nothing(lab: kl.Lab, ticker: str) -> None:
    """AL-1: a ticker that the exchange does not list is told, and the others have their live books."""
    lost = lab.alerts.add(kl.above("KXNOWHERE-1", 0.5))
    lab.alerts.add(kl.spread_above(ticker, 0.91))
    watch = lab.alerts.start(every="1h")
    until(lambda: watch.status.live == 1)
    assert watch.status.why_no_stream == ""
    lab.alerts.stop()
    assert (
        lab.alerts.list().row(by_predicate=pl.col("alert_id") == lost, named=True)["note"]
        == "KXNOWHERE-1 is not listed by the exchange"
    )


def test_a_lost_stream_is_made_again(lab: kl.Lab, ticker: str) -> None:
    """While the connection is lost no price counts; then its books are whole again."""
    lab.alerts.add(kl.spread_above(ticker, 0.9))
    watch = lab.alerts.start(every="1h")
    until(lambda: watch.status.live == 1)
    lab.simulated.stream_faults("drop")  # type: ignore[union-attr]  # the sim has it
    lab.simulated.tick()  # type: ignore[union-attr]
    lab.simulated.stream_faults()  # type: ignore[union-attr]
    until(lambda: watch.status.live == 1)
    assert lab.alerts.start() is not None
    assert lab.alerts.start().status.state == "watching", "the one that runs is given"
    lab.alerts.stop()


def test_without_a_key_it_looks_now_and_then(desk: Desk, exchange: Exchange) -> None:
    """AL-2: without a stream it asks for the markets that are watched, and no others, at every look; errors do not end it."""
    exchange.quote(A, "0.4000", "0.4200")
    desk.alerts.add(kl.above(A, 0.62))
    watch = desk.alerts.start(every="5m")
    until(lambda: watch.status.rounds > 3)
    assert watch.status.why_no_stream
    exchange.broken.add("/markets")
    until(lambda: watch.status.failed > 0)
    assert watch.status.last_error is not None
    exchange.broken.clear()
    exchange.quote(A, "0.6500", "0.6700")
    until(lambda: watch.status.fired == 1)
    desk.alerts.stop()
    assert desk.alerts.history().select("ticker", "yes_bid").rows() == [(A, 0.65)]
    assert {query["tickers"] for query in exchange.asked("/markets")} == {A}


def test_what_is_added_meanwhile_is_watched(desk: Desk, exchange: Exchange) -> None:
    """An alert that another cell or process adds, or removes, counts from the next look on."""
    exchange.quote(A, "0.4000", "0.4200")
    exchange.quote(B, "0.7000", "0.7200")
    desk.alerts.add(kl.above(A, 0.62))
    watch = desk.alerts.start(every="5m", stream=False)
    until(lambda: watch.status.rounds > 0)
    other = desk.alerts.add(kl.above(B, 0.62))
    until(lambda: watch.status.fired == 1)
    assert desk.alerts.history()["alert_id"].to_list() == [other]
    desk.alerts.stop()


def test_states_outlive_the_process(desk: Desk, exchange: Exchange) -> None:
    """AL-1: a crossing between two single checks is noticed, by the side that the store remembers (the tool before forgot it)."""
    exchange.quote(A, "0.4000", "0.4200")
    desk.alerts.add(kl.crosses(A, 0.5), repeat=True)
    assert desk.alerts.check().is_empty()
    exchange.quote(A, "0.6000", "0.6200")
    assert desk.alerts.check().height == 1
    assert desk.alerts.check().is_empty()
    exchange.quote(A, "0.4000", "0.4200")
    assert desk.alerts.check().height == 1
    assert desk.alerts.list().select("state", "fired").rows() == [("armed", 2)]


def test_options_are_kept(desk: Desk, exchange: Exchange) -> None:
    """AL-1: an expiry ends it; a condition that waits already is not armed a second time with other options."""
    exchange.quote(A, "0.4000", "0.4200")
    alert = desk.alerts.add(kl.above(A, 0.62), expires="1h")
    assert desk.alerts.add(kl.above(A, 0.62)) == alert
    with pytest.raises(kl.UsageError, match="other options"):
        desk.alerts.add(kl.above(A, 0.62), repeat=True)
    desk.later(hours=2)
    exchange.quote(A, "0.7000", "0.7200")
    assert desk.alerts.check().is_empty()
    assert desk.alerts.history().select("what").item() == "ended"
    for wrong in ({"expires": "2020-01-01"}, {"hysteresis": 2}, {"cooldown": "soon"}):
        with pytest.raises(kl.UsageError):
            desk.alerts.add(kl.above(B, 0.62), **wrong)  # type: ignore[arg-type]  # the mistakes that are tried


@pytest.mark.parametrize("at_once", [500_000, 1])
def test_a_backtest_counts_what_was(lab: kl.Lab, monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    """AL-2: over the quotes of the store an alert fires where, by hand, it must; so it does where memory has room for a moment alone."""
    monkeypatch.setattr("kalshi_lab.alerts.past.AT_ONCE", at_once)
    tickers = []
    for _ in range(4):
        lab.simulated.advance(3600)  # type: ignore[union-attr]  # the sim has it
        lab.snapshot()
    quotes = lab.sql("SELECT ticker, time, yes_bid, yes_ask FROM quotes WHERE NOT gone ORDER BY time, ticker")
    series = str(quotes["ticker"][0]).partition("-")[0]
    want = []
    state: dict[str, bool] = {}
    for ticker, time_, bid, ask in quotes.iter_rows():
        if ticker.startswith(f"{series}-") and 0 < bid < ask < 1:
            held = (bid + ask) / 2 > 0.3
            if held and not state.get(ticker):
                want.append((time_, ticker))
            state[ticker] = held
            tickers.append(ticker)
    found = lab.alerts.backtest(kl.above(f"{series}-*", 0.3))
    assert found.select("time", "ticker").rows() == want
    assert want
    with pytest.raises(kl.UsageError, match="quotes do not decide"):
        lab.alerts.backtest(kl.settles(tickers[0]))


def test_facts_of_the_lab_are_lent(lab: kl.Lab, ticker: str) -> None:
    """AL-1: what stands on other verbs is asked of them: an event's arbitrage, a thesis's evidence and probability, the store's age."""
    event = lab.market(ticker).event_ticker or ""
    lab.thesis("mine", tickers=ticker, probability=0.99, because="a test")
    ids = [
        lab.alerts.add(one)
        for one in (
            kl.edge_above(ticker, 0.01, thesis="mine"), kl.evidence_against("mine"), kl.arbitrage_appears(event),
            kl.data_stale("quotes", after="1s"), kl.market_listed(ticker.partition("-")[0]),
        )
    ]  # fmt: skip
    lab.snapshot()
    lab.simulated.advance(60)  # type: ignore[union-attr]  # the sim has it
    assert set(lab.alerts.check()["alert_id"]) & {ids[0], ids[1], ids[3], ids[4]} == {ids[0], ids[3]}
    lab.thesis("mine", evidence=[{"url": "https://example.com/a", "passage": "no", "stance": "no", "ticker": ticker}])
    assert lab.alerts.check()["alert_id"].to_list() == [ids[1]]
