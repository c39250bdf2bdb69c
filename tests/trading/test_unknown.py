"""Answers that are lost: the order is found, proved absent, or said to be unknown, and never sent again."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import CancelledError
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

import kalshi_lab as kl
from tests.trading.conftest import ORDERS, agree, states, written

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kalshi_lab.sim.process import Exchange
    from tests.trading.conftest import Quoted

DONE = {  # what the exchange carries out and then answers badly
    "cut": {}, "garbled": {}, "slow": {"seconds": 3},
}  # fmt: skip
NEVER = {  # what never reaches the matching engine, although nobody here can know that
    "drop": {}, "reset": {}, "status": {"status": 503},
}  # fmt: skip


@contextmanager
def passing(exchange: Exchange, seconds: float) -> Iterator[None]:
    """Time passes on the exchange while something waits for it: as soon as it is asked what its answers are complete up to."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.05):
            asked = [one["path"] for one in exchange.requests()]
            if any(path.startswith(ORDERS) for path in asked) and asked[-1] == "/portfolio/orders":
                exchange.advance(seconds)
                return

    thread = threading.Thread(target=watch)
    thread.start()
    yield
    ended.set()
    thread.join()


@pytest.mark.parametrize("kind", ["cut", pytest.param("garbled", marks=pytest.mark.long), "slow"])
def test_an_order_whose_answer_was_lost_and_that_is_live_is_found_and_not_sent_again(
    kind: str, labs: Callable[..., kl.Lab], exchange: Exchange, quoted: Quoted
) -> None:
    """EX-1, lessons 9 and 19, F36: a create that timed out but is live is the result, after one POST."""
    lab = labs(read_timeout=1.0)
    exchange.reset_log()
    exchange.faults(ORDERS, kind, times=5, **DONE[kind])
    made = lab.trading(enable=True, live=True, confirm=agree).buy(quoted.ticker, 2, quoted.bid)
    assert written(exchange) == [("POST", ORDERS)]
    [live] = list(lab.kalshi.orders.list(status="resting"))
    assert made.ok
    assert made.result is not None
    assert (made.order_id, made.result.remaining_count) == (live.order_id, 2)
    assert live.client_order_id == made.client_order_id
    assert states(lab.trading(enable=True).audit()) == [("create", "accepted")]


@pytest.mark.parametrize("kind", ["drop", *(pytest.param(one, marks=pytest.mark.long) for one in ("reset", "status"))])
def test_an_order_that_never_arrived_is_said_to_be_absent_only_once_the_lists_are_complete(
    kind: str, lab: kl.Lab, exchange: Exchange, quoted: Quoted
) -> None:
    """Lesson 19: the exchange's lists lag; absent is what is not in one that is complete well beyond the time of sending."""
    exchange.faults(ORDERS, kind, times=5, **NEVER[kind])
    trading = lab.trading(enable=True, live=True, confirm=agree, patience=20)
    with passing(exchange, 120), pytest.raises(kl.OrderRejected, match="may be sent anew"):
        trading.buy(quoted.ticker, 2, quoted.bid)
    assert written(exchange) == [("POST", ORDERS)]
    assert states(trading.audit()) == [("create", "failed")]
    exchange.faults()
    assert trading.buy(quoted.ticker, 2, quoted.bid).ok


def test_what_stays_unknown_says_so_counts_and_is_settled_later(
    lab: kl.Lab, exchange: Exchange, quoted: Quoted
) -> None:
    """EX-1, EX-3: OrderUnknown names the client id; the attempt counts until it is known never to have arrived."""
    exchange.faults(ORDERS, "drop", times=5)
    trading = lab.trading(enable=True, live=True, confirm=agree, patience=0, limits=kl.Limits(day_orders=1))
    with pytest.raises(kl.OrderUnknown) as caught:
        trading.buy(quoted.ticker, 2, quoted.bid)
    exchange.faults()
    [row] = trading.unresolved().to_dicts()
    assert (row["state"], row["client_order_id"]) == ("unknown", caught.value.client_order_id)
    assert written(exchange) == [("POST", ORDERS)]
    with pytest.raises(kl.OrderRejected, match="day_orders"):
        trading.buy(quoted.ticker, 2, quoted.bid)
    assert trading.reconcile().height == 1  # the exchange's lists are not complete beyond the time of sending yet
    exchange.advance(600)
    assert trading.reconcile().is_empty()
    assert trading.audit()["state"].to_list() == ["failed", "rejected"]
    assert trading.buy(quoted.ticker, 2, quoted.bid).ok


