"""Price grids: what is valid, and what is next to a price that is not."""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kalshi_lab as kl

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

D = Decimal


def bands(*edges: str) -> list[dict[str, str]]:
    """Bands from alternating edges and steps: start, step, edge, step, end."""
    return [{"start": edges[i], "step": edges[i + 1], "end": edges[i + 2]} for i in range(0, len(edges) - 2, 2)]


def tapered(edge: str, centre: str) -> list[dict[str, str]]:
    return bands("0.00", edge, "0.10", centre, "0.90", edge, "1.00")


# the contract's table of labels with their bands, and how many prices each has
LABELS = {
    "linear_cent": (bands("0.00", "0.01", "1.00"), 99),
    "deci_cent": (bands("0.00", "0.001", "1.00"), 999),
    "tapered_deci_cent": (tapered("0.001", "0.01"), 279),
    "center_whole_edge_half_cent": (tapered("0.005", "0.01"), 119),
    "center_whole_edge_quint_cent": (tapered("0.002", "0.01"), 179),
    "center_half_edge_half_cent": (bands("0.00", "0.005", "1.00"), 199),
    "center_half_edge_quint_cent": (tapered("0.002", "0.005"), 259),
    "center_half_edge_deci_cent": (tapered("0.001", "0.005"), 359),
    "center_quint_edge_quint_cent": (bands("0.00", "0.002", "1.00"), 499),
    "center_quint_edge_deci_cent": (tapered("0.001", "0.002"), 599),
    "center_centi_edge_centi_cent": (bands("0.00", "0.0001", "1.00"), 9999),
    "center_deci_edge_centi_cent": (bands("0.00", "0.0001", "0.01", "0.001", "0.99", "0.0001", "1.00"), 1179),
}
EVERY_LABEL = pytest.mark.parametrize("label", LABELS)
ANY_PRICE = st.integers(0, 10**6).map(lambda millionths: D(millionths).scaleb(-6))


@cache
def all_ticks(label: str) -> tuple[Decimal, ...]:
    return kl.Grid(LABELS[label][0]).ticks()


@EVERY_LABEL
def test_every_label_has_its_prices(label: str) -> None:
    """Each structure of the contract has so many prices, all valid, none of them 0 or 1, and every whole cent among them."""
    ranges, count = LABELS[label]
    grid = kl.Grid(ranges)
    ticks = grid.ticks()
    assert len(ticks) == len(set(ticks)) == count
    assert list(ticks) == sorted(ticks)
    assert all(grid.valid(tick) for tick in ticks)
    assert {D(cent).scaleb(-2) for cent in range(1, 100)} <= set(ticks)
    assert not grid.valid("0")
    assert not grid.valid("1")


@EVERY_LABEL
@given(price=ANY_PRICE)
def test_snapping_agrees_with_the_list_of_prices(label: str, price: Decimal) -> None:
    """A bid goes down to the next price, an ask up, the nearest to the closer, of two to the lower; on the grid nothing moves."""
    grid, ticks = kl.Grid(LABELS[label][0]), all_ticks(label)
    at, after = bisect_left(ticks, price), bisect_right(ticks, price)
    assert grid.valid(price) == (at != after)
    for side, expected in (("bid", ticks[:after][-1:]), ("ask", ticks[at : at + 1])):
        if expected:
            assert grid.snap(price, side) == expected[0]
        else:
            with pytest.raises(kl.UsageError, match="has no price"):
                grid.snap(price, side)
    near = ticks[max(at - 1, 0) : after + 1]
    assert grid.snap(price, "nearest") == min(near, key=lambda tick: (abs(tick - price), tick))


def test_an_edge_is_on_both_grids_and_the_bands_differ_around_it() -> None:
    """At 0.10 the fine grid ends and the coarse one begins."""
    grid = kl.Grid(LABELS["tapered_deci_cent"][0])
    assert [grid.valid(price) for price in ("0.099", "0.10", "0.101", "0.11")] == [True, True, False, True]
    assert [grid.valid(price) for price in ("0.89", "0.899", "0.90", "0.901")] == [True, False, True, True]
    assert (grid.snap("0.105", "bid"), grid.snap("0.105", "ask")) == (D("0.10"), D("0.11"))
    assert grid.snap("0.105", "nearest") == D("0.10")


def test_an_edge_off_one_band_s_steps_is_still_valid() -> None:
    """An edge that the lower band's steps miss is the upper band's first price; a band need not end on a step."""
    grid = kl.Grid(bands("0.00", "0.003", "0.10", "0.01", "1.00"))
    assert [grid.valid(price) for price in ("0.099", "0.10", "0.102", "0.11")] == [True, True, False, True]
    assert grid.snap("0.0995", "ask") == D("0.10")


def test_bands_that_end_before_0_and_1_end_there() -> None:
    """The first and the last price of such a band are prices, and beyond them there is nothing."""
    grid = kl.Grid(bands("0.05", "0.01", "0.95"))
    assert (grid.ticks()[0], grid.ticks()[-1]) == (D("0.05"), D("0.95"))
    for side in ("bid", "ask", "nearest"):
        assert [grid.snap(price, side) for price in ("0.05", "0.95")] == [D("0.05"), D("0.95")]
    assert (grid.snap("0.01", "ask"), grid.snap("0.99", "bid")) == (D("0.05"), D("0.95"))
    with pytest.raises(kl.UsageError, match=r"has no price above 0\.96"):
        grid.snap("0.96", "ask")


