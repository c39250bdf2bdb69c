"""What holds whatever happens: cash, what was offered and printed, and that the past does not know the future."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.backtest.tapes import START, at, books, quotes, results, run, trades

if TYPE_CHECKING:
    import kalshi_lab as kl

MINUTES = range(12)
CUT = 6  # minutes: what comes after it is made anew
SEEDS = st.integers(0, 10**9)
FEES = st.sampled_from([None, ("quadratic", 1), ("quadratic_with_maker_fees", 1)])
ENDS = st.sampled_from([("yes", None), ("no", 10), ("void", None)])


def printed(draw: Random) -> list[tuple[Any, ...]]:
    """Trades at few prices, so that they meet much: minute, cents, contracts, taker."""
    return [
        (
            draw.choice(MINUTES),
            draw.randint(42, 48),
            draw.choice([1, 4, 9.5, 20]),
            draw.choice(["yes", "no", "no", None]),
        )
        for _ in range(draw.randint(0, 25))
    ]


def shown(draw: Random) -> dict[int, Any]:
    """Books by minute: bids below a price, asks above it; sometimes none is known."""
    made: dict[int, Any] = {}
    for minute in draw.sample(MINUTES, draw.randint(0, 10)):
        middle = draw.randint(43, 47)
        bids, asks = (
            {cents / 100: draw.choice([0.5, 3, 8, 40]) for cents in some}
            for some in (range(41, middle), range(middle + 1, 50))
        )
        made[minute] = (None if draw.random() < 0.1 else bids, asks)
    return made


def planned(draw: Random) -> dict[int, list[tuple[Any, ...]]]:
    """By minute: action, side, contracts, limit in cents, whether it rests, for how many minutes."""

    def one() -> tuple[Any, ...]:
        action = draw.choice(["buy"] * 6 + ["sell", "cancel"])
        return (
            action,
            draw.choice(["yes", "yes", "no"]),
            draw.choice([0.01, 2, 5, 30]),
            draw.randint(43, 52),
            draw.random() < 0.6,
            draw.choice([None, 3]),
        )

    return {minute: [one() for _ in range(draw.randint(1, 4))] for minute in draw.sample(MINUTES, 7)}


def frames(prints: list[Any], shown: dict[int, Any], ends: tuple[str, int | None]) -> dict[str, pl.DataFrame]:
    tape = sorted(prints, key=lambda one: one[0])
    return {
        "trades": trades(*((minute + 0.5, cents / 100, count, taker) for minute, cents, count, taker in tape)),
        "books": books(*((minute, *sides) for minute, sides in sorted(shown.items()))),
        "quotes": quotes((0, 0.45, 0.55, 3, 3), (5, 0.43, 0.46, 2, None)),
        "results": results(40, ends[0], close=ends[1]),
    }


def asked(wishes: list[tuple[Any, ...]], seen: list[Any] | None = None) -> Any:
    def decide(view: kl.View) -> list[Any]:
        if seen is not None:
            seen.append((view.cash, dict(view.positions), dict(view.books), view.resting, view.trades.rows()))
        made: list[Any] = []
        for action, side, count, cents, rests, minutes in wishes:
            if action == "cancel":
                made += [view.cancel(one) for one in view.resting[:1]]
                continue
            until = timedelta(minutes=minutes) if rests and minutes else None
            words = {"side": side, "limit": cents / 100, "rests": rests, "until": until}
            made.append((view.buy if action == "buy" else view.sell)("A", count, **words))
        return made

    return decide


def lived(plan: dict[int, Any], seen: list[Any] | None = None, **words: Any) -> kl.Backtest:
    return run({float(minute): asked(wishes, seen) for minute, wishes in plan.items()}, **words)


@settings(max_examples=30)
@given(SEEDS, FEES, ENDS, st.sampled_from(["0s", "2m"]), st.sampled_from([2, 20, 1000]))
def test_cash_is_never_below_zero_and_nothing_is_had_that_was_not_there(
    seed: int, fees: Any, ends: Any, latency: str, capital: float
) -> None:
    """TH-7: over books, tapes and orders at random: what is bound is there, the money adds up, a trade fills no more than it counted."""
    draw = Random(seed)
    given_ = frames(printed(draw), shown(draw), ends)
    made = lived(planned(draw), **given_, fees=fees, latency=latency, capital=capital)
    curve = made.equity
    assert (curve["cash"] >= 0).all()
    assert (curve["bound"] <= curve["cash"] + 1e-9).all()
    assert made.profit == pytest.approx(made.trades["cash"].sum() + paid(made), abs=1e-9)
    counted = dict(given_["trades"].group_by("time").agg(pl.col("count").sum()).iter_rows())
    for time, count in made.trades.filter(filled_by="tape").group_by("time").agg(pl.col("count").sum()).iter_rows():
        assert count <= counted[time] + 1e-9
    held = sum(row["filled"] for row in made.rested.iter_rows(named=True))
    assert held == pytest.approx(made.trades.filter(filled_by="tape")["count"].sum())
    within_the_books(made, given_["books"])


def paid(made: kl.Backtest) -> float:
    """What the result paid, by the list of trades alone; a void gives back what the position had cost."""
    row = made.markets.to_dicts()[0] if made.markets.height else None
    return 0.0 if row is None else row["gross"] - row["fees"] - made.trades["cash"].sum()


def within_the_books(made: kl.Backtest, frame: pl.DataFrame) -> None:
    """What was taken of a level while it stood is no more than the most that it ever held; at a single moment, than it held then."""
    times = sorted(set(frame["time"]))
    for time, ask, price, count in (
        made.trades.filter(filled_by="book")
        .with_columns(ask=(pl.col("side") == "yes") == (pl.col("action") == "buy"))
        .with_columns(price=pl.when(side="yes").then("price").otherwise(1 - pl.col("price")).round(6))
        .group_by("time", "ask", "price").agg(pl.col("count").sum()).iter_rows()
    ):  # fmt: skip
        stood = [one for one in times if one <= time][-1]
        level = frame.filter(time=stood, side="ask" if ask else "bid").filter((pl.col("price") - price).abs() < 1e-9)
        assert count <= level["size"].sum() + 1e-9


@settings(max_examples=30)
@given(SEEDS, SEEDS, FEES)
def test_what_comes_later_changes_nothing_that_was_decided_before(seed: int, other: int, fees: Any) -> None:
    """TH-7, lesson 40: with everything after a moment made anew, views, fills and the account until then are the same."""
    draw, anew = Random(seed), Random(other)
    plan, prints, told = planned(draw), printed(draw), shown(draw)
    early = [one for one in prints if one[0] < CUT]
    first = {minute: sides for minute, sides in told.items() if minute <= CUT}
    worlds = (
        frames(prints, told, ("yes", None)),
        frames(
            early + [one for one in printed(anew) if one[0] >= CUT],
            first | {minute: sides for minute, sides in shown(anew).items() if minute > CUT},
            ("no", None),
        ),
    )
    lives = []
    for world in worlds:
        seen: list[Any] = []
        made = lived(plan, seen, **world, fees=fees)
        count = sum(minute <= CUT for minute in plan)
        until = at(CUT)
        lives.append(
            (seen[:count], made.trades.filter(pl.col("time") <= until).drop("short").rows(),
             made.equity.filter(pl.col("time") <= until).rows(), made.rested.filter(pl.col("ended") <= until).drop("why").rows())
        )  # fmt: skip
    assert lives[0] == lives[1]


def test_the_cut_is_a_cut() -> None:
    """The test above can fail: with a trade a minute before the cut changed, the lives differ."""
    plan = {0: [("buy", "yes", 5.0, 40, True, None)]}
    lives = [
        lived(plan, **frames([(CUT - 2, cents, 9.0, "no")], {}, ("yes", None))).trades.height for cents in (30, 60)
    ]
    assert lives == [1, 0]
    assert at(0) == START
