"""Reads and writes are paid for as the exchange counts them, by everybody in the process from one budget."""

from __future__ import annotations

import asyncio
import gc
import itertools
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kalshi_lab as kl
from kalshi_lab.clock import SystemClock
from kalshi_lab.door import Call, Door, budget
from kalshi_lab.door.limiter import Limiter
from tests.door.raw_server import RawServer, reply
from tests.door.sending import CALL, Sent, settings_for
from tests.door.test_limiter import taken, within_budget
from tests.fakes import FakeClock

if TYPE_CHECKING:
    from tests.door.test_limiter import Grants

OK = reply({"fine": 1})
CREATE = Call("create_order_v2", "/portfolio/events/orders", method="POST", body=b"{}")
TIERS = {  # read and write: tokens a second, tokens when full; the exchange's page of October 2026
    "basic": ((200, 600), (100, 100)),
    "advanced": ((300, 900), (300, 900)),
    "expert": ((600, 600), (600, 1800)),
    "premier": ((1200, 1200), (1200, 3600)),
    "paragon": ((2400, 2400), (2400, 7200)),
    "prime": ((4800, 4800), (4800, 14400)),
    "prestige": ((12000, 12000), (9600, 28800)),
}


def batch(items: int, operation: str = "batch_create_orders_v2", each: float = 10.0) -> Call:
    path = "/portfolio/events/orders/batched"
    return Call(operation, path, method="POST", cost=each * items, body=b"{}", items=items)


def door_for(url: str, clock: Any = None, **changes: Any) -> Door:
    return Door(settings_for(url, **{"tier": "basic", "attempts": 1, **changes}), clock=clock or FakeClock())


@pytest.mark.parametrize("tier", TIERS)
def test_tiers_are_the_exchange_s(tier: Any) -> None:
    """RL-1: rate and capacity of both buckets by tier: Basic Write and Read above Advanced hold one second, the others three."""
    made = kl.Settings(tier=tier)
    assert (made.read_budget, made.write_budget) == TIERS[tier]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_every_write_is_paid_as_a_write(method: str) -> None:
    """RL-2 ⚠: every method but GET is charged to the write bucket, whatever its path, order groups too."""
    call = Call("update", "/portfolio/order_groups/g/limit", method=method, body=b"{}")
    with RawServer(OK) as server:
        state = Sent(server, call, tier="basic").state
        read = Sent(server, CALL, tier="basic").state
    assert (state["tokens"], state["write_tokens"]) == (pytest.approx(600), pytest.approx(90, abs=0.1))
    assert (read["tokens"], read["write_tokens"]) == (pytest.approx(590, abs=0.1), pytest.approx(100))


def test_writes_do_not_wait_for_reads() -> None:
    """RL-1: the two buckets are apart: an empty one for reads holds up no write."""

    async def main(url: str) -> float:
        clock = FakeClock()
        door = door_for(url, clock)
        await door.send(Call("big", "/markets", cost=600))
        await door.send(CREATE)
        await door.aclose()
        return clock.monotonic()

    with RawServer(OK) as server:
        assert asyncio.run(main(server.url)) == 0.0


@pytest.mark.long
@pytest.mark.parametrize(("call", "rate", "burst"), [(CALL, 200, 600), (CREATE, 100, 100)], ids=["reads", "writes"])
@pytest.mark.parametrize("status", [200, 503])
@pytest.mark.parametrize("connections", [4, 130])
def test_no_five_seconds_exceed_the_budget(
    call: Call, rate: float, burst: float, status: int, connections: int
) -> None:
    """Lesson 18, RL-1 ⚠ and NET-2 ⚠: over any window, of 5 s too, requests and their retries cost at most rate * T + capacity.

    Requests that waited for a connection may leave a quarter of a second after their turn.
    """
    clock = FakeClock(roll=0.01)
    grants: Grants = []

    async def main(url: str) -> None:
        door = door_for(url, clock, attempts=3, breaker_failures=10_000, deadline=10_000.0, max_connections=connections)
        door.observer.listeners.append(lambda event: grants.append((clock.monotonic() - event.latency, call.cost)))
        await asyncio.gather(*(door.send(repeated) for _ in range(130)), return_exceptions=True)
        await door.aclose()

    repeated = Call(call.operation, call.path, method=call.method, body=call.body, repeat=True)
    with RawServer(reply({"fine": 1}, status)) as server:
        asyncio.run(main(server.url))
        assert len(server.requests) == len(grants) >= 130
    within_budget(grants, rate, burst + rate / 4)
    times = sorted(when for when, _ in grants)
    busiest = max(sum(start <= when < start + 5 for when in times) for start in times)
    assert busiest * call.cost <= rate * 5.25 + burst


