"""Arbitrage: what must be true together, and nothing else."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kalshi_lab as kl
from kalshi_lab.models import Event, Leg, Market, Orderbook, PriceRange, Series
from kalshi_lab.sim.catalog import SERIES
from kalshi_lab.sim.world import World
from tests.worlds import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

FEES = ("quadratic", 1)
NONE = ("quadratic", 0)
CENTS = (PriceRange(start="0.00", end="1.00", step="0.01"),)
SEEDS = range(400)
SCHEDULES = [Series(ticker=one.ticker, fee_type=one.fee_type, fee_multiplier=one.fee_multiplier) for one in SERIES]


def market(
    ticker: str, kind: str = "greater", floor: float | None = None, cap: float | None = None, **more: Any
) -> Market:
    return Market(ticker=ticker, status="active", strike_type=kind, floor_strike=floor, cap_strike=cap, **more)


def event(*markets: Market, exclusive: bool = False, ticker: str = "E") -> Event:
    return Event(event_ticker=ticker, series_ticker="S", mutually_exclusive=exclusive, markets=markets)


def book(ticker: str, bid: str | None, ask: str | None, size: str = "100") -> Orderbook:
    """One level on each side, in dollars of YES."""
    yes = () if bid is None else ((Decimal(bid), Decimal(size)),)
    no = () if ask is None else ((1 - Decimal(ask), Decimal(size)),)
    return Orderbook(ticker, yes, no)


def found(books: Iterable[Orderbook], *events: Event, **options: Any) -> kl.Arbitrage:
    return kl.arbitrage(list(books), list(events), fees=options.pop("fees", FEES), **options)


def teams(*bids_and_asks: tuple[str | None, str | None], exclusive: bool = True) -> tuple[list[Orderbook], Event]:
    names = [f"T{number}" for number in range(len(bids_and_asks))]
    markets = [market(name, "structured", custom_strike={"team": name}) for name in names]
    return [book(name, *quote) for name, quote in zip(names, bids_and_asks, strict=True)], event(
        *markets, exclusive=exclusive
    )


def test_nested_thresholds_are_no_overround() -> None:
    """SCN-10, lesson 36: thresholds at 81, 61 and 31 cents add up to 173 and contradict nothing."""
    ladder = [market(f"A{floor}", "greater", floor) for floor in (1, 2, 3)]
    books = [book("A1", "0.80", "0.82"), book("A2", "0.60", "0.62"), book("A3", "0.30", "0.32")]
    for exclusive in (False, True):  # nor where the exchange calls them exclusive, which their strikes refute
        result = found(books, event(*ladder, exclusive=exclusive), fees=NONE)
        assert result.portfolios == ()
        assert result.conclusion == "no riskless portfolio"


def test_correlated_markets_are_no_arbitrage() -> None:
    """SCN-10: two markets that always move together at 21 and 71 cents are a bet, in one event or in two."""
    books = [book("A", "0.20", "0.22"), book("B", "0.70", "0.72")]
    one, other = market("A", "custom", custom_strike={"w": 1}), market("B", "custom", custom_strike={"w": 2})
    assert not found(books, event(one, ticker="X"), event(other, ticker="Y"), fees=NONE).portfolios
    assert not found(books, event(one, other), fees=NONE).portfolios


def test_strikes_of_different_subjects_are_not_compared() -> None:
    """SCN-10: that one player is likelier to reach 3 than another to reach 2 contradicts nothing."""
    one = market("A2", "greater", 1.5, custom_strike={"player": "a"})
    other = market("B3", "greater", 2.5, custom_strike={"player": "b"})
    books = [book("A2", "0.20", "0.22"), book("B3", "0.60", "0.62")]
    assert not found(books, event(one, other), fees=NONE).portfolios
    same = market("B3", "greater", 2.5, custom_strike={"player": "a"})
    assert found(books, event(one, same), fees=NONE).portfolios


def test_every_no_of_an_exclusive_event_needs_nothing_but_exclusivity() -> None:
    """Lesson 36: bids of 40, 45 and 30 cents sell 1.15 dollars of which at most one has to be paid."""
    books, exclusive = teams(("0.40", "0.42"), ("0.45", "0.47"), ("0.30", "0.32"))
    (portfolio,) = found(books, exclusive).portfolios
    fee = Decimal("0.07") * 100 * sum(p * (1 - p) for p in map(Decimal, ("0.40", "0.45", "0.30")))
    assert portfolio.profit == 100 * (Decimal("1.15") - 1) - fee
    assert {leg.side for leg in portfolio.legs} == {"no"}
    assert portfolio.assumptions == ()
    assert "none wins" in {one.state for one in portfolio.outcomes}
    assert not found(books, teams(("0.40", None), ("0.45", None), ("0.30", None), exclusive=False)[1]).portfolios


def test_every_yes_needs_that_one_must_win() -> None:
    """Lesson 36: asks that add up to 85 cents are cheap only where no other outcome is possible, which has to be known or said."""
    books, exclusive = teams(("0.28", "0.30"), ("0.33", "0.35"), ("0.18", "0.20"))
    assert not found(books, exclusive).portfolios
    (portfolio,) = found(books, exclusive, complete=True).portfolios
    assert portfolio.assumptions == ("one of the event's markets pays on YES, as the caller says",)
    assert portfolio.kind.startswith("dutch book: YES")


BRACKETS = (
    market("L", "less", None, 51), market("B51", "between", 51, 52), market("B53", "between", 53, 54), market("H", "greater", 54),
)  # fmt: skip
CHEAP = [book("L", "0.08", "0.10"), book("B51", "0.28", "0.30"), book("B53", "0.28", "0.30"), book("H", "0.13", "0.15")]


def test_that_brackets_leave_no_gap_is_proven_or_said() -> None:
    """Lesson 36: 51-52 and 53-54 cover everything in whole degrees only; touching strikes cover it without any assumption."""
    (portfolio,) = found(CHEAP, event(*BRACKETS, exclusive=True)).portfolios
    assert portfolio.assumptions == ("the published value is a whole multiple of 1",)
    assert not found(CHEAP, event(*BRACKETS, exclusive=True), unit=None).portfolios
    assert not found(CHEAP[:2] + CHEAP[3:], event(*BRACKETS, exclusive=True)).portfolios, "a bracket cannot be bought"
    touching = (market("L", "less_or_equal", None, 51), market("H", "greater", 51))
    (portfolio,) = found(
        [book("L", None, "0.40"), book("H", None, "0.50")], event(*touching, exclusive=True)
    ).portfolios
    assert portfolio.assumptions == ()


def test_a_higher_threshold_bid_above_a_lower_ones_ask_is_found_to_the_cent() -> None:
    """Thresholds are monotone in the strike: buy the lower at 40, sell the higher at 46, never pay more than you get."""
    ladder = event(market("A1", "greater", 1), market("A2", "greater", 2))
    result = found([book("A1", "0.38", "0.40"), book("A2", "0.46", "0.48", "60")], ladder)
    (portfolio,) = result.portfolios
    assert [(leg.ticker, leg.side, leg.contracts) for leg in portfolio.legs] == [("A1", "yes", 60), ("A2", "no", 60)]
    fees = Decimal("0.07") * 60 * (Decimal("0.40") * Decimal("0.60") + Decimal("0.46") * Decimal("0.54"))
    assert portfolio.profit == 60 * Decimal("0.06") - fees.quantize(Decimal("0.0001"))
    assert {one.state: one.payout for one in portfolio.outcomes} == {"v <= 1": 60, "1 < v <= 2": 120, "v > 2": 60}
    orders = portfolio.orders()
    assert [(one.side, one.price, one.time_in_force) for one in orders] == [
        ("bid", Decimal("0.40"), "fill_or_kill"), ("ask", Decimal("0.46"), "fill_or_kill"),
    ]  # fmt: skip
    assert result.frame().height == 2
    assert result.states["profit"].min() == portfolio.profit


def test_a_range_inside_a_threshold_costs_no_more_than_it() -> None:
    """Ranges against thresholds, in two events that the caller says are decided by one number."""
    thresholds, ranges = (
        event(market("A50", "greater", 50), ticker="X"),
        event(market("R", "between", 51, 60), ticker="Y"),
    )
    books = [book("A50", "0.28", "0.30"), book("R", "0.40", "0.42")]
    assert not found(books, thresholds, ranges).portfolios
    (portfolio,) = found(books, thresholds, ranges, one_value=True).portfolios
    assert portfolio.kind == "nested strikes out of order"
    assert portfolio.assumptions == ("the events are decided by one and the same number, as the caller says",)


def test_yes_and_no_of_one_market_below_a_dollar() -> None:
    (portfolio,) = found([book("A", "0.60", "0.50")], event(market("A", "custom"))).portfolios
    assert portfolio.kind == "YES and NO of one market"
    assert {one.payout for one in portfolio.outcomes} == {Decimal(100)}


def test_a_combo_pays_no_more_than_its_legs() -> None:
    """Parent and child: a combo bid at 50 above its leg's ask of 40 is sold against the leg; one that is merely dear is not."""
    legs = tuple(Leg(event_ticker=name, market_ticker=name, side="yes") for name in ("X", "Y"))
    combo = event(market("C", "custom", mve_selected_legs=legs), ticker="C")
    events = [event(market(name, "custom"), ticker=name) for name in ("X", "Y")]
    sides = [book("X", "0.38", "0.40"), book("Y", "0.88", "0.90")]
    (portfolio,) = found([*sides, book("C", "0.50", "0.52")], combo, *events).portfolios
    assert portfolio.kind == "a combo against its legs"
    assert {(leg.ticker, leg.side) for leg in portfolio.legs} == {("X", "yes"), ("C", "no")}
    assert not found([*sides, book("C", "0.39", "0.41")], combo, *events).portfolios
    assert not found([sides[0], book("C", "0.50", "0.52")], combo, events[0]).portfolios, "a leg is unknown"


