"""Money: reserved before a call, settled from its answer, one cap for every process that shares the store."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from kalshi_lab.errors import BudgetExceeded, UsageError
from kalshi_lab.store import Store
from kalshi_lab.store.paid import PaidAnswers, PaidRun, claimed, forgotten, noted
from kalshi_lab.store.spend import Spending, spent
from tests.fakes import FakeClock

if TYPE_CHECKING:
    from pathlib import Path

SEARCH = Decimal("0.007")
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "kalshi.duckdb")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(start=NOON)


@pytest.fixture
def spending(store: Store, clock: FakeClock) -> Spending:
    return Spending(store, clock, "run-1")


def test_what_is_reserved_counts_until_the_answer_says_what_it_cost(
    store: Store, spending: Spending, clock: FakeClock
) -> None:
    async def scenario() -> list[Decimal]:
        first = await spending.reserve("search", SEARCH)
        left = [await spending.left()]
        await spending.settle(first, Decimal("0.005"), "r1")
        left.append(await spending.left())
        clock.advance(1)
        second = await spending.reserve("search", SEARCH)
        await spending.settle(second, None)
        left.append(await spending.left())
        clock.advance(1)
        third = await spending.reserve("search", SEARCH)
        await spending.release(third)
        return [*left, await spending.left()]

    assert asyncio.run(scenario()) == [Decimal(text) for text in ("0.993", "0.995", "0.988", "0.988")]
    rows = asyncio.run(spent(store))
    assert rows.select("state", "cost", "request_id").rows() == [
        ("settled", Decimal("0.005"), "r1"),
        ("settled", None, None),  # nobody said what it cost: unknown, and never zero
        ("released", None, None),
    ]


@pytest.mark.long
def test_fifty_at_once_spend_at_most_the_cap_and_what_is_refused_says_its_price(
    store: Store, spending: Spending
) -> None:
    """EXA-10: the budget is one for all calls, and a refusal names what the call would have cost."""
    task = spending.part("context", Decimal("0.10"))

    async def call() -> str:
        reservation = await task.reserve("search", SEARCH)
        await asyncio.sleep(0)
        await task.settle(reservation, SEARCH)
        return reservation

    async def scenario() -> list[str | BaseException]:
        return await asyncio.gather(*(call() for _ in range(50)), return_exceptions=True)

    ended = asyncio.run(scenario())
    refused = [one for one in ended if isinstance(one, BudgetExceeded)]
    assert len(refused) == 50 - 14  # 14 searches cost 0.098 dollars, a fifteenth would make 0.105
    assert {(one.cost, one.left) for one in refused} == {(SEARCH, Decimal("0.002"))}
    assert "0.007 dollars" in str(refused[0])
    assert "nothing was sent" in str(refused[0])
    assert asyncio.run(spent(store))["cost"].sum() == Decimal("0.098")


@pytest.mark.long
def test_a_second_process_spends_from_the_same_caps(store: Store, spending: Spending) -> None:
    code = """
import asyncio, sys
from decimal import Decimal
from pathlib import Path
from kalshi_lab.errors import BudgetExceeded
from kalshi_lab.store import Store
from kalshi_lab.store.spend import Spending
from tests.fakes import FakeClock
from datetime import datetime, UTC
spending = Spending(Store(Path(sys.argv[1])), FakeClock(start=datetime(2026, 11, 20, 12, tzinfo=UTC)), sys.argv[2])
async def scenario():
    n = 0
    for _ in range(10):
        try:
            await spending.settle(await spending.reserve("search", Decimal("0.007")), Decimal("0.007"))
            n += 1
        except BudgetExceeded:
            pass
    print(n)