def test_a_batch_that_cannot_fit_is_refused() -> None:
    """RL-1 ⚠ and API-14: a batch above the capacity is refused before anything is sent, with the largest that fits."""
    with RawServer(OK) as server:
        error = Sent(server, batch(20), tier="basic").error
        cancels = Sent(server, batch(60, "batch_cancel_orders_v2", 2.0), tier="basic").error
        assert server.requests == []
        assert Sent(server, batch(10), tier="basic").reply is not None
        assert Sent(server, batch(20), tier="advanced").reply is not None
    assert isinstance(error, kl.UsageError)
    assert isinstance(cancels, kl.UsageError)
    assert "20 costs 200 tokens at once, and the budget holds 100. Give 10 at most" in str(error)
    assert "Give 50 at most" in str(cancels)


def test_what_the_exchange_says_is_taken_over() -> None:
    """RL-2 ⚠: limits, costs and the default of the exchange replace the table, in one call; batches cost by the item."""

    async def main(url: str) -> dict[str, Any]:
        door = door_for(url)
        door.limits(read=(50, 80), write=(40, 60), costs={"batch_create_orders_v2": 6, "get_order": 2}, default=20)
        await door.send(CALL)
        await door.send(Call("get_order", "/portfolio/orders/o"))
        await door.send(batch(7))
        with pytest.raises(kl.UsageError, match="Give 10 at most"):
            await door.send(batch(11))
        await door.aclose()
        return door.state

    with RawServer(OK) as server:
        state = asyncio.run(main(server.url))
    assert (state["rate"], state["write_rate"]) == (50, 40)
    assert (state["tokens"], state["write_tokens"]) == (pytest.approx(80 - 22), pytest.approx(60 - 42))


@pytest.mark.parametrize(
    "wrong",
    [{"read": (0, 10)}, {"write": (10, -1)}, {"read": (float("inf"), 10)}, {"costs": {"x": 0}}, {"default": -1}],
)
def test_limits_that_are_none_are_refused(wrong: dict[str, Any]) -> None:
    """Rates, capacities and costs are above zero, and a refused one changes nothing."""
    door = door_for("http://127.0.0.1:9/trade-api/v2")
    before = door.state
    with pytest.raises(kl.UsageError):
        door.limits(**wrong)
    assert door.state == before


@settings(max_examples=60)
@given(
    sizes=st.lists(st.tuples(st.sampled_from([20.0, 100.0, 400.0]), st.sampled_from([50.0, 60.0, 300.0])), max_size=6),
    pauses=st.lists(st.sampled_from([0.0, 0.01, 0.3, 2.0]), min_size=6, max_size=6),
    costs=st.lists(st.sampled_from([2.0, 10.0, 50.0]), min_size=1, max_size=25),
)
def test_limits_may_change_while_callers_wait(
    sizes: list[tuple[float, float]], pauses: list[float], costs: list[float]
) -> None:
    """RL-1: whatever is learned meanwhile, callers keep their order and no window grants more than the largest rate and capacity in it."""

    async def main() -> Grants:
        clock, grants = FakeClock(), []
        limiter = Limiter(100, 60, clock)
        tasks = [asyncio.create_task(taken(limiter, clock, cost, grants)) for cost in costs]
        await asyncio.sleep(0)
        for (rate, burst), pause in zip(sizes, pauses, strict=False):
            limiter.adjust(rate, burst)
            if pause:
                await clock.sleep(pause)
        await asyncio.gather(*tasks)
        assert limiter.tokens <= limiter.burst
        return grants

    grants = asyncio.run(main())
    assert [cost for _, cost in grants] == costs
    rates, bursts = zip((100.0, 60.0), *sizes, strict=True)
    within_budget(grants, max(rates), max(bursts))