def test_lists_that_cannot_be_read_prove_nothing(lab: kl.Lab, exchange: Exchange, quoted: Quoted) -> None:
    """Lesson 53: an exchange that fails to answer is not one that has no such order."""
    trading = lab.trading(enable=True, live=True, confirm=agree, patience=0)
    send = trading._twin._resolver.looks.placed
    trading._twin._resolver.looks.placed = lost  # type: ignore[method-assign]
    exchange.faults(ORDERS, "cut", times=5)
    with pytest.raises(kl.OrderUnknown):
        trading.buy(quoted.ticker, 2, quoted.bid)
    exchange.advance(600)
    assert trading.reconcile().height == 1
    trading._twin._resolver.looks.placed = send  # type: ignore[method-assign]
    assert trading.reconcile().is_empty()
    assert states(trading.audit()) == [("create", "accepted")]


async def lost(*_: object) -> None:
    raise kl.Unavailable("the exchange is down")


def test_an_amendment_whose_answer_was_lost_is_found_by_its_fresh_client_id(
    lab: kl.Lab, exchange: Exchange, quoted: Quoted
) -> None:
    """Lesson 10: amendments and cancels are looked up on the order itself, and sent once or without harm."""
    trading = lab.trading(enable=True, live=True, confirm=agree)
    made = trading.buy(quoted.ticker, 2, quoted.bid)
    exchange.reset_log()
    exchange.faults(f"{ORDERS}/{made.order_id}/amend", "cut", times=5)
    amended = trading.amend(made.order_id, price=quoted.bid, count=3)
    assert amended.result is not None
    assert (amended.order_id, amended.result.remaining_count) == (made.order_id, 3)
    assert written(exchange) == [("POST", f"{ORDERS}/{made.order_id}/amend")]
    exchange.faults()
    exchange.faults(f"{ORDERS}/{made.order_id}", "cut", times=1)
    assert trading.cancel(made.order_id).ok
    assert states(trading.audit()) == [("create", "accepted"), ("amend", "accepted"), ("cancel", "accepted")]


@pytest.mark.long
def test_a_batch_whose_answer_was_lost_is_looked_for_order_by_order(
    lab: kl.Lab, exchange: Exchange, quoted: Quoted
) -> None:
    """Lesson 19: every order of a lost batch is found by its own client id."""
    exchange.faults(f"{ORDERS}/batched", "cut", times=5)
    orders = [kl.NewOrder(ticker=quoted.ticker, side="bid", count=count, price=quoted.bid) for count in (1, 2)]
    made = lab.trading(enable=True, live=True, confirm=agree).create_batch(orders)
    assert written(exchange) == [("POST", f"{ORDERS}/batched")]
    assert [(one.state, one.result and one.result.remaining_count) for one in made] == [
        ("accepted", 1),
        ("accepted", 2),
    ]
    assert [one.client_order_id for one in made] == [order.client_order_id for order in orders]


def test_what_an_interrupted_session_left_is_settled_on_the_next_start(
    labs: Callable[..., kl.Lab], exchange: Exchange, quoted: Quoted
) -> None:
    """EX-1: what ends between the exchange's answer and the audit leaves an intended row, which leads the next session to the order."""
    credentials = kl.Credentials.generate()
    key = credentials.with_key_id(exchange.account(credentials.public_pem))
    trading = labs(credentials=key).trading(enable=True, live=True, confirm=agree)
    writes = trading._twin._writes
    assert writes is not None
    send = writes.orders.create

    async def then_end(order: kl.NewOrder, **words: Any) -> None:
        await send(order, **words)
        raise asyncio.CancelledError

    writes.orders.create = then_end  # type: ignore[assignment,method-assign]
    with pytest.raises(CancelledError):
        trading.buy(quoted.ticker, 2, quoted.bid)
    again = labs(credentials=key).trading(enable=True, live=True, confirm=agree)
    [row] = again.unresolved().to_dicts()
    assert row["state"] == "intended"
    exchange.reset_log()
    assert again.reconcile().is_empty()
    assert written(exchange) == []
    [order] = again.audit().filter(state="accepted")["order_id"]
    assert again.cancel(order).ok


def test_time_that_a_write_may_travel_is_longer_for_those_of_other_processes() -> None:
    from kalshi_lab.trading.executor import LEFT_BEHIND
    from kalshi_lab.trading.resolve import TRAVELS

    assert timedelta(seconds=10) < TRAVELS < LEFT_BEHIND