asyncio.run(scenario())
"""
    asyncio.run(spending.caps(day=Decimal("0.1")))
    others = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(store.path), f"run-{number}"], stdout=subprocess.PIPE, text=True
        )
        for number in range(2)
    ]
    bought = [int(other.communicate(timeout=60)[0]) for other in others]
    assert sum(bought) == 14
    assert asyncio.run(spent(store))["cost"].sum() == Decimal("0.098")
    with pytest.raises(BudgetExceeded, match=r"today has 0\.002"):
        asyncio.run(spending.reserve("search", SEARCH))


def test_a_day_is_a_day_of_utc_and_the_next_one_begins_anew(spending: Spending, clock: FakeClock) -> None:
    asyncio.run(spending.caps(day=Decimal("0.01"), run=Decimal(1)))
    asyncio.run(spending.reserve("search", Decimal("0.01")))
    with pytest.raises(BudgetExceeded, match=r"lab\.caps\(day="):
        asyncio.run(spending.reserve("search", SEARCH))
    clock.advance(12 * 3600)
    asyncio.run(spending.reserve("search", SEARCH))


def test_caps_are_kept_and_told_with_what_is_left(store: Store, spending: Spending, clock: FakeClock) -> None:
    asyncio.run(spending.caps(run=Decimal("0.5")))
    asyncio.run(spending.reserve("answer", Decimal("0.005")))
    again = Spending(Store(store.path), clock, "run-1")
    assert asyncio.run(again.caps()).rows() == [
        ("run", Decimal("0.5"), Decimal("0.005"), Decimal("0.495")),
        ("day", Decimal(5), Decimal("0.005"), Decimal("4.995")),
    ]
    assert asyncio.run(Spending(store, clock, "run-2").left()) == Decimal("0.5")


@pytest.mark.parametrize("dollars", [Decimal(-1), Decimal("NaN"), Decimal("Infinity")])
def test_a_cap_that_is_none_is_refused(spending: Spending, dollars: Decimal) -> None:
    with pytest.raises(UsageError, match="cap of a day"):
        asyncio.run(spending.caps(day=dollars))


def test_an_answer_is_found_until_it_is_stale(store: Store, clock: FakeClock) -> None:
    """EXA-8: results are kept by the hash of their request for a time."""
    answers = PaidAnswers(store, clock)

    async def keep(key: str, seconds: float | None) -> None:
        await answers.keep(key, "search", b'{"results": []}', seconds=seconds, cost=SEARCH, request_id="r")

    asyncio.run(keep("short", 60))
    asyncio.run(keep("ever", None))
    assert asyncio.run(answers.found("short")) == b'{"results": []}'
    clock.advance(60)
    assert asyncio.run(answers.found("short")) is None
    assert asyncio.run(answers.found("ever")) is not None
    assert asyncio.run(answers.clear(stale_only=True)) == 1
    assert asyncio.run(answers.clear(stale_only=False)) == 1
    assert asyncio.run(answers.found("ever")) is None


def test_the_oldest_answers_make_room(store: Store, clock: FakeClock) -> None:
    """EXA-8: the cache has a size."""
    answers = PaidAnswers(store, clock, most=25)

    async def keep(key: str, size: int) -> None:
        clock.advance(1)
        await answers.keep(key, "search", b"x" * size, seconds=None, cost=None, request_id="")

    for key in ("a", "b", "c"):
        asyncio.run(keep(key, 10))
    asyncio.run(keep("huge", 26))
    found = [asyncio.run(answers.found(key)) is not None for key in ("a", "b", "c", "huge")]
    assert found == [False, True, True, False]


def test_a_task_is_claimed_once(store: Store) -> None:
    """AG-2: what was asked for is written down before it is created."""
    wanted = PaidRun("k", "what?", "res-1", NOON, None, "claimed", None, None)
    assert asyncio.run(claimed(store, wanted)) == wanted
    other = PaidRun("k", "what?", "res-2", NOON, None, "claimed", None, None)
    assert asyncio.run(claimed(store, other)).reservation == "res-1"
    asyncio.run(noted(store, "k", NOON, run_id="agent_run_1", status="running"))
    assert asyncio.run(claimed(store, other)).run_id == "agent_run_1"
    asyncio.run(forgotten(store, "k"))
    assert asyncio.run(claimed(store, other)).reservation == "res-2"
