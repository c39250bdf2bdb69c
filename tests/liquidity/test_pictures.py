"""Pictures of liquidity, co-movement and history: on nothing, one point, thousands of series, and titles with dollar signs."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from matplotlib.collections import LineCollection
from matplotlib.text import Text

import kalshi_lab as kl
from tests.liquidity.draws import START, frame, ticked, trades, walks

if TYPE_CHECKING:
    from kalshi_lab.charts import Picture

COST = "KX$5-$10_^{2}"
LEVELS = (
    ((Decimal("0.40"), Decimal("10.00")),),
    ((Decimal("0.55"), Decimal("7.00")), (Decimal("0.40"), Decimal("2.00"))),
)
PATH = {"time": [START], "yes_bid": [0.4], "yes_ask": [0.45], "price": [0.41], "volume": [3.0]}


def texts(picture: Picture) -> list[str]:
    assert picture.png()[:4] == b"\x89PNG"
    return [text.get_text() for text in picture.figure.findobj(Text) if text.get_text()]


def test_an_empty_book_says_so() -> None:
    empty = kl.Orderbook(COST)
    said = texts(kl.liquidity(empty).plot())
    assert "no two-sided quote" in said
    assert f"Liquidity of {COST}" in said
    assert "volume 24h: not known" in said
    assert "nothing to take" in texts(kl.slippage(empty, 5).plot())


def test_liquidity_and_slippage_show_their_levels() -> None:
    """VIS-1: depth near the mid, and what the last contract costs."""
    book = kl.Orderbook(COST, *LEVELS)
    picture = kl.liquidity(book, volume_24h=10, open_interest=1).plot()
    lines = [each for each in picture.figure.axes[1].collections if isinstance(each, LineCollection)]
    assert [len(each.get_segments()) for each in lines] == [1, 1]
    last, average = kl.slippage(book, 9).plot().figure.axes[0].lines[:2]
    assert list(last.get_xdata()) == [0, 7, 9]
    assert list(last.get_ydata()) == [0.45, 0.6, 0.6]
    assert average.get_ydata()[-1] == pytest.approx(float(kl.slippage(book, 9).average))


def test_impact_and_hours_draw_what_was_found_and_nothing() -> None:
    """VIS-1: an impact curve with its band; a spread for each hour."""
    assert "square-root law" in texts(kl.impact(trades(1, 0.0005)).plot())
    assert "too few orders" in texts(kl.impact(trades(1, 0.0, orders=1)).plot())
    bars = pl.DataFrame({"end_time": [START], "yes_bid_close": [0.4], "yes_ask_close": [0.5], "volume": [1.0]})
    assert "like its day" in texts(kl.timing(bars).plot())
    assert "no real quotes" in texts(kl.timing(bars.clear()).plot())


def test_a_heat_map_shows_the_strongest_of_many() -> None:
    """VIS-1: pairs that were not tested stay blank, flagged ones are framed."""
    tied = np.repeat(walks(1, 1), 3, axis=0)
    picture = kl.correlation(frame(tied).with_columns(ticker=COST + pl.col("ticker"))).plot()
    assert len(picture.figure.axes[0].patches) == 6
    assert f"{COST}S00" in texts(picture)
    many = kl.correlation(frame(ticked(2, series=70)), against="S01").plot()
    assert any("60 of 70 series shown" in each.replace("\n", " ") for each in texts(many))
    assert "no pairs" in texts(kl.correlation(frame(walks(1)).clear()).plot())
    against = kl.correlation(frame(walks(1)[:, :3]))
    assert against.frame()["pearson"].null_count() == 1
    assert texts(against.plot())


def test_lead_and_lag_are_curves() -> None:
    found = kl.lead_lag(frame(walks(1)), lags=3)
    assert list(found.plot().figure.axes[0].lines[2].get_xdata()) == list(range(-3, 4))
    assert "no pair tested" in texts(kl.lead_lag(frame(walks(1)[:, :3])).plot())


def test_a_history_shows_what_happened() -> None:
    """VIS-1: price with volume, spread, settlement, theses and pauses; a missing quote breaks the line."""
    minutes = [START + timedelta(minutes=place) for place in range(6)]
    path = pl.DataFrame(
        {
            "time": minutes, "yes_bid": [0.4, 0.41, 0.0, 0.42, 0.43, 0.44], "yes_ask": [0.45, 0.45, 1.0, 0.46, 0.47, 0.48],
            "status": ["active", "inactive", "inactive", "active", None, None], "volume": [None, None, None, None, 5.0, 7.0],
        }
    )  # fmt: skip
    marks = pl.DataFrame(
        {"time": [minutes[5], minutes[0]], "kind": ["settlement", "thesis"], "words": ["settled yes", COST]}
    )
    found = kl.timeline(path, marks, ticker=COST)
    assert found.frame()["mid"].to_list() == pytest.approx([0.425, 0.43, None, 0.44, 0.45, 0.46])
    assert found.frame()["spread"].null_count() == found.basis.excluded["rows without a real quote"] == 1
    assert found.pauses == ((minutes[1], minutes[3]),)
    said = texts(found.plot())
    assert {"paused", "settlement", "thesis", "settled yes", COST} <= set(said)


def test_histories_of_nothing_of_one_point_and_of_many() -> None:
    one = pl.DataFrame(PATH, schema_overrides={"time": pl.Datetime("us", "UTC")})
    assert "no real quotes, no trades" in texts(kl.timeline(one.clear(), ticker=COST).plot())
    assert texts(kl.timeline(one, ticker=COST).plot())
    seconds = pl.int_range(10_000, eager=True) * 1_000_000
    many = one.select(pl.all().repeat_by(10_000).explode()).with_columns(
        pl.col("time") + seconds.cast(pl.Duration("us"))
    )
    picture = kl.timeline(many, ticker=COST).plot()
    assert len(picture.figure.axes[1].lines[0].get_xdata()) <= 4_000
    assert any("one row of 3 drawn" in each for each in texts(picture))
