"""The rate budget grants what it should, in order, and no token twice."""

from __future__ import annotations

import asyncio
import itertools
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_lab.clock import SystemClock
from kalshi_lab.door.limiter import Limiter, NoTurn
from kalshi_lab.errors import UsageError
from tests.fakes import FakeClock

Grants = list[tuple[float, float]]


def within_budget(grants: Grants, rate: float, burst: float) -> None:
    """In every window between two grants no more was granted than rate * T + burst."""
    grants = sorted(grants)
    for first, last in itertools.combinations(range(len(grants)), 2):
        tokens = sum(cost for _, cost in grants[first : last + 1])
        assert tokens <= rate * (grants[last][0] - grants[first][0]) + burst + 1e-6


async def taken(limiter: Limiter, clock: FakeClock, cost: float, grants: Grants) -> None:
    await limiter.acquire(cost)
    grants.append((clock.monotonic(), cost))


@settings(max_examples=60, deadline=None)
@given(
    costs=st.lists(st.sampled_from([1.0, 2.0, 10.0, 50.0]), min_size=1, max_size=30),
    rate=st.sampled_from([10.0, 200.0, 333.3]),
    pauses=st.lists(st.sampled_from([0.0, 0.01, 0.5, 7.0]), min_size=30, max_size=30),
    events=st.lists(st.sampled_from(["", "", "cancel", "penalty", "hold", "success"]), min_size=30, max_size=30),
)
def test_grants_never_exceed_the_budget(
    costs: list[float], rate: float, pauses: list[float], events: list[str]
) -> None:
    """Whatever is asked, cancelled, refused or recovered, every window of T seconds grants at most rate * T + burst."""

    async def main() -> Grants:
        clock, grants, tasks = FakeClock(), [], []
        limiter = Limiter(rate, 60, clock)
        for cost, pause, event in zip(costs, pauses, events, strict=False):
            tasks.append(asyncio.create_task(taken(limiter, clock, cost, grants)))
            await asyncio.sleep(0)
            if pause:
                await clock.sleep(pause)
            if event == "cancel":
                tasks[len(grants) % len(tasks)].cancel()
            elif event == "success":
                limiter.recover()
            elif event:
                limiter.penalize(sent=clock.monotonic(), hold=0.3 if event == "hold" else 0.0)
        await asyncio.gather(*tasks, return_exceptions=True)
        return grants

    within_budget(asyncio.run(main()), rate, 60)


def test_the_budget_is_used_up_to_its_limit() -> None:
    """A full queue takes burst at once and then exactly the rate: 90 requests of 10 tokens at 200/s and 600 take 1.5 s."""

    async def main() -> Grants:
        clock, grants = FakeClock(), []
        limiter = Limiter(200, 600, clock)
        await asyncio.gather(*(taken(limiter, clock, 10, grants) for _ in range(90)))
        return grants

    grants = asyncio.run(main())
    within_budget(grants, 200, 600)
    assert [when for when, _ in grants[:60]] == [0.0] * 60
    assert grants[-1][0] == pytest.approx(1.5)


def test_first_come_first_served() -> None:
    """Callers are served in the order in which they came, small ones no sooner than the large before them."""

    async def main() -> list[int]:
        clock, order = FakeClock(), []
        limiter = Limiter(10, 50, clock)

        async def caller(number: int) -> None:
            await limiter.acquire(50 if number % 3 == 0 else 1)
            order.append(number)

        tasks = [asyncio.create_task(caller(number)) for number in range(30)]
        await asyncio.sleep(0)
        limiter.penalize(sent=0.0, hold=1.0)
        await asyncio.gather(*tasks)
        return order

    assert asyncio.run(main()) == list(range(30))


