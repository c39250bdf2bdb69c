"""A condition is checked when it is made, decided by real quotes only, and comes back from its text unchanged."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from kalshi_lab.alerts import Condition, above, below
from kalshi_lab.alerts.conditions import from_text
from kalshi_lab.errors import UsageError
from kalshi_lab.models import Market

T = "KXA-1"


def holds(condition: Condition, bid: str | None, ask: str | None) -> bool | None:
    return condition.holds({T: Market(ticker=T, yes_bid=bid, yes_ask=ask)})  # type: ignore[arg-type]  # prices are read from text


@pytest.mark.parametrize(
    ("bid", "ask", "over", "under"),
    [
        ("0.61", "0.63", False, False),  # the mid is the threshold: neither strictly above nor strictly below
        ("0.61", "0.630002", True, False),
        ("0.61", "0.629998", False, True),
        ("0.90", "0.92", True, False),
        ("0", "1", None, None),
        ("0.90", "1", None, None),
        ("0", "0.04", None, None),
        ("0", "0", None, None),
        ("0.70", "0.70", None, None),
        ("0.80", "0.70", None, None),
        (None, "0.70", None, None),
        ("0.70", None, None, None),
    ],
)
def test_the_mid_of_a_real_quote_decides(
    bid: str | None, ask: str | None, over: bool | None, under: bool | None
) -> None:
    """Above and below are strict, exact to the last decimal, and undecided where a side is missing."""
    assert holds(above(T, 0.62), bid, ask) is over
    assert holds(below(T, 0.62), bid, ask) is under


def test_a_missing_market_decides_nothing() -> None:
    """Without the market there is no answer."""
    assert above(T, 0.62).holds({}) is None


@pytest.mark.parametrize("price", [0.62, "0.62", "0.620000", Decimal("0.62"), 0.1 + 0.52])
def test_the_same_condition_has_the_same_text(price: Any) -> None:
    """However the price is written, the condition is the same value and the same text, and the text brings it back."""
    made = above(T, price)
    assert made == above(T, "0.62")
    assert made.text == above(T, "0.62").text
    assert from_text(made.text) == made
    assert from_text(below(T, price).text) == below(T, price) != made


@pytest.mark.parametrize(
    ("price", "said"),
    [
        (62, r"price 62 is not between 0 and 1 dollars\. Did you mean 0\.62\?"),
        (1, r"Did you mean 0\.01\?"),
        (0, "not between 0 and 1"),
        (100, "not between 0 and 1"),
        (-0.5, "not between 0 and 1"),
        (float("nan"), "no number"),
        ("cheap", "no number"),
        (True, "no number"),
        (None, "no number"),
    ],
)
def test_a_wrong_price_is_refused(price: Any, said: str) -> None:
    """A threshold is strictly between 0 and 1 dollars; cents are recognised."""
    for make in (above, below):
        with pytest.raises(UsageError, match=said):
            make(T, price)


@pytest.mark.parametrize("ticker", ["*", "", "kxa-1", "../x", None, "A B"])
def test_a_wrong_ticker_is_refused(ticker: Any) -> None:
    """A ticker is a ticker; a star is none."""
    with pytest.raises(UsageError, match="ticker"):
        above(ticker, 0.5)


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "null", '{"kind": "and", "parts": []}', '{"kind": ["above"]}', '{"kind": "above"}']
)
def test_text_that_is_no_condition(text: str) -> None:
    """Text that this version cannot read is an error that says so, never a condition that holds."""
    with pytest.raises(UsageError):
        from_text(text)


def test_tickers_that_decide_it() -> None:
    """A condition names the markets that it is about, and is readable."""
    made = below("KXB-2", "0.05")
    assert made.tickers == ("KXB-2",)
    assert str(made) == "KXB-2 below 0.05"
    with pytest.raises(AttributeError):
        made.ticker = "KXC-3"  # type: ignore[attr-defined]  # it is frozen, which is the point
