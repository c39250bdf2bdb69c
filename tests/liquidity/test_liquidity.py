"""Liquidity and the cost of taking: exact against a contract-by-contract count, unknown where there is no quote, scales from data."""

from __future__ import annotations

from decimal import Decimal
from itertools import islice

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kalshi_lab as kl
from kalshi_lab.errors import OrderRejected, UsageError

TERMS = ("quadratic", 1)
BOOK = kl.Orderbook(
    "T",
    ((Decimal("0.40"), Decimal("10.00")), (Decimal("0.38"), Decimal("20.00"))),
    ((Decimal("0.55"), Decimal("10.00")), (Decimal("0.40"), Decimal("2.00"))),
)
PRICES = st.integers(1, 49).map(lambda cents: Decimal(cents) / 100)
SIDES = st.dictionaries(PRICES, st.integers(1, 5000).map(lambda size: Decimal(size) / 100), max_size=6)


def made(yes: dict[Decimal, Decimal], no: dict[Decimal, Decimal]) -> kl.Orderbook:
    return kl.Orderbook("T", *(tuple(sorted(side.items(), reverse=True)) for side in (yes, no)))


def hundredths(book: kl.Orderbook, side: str, action: str) -> list[Decimal]:
    """The price of each hundredth of a contract that can be taken, best first."""
    own, other = (book.yes_bids, book.no_bids) if side == "yes" else (book.no_bids, book.yes_bids)
    levels = own if action == "sell" else tuple((1 - price, size) for price, size in other)
    return [price for price, size in levels for _ in range(int(size * 100))]


@given(SIDES, SIDES, st.sampled_from(["yes", "no"]), st.sampled_from(["buy", "sell"]), st.integers(1, 20_000))
def test_a_walk_is_the_sum_of_its_hundredths(
    yes: dict[Decimal, Decimal], no: dict[Decimal, Decimal], side: str, action: str, asked: int
) -> None:
    """LIQ-3: best, average, worst, fillable, unfilled, levels for each side and action; an empty side is None, never zero."""
    book, count = made(yes, no), Decimal(asked) / 100
    found, prices = kl.slippage(book, count, side=side, action=action), hundredths(made(yes, no), side, action)[:asked]
    assert found.filled == Decimal(len(prices)) / 100
    assert found.unfilled == count - found.filled
    assert found.fillable == (len(prices) == asked)
    assert found.cost == sum(prices, Decimal(0)) / 100
    assert (found.best, found.worst) == ((prices[0], prices[-1]) if prices else (None, None))
    assert found.levels == len(set(prices))
    assert found.average == (sum(prices) / len(prices) if prices else None)
    assert (found.slippage is None) == (not prices)
    assert found.fees is None
    assert found.total is None


def test_fees_are_those_of_one_order_filled_level_by_level() -> None:
    """LIQ-3: net of fees, to the last digit."""
    found = kl.slippage(BOOK, "12", fees=TERMS)
    order = kl.OrderFees(TERMS, action="buy")
    for price, count in (("0.45", 10), ("0.60", 2)):
        order.add(price, count)
    assert found.fees == order.net == Decimal("0.206900")
    assert found.total == Decimal("5.70") + order.net
    sale = kl.slippage(BOOK, "12", action="sell", fees=TERMS)
    assert sale.total == Decimal("4.76") - sale.fees


def test_a_limit_refuses_before_anything_is_sent() -> None:
    """LIQ-3: beyond the limit, or more than the book holds."""
    assert kl.slippage(BOOK, 12, limit="0.025").fillable
    with pytest.raises(OrderRejected, match="Nothing was sent"):
        kl.slippage(BOOK, 12, limit="0.0249")
    with pytest.raises(OrderRejected, match=r"1\.00 not filled"):
        kl.slippage(BOOK, 13, limit="0.50")
    with pytest.raises(OrderRejected):
        kl.slippage(kl.Orderbook("T"), 1, limit=0)
    for wrong in (0, -1, "0.001", True, "many"):
        with pytest.raises(UsageError):
            kl.slippage(BOOK, wrong)
    with pytest.raises(UsageError, match="limit"):
        kl.slippage(BOOK, 1, limit="-0.01")


