"""The matching engine alone: against a naive model, and rule by rule."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kalshi_lab.sim.desk.matching import Book, Match, Quotes, Resting

WORLD = Quotes({3000: 500, 4000: 250}, {5000: 700, 6000: 100, 8000: 900})


def order(name: str, owner: str, buys: bool, price: int, left: int) -> Resting:
    return Resting(name, owner, buys, price, left)


@dataclass
class Naive:
    """One flat list of everybody's offers, searched from the start each time; the world's came first."""

    offers: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for buys, side in ((True, WORLD.bids), (False, WORLD.asks)):
            self.offers += [
                {"id": None, "owner": "", "buys": buys, "price": price, "left": size} for price, size in side.items()
            ]

    def incoming(self, new: dict[str, Any], prevention: str, *, rests: bool) -> tuple[list[tuple[Any, ...]], bool]:
        trades, stopped = [], False
        while new["left"] and not stopped and (best := self._best(new)):
            if best["owner"] == new["owner"]:
                stopped = prevention == "taker_at_cross"
                if not stopped:
                    self.offers.remove(best)
                continue
            size = min(best["left"], new["left"])
            trades.append((best["price"], size, best["id"]))
            best["left"] -= size
            new["left"] -= size
            self.offers = [offer for offer in self.offers if offer["left"]]
        if new["left"] and rests and not stopped:
            self.offers.append(new)
        return trades, stopped

    def _best(self, new: dict[str, Any]) -> Any:
        fits = [
            offer
            for offer in self.offers
            if offer["buys"] != new["buys"]
            and (offer["price"] <= new["price"] if new["buys"] else offer["price"] >= new["price"])
        ]
        sign = 1 if new["buys"] else -1
        return min(fits, key=lambda offer: sign * offer["price"], default=None)

    def levels(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        found = []
        for buys in (True, False):
            total: dict[int, int] = {}
            for offer in self.offers:
                if offer["buys"] == buys:
                    shown = offer["price"] if buys else 10_000 - offer["price"]
                    total[shown] = total.get(shown, 0) + offer["left"]
            found.append(sorted(total.items()))
        return found[0], found[1]

    def ahead(self, name: str) -> int:
        mine = next(offer for offer in self.offers if offer["id"] == name)
        before = self.offers[: self.offers.index(mine)]
        return sum(o["left"] for o in before if (o["buys"], o["price"]) == (mine["buys"], mine["price"]))


def merged(trades: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []
    for price, size, maker in trades:
        if found and (found[-1][0], found[-1][2]) == (price, maker):
            found[-1] = price, found[-1][1] + size, maker
        else:
            found.append((price, size, maker))
    return found


OWNERS = st.sampled_from("ABC")
PLACES = st.tuples(
    st.just("place"), OWNERS, st.booleans(), st.integers(2, 9), st.integers(1, 900),
    st.sampled_from(["taker_at_cross", "maker"]), st.booleans(),
)  # fmt: skip
CHANGES = st.tuples(st.sampled_from(["cancel", "shrink"]), st.integers(0, 50), st.integers(1, 400))


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.large_base_example, HealthCheck.data_too_large]
)
@given(st.lists(st.one_of(PLACES, PLACES, PLACES, CHANGES), min_size=25, max_size=40))
def test_engine_matches_as_the_naive_model(actions: list[tuple[Any, ...]]) -> None:
    """Trades, stops, levels and queue places are those of a search through one flat list, whatever is placed and taken back."""
    book, naive = Book(), Naive()
    resting: dict[str, Resting] = {}
    for number, action in enumerate(actions):
        if action[0] == "place":
            _, owner, buys, tens, count, prevention, rests = action
            name = f"{owner}{number}"
            new = order(name, owner, buys, tens * 1000, count)
            plan = book.plan(new, WORLD, prevention)
            crosses = book.crosses(new, WORLD)
            expected, stopped = naive.incoming(
                {"id": name, "owner": owner, "buys": buys, "price": tens * 1000, "left": count}, prevention, rests=rests
            )
            got = [(match.price, match.count, match.maker and match.maker.id) for match in plan.matches]
            assert merged(got) == merged(expected)
            assert plan.stopped == stopped
            assert crosses == bool(plan.matches or plan.stopped or plan.withdrawn)
            book.carry_out(plan, WORLD)
            new.left = plan.left
            if plan.left and rests and not plan.stopped:
                book.rest(new, WORLD)
        elif len(book):
            chosen = list(book)[action[1] % len(book)]
            offer = next(one for one in naive.offers if one["id"] == chosen.id)
            if action[0] == "cancel" or action[2] >= chosen.left:
                book.remove(chosen)
                naive.offers.remove(offer)
            else:
                chosen.left -= action[2]
                offer["left"] -= action[2]
        assert book.levels(WORLD) == naive.levels()
        resting = {one.id: one for one in book}
        assert {name: book.queue(one, WORLD) for name, one in resting.items()} == {
            name: naive.ahead(name) for name in resting
        }


def test_planning_changes_nothing() -> None:
    """What would happen can be asked as often as one likes."""
    book = Book()
    book.rest(order("m", "A", False, 4500, 100), WORLD)
    taker = order("t", "B", True, 6000, 900)
    before = book.levels(WORLD)
    assert book.plan(taker, WORLD, "maker") == book.plan(taker, WORLD, "maker")
    assert (book.levels(WORLD), taker.left) == (before, 900)


def test_better_price_first_and_at_the_maker_s_price() -> None:
    """A buyer at 0.60 takes the cheapest first: the member at 0.45, the world at 0.50, then at 0.60."""
    book = Book()
    book.rest(order("m", "A", False, 4500, 100), WORLD)
    plan = book.plan(order("t", "B", True, 6000, 850), WORLD, "maker")
    assert [(match.price, match.count) for match in plan.matches] == [(4500, 100), (5000, 700), (6000, 50)]


def test_taken_quote_stays_gone_until_it_changes() -> None:
    """What a member took of the world is missing from the book, and comes back with the next quote."""
    book = Book()
    book.carry_out(book.plan(order("t", "A", True, 5000, 300), WORLD, "maker"), WORLD)
    assert dict(book.levels(WORLD)[1])[5000] == 400
    renewed = Quotes(WORLD.bids, WORLD.asks, stamp=1)
    assert dict(book.levels(renewed)[1])[5000] == 700
    grown = Quotes(WORLD.bids, {**WORLD.asks, 5000: 750})
    assert dict(book.levels(grown)[1])[5000] == 750


def rested(price: int = 4000, left: int = 100, *, buys: bool = True) -> tuple[Book, Resting]:
    book, mine = Book(), order("m", "A", buys, price, left)
    book.rest(mine, WORLD)
    return book, mine


def test_queue_ahead_is_used_up_first() -> None:
    """A bid behind 2.50 contracts of the world is filled by a seller at its price only after those."""
    book, mine = rested()
    assert book.queue(mine, WORLD) == 250
    assert book.traded(4000, 200, buys=False) == []
    assert book.queue(mine, WORLD) == 50
    assert book.traded(4000, 90, buys=False) == [Match(4000, 40, mine)]
    assert (mine.left, book.queue(mine, WORLD)) == (60, 0)


def test_trade_through_fills_whatever_the_queue() -> None:
    """A seller who got 0.39 would have taken the bid at 0.40 first; a buyer or a dearer trade leaves it alone."""
    book, mine = rested()
    assert book.traded(4100, 500, buys=False) == []
    assert book.traded(3900, 500, buys=True) == []
    assert book.traded(3900, 30, buys=False) == [Match(4000, 30, mine)]
    assert book.traded(3900, 500, buys=False) == [Match(4000, 70, mine)]
    assert len(book) == 0


def test_world_stepping_over_an_order_fills_it_once() -> None:
    """The world's ask moves below a bid: it is filled at its own price up to the quote's size, and the rest of the quote is withheld."""
    book, mine = rested(left=1000)
    moved = Quotes({3000: 500}, {3900: 600}, stamp=2)
    assert book.crossed(moved) == [Match(4000, 600, mine)]
    assert book.crossed(moved) == []
    assert book.levels(moved) == ([(3000, 500), (4000, 400)], [])


def test_world_stepping_over_spends_the_quote_in_order() -> None:
    """Two bids over one quote: the better one is filled first, the other gets what is left of it."""
    book = Book()
    first, second = order("1", "A", True, 4500, 100), order("2", "B", True, 4400, 100)
    for one in (second, first):
        book.rest(one, WORLD)
    assert book.crossed(Quotes({}, {4300: 150}, 3)) == [Match(4500, 100, first), Match(4400, 50, second)]


@pytest.mark.parametrize(
    ("prevention", "stopped", "withdrawn"), [("taker_at_cross", True, []), ("maker", False, ["m"])]
)
def test_no_member_trades_with_itself(prevention: Any, stopped: bool, withdrawn: list[str]) -> None:
    """One way stops the order that comes in after what it took before, the other takes the resting one out and goes on."""
    book = Book()
    book.rest(order("m", "A", False, 4500, 100), WORLD)
    book.rest(order("b", "B", False, 4400, 10), WORLD)
    plan = book.plan(order("t", "A", True, 5000, 200), WORLD, prevention)
    assert (plan.stopped, [one.id for one in plan.withdrawn]) == (stopped, withdrawn)
    assert [(match.price, match.count) for match in plan.matches] == [(4400, 10), (5000, 190)][: 1 if stopped else 2]