def test_between_bands_there_is_nothing() -> None:
    """A gap between bands holds no price; both neighbours are found across it."""
    grid = kl.Grid([*bands("0.90", "0.01", "1.00"), *bands("0.00", "0.01", "0.10")])
    assert not grid.valid("0.50")
    assert (grid.snap("0.50", "bid"), grid.snap("0.50", "ask")) == (D("0.10"), D("0.90"))


def test_an_invalid_price_is_told_its_neighbours() -> None:
    """`check` gives the price back, or says the nearest below and above."""
    grid = kl.Grid(LABELS["linear_cent"][0])
    assert str(grid.check("0.42")) == "0.4200"
    with pytest.raises(kl.UsageError, match=r"takes no price of 0.425. Nearest: 0.4200 and 0.4300"):
        grid.check("0.425")
    with pytest.raises(kl.UsageError, match=r"Nearest: 0.0100$"):
        grid.check("0")
    with pytest.raises(kl.UsageError, match=r"Nearest: 0.9900$"):
        grid.check("1")


@pytest.mark.parametrize(
    ("price", "said"),
    [
        ("0.1234567", "at most 6 decimals"),
        (D("0.1234567"), "at most 6 decimals"),
        (0.42, "not float"),
        (42, "whole number"),
        ("42", "not between 0 and 1"),
        ("-0.10", "not between 0 and 1"),
        ("NaN", "at most 6 decimals"),
        ("forty", "at most 6 decimals"),
    ],
)
def test_what_is_no_price_is_refused(price: Any, said: str) -> None:
    """A seventh decimal, a float, cents and words are refused by every method."""
    grid = kl.Grid(LABELS["center_centi_edge_centi_cent"][0])
    for ask in (grid.valid, grid.check, lambda value: grid.snap(value, "bid")):
        with pytest.raises(kl.UsageError, match=said):
            ask(price)


def test_a_wrong_side_gets_the_nearest_word() -> None:
    """The side is checked too."""
    with pytest.raises(kl.UsageError, match="Did you mean 'nearest'"):
        kl.Grid(LABELS["linear_cent"][0]).snap("0.42", "neares")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "ranges",
    [
        [{"start": "0.00", "end": "1.00", "step": "0.00"}],
        [{"start": "0.90", "end": "0.10", "step": "0.01"}],
        [{"start": "0.00", "end": "2.00", "step": "0.01"}],
        [{"start": "0.00", "end": "0.01", "step": "0.02"}],
        [{"start": "0.00", "end": "1.00"}],
        [{"start": 0.0, "end": 1.0, "step": 0.01}],
    ],
)
def test_ranges_that_make_no_sense_are_refused(ranges: Any) -> None:
    """Nothing is guessed from a broken band."""
    with pytest.raises(kl.UsageError, match="no price range"):
        kl.Grid(ranges)


@pytest.mark.parametrize("ranges", [None, []])
def test_without_ranges_the_label_is_not_consulted(ranges: Any) -> None:
    """A market without price ranges has an unknown grid, whatever its label says."""
    market = kl.Market(ticker="KXA", price_level_structure="linear_cent", price_ranges=ranges)
    with pytest.raises(kl.UsageError, match=r"KXA: no price ranges.*'linear_cent' is only a name"):
        kl.Grid(market)


def test_grids_compare_and_show_their_bands() -> None:
    """Equal bands are equal grids, in whatever order and with whatever zeros they were sent."""
    sent = LABELS["tapered_deci_cent"][0]
    other = kl.Grid([{key: f"{D(value):.4f}" for key, value in band.items()} for band in reversed(sent)])
    assert kl.Grid(sent) == other
    assert hash(kl.Grid(sent)) == hash(other)
    assert kl.Grid(sent) != kl.Grid(LABELS["deci_cent"][0])
    assert repr(kl.Grid(LABELS["linear_cent"][0])) == "<Grid 0.00-1.00 by 0.01>"
    assert "0.001" in kl.Grid(sent)._repr_html_()


def recorded_markets(value: Any) -> Iterator[dict[str, Any]]:
    """Every object with price ranges, however deep it lies."""
    if isinstance(value, dict):
        if value.get("price_ranges"):
            yield value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from recorded_markets(item)


@pytest.mark.recordings
def test_recorded_markets_quote_on_their_grids(recordings: Path) -> None:
    """Every recorded price range is read, and every quote and last trade that is a price at all lies on its market's grid."""
    files = sorted((recordings / "rest-current").rglob("*.json"))
    found = [one for file in files for one in recorded_markets(json.loads(file.read_text(encoding="utf-8")))]
    assert {one["price_level_structure"] for one in found} == {"linear_cent", "deci_cent"}
    quoted = 0
    for one in found:
        assert kl.Grid(one["price_ranges"]) == kl.Grid(LABELS[one["price_level_structure"]][0])
        if "ticker" in one:
            grid, market = kl.Grid(kl.Market.model_validate(one)), kl.Market.model_validate(one)
            prices = (market.yes_bid, market.yes_ask, market.no_bid, market.no_ask, market.last_price)
            real = [price for price in prices if price is not None and 0 < price < 1]
            assert all(grid.valid(price) for price in real), one["ticker"]
            quoted += len(real)
    assert quoted > 1000