def test_a_limit_of_zero_is_a_limit() -> None:
    """Lesson 24: zero is a value."""
    assert kl.slippage(BOOK, 10, limit=0).slippage == 0
    with pytest.raises(OrderRejected):
        kl.slippage(BOOK, "10.01", limit=0)
    assert kl.safe_size(BOOK, average=0, marginal=None).filled == 10
    zero = kl.liquidity(BOOK, volume_24h=0, open_interest=0)
    assert zero.score is not None
    assert zero.frame().filter(pl.col("component") == "volume_24h").row(0)[1:4:2] == (0.0, 0.0)


@given(
    SIDES,
    st.integers(0, 12).map(lambda cents: Decimal(cents) / 100),
    st.integers(0, 12).map(lambda cents: Decimal(cents) / 100),
)
def test_a_safe_size_is_the_largest(no: dict[Decimal, Decimal], average: Decimal, marginal: Decimal) -> None:
    """LIQ-4: by the marginal as well as the average cost, against trying one hundredth of a contract after the other."""
    book = made({}, no)
    cost, best, safe = Decimal(0), None, 0
    for place, price in enumerate(hundredths(book, "yes", "buy"), 1):
        best = price if best is None else best
        cost += price
        if price - best > marginal or cost - best * place > average * place:
            break
        safe = place
    found = kl.safe_size(book, average=average, marginal=marginal)
    assert found.filled == Decimal(safe) / 100
    assert found.filled == found.contracts


def test_an_average_hides_what_the_last_contracts_cost() -> None:
    """LIQ-4: the predecessor's twelve contracts, two of them fifteen cents worse."""
    hidden = kl.safe_size(BOOK, average="0.03", marginal=None)
    assert (hidden.filled, hidden.worst - hidden.best) == (12, Decimal("0.15"))
    assert kl.safe_size(BOOK, average="0.03", marginal="0.03").filled == 10
    assert kl.safe_size(kl.Orderbook("T")).filled == 0
    with pytest.raises(UsageError, match="limit"):
        kl.safe_size(BOOK, average=None, marginal=None)


def test_a_safe_size_counts_fees() -> None:
    """LIQ-4: net of the formula's fee, which falls towards the edges of the price range."""
    dear = kl.Orderbook("T", (), ((Decimal("0.20"), Decimal("5.00")), (Decimal("0.17"), Decimal("5.00"))))
    gap = Decimal("0.03") + Decimal("0.07") * (Decimal("0.83") * Decimal("0.17") - Decimal("0.80") * Decimal("0.20"))
    assert kl.safe_size(dear, average=None, marginal=gap, fees=TERMS).filled == 10
    assert kl.safe_size(dear, average=None, marginal=gap).filled == 5
    assert kl.safe_size(dear, average=None, marginal=gap - Decimal("0.000001"), fees=TERMS).filled == 5


def test_depth_and_imbalance_are_weighed_by_nearness() -> None:
    """LIQ-1: contracts within ten cents of the mid, NO bids as YES offers, weight 1 - d / (r + 1 cent)."""
    found = kl.liquidity(BOOK)
    assert found.mid == Decimal("0.425")
    assert (found.bid_depth, found.ask_depth) == (30, 10)
    weight = [1 - Decimal(far) / Decimal("0.11") for far in ("0.025", "0.045", "0.025")]
    assert abs(found.depth - (10 * weight[0] + 20 * weight[1] + 10 * weight[2])) < Decimal("1e-20")
    assert found.imbalance == Decimal("0.5")
    assert kl.liquidity(BOOK, within="0.20").ask_depth == 12


@pytest.mark.parametrize(
    "book",
    [
        kl.Orderbook("T"),
        kl.Orderbook("T", BOOK.yes_bids),
        kl.Orderbook("T", ((Decimal("0.60"), Decimal(1)),), ((Decimal("0.50"), Decimal(1)),)),
    ],
)
def test_without_a_two_sided_quote_nothing_is_known(book: kl.Orderbook) -> None:
    """LIQ-1, LIQ-2, lesson 26: unknown is null, never zero, and volume earns no points for an empty book."""
    found = kl.liquidity(book, volume_24h=100_000, open_interest=100_000)
    assert (
        found.mid
        is found.bid_depth
        is found.ask_depth
        is found.depth
        is found.imbalance
        is found.score
        is found.grade
        is None
    )
    assert found.frame().filter(pl.col("component").is_in(["spread", "depth", "top_size"]))["value"].null_count() == 3
    assert "not known" in repr(found)