def test_capital_and_lots_bind() -> None:
    books, exclusive = teams(("0.40", "0.42"), ("0.45", "0.47"), ("0.30", "0.32"))
    small = found(books, exclusive, capital="20")
    assert small.portfolios[0].capital <= 20
    assert small.portfolios[0].contracts == 3 * 10, "ten of each cost 18.5 and their fees, eleven more than 20"
    assert found(books, exclusive, capital="20", lot="0.01").profit > small.profit
    assert not found(books, exclusive, capital="1").portfolios


def test_two_portfolios_do_not_spend_the_same_dollar() -> None:
    books, one = teams(("0.60", "0.62"), ("0.60", "0.62"))
    other = event(market("A1", "greater", 1), market("A2", "greater", 2), ticker="F")
    ladder = [book("A1", "0.18", "0.20"), book("A2", "0.70", "0.72")]
    both = found([*books, *ladder], one, other, capital="60")
    assert sum(portfolio.capital for portfolio in both.portfolios) <= 60
    assert both.portfolios[0].events == ("F",), "the better return is served first"


def test_deeper_levels_are_taken_as_long_as_they_pay() -> None:
    deep = Orderbook(
        "A2", ((Decimal("0.50"), Decimal(30)), (Decimal("0.46"), Decimal(30)), (Decimal("0.41"), Decimal(30)))
    )
    (portfolio,) = found(
        [book("A1", None, "0.40"), deep], event(market("A1", "greater", 1), market("A2", "greater", 2))
    ).portfolios
    assert portfolio.legs[1].contracts == 60, "at 41 the fees take more than the cent"
    assert portfolio.legs[1].limit == 1 - Decimal("0.46")


