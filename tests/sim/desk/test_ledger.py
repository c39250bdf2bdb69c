"""One position's arithmetic, in whole millionths of a dollar."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_lab.sim.desk.fee import accumulator, charged, expected
from kalshi_lab.sim.desk.ledger import Account, Position

TRADES = st.lists(st.tuples(st.integers(1, 9999), st.integers(1, 5000), st.booleans()), max_size=30)


@given(TRADES, st.integers(0, 10_000))
def test_cash_and_cost_always_explain_the_profit(trades: list[tuple[int, int, bool]], value: int) -> None:
    """Cash paid out so far is profit minus what is still tied up; after settlement it is the profit, whatever the path."""
    position, cash, net = Position(0), 0, 0
    for price, count, buys in trades:
        cash += position.trade(price, count, buys=buys)
        net += count if buys else -count
        assert position.held == net
        assert cash == position.realized - position.cost
        assert position.cost >= 0
        assert net or position.cost == 0
    cash += position.settle(value, 1)
    assert (cash, position.held, position.cost) == (position.realized, 0, 0)


def test_turning_a_position_around() -> None:
    """Ten YES at 0.40; selling fifteen at 0.50 earns a dollar on ten and pays 0.50 each for five NO."""
    position = Position(0)
    assert position.trade(4000, 1000, buys=True) == -4_000_000
    assert position.closing(1500, buys=False) == 1000
    assert position.trade(5000, 1500, buys=False) == 2_500_000
    assert (position.held, position.cost, position.realized) == (-500, 2_500_000, 1_000_000)
    assert (position.traded, position.volume) == (11_500_000, 2500)


@pytest.mark.parametrize(
    ("held", "value", "payout"),
    [(150, 3333, 490_000), (-150, 3333, 1_000_000), (1000, 10_000, 10_000_000), (700, 0, 0)],
)
def test_payouts_are_cut_to_cents(held: int, value: int, payout: int) -> None:
    """1.50 YES at 0.3333 are 0.49995 dollars, of which 0.49 are paid; whole dollars stay whole."""
    position = Position(0)
    position.trade(5000, abs(held), buys=held > 0)
    assert position.settle(value) == payout


def test_fees_of_the_contract_s_example() -> None:
    """One contract at 0.055: 0.005 for a member with balances in cents, 0.0037 for a direct one; the trade fee itself is 0.003639."""
    terms = ("quadratic", 1.0)
    assert expected(terms, 550, 100, taker=True) == 3_639
    assert charged(accumulator(terms, buys=True, direct=False), 550, 100, taker=True) == 5_000
    assert charged(accumulator(terms, buys=True, direct=True), 550, 100, taker=True) == 3_700
    assert charged(accumulator(terms, buys=True, direct=True), 5000, 100, taker=False) == 0
    assert expected(("quadratic_with_maker_fees", 0.5), 5000, 10_000, taker=False) == 218_750


def test_target_allocation_moves_free_cash_only() -> None:
    """Half to shard 2: what resting orders need stays where it is, cents stay on the first shard, nothing is lost."""
    account = Account(
        "A", direct=True, allocation=[{"exchange_index": 0, "percent": 50}, {"exchange_index": 2, "percent": 50}]
    )
    account.add(0, 0, 10_000_100)
    account.add(0, 1, 5_000_000)
    account.locked[0, 1] = {7: 2_000_000}
    account.rebalance()
    assert [account.available(0, shard) for shard in range(4)] == [6_500_100, 0, 6_500_000, 0]
    assert (account.funds[0, 1], sum(account.funds.values())) == (2_000_000, 15_000_100)
