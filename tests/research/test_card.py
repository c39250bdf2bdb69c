"""A thesis shows itself safely, with its prices, and says what it does not know."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest

from tests.research.desk import bar

if TYPE_CHECKING:
    from tests.research.desk import Desk, Exchange

A, B = "KXA-1", "KXB-2"
EVIL = "<img src=x onerror=alert(1)>"


def test_text_from_outside_is_shown_not_obeyed(desk: Desk, exchange: Exchange) -> None:
    """Markup in titles and in the reason is escaped wherever it is shown."""
    exchange.quote(A, "0.4000", "0.4200", title=EVIL)
    exchange.bars[A] = [bar(desk.clock.now() - timedelta(hours=2), "0.3900", "0.4100", "0.4000")]
    made = desk.thesis("evil", tickers=A, probability=0.5, because=f"{EVIL} $x^2$")
    html = made._repr_html_()
    assert html.count("&lt;img src=x onerror=alert(1)&gt;") == 2
    assert "<img src=x" not in html
    assert "$" not in html
    assert html.count("data:image/png;base64,") == 1


def test_the_card_names_the_figures(desk: Desk, exchange: Exchange) -> None:
    """The card has the claim, your probability, the quote then and now, and the edge."""
    exchange.quote(A, "0.4000", "0.4200")
    exchange.quote(B, "0.0000", "1.0000")
    desk.thesis("figures", tickers=[A, B], probability=0.625, because="three reasons")
    exchange.quote(A, "0.5000", "0.5300")
    made = desk.thesis("figures")
    html = made._repr_html_()
    for shown in (
        "three reasons",
        "0.625",
        "0.4 / 0.42",
        "0.205 on YES",
        "0.5 / 0.53",
        "not quoted on both sides",
        "unknown",
        "not settled",
    ):
        assert shown in html, shown
    assert repr(made) == "<Thesis 'figures' v1, active, 2 markets: nothing scored yet, 2 not scored>"
    assert "\n" not in repr(made)


def test_a_settled_card_has_its_scores(desk: Desk, exchange: Exchange) -> None:
    """After settlement the card shows the result and both Brier scores."""
    exchange.quote(A, "0.4000", "0.4200")
    desk.thesis("done", tickers=A, probability=0.7, because="x")
    exchange.settle(A, "yes", "1.0000")
    html = desk.thesis("done")._repr_html_()
    for shown in (
        "resolved, version 2",
        "yes, paid 1",
        "0.0900 / 0.3481",
        "Brier 0.0900 over 1, the market&#x27;s 0.3481",
    ):
        assert shown in html, shown


def test_the_price_path(desk: Desk, exchange: Exchange) -> None:
    """The path joins store and candlesticks from a week before, in order; what is no real quote is a gap, not a price."""
    now = desk.clock.now()
    exchange.quote(A, "0.4000", "0.4200")
    exchange.bars[A] = [
        bar(now - timedelta(days=8), "0.1000", "0.1200"),
        bar(now - timedelta(hours=3), "0.3000", "0.3200", "0.3100"),
        bar(now - timedelta(hours=2), "0.0000", "1.0000"),
    ]
    path = desk.thesis("path", tickers=A, probability=0.5, because="x").path
    times = [now - timedelta(hours=3), now - timedelta(hours=2)]
    assert path.rows() == [(A, times[0], 0.3, 0.32, 0.31), (A, times[1], None, None, None)]
    assert path.schema == {
        "ticker": pl.String,
        "time": pl.Datetime("us", "UTC"),
        **dict.fromkeys(("bid", "ask", "price"), pl.Float64),
    }
    asked = exchange.asked("/markets/candlesticks")[0]
    assert int(asked["start_ts"]) == int((now - timedelta(days=7)).timestamp())
    assert asked["period_interval"] == "60"


@pytest.mark.parametrize("opened", [timedelta(days=2), timedelta(days=-2)])
def test_the_path_starts_with_the_market(desk: Desk, exchange: Exchange, opened: timedelta) -> None:
    """A market that opened later than a week ago, or has not opened yet, is asked for over a window that is not empty."""
    now = desk.clock.now()
    exchange.quote(A, "0.4000", "0.4200", open_time=(now - opened).isoformat())
    made = desk.thesis("young", tickers=A, probability=0.5, because="x")
    asked = exchange.asked("/markets/candlesticks")[0]
    assert int(asked["start_ts"]) == int(min(now - opened, now - timedelta(hours=1)).timestamp())
    assert made.gaps == (f"no price path of {A} (nothing was quoted)",)


def test_no_candlesticks_are_no_failure(desk: Desk, exchange: Exchange, caplog: pytest.LogCaptureFixture) -> None:
    """Where candlesticks fail the thesis is kept all the same; the card says so and the log has the error."""
    exchange.quote(A, "0.4000", "0.4200")
    exchange.broken.add("/markets/candlesticks")
    made = desk.thesis("bare", tickers=A, probability=0.5, because="x")
    assert made.path.is_empty()
    assert "Not known: no price path of KXA-1 (NotFound" in made._repr_html_()
    assert "no candlesticks of KXA-1" in caplog.text
    assert desk.theses().height == 1


def test_an_archived_market_has_a_path(desk: Desk, exchange: Exchange) -> None:
    """A market that has moved to the archive is read from there, its candlesticks too."""
    exchange.quote(A, "0.4000", "0.4200")
    desk.thesis("old", tickers=A, probability=0.5, because="x")
    exchange.archived_bars[A] = [bar(desk.clock.now() + timedelta(hours=1), "0.3000", "0.3200")]
    exchange.settle(A, "no", "0.0000", archive=True)
    desk.later(days=100)
    made = desk.thesis("old")
    assert (made.status, made.path.height, made.gaps) == ("resolved", 1, ())
    resolved = desk.clock.now()
    desk.later(days=400)
    assert desk.thesis("old").time == resolved
    assert int(exchange.asked("/markets/candlesticks")[-1]["end_ts"]) == int(resolved.timestamp()), (
        "a path ends with its thesis"
    )


def test_at_most_four_paths_are_fetched(desk: Desk, exchange: Exchange) -> None:
    """A thesis over many markets costs at most four requests for candlesticks."""
    names = [f"KXM-{number}" for number in range(9)]
    for name in names:
        exchange.quote(name, "0.4000", "0.4200")
    desk.thesis("many", tickers=names, probability=0.5, because="x")
    assert sorted(query["market_tickers"] for query in exchange.asked("/markets/candlesticks")) == names[:4]


def test_the_frame(desk: Desk, exchange: Exchange) -> None:
    """The frame has floats for analysis and decimals on request, a row for each market."""
    exchange.quote(A, "0.400001", "0.420002")
    exchange.quote(B, "0.0000", "1.0000")
    made = desk.thesis("frame", tickers=[A, B], probability=0.3, because="x")
    frame, exact = made.frame(), made.frame(exact=True)
    assert frame.columns == exact.columns
    assert frame.select("ticker", "side", "edge", "entry", "brier").rows() == [
        (A, "no", 0.100001, 0.4100015, None),
        (B, None, None, None, None),
    ]
    assert str(exact.get_column("entry")[0]) == "0.4100015"
    assert exact.schema["edge"] == pl.Decimal(9, 6)