def test_fees_decide_and_their_rounding_too() -> None:
    """A cent of profit is no profit after fees, nor a small one after a non-direct member's rounding to cents."""
    ladder = event(market("A1", "greater", 1), market("A2", "greater", 2))
    narrow = [book("A1", None, "0.40"), book("A2", "0.43", None)]
    assert found(narrow, ladder, fees=NONE).profit == 3
    assert not found(narrow, ladder).portfolios
    tiny = [book("A1", None, "0.040", "1"), book("A2", "0.051", None, "1")]
    assert found(tiny, ladder).profit > 0
    lost = found(tiny, ladder, member="non-direct")
    assert not lost.portfolios
    assert lost.basis.excluded["portfolios lost to the rounding of fees"] == 1


def test_what_cannot_be_bought_is_counted() -> None:
    """Closed, unbooked and stale markets, and levels off the price grid, are left out by reason."""
    ladder = [market(f"A{floor}", "greater", floor, price_ranges=CENTS) for floor in (1, 2, 3, 4)]
    ladder[2] = ladder[2].model_copy(update={"status": "closed"})
    stale = kl.OrderBook("A4")
    result = found([book("A1", None, "0.405"), book("A3", "0.9", None), stale], event(*ladder))
    assert not result.portfolios
    assert {reason: count for reason, count in result.basis.excluded.items() if count} == {
        "markets that don't trade": 1, "markets without a book": 1, "markets with a stale book": 1, "levels off the price grid": 1,
    }  # fmt: skip
    assert "1 markets that don't trade" in repr(result)
    assert "interval none, every state is listed" in repr(result)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"capital": "-1"}, "capital '-1' makes no sense"),
        ({"lot": "0.001"}, "lot '0.001' makes no sense"),
        ({"unit": "cents"}, "unit 'cents' makes no sense"),
        ({"member": "direkt"}, "Did you mean 'direct'"),
        ({"fees": [SCHEDULES[0]]}, "S is not given"),
        ({"fees": ("flat", 1)}, "no published formula"),
    ],
)
def test_bad_input_is_refused(options: dict[str, Any], said: str) -> None:
    books, exclusive = teams(("0.60", "0.62"), ("0.60", "0.62"))
    with pytest.raises(kl.UsageError, match=said):
        found(books, exclusive, **options)


