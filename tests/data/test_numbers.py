"""Prices and counts come back exactly on every road, or are refused; nothing is ever rounded."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_lab import frames, money
from kalshi_lab.errors import BadPayload
from kalshi_lab.models import Candlestick, Market, Record, Trade
from tests.data.wires import ROADS, decimals, page, text_of

EVERY_ROAD = pytest.mark.parametrize("road", ROADS)
TICKS = [text_of(tick, 4) for tick in range(10_001)]


@EVERY_ROAD
def test_every_tick_comes_back_exactly(road: str) -> None:
    """All 10,001 prices from 0.0000 to 1.0000 in steps of 0.0001 are what they were."""
    texts = [f"{Decimal(text):.4f}" for text in TICKS]
    body = page([{"ticker": text, "yes_bid_dollars": text} for text in texts])
    batch = ROADS[road](Market, body)
    assert batch.frame.get_column("yes_bid").to_list() == [Decimal(text) for text in texts]
    assert batch.frame.get_column("ticker").to_list() == texts
    assert (batch.refused, batch.received) == ((), 10_001)
    floated = frames.floats(batch.frame)
    assert floated.get_column("yes_bid").to_list() == [float(Decimal(text)) for text in texts]


@EVERY_ROAD
@given(st.lists(st.tuples(decimals(6, 1), decimals(2, 10**12), decimals(6, 10**9)), min_size=1, max_size=20))
def test_any_price_count_and_sum_comes_back_exactly(road: str, found: list[tuple[str, str, str]]) -> None:
    """Up to six decimals of a price or a sum and two of a count are kept, and floats are the nearest ones."""
    wires = [
        {"ticker": f"T{n}", "yes_bid_dollars": price, "volume_fp": count, "liquidity_dollars": dollars}
        for n, (price, count, dollars) in enumerate(found)
    ]
    batch = ROADS[road](Market, page(wires))
    names = ["yes_bid", "volume", "liquidity"]
    assert batch.frame.select(names).rows() == [tuple(map(Decimal, row)) for row in found]
    assert batch.frame.select(names).dtypes == [frames.PRICE, frames.COUNT, frames.MONEY]
    floated = frames.floats(batch.frame)
    assert floated.select(names).dtypes == [pl.Float64] * 3
    assert floated.select(names).rows() == [tuple(float(Decimal(text)) for text in row) for row in found]


@EVERY_ROAD
@pytest.mark.parametrize(
    ("wire", "exact"), [("2.55", "2.55"), ("0.01", "0.01"), ("13.00", "13"), ("1000", "1000"), (7, "7")]
)
def test_counts_to_the_hundredth(road: str, wire: Any, exact: str) -> None:
    """Parts of contracts are kept; a whole number is a count too."""
    batch = ROADS[road](Trade, page([{"trade_id": "a", "count_fp": wire}]))
    assert batch.frame.get_column("count").to_list() == [Decimal(exact)]
    assert batch.refused == ()


@EVERY_ROAD
@pytest.mark.parametrize(
    "wire",
    ["0.1234567", "0.0000001", "1e-3", "5E-1", " 0.5", "0.5 ", "0.5\n", "abc", "", "NaN", "inf", "0,5", "+0.5", ".5", "5.", "0x1",
     "\u0660.\u0665", "--1", "1000.0", 0.56, 1, True, False, [], {}],
)  # fmt: skip
def test_what_is_no_price_is_refused(road: str, wire: Any) -> None:
    """A price with a seventh decimal, an exponent, blanks, a binary float or a flag puts its row aside; its neighbours stay."""
    good = [{"ticker": name, "yes_ask_dollars": "0.5"} for name in "AC"]
    batch = ROADS[road](Market, page([good[0], {"ticker": "B", "yes_ask_dollars": wire}, good[1]]))
    assert batch.frame.get_column("ticker").to_list() == ["A", "C"]
    assert batch.frame.get_column("yes_ask").to_list() == [Decimal("0.5")] * 2
    assert (len(batch.refused), batch.received) == (1, 3)
    assert "yes_ask_dollars" in batch.refused[0].reason
    assert '"ticker":"B"' in batch.refused[0].raw


@EVERY_ROAD
@pytest.mark.parametrize("wire", ["0.001", "1e2", " 1", "", "x", "NaN", 2.5, True, [], "12345678901234567"])
def test_what_is_no_count_is_refused(road: str, wire: Any) -> None:
    """A count with a third decimal, an exponent or a binary float puts its row aside."""
    batch = ROADS[road](Trade, page([{"trade_id": "a", "count_fp": wire}, {"trade_id": "b", "count_fp": "1.00"}]))
    assert batch.frame.get_column("trade_id").to_list() == ["b"]
    assert len(batch.refused) == 1


@EVERY_ROAD
@pytest.mark.parametrize(
    ("record", "row", "named"),
    [
        (Market, {"ticker": "A", "yes_bid": 42, "volume": 7}, "'yes_bid' without 'yes_bid_dollars'"),
        (
            Market,
            {"ticker": "A", "yes_bid": 42, "yes_bid_dollars": "0.42", "volume": 7},
            "'volume' without 'volume_fp'",
        ),
        (Trade, {"trade_id": "a", "count": 3, "yes_price_dollars": "0.42"}, "'count' without 'count_fp'"),
        (Trade, {"trade_id": "a", "yes_price": 0}, "'yes_price' without 'yes_price_dollars'"),
        (Candlestick, {"ticker": "A", "end_period_ts": 1, "price": {"open": 42}}, "'price_open' without"),
    ],
)
def test_a_legacy_body_is_named(road: str, record: type[Record], row: dict[str, Any], named: str) -> None:
    """Lesson 14: whole cents or counts alone are refused as the legacy format, on every road, and no price is made of them."""
    with pytest.raises(BadPayload, match="legacy format: integer cents and counts, removed 12 March 2026") as error:
        ROADS[road](record, page([row]))
    assert named in error.value.message


@EVERY_ROAD
def test_a_body_of_both_formats_is_read(road: str) -> None:
    """Lesson 14: where both shapes are sent, today's counts, and the older one stays in extra."""
    both = {"ticker": "A", "yes_bid": 42, "yes_bid_dollars": "0.4250", "volume": 7, "volume_fp": "7.50"}
    row = ROADS[road](Market, page([both])).frame.row(0, named=True)
    assert (row["yes_bid"], row["volume"]) == (Decimal("0.4250"), Decimal("7.50"))
    assert row["extra"] == '{"volume":7,"yes_bid":42}'


def test_not_a_number_spoils_the_page_and_says_so() -> None:
    """NaN is no JSON: the page is refused as a whole instead of being half read."""
    for road in ROADS.values():
        with pytest.raises(ValueError, match="malformed"):
            road(Market, b'{"rows":[{"ticker":"A","floor_strike":NaN}]}')


@given(st.integers(-(10**13), 10**13))
def test_cents_become_dollars(count: int) -> None:
    """Integer cents of balances are exact dollars."""
    made = money.units(count, 2)
    assert made is not None
    assert made * 100 == count
    assert money.dollars(made) == made
    assert money.units(None, 2) is None


@pytest.mark.parametrize(
    "value", [0.5, 1.0, True, None, b"0.5", Decimal("NaN"), Decimal("Infinity"), Decimal("0.1234567"), "0.1234567"]
)
def test_dollars_take_no_floats(value: Any) -> None:
    """The readers of money take text, whole numbers and exact decimals that fit, and nothing else."""
    for read in (money.dollars, money.contracts, money.price):
        with pytest.raises(ValueError, match=r"dollars|contracts|price"):
            read(value)