def test_a_refusal_halves_the_rate_once_for_a_whole_burst() -> None:
    """Refusals of requests that left before the last slowing change nothing more; later ones do, down to a tenth."""
    clock = FakeClock()
    limiter = Limiter(200, 600, clock)
    clock.advance(1)
    for _ in range(16):
        limiter.penalize(sent=0.5)
    assert (limiter.rate, limiter.tokens) == (100, 0)
    for _ in range(9):
        clock.advance(1)
        limiter.penalize(sent=clock.monotonic())
    assert limiter.rate == pytest.approx(20)
    for _ in range(50):
        limiter.recover()
    assert limiter.rate == 200


def test_a_hold_stops_everybody() -> None:
    """Nobody passes before the wait that the server asked for is over, waiting callers and new ones alike."""

    async def main() -> Grants:
        clock, grants = FakeClock(), []
        limiter = Limiter(10, 10, clock)
        tasks = [asyncio.create_task(taken(limiter, clock, 5, grants)) for _ in range(4)]
        await asyncio.sleep(0)
        limiter.penalize(sent=0.0, hold=3.0)
        limiter.penalize(sent=-1.0, hold=2.0)
        tasks += [asyncio.create_task(taken(limiter, clock, 5, grants)) for _ in range(2)]
        await asyncio.gather(*tasks)
        return grants

    assert [when for when, _ in asyncio.run(main())] == [0.0, 0.0, *(pytest.approx(3 + n) for n in (1, 2, 3, 4))]


def test_cancelled_callers_give_their_tokens_back() -> None:
    """After a whole queue was cancelled, the next caller waits as if it had never been there."""

    async def main() -> float:
        clock = FakeClock()
        limiter = Limiter(10, 10, clock)
        await limiter.acquire(10)
        tasks = [asyncio.create_task(limiter.acquire(10)) for _ in range(20)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return await limiter.acquire(10)

    assert asyncio.run(main()) == pytest.approx(1.0)


def test_a_turn_that_comes_too_late_is_refused() -> None:
    """A caller that could not be served by its time is told at once how long it would take, and takes nothing."""

    async def main() -> None:
        limiter = Limiter(10, 10, FakeClock())
        await limiter.acquire(10, until=0.0)
        with pytest.raises(NoTurn) as caught:
            await limiter.acquire(10, until=0.5)
        assert caught.value.seconds == pytest.approx(1.0)
        assert limiter.tokens == 0
        with pytest.raises(UsageError, match="11"):
            await limiter.acquire(11)

    asyncio.run(main())


def test_threads_and_loops_share_one_budget() -> None:
    """Four event loops in four threads together get the rate, not each of them."""
    clock, grants = SystemClock(), []
    limiter = Limiter(400, 10, clock)

    async def caller() -> None:
        for _ in range(6):
            await limiter.acquire(5)
            grants.append(clock.monotonic())

    threads = [threading.Thread(target=lambda: asyncio.run(caller())) for _ in range(4)]
    begun = clock.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(grants) == 24
    assert max(grants) - begun >= (24 * 5 - 10) / 400 - 1e-3


@pytest.mark.parametrize("late", [0.0, 0.05, 0.1])
def test_requests_that_crowd_on_their_way_are_not_refused(late: float) -> None:
    """RL-1: where the first request is later on its way than all after it, whoever counts arrivals still has a token for each."""
    clock = FakeClock()
    limiter = Limiter(200, 600, clock, slack=0.1)
    sent = [asyncio.run(departure(limiter, clock)) for _ in range(300)]
    arrived = [sent[0] + late, *(max(sent[0] + late, moment) for moment in sent[1:])]
    held, last = 600.0, arrived[0]
    for moment in arrived:
        held, last = min(600.0, held + (moment - last) * 200), moment
        held -= 10
        assert held >= -1e-6
    assert sent[-1] - sent[0] <= (300 * 10 - 600) / 200 + 0.1 + 1e-6, (
        "and no more than a tenth of a second is given away"
    )


async def departure(limiter: Limiter, clock: FakeClock) -> float:
    await limiter.acquire(10)
    return clock.monotonic()
