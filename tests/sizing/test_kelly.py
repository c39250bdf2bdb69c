"""Stakes against closed forms, and against their neighbours."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kalshi_lab as kl


def bets(*rows: tuple[str, float, float], event: str | None = None, side: str = "yes") -> pl.DataFrame:
    made = [(ticker, side, chance, cost, event, event is not None) for ticker, chance, cost in rows]
    names = ["ticker", "side", "probability", "cost", "event_ticker", "mutually_exclusive"]
    types = {"event_ticker": pl.String, "mutually_exclusive": pl.Boolean}
    return pl.DataFrame(made, schema=names, schema_overrides=types, orient="row")


def full(frame: pl.DataFrame) -> dict[str, float]:
    return dict(kl.kelly(frame, bankroll=1000, fraction=1).frame().select("ticker", "full").iter_rows())


@given(st.floats(0, 1), st.floats(0.01, 0.99))
def test_one_bet_has_a_closed_form(chance: float, cost: float) -> None:
    """J. L. Kelly 1956: (p - c) / (1 - c), and nothing where the bet is worth less than it costs."""
    found = full(bets(("A", chance, cost)))
    assert found == ({"A": pytest.approx((chance - cost) / (1 - cost))} if chance > cost else {})


def horse_race(chances: list[float], costs: list[float]) -> list[float]:
    """The explicit solution of Smoczynski and Tomkins: outcomes join, best return first, while they beat the reserve rate."""
    order = sorted(range(len(chances)), key=lambda i: -chances[i] / costs[i])
    chosen: list[int] = []
    reserve = 1.0
    for place in order:
        if chances[place] / costs[place] <= reserve:
            break
        chosen.append(place)
        reserve = (1 - sum(chances[i] for i in chosen)) / (1 - sum(costs[i] for i in chosen))
    return [max(chances[i] - reserve * costs[i], 0.0) if i in chosen else 0.0 for i in range(len(chances))]


@settings(max_examples=30)
@given(st.lists(st.tuples(st.floats(0.05, 1), st.floats(0.3, 1.6)), min_size=2, max_size=6), st.floats(0.5, 0.97))
def test_outcomes_of_which_one_wins(raw: list[tuple[float, float]], taken: float) -> None:
    """Smoczynski and Tomkins 2010: the solver stakes what the explicit solution stakes."""
    whole = sum(weight for weight, _ in raw)
    chances = [taken * weight / whole for weight, _ in raw]
    costs = [min(chance * factor, 0.95) for chance, (_, factor) in zip(chances, raw, strict=True)]
    if sum(cost for chance, cost in zip(chances, costs, strict=True) if chance > cost) > 0.98:
        return  # next to a sure thing, where every stake is right
    found = full(bets(*((f"O{i}", p, c) for i, (p, c) in enumerate(zip(chances, costs, strict=True))), event="E"))
    wanted = {f"O{i}": stake for i, stake in enumerate(horse_race_of_worthy(chances, costs))}
    for name, stake in found.items():
        assert stake == pytest.approx(wanted[name], abs=2e-4)


def horse_race_of_worthy(chances: list[float], costs: list[float]) -> list[float]:
    """The same where outcomes that cost more than they are worth are not on offer."""
    worthy = [i for i in range(len(chances)) if chances[i] > costs[i]]
    stakes = horse_race([chances[i] for i in worthy], [costs[i] for i in worthy])
    return [stakes[worthy.index(i)] if i in worthy else 0.0 for i in range(len(chances))]


def growth(stakes: list[float], rows: list[tuple[float, float]]) -> float:
    """Expected log of wealth over independent bets, counted out."""
    total = 0.0
    for states in itertools.product([True, False], repeat=len(rows)):
        weight = math.prod(p if won else 1 - p for (p, _), won in zip(rows, states, strict=True))
        wealth = 1 + sum(f * ((1 / c if won else 0) - 1) for f, (_, c), won in zip(stakes, rows, states, strict=True))
        total += weight * math.log(max(wealth, 1e-12))
    return total


@settings(max_examples=20)
@given(
    st.lists(st.tuples(st.floats(0.1, 0.95), st.floats(0.3, 0.98)), min_size=2, max_size=5),
    st.randoms(use_true_random=False),
)
def test_no_neighbour_grows_faster(raw: list[tuple[float, float]], draw: Any) -> None:
    """Independent bets at once: any small change of the stakes grows slower; together they are staked less than each alone."""
    rows = [(p, p * factor) for p, factor in raw]
    made = kl.kelly(bets(*((f"B{i}", p, c) for i, (p, c) in enumerate(rows))), bankroll=1000, fraction=1)
    table = made.frame().sort("ticker")
    stakes = table["full"].to_list()
    best = growth(stakes, rows)
    assert made.growth == pytest.approx(best, abs=1e-6)
    for _ in range(20):
        near = [max(f + draw.uniform(-0.01, 0.01), 0) for f in stakes]
        if sum(near) < 1:
            assert growth(near, rows) <= best + 1e-7
    assert (table["full"] <= table["alone"] + 1e-4).all()


def test_both_sides_of_an_event_share_its_states() -> None:
    """NO of one outcome and YES of another win together; what they stake is what a search of the grid finds."""
    frame = pl.concat([bets(("A", 0.5, 0.42), event="E"), bets(("B", 0.8, 0.74), event="E", side="no")])
    found = full(frame)
    states = [(0.5, (True, True)), (0.2, (False, False)), (0.3, (False, True))]  # A wins, B wins, neither

    def value(f: float, g: float) -> float:
        return sum(
            p * math.log(1 + f * ((1 / 0.42 if a else 0) - 1) + g * ((1 / 0.74 if b else 0) - 1))
            for p, (a, b) in states
        )

    grid = np.linspace(0, 0.6, 61)
    best = max((value(f, g), f, g) for f in grid for g in grid if f + g < 0.99)
    assert (found["A"], found["B"]) == (pytest.approx(best[1], abs=0.01), pytest.approx(best[2], abs=0.01))


def test_what_hangs_together_unknown_is_not_staked_twice() -> None:
    """Thresholds of one event are neither exclusive nor independent: only the best of them counts, and the result says so."""
    frame = bets(("T1", 0.8, 0.7), ("T2", 0.6, 0.4)).with_columns(event_ticker=pl.lit("E"))
    made = kl.kelly(frame, bankroll=100)
    assert made.frame()["ticker"].to_list() == ["T2"]
    assert made.basis.excluded["beside a better one of an event whose markets are not exclusive"] == 1


def test_stakes_are_bounded_and_whole() -> None:
    """A fraction of Kelly, no more than `most`, no more than is offered, whole lots; 0 contracts is an answer."""
    frame = bets(("A", 0.6, 0.5), ("B", 0.9, 0.5), ("C", 0.503, 0.5)).with_columns(size=pl.Series([None, 7.9, None]))
    table = kl.kelly(frame, bankroll=100, fraction=0.5, most=0.2).frame().sort("ticker")
    assert table["contracts"].to_list()[1] == 7
    assert table.filter(ticker="C")["contracts"].item() == 0
    assert (table["stake"] <= 0.2 + 1e-12).all()
    assert (table["dollars"] <= 20).all()
    alone = kl.kelly(bets(("A", 0.6, 0.5)), bankroll=1000, fraction=0.5).frame().row(0, named=True)
    assert (alone["full"], alone["contracts"], alone["dollars"], alone["expected"]) == (
        pytest.approx(0.2), 200, pytest.approx(100), pytest.approx(20),
    )  # fmt: skip


def slopes(stakes: list[float], rows: list[tuple[float, float]]) -> list[float]:
    """How much faster each stake would make the bankroll grow, for independent bets, counted out."""
    total = [0.0] * len(rows)
    for states in itertools.product([True, False], repeat=len(rows)):
        weight = math.prod(p if won else 1 - p for (p, _), won in zip(rows, states, strict=True))
        gains = [(1 / c if won else 0) - 1 for (_, c), won in zip(rows, states, strict=True)]
        wealth = 1 + sum(f * gain for f, gain in zip(stakes, gains, strict=True))
        total = [so_far + weight * gain / wealth for so_far, gain in zip(total, gains, strict=True)]
    return total


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.2, 0.9), st.floats(0.4, 0.95)), min_size=2, max_size=4),
    st.floats(0.02, 0.3), st.floats(0.05, 0.5), st.sampled_from([1.0, 0.5]),
)  # fmt: skip
def test_caps_are_part_of_the_optimum(
    raw: list[tuple[float, float]], most: float, most_total: float, fraction: float
) -> None:
    """KKT: bets below their cap are all worth the same last dollar, those at it more, those at nothing less; a full total has a price."""
    rows = [(p, p * factor) for p, factor in raw]
    frame = bets(*((f"B{i}", p, c) for i, (p, c) in enumerate(rows)))
    made = (
        kl.kelly(frame, bankroll=1000, fraction=fraction, most=most, most_total=most_total, lot=0.01)
        .frame()
        .sort("ticker")
    )
    stakes = made["stake"].to_list()
    assert max(stakes) <= most + 1e-7
    assert sum(stakes) <= most_total + 1e-7
    worth = slopes([stake / fraction for stake in stakes], rows)
    inner = [each for each, stake in zip(worth, stakes, strict=True) if 1e-6 < stake < most - 1e-6]
    full = sum(stakes) > most_total - 1e-6
    price = sum(inner) / len(inner) if inner else None
    if not full and price is not None:
        assert price == pytest.approx(0, abs=2e-3)
    for each, stake in zip(worth, stakes, strict=True):
        at = price if price is not None else 0.0 if not full else None
        if at is None:
            continue
        if stake >= most - 1e-6:
            assert each >= at - 2e-3
        elif stake <= 1e-6:
            assert each <= at + 2e-3
        else:
            assert each == pytest.approx(at, abs=2e-3)


def test_what_one_bet_may_not_take_another_does() -> None:
    """Caps on a market, on an event and on all; what is offered caps too; by itself a bet has its closed form."""
    rows = [(0.6, 0.4), (0.3, 0.28)]
    apart = bets(*((f"B{place}", *row) for place, row in enumerate(rows)))
    free, capped = (kl.kelly(apart, bankroll=100, fraction=1, most=most).frame().sort("ticker") for most in (1.0, 0.1))
    assert capped["full"].to_list() == free["full"].to_list()
    assert capped["stake"][0] == pytest.approx(0.1, abs=1e-6)
    best = max(np.linspace(0, 0.06, 601), key=lambda stake: growth([0.1, float(stake)], rows))
    assert capped["stake"][1] == pytest.approx(best, abs=2e-4)
    assert capped["stake"][1] > free["stake"][1] + 0.003
    race = bets(("A", 0.5, 0.4), ("B", 0.4, 0.35), event="E")
    two = pl.concat([race, bets(("C", 0.6, 0.5))], how="diagonal")
    made = kl.kelly(two, bankroll=100, fraction=0.5, most_event=0.05, most_total=0.08).frame().sort("ticker")
    assert made["stake"][:2].sum() <= 0.05 + 1e-7
    assert made["stake"].sum() == pytest.approx(0.08, abs=1e-5)
    offered = (
        kl.kelly(two.with_columns(size=pl.Series([5.0, None, None])), bankroll=100, fraction=1).frame().sort("ticker")
    )
    assert offered["stake"][0] == pytest.approx(0.02, abs=1e-6)
    for cap, wanted in ((1.0, 0.1), (0.07, 0.07)):
        for name in ("most", "most_event", "most_total"):
            alone = kl.kelly(bets(("A", 0.6, 0.5)), bankroll=100, fraction=0.5, **{name: cap}).frame()
            assert alone["stake"].item() == pytest.approx(wanted)


def test_many_bets_are_drawn_and_say_so() -> None:
    """Beyond 20,000 joint states they are drawn from a fixed seed: the same stakes each time, near those of each alone."""
    frame = bets(*((f"B{i}", 0.52, 0.5) for i in range(16)))
    one, other = kl.kelly(frame, bankroll=100), kl.kelly(frame, bankroll=100)
    assert one.frame().equals(other.frame())
    assert "20,000 joint states drawn from a fixed seed" in repr(one)
    assert one.frame()["full"].mean() == pytest.approx(0.04, abs=0.02)


def test_questions_without_sense_are_refused() -> None:
    with pytest.raises(kl.UsageError, match=r"the probabilities of E add up to 1\.2"):
        kl.kelly(bets(("A", 0.6, 0.5), ("B", 0.6, 0.5), event="E"), bankroll=100)
    for wrong in (
        {"bankroll": 0},
        {"bankroll": math.inf},
        {"bankroll": 1, "fraction": 0},
        {"bankroll": 1, "most": 2},
        {"bankroll": 1, "lot": 0},
    ):
        with pytest.raises(kl.UsageError, match="makes no sense"):
            kl.kelly(bets(("A", 0.6, 0.5)), **wrong)
    with pytest.raises(kl.UsageError, match="'cost': 1 rows hold nothing"):
        kl.kelly(bets(("A", 0.6, 50.0)), bankroll=100)
    with pytest.raises(kl.UsageError, match="repeat a market"):
        kl.kelly(bets(("A", 0.6, 0.5), ("A", 0.6, 0.5)), bankroll=100)
    with pytest.raises(kl.UsageError, match="'side': 1 rows are neither"):
        kl.kelly(bets(("A", 0.6, 0.5), side="YES"), bankroll=100)
    assert "stake nothing" in repr(kl.kelly(bets(), bankroll=100))