def test_an_event_without_markets_is_refused() -> None:
    with pytest.raises(kl.UsageError, match=r"lab\.event"):
        found([], event())


def recorded(path: Path) -> tuple[list[Event], list[Orderbook]]:
    """Recorded events with their markets, and the top of each book."""
    answer = json.loads(path.read_text("utf-8"))
    parts = answer.get("events_by_series", {"": answer.get("events")}).values()
    events = [Event.model_validate(row) for part in parts for row in part]
    books = []
    for one in (market for event in events for market in event.markets):
        bid, ask = one.yes_bid or Decimal(0), one.yes_ask or Decimal(1)
        yes = ((bid, one.yes_bid_size or Decimal(0)),) if bid > 0 else ()
        no = ((1 - ask, one.yes_ask_size or Decimal(0)),) if ask < 1 else ()
        books.append(Orderbook(one.ticker, yes, no))
    return events, books


@pytest.mark.recordings
def test_recorded_player_props_are_no_overround(recordings: Path) -> None:
    """SCN-10: the 66 quoted markets of one recorded event add up to over 12 dollars; they are thresholds of many players."""
    events, books = recorded(recordings / "rest-current" / "cockpit" / "events_mlb_props_nested.json")
    sums = [sum(market.mid for market in one.markets if market.mid) for one in events]
    assert len(books) == 259
    assert max(sums) > 12
    for fees in (FEES, NONE):
        assert not kl.arbitrage(books, events, fees=fees).portfolios