def test_a_score_says_its_weights_and_scale() -> None:
    """LIQ-2: the weighted mean of interpolated scores; weights sum to one; a missing component leaves it unknown."""
    found = kl.liquidity(BOOK, volume_24h=5000, open_interest=2500)
    spread, depth = (Decimal("0.20") - Decimal("0.05")) / Decimal("0.19") * 100, found.depth / 10
    assert found.score == pytest.approx(float(Decimal("0.3") * (spread + depth) + Decimal("0.2") * (50 + 50)))
    assert "spread 0.3" in found.basis.weighting
    assert "convention" in found.basis.weighting
    assert kl.liquidity(BOOK, volume_24h=5000).score is None
    assert kl.liquidity(BOOK, weights={"spread": 1}).score == pytest.approx(float(spread))
    for wrong in ({"spread": 0.9}, {"spread": 1.5, "depth": -0.5}):
        with pytest.raises(UsageError, match="sum to"):
            kl.liquidity(BOOK, weights=wrong)
    with pytest.raises(UsageError, match="spread"):
        kl.liquidity(BOOK, weights={"spred": 1})


def test_a_scale_is_the_percentiles_of_real_markets() -> None:
    """LIQ-2: unpriced markets have no spread to compare with; equal ones share their rank."""
    markets = pl.DataFrame(
        {
            "yes_bid": [0.40, 0.40, 0.40, 0.0, None], "yes_ask": [0.41, 0.45, 0.45, 1.0, None], "yes_bid_size": [9.0, 1, 1, 500, None],
            "yes_ask_size": [9.0, 1, 1, 500, None], "volume_24h": [0.0, 10, 20, None, None], "open_interest": [5.0, 5, 5, 5, None],
        }
    )  # fmt: skip
    scale = kl.Scale.of(markets)
    assert scale.n == 3
    assert [
        scale.score("spread", value) for value in (Decimal("0.01"), Decimal("0.05"), Decimal("0.9"))
    ] == pytest.approx([100 - 100 / 6, 100 / 3, 100 / 3])
    assert scale.score("volume_24h", 0) == pytest.approx(100 / 6)
    assert scale.score("open_interest", 5) == 50
    assert scale.score("depth", 5) is None
    found = kl.liquidity(BOOK, volume_24h=10, open_interest=5, scale=scale)
    assert found.basis.weighting.startswith("spread 0.3, top_size 0.3")
    assert "percentiles of 3 markets" in repr(found)
    with pytest.raises(UsageError, match="yes_bid_size"):
        kl.Scale.of(markets.drop("yes_bid_size"))


def test_a_stale_book_is_refused() -> None:
    book = kl.OrderBook("T")
    book.mark_stale("the connection was lost")
    for ask in (kl.liquidity, kl.safe_size, lambda one: kl.slippage(one, 1)):
        with pytest.raises(UsageError, match="the connection was lost"):
            ask(book)


def test_both_kinds_of_book_answer_alike() -> None:
    live = kl.OrderBook("T")
    msg = {
        "market_ticker": "T",
        "yes_dollars_fp": [["0.38", "20.00"], ["0.40", "10.00"]],
        "no_dollars_fp": [["0.40", "2.00"], ["0.55", "10.00"]],
    }
    live.apply({"type": "orderbook_snapshot", "sid": 1, "seq": 1, "msg": msg})
    assert kl.slippage(live, 12, fees=TERMS).frame().equals(kl.slippage(BOOK, 12, fees=TERMS).frame())
    assert kl.liquidity(live).frame().equals(kl.liquidity(BOOK).frame())
    assert list(islice(live.asks(), 1)) == [(Decimal("0.45"), Decimal("10.00"))]