def test_a_change_keeps_the_tokens_and_takes_effect_at_once() -> None:
    """RL-1: a caller with 40 tokens to go waits 0.4 s of 100 a second, or 0.1 s once 400 a second are known."""

    async def main(rate: float) -> float:
        clock = FakeClock()
        limiter = Limiter(100, 60, clock)
        await limiter.acquire(60)
        task = asyncio.create_task(limiter.acquire(50))
        await asyncio.sleep(0)
        clock.advance(0.1)
        limiter.adjust(rate, 60)
        other = asyncio.create_task(limiter.acquire(40))
        await asyncio.gather(task, other)
        return clock.monotonic()

    assert asyncio.run(main(100)) == pytest.approx(0.9)
    assert asyncio.run(main(400)) == pytest.approx(0.5)  # the first one sleeps on; the bucket fills four times as fast


def test_two_clients_share_one_budget() -> None:
    """RL-1 and lesson 18: clients of one exchange and key take from the same buckets; another key or exchange has its own."""
    key, other = kl.Credentials.generate(), kl.Credentials.generate()

    def held(url: str, credentials: kl.Credentials | None = None, clock: Any = None) -> budget.Budget:
        client = kl.AsyncKalshi(settings=settings_for(url), credentials=credentials, clock=clock)
        clients.append(client)
        return client.door._budget

    clients: list[kl.AsyncKalshi] = []
    here, there = "http://127.0.0.1:1011/trade-api/v2", "http://127.0.0.1:1012/trade-api/v2"
    assert held(here) is held(here) is held(here, clock=SystemClock())
    assert held(here, key) is held(here, key)
    apart = [held(here), held(here, key), held(here, other), held(there), held(here, clock=FakeClock())]
    assert all(one is not two for one, two in itertools.combinations(apart, 2))
    dedicated = Door(kl.Settings(environment="prod"), credentials=key)
    shared = Door(kl.Settings(base_url="https://api.elections.kalshi.com/trade-api/v2"), credentials=key)
    assert dedicated._budget is shared._budget


def test_two_clients_get_the_rate_once() -> None:
    """Lesson 18: two clients with the machine's clock that send together take as long as one that sends it all."""

    async def main(url: str) -> float:
        clock = SystemClock()
        doors = [door_for(url, clock, tier=None), door_for(url, clock, tier=None)]
        doors[0].limits(read=(500, 20))
        begun = clock.monotonic()
        await asyncio.gather(*(door.send(CALL) for door in doors for _ in range(10)))
        for door in doors:
            await door.aclose()
        return clock.monotonic() - begun

    with RawServer(OK) as server:
        assert asyncio.run(main(server.url)) >= (200 - 20) / 500 - 1e-3


def test_a_budget_outlives_its_client_until_it_is_full_again() -> None:
    """A client made anew does not begin with a full bucket; one that nobody used for a while is forgotten."""
    url = "http://127.0.0.1:1013/trade-api/v2"
    door: Door | None = door_for(url, SystemClock())
    assert door is not None
    asyncio.run(door._budget.read.acquire(500))
    spent = door._budget
    door = None
    gc.collect()
    door = door_for(url, SystemClock())
    assert door._budget is spent
    spent.read.adjust(1e6, 100)
    spent.read._empty -= 1  # as if a second had passed
    door = None
    gc.collect()
    assert door_for(url, SystemClock())._budget is not spent


def test_a_named_tier_changes_what_nobody_learned() -> None:
    """A later client's tier holds for the shared budget, until the exchange itself has said what it is."""
    url = "http://127.0.0.1:1014/trade-api/v2"
    first = door_for(url, SystemClock(), tier="basic")
    door_for(url, SystemClock(), tier="expert")
    assert (first.state["rate"], first.state["write_rate"]) == (600, 600)
    first.limits(read=(77, 77))
    door_for(url, SystemClock(), tier="basic")
    assert first.state["rate"] == 77