@pytest.mark.recordings
def test_recorded_games_are_arbitrage_only_before_fees(recordings: Path) -> None:
    """SCN-10: of 32 recorded games one is bid at 101 cents in all, which fees eat up."""
    events, books = recorded(recordings / "rest-current" / "cockpit" / "events_nfl_preseason.json")
    assert len(books) == 64
    (free,) = kl.arbitrage(books, events, fees=NONE).portfolios
    assert free.profit == Decimal("5.69")
    assert not kl.arbitrage(books, events, fees=("quadratic_with_maker_fees", "0.5")).portfolios


prices = st.integers(1, 99)


@settings(max_examples=60)
@given(st.lists(st.tuples(prices, prices), min_size=2, max_size=5), st.booleans())
def test_no_state_of_the_world_refutes_a_portfolio(quotes: list[tuple[int, int]], brackets: bool) -> None:
    """Whatever is quoted: each portfolio, settled by hand at every value of the number, leaves its profit or more."""
    spans = [(10 * place, None if not brackets else 10 * place + 5) for place in range(len(quotes))]
    markets = [market(f"M{low}", "greater" if high is None else "between", low, high) for low, high in spans]
    books = [
        book(f"M{low}", f"0.{bid:02d}", f"0.{ask:02d}") for (low, _), (bid, ask) in zip(spans, quotes, strict=True)
    ]
    for portfolio in found(books, event(*markets, exclusive=brackets), lot=10).portfolios:
        assert portfolio.profit > 0
        for value in np.arange(-5, 70, 0.5):
            wins = {f"M{low}": value > low if high is None else low <= value <= high for low, high in spans}
            paid = sum(leg.contracts for leg in portfolio.legs if wins[leg.ticker] == (leg.side == "yes"))
            assert paid - portfolio.capital >= portfolio.profit
        assert float(portfolio.profit) <= portfolio.bound + 1e-6


@settings(max_examples=60)
@given(st.lists(st.integers(0, 40), min_size=3, max_size=6).filter(any), st.data())
def test_quotes_around_one_probability_allow_nothing(masses: list[int], data: st.DataObject) -> None:
    """De Finetti: bids below and asks above the prices of one distribution leave no riskless portfolio, fees or not."""
    total = sum(masses)
    above = [sum(masses[place:]) / total for place in range(1, len(masses))]
    books = []
    for place, chance in enumerate(above):
        low, high = (data.draw(st.integers(0, 3)) for _ in range(2))
        bid, ask = int(chance * 100) - low, -int(-chance * 100 // 1) + high
        books.append(
            book(f"A{place}", f"{bid / 100:.2f}" if bid > 0 else None, f"{ask / 100:.2f}" if ask < 100 else None)
        )
    ladder = event(*(market(f"A{place}", "greater", place) for place in range(len(above))))
    assert not found(books, ladder, fees=NONE).portfolios


def judged(seeds: Iterable[int]) -> list[tuple[int, dict[str, Decimal], dict[str, Decimal]]]:
    """Seeds where something else was found than was planted, with both."""
    wrong = []
    for seed in seeds:
        world = World(seed, open_markets=150, history_days=0, longshot_bias=0, maker_noise=0, arbitrages=seed % 4)
        events, books = quoted(world)
        made = {one.events[0]: one.profit for one in kl.arbitrage(books, events, fees=SCHEDULES).portfolios}
        planted = {one["event_ticker"]: Decimal(one["profit"]) for one in world.planted()}
        if made != planted:
            wrong.append((seed, planted, made))
    return wrong


def test_planted_arbitrages_are_found_to_the_last_digit_and_no_others() -> None:
    """Known truth, a few seeds: 0 to 3 planted in each, each found with its profit, nothing else found."""
    assert judged(SEEDS[:8]) == []


@pytest.mark.truth
@pytest.mark.parametrize("part", range(4))
def test_planted_arbitrages_are_found_over_all_seeds(part: int) -> None:
    """Known truth over seeds 0 to 399: every planted arbitrage with its exact profit, no false positive."""
    assert judged(SEEDS[part::4]) == []
