"""Pictures of events, ladders and riskless portfolios: what they show, and that they draw whatever comes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest
from matplotlib.collections import FillBetweenPolyCollection
from matplotlib.text import Text

import kalshi_lab as kl
from kalshi_lab.models import Market, Orderbook

PNG = b"\x89PNG"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
NASTY = ("$90,000 or $100,000", r"\alpha $\frac{1}{0}$", "_hidden", "x" * 200, "日本語 🎲", "line\nbreak\x00", "")


def texts(picture: kl.charts.Picture) -> str:
    return " | ".join(text.get_text() for text in picture.figure.findobj(Text))


def event(names: tuple[str, ...], title: str = "Event", *, quoted: bool = True) -> kl.Event:
    markets = [
        Market(
            ticker=f"M{place}", yes_sub_title=name, status="active", strike_type="greater", floor_strike=float(place),
            yes_bid=Decimal("0.40") if quoted else Decimal(0), yes_ask=Decimal("0.44") if quoted else Decimal(1),
            last_price=Decimal("0.42"), volume=Decimal(place),
        )
        for place, name in enumerate(names)
    ]  # fmt: skip
    return kl.Event(event_ticker="E", title=title, mutually_exclusive=True, markets=tuple(markets))


def history(times: int) -> kl.Ladder:
    rows = [
        ("greater", float(strike), None, 0.9 - 0.2 * strike + 0.001 * (hour % 40), NOON + timedelta(hours=hour))
        for hour in range(times)
        for strike in range(4)
    ]
    types = {
        "strike_type": pl.String,
        "floor_strike": pl.Float64,
        "cap_strike": pl.Float64,
        "price": pl.Float64,
        "time": pl.Datetime("us", "UTC"),
    }
    return kl.ladder(pl.DataFrame(rows, schema=types, orient="row"), price="price")


def riskless(markets: int, name: str = "M") -> kl.Arbitrage:
    names = [f"{name}{place}" for place in range(markets)]
    held = tuple(Market(ticker=one, status="active", strike_type="structured") for one in names)
    books = [Orderbook(one, ((Decimal("0.60"), Decimal(10)),)) for one in names]
    return kl.arbitrage(books, kl.Event(event_ticker="E", mutually_exclusive=True, markets=held), fees=("quadratic", 1))


def test_an_event_has_a_bar_for_every_quoted_market() -> None:
    """VIS-1: bars from bid to ask in the order of the strikes, and the sum of the middles of an exclusive event."""
    picture = kl.charts.event(event(("one", "two", "three")))
    (axes,) = picture.figure.axes
    assert [round(bar.get_width(), 6) for bar in axes.patches] == [0.04] * 3
    assert [label.get_text() for label in axes.get_yticklabels()] == ["one", "two", "three"]
    assert "3 markets, 3 quoted on both sides, mutually exclusive, middles add up to 1.260" in texts(picture).replace(
        "\n", " "
    )


@pytest.mark.parametrize("many", [0, 1, 10_000])
def test_an_event_of_any_size_is_drawn(many: int) -> None:
    """None, one, and ten thousand markets, of which those with most volume are shown."""
    picture = kl.charts.event(event(tuple(f"market {place}" for place in range(many))))
    (axes,) = picture.figure.axes
    assert len(axes.patches) == min(many, 40)
    assert ("no markets" in texts(picture)) == (many == 0)
    assert ("the 40 with most volume shown" in texts(picture).replace("\n", " ")) == (many > 40)
    assert picture.png().startswith(PNG)


def test_texts_of_events_are_drawn_literally() -> None:
    picture = kl.charts.event(event(NASTY, title=NASTY[0]))
    assert NASTY[0] in texts(picture)
    assert picture.png().startswith(PNG)
    assert kl.charts.event(event(("a",), quoted=False)).png().startswith(PNG)


def test_a_ladder_shows_its_pieces_and_over_time_its_fan() -> None:
    """VIS-1: open tails are hatched; a history is two bands around the median."""
    (axes,) = history(1).plot().figure.axes
    assert [bool(bar.get_hatch()) for bar in axes.patches] == [True, False, False, False, True]
    assert sum(bar.get_height() for bar in axes.patches) == pytest.approx(1)
    (axes,) = history(30).plot().figure.axes
    bands = [one for one in axes.collections if isinstance(one, FillBetweenPolyCollection)]
    assert [band.get_label() for band in bands] == ["5% to 95%", "25% to 75%"]


def test_a_ladder_of_nothing_and_a_long_history_are_drawn() -> None:
    assert "no ladder" in texts(kl.charts.ladder(history(0)))
    assert kl.charts.ladder(history(2_000), title=NASTY[1]).png().startswith(PNG)
    lone = kl.ladder(
        history(1)
        .frame()
        .head(0)
        .with_columns(strike_type=pl.lit(""), floor_strike=pl.lit(0.0), cap_strike=pl.lit(0.0), p=pl.lit(0.5)),
        price="p",
    )
    assert kl.charts.ladder(lone).png().startswith(PNG)


def test_a_riskless_portfolio_shows_every_state() -> None:
    """SCN-10: a bar for each state of the world, none below zero; nothing found is said."""
    result = riskless(2)
    picture = result.plot()
    (axes,) = picture.figure.axes
    assert [bar.get_width() for bar in axes.patches] == [float(one.profit) for one in result.portfolios[0].outcomes]
    assert min(bar.get_width() for bar in axes.patches) > 0
    assert "no riskless portfolio" in texts(riskless(1).plot())


def test_many_states_are_gathered() -> None:
    (axes,) = riskless(60, name="$x_").plot().figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["60 states", "none wins"]
