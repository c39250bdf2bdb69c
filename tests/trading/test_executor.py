"""Orders over real HTTP against the simulated exchange's own matching engine."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

import kalshi_lab as kl
from kalshi_lab.portal import PORTAL
from kalshi_lab.store import Store
from tests.trading.conftest import ORDERS, agree, states, written

if TYPE_CHECKING:
    from collections.abc import Callable

    from kalshi_lab.sim.process import Exchange
    from tests.trading.conftest import Quoted


def test_an_order_lives_and_ends_as_the_exchange_says(lab: kl.Lab, quoted: Quoted) -> None:
    """EX-1, lessons 9 and 10: create, amend, decrease and cancel give the exchange's ids and counts, and each is a row."""
    trading = lab.trading(enable=True, live=True, confirm=agree)
    made = trading.buy(quoted.ticker, 5, quoted.bid)
    amended = trading.amend(made.order_id, price=quoted.bid - Decimal("0.01"), count=6)
    trading.decrease(made.order_id, reduce_to=2)
    known = lab.kalshi.orders.one(made.order_id)
    assert (known.remaining_count, known.yes_price, known.client_order_id) == (
        2,
        quoted.bid - Decimal("0.01"),
        amended.client_order_id,
    )
    assert amended.client_order_id != made.client_order_id
    cancelled = trading.cancel(made.order_id)
    assert cancelled.result is not None
    assert cancelled.result.reduced_by == 2
    rows = trading.audit()
    assert states(rows) == [(verb, "accepted") for verb in ("create", "amend", "decrease", "cancel")]
    assert set(rows["order_id"]) == {made.order_id}
    assert rows["settled_at"].null_count() == 0


def test_no_at_thirty_is_an_ask_at_seventy(lab: kl.Lab, exchange: Exchange, quoted: Quoted) -> None:
    """EX-2 ⚠: what is sent for NO is the ask at its complement, and its risk is that of the NO price."""
    trading = lab.trading(enable=True, live=True, confirm=agree)
    own = 1 - quoted.bid
    made = trading.buy(quoted.ticker, 4, own, side="no")
    [sent] = [one["body"] for one in exchange.requests() if one["method"] == "POST"]
    assert (sent["side"], Decimal(sent["price"]), Decimal(sent["count"])) == ("ask", quoted.bid, 4)
    assert made.risk is not None
    assert 4 * own < made.risk < 4 * own + Decimal("0.10")
    assert lab.kalshi.portfolio.positions(ticker=quoted.ticker).frame()["position"].to_list() == [-4.0]


def test_what_the_checks_refuse_is_a_row_with_its_reasons_and_never_sent(
    lab: kl.Lab, exchange: Exchange, quoted: Quoted
) -> None:
    """EX-1 ⚠, EX-2, EX-4: a refusal is audited with every verdict and uses up nothing of the day."""
    limits = kl.Limits(contracts=3, day_orders=1)
    trading = lab.trading(enable=True, live=True, confirm=agree, limits=limits)
    for count, price in ((4, quoted.bid), (1, quoted.bid - Decimal("0.20")), (1, quoted.bid + Decimal("0.0001"))):
        with pytest.raises(kl.OrderRejected) as caught:
            trading.buy(quoted.ticker, count, price)
        assert len(caught.value.reasons) == 1
    assert written(exchange) == []
    trading.buy(quoted.ticker, 1, quoted.bid)
    with pytest.raises(kl.OrderRejected) as caught:
        trading.buy(quoted.ticker, 1, quoted.bid)
    assert caught.value.reasons == ("day_orders",)
    rows = trading.audit()
    assert rows["state"].to_list() == ["rejected"] * 3 + ["accepted", "rejected"]
    verdicts = {one["name"]: one["passed"] for one in msgspec.json.decode(rows["checks"][0])}
    assert len(verdicts) == 12
    assert [name for name, passed in verdicts.items() if not passed] == ["size"]


ANSWERS: dict[str, tuple[Any, str]] = {
    "nobody": (None, "nobody to ask"), "no": (lambda _: False, "declined"), "a word": (lambda _: "yes", "declined"),
    "an error": (lambda _: 1 / 0, "it failed"),
}  # fmt: skip


@pytest.mark.parametrize(("confirm", "why"), ANSWERS.values(), ids=ANSWERS)
def test_a_live_order_needs_somebody_who_agrees(
    confirm: Any, why: str, lab: kl.Lab, exchange: Exchange, quoted: Quoted
) -> None:
    """EX-3: no confirmation, a refusal, a word that is not True, or one that fails: nothing is sent."""
    with pytest.raises(kl.OrderRejected, match=why) as caught:
        lab.trading(enable=True, live=True, confirm=confirm).buy(quoted.ticker, 1, quoted.bid)
    assert caught.value.reasons == ("confirmation",)
    assert written(exchange) == []


def test_the_confirmation_comes_last_and_only_if_the_rest_passed(lab: kl.Lab, quoted: Quoted) -> None:
    """EX-3 ⚠: nobody is asked about an order that is refused anyway; who is asked sees what is proposed."""
    asked: list[str] = []

    async def confirm(proposals: tuple[Any, ...]) -> bool:
        asked.extend(str(one) for one in proposals)
        return True

    trading = lab.trading(enable=True, live=True, confirm=confirm, limits=kl.Limits(contracts=1))
    with pytest.raises(kl.OrderRejected):
        trading.buy(quoted.ticker, 2, quoted.bid)
    assert asked == []
    made = trading.buy(quoted.ticker, 1, quoted.bid)
    assert asked == [f"create {quoted.ticker}: buy 1 YES at {quoted.bid:f} dollars at most"]
    assert made.checks[-1].name == "confirmation"


def test_the_kill_switch_stops_what_adds_to_a_risk_and_never_a_cancel(
    lab: kl.Lab, exchange: Exchange, quoted: Quoted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EX-3 ⚠: it is read at every order, and blocks neither a cancel, a decrease, cancel_all nor the end of a group."""
    trading = lab.trading(enable=True, live=True, confirm=agree)
    first, second = (trading.buy(quoted.ticker, 3, quoted.bid) for _ in range(2))
    group = trading.create_group(50).group
    assert group is not None
    assert group.order_group_id
    exchange.reset_log()
    monkeypatch.setenv("KALSHI_LAB_KILL_SWITCH", "1")
    adding: list[Callable[[], Any]] = [
        lambda: trading.buy(quoted.ticker, 1, quoted.bid),
        lambda: trading.create_batch([kl.NewOrder(ticker=quoted.ticker, side="bid", count=1, price=quoted.bid)]),
        lambda: trading.amend(first.order_id, price=quoted.bid, count=4),
        lambda: trading.create_group(5),
        lambda: trading.update_group_limit(group.order_group_id or "", 500),
        lambda: trading.reset_group(group.order_group_id or ""),
    ]
    for add in adding:
        with pytest.raises(kl.OrderRejected) as caught:
            add()
        assert caught.value.reasons == ("kill_switch",)
    assert written(exchange) == []
    trading.decrease(first.order_id, reduce_to=1)
    trading.cancel(first.order_id)
    trading.cancel_batch([second.order_id])
    trading.trigger_group(group.order_group_id)
    trading.delete_group(group.order_group_id)
    trading.cancel_all()
    assert len(written(exchange)) == 6
    assert lab.kalshi.orders.list(status="resting").frame().is_empty()


@pytest.mark.parametrize(
    ("word", "given", "killed"),
    [
        ("1", False, True),
        ("stop", False, True),
        (" ON ", False, True),
        ("0", False, False),
        ("false", False, False),
        ("0", True, True),
    ],
)
def test_the_kill_switch_is_on_where_the_settings_or_the_environment_say_so(
    word: str, given: bool, killed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EX-3: any word that does not deny it switches it on, and settings that have it on are not denied."""
    settings = kl.Settings(kill_switch=given)
    monkeypatch.setenv("KALSHI_LAB_KILL_SWITCH", word)
    assert settings.killed is killed


def test_a_row_with_the_client_id_is_there_before_anything_is_sent(lab: kl.Lab, quoted: Quoted) -> None:
    """EX-1: the attempt is on the disk, as intended, when the request leaves."""
    trading = lab.trading(enable=True, live=True, confirm=agree)
    writes = trading._twin._writes
    assert writes is not None
    send, found = writes.orders.create, []

    async def looking(order: kl.NewOrder, **words: Any) -> Any:
        rows = await Store(lab.store.path).read("SELECT state, client_order_id, body FROM order_attempts")
        found.append((rows.row(0), order.client_order_id))
        return await send(order, **words)

    writes.orders.create = looking  # type: ignore[method-assign]
    made = trading.buy(quoted.ticker, 1, quoted.bid)
    [((state, client_id, body), sent)] = found
    assert (state, client_id) == ("intended", sent)
    assert msgspec.json.decode(body)["client_order_id"] == made.client_order_id == sent


def test_an_order_whose_row_cannot_be_written_is_not_sent_and_a_cancel_is(
    lab: kl.Lab, exchange: Exchange, quoted: Quoted, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """EX-1 ⚠ and lesson 53: the audit stands before the order; what lessens a risk goes ahead, and says so in the log."""
    trading = lab.trading(enable=True, live=True, confirm=agree)
    made = trading.buy(quoted.ticker, 1, quoted.bid)
    exchange.reset_log()

    async def full(*_: object, **__: object) -> None:
        raise kl.DiskFull("no room is left")

    monkeypatch.setattr(Store, "write", full)
    with pytest.raises(kl.DiskFull):
        trading.buy(quoted.ticker, 1, quoted.bid)
    assert written(exchange) == []
    done = trading.cancel(made.order_id)
    assert written(exchange) == [("DELETE", f"{ORDERS}/{made.order_id}")]
    assert "could not be completed" in done.error
    assert "goes ahead" in caplog.text


def test_a_batch_is_sent_whole_or_not_at_all_and_kept_to_one_limit(
    lab: kl.Lab, exchange: Exchange, quoted: Quoted
) -> None:
    """EX-4 ⚠: batches pass the same checks, each order counting with those before it."""

    def orders(*counts: int) -> list[kl.NewOrder]:
        return [kl.NewOrder(ticker=quoted.ticker, side="bid", count=count, price=quoted.bid) for count in counts]

    trading = lab.trading(enable=True, live=True, confirm=agree, limits=kl.Limits(position=10, day_orders=3))
    for counts, reason in (((1, 11), "position"), ((6, 5), "position"), ((1, 1, 1, 1), "day_orders")):
        with pytest.raises(kl.OrderRejected) as caught:
            trading.create_batch(orders(*counts))
        assert caught.value.reasons == (reason,)
    assert written(exchange) == []
    made = trading.create_batch(orders(4, 6))
    assert [one.state for one in made] == ["accepted", "accepted"]
    assert written(exchange) == [("POST", f"{ORDERS}/batched")]
    assert len({one.order_id for one in made}) == 2
    cancelled = trading.cancel_batch([one.order_id for one in made])
    assert [one.reduced_by for one in cancelled] == [4, 6]


def test_what_the_exchange_refuses_is_a_refusal_and_uses_up_nothing(lab: kl.Lab, quoted: Quoted) -> None:
    """EX-3 ⚠: an order that the exchange did not take is failed in the audit, and does not count."""
    trading = lab.trading(enable=True, live=True, confirm=agree, limits=kl.Limits(day_orders=1))
    with pytest.raises(kl.OrderRejected, match="the exchange refused it"):
        trading.buy(quoted.ticker, 1, quoted.ask, post_only=True)
    trading.buy(quoted.ticker, 1, quoted.bid)
    assert states(trading.audit()) == [("create", "failed"), ("create", "accepted")]


def test_looks_that_fail_refuse_the_order_with_a_name(lab: kl.Lab, exchange: Exchange, quoted: Quoted) -> None:
    """EX-1 ⚠, EX-4 ⚠: where the exchange does not answer, each check that needed it says so, and the attempt is audited."""
    trading = lab.trading(enable=True, live=True, confirm=agree)
    for path in (
        "/portfolio/positions",
        f"/markets/{quoted.ticker}/orderbook",
        "/exchange/status",
        "/portfolio/balance",
    ):
        exchange.faults(path, "status", status=404, times=99)
    with pytest.raises(kl.OrderRejected) as caught:
        trading.buy(quoted.ticker, 1, quoted.bid)
    assert caught.value.reasons == ("market_open", "day_loss", "position", "deviation", "slippage", "liquidity")
    assert written(exchange) == []
    assert states(trading.audit()) == [("create", "rejected")]


def test_a_day_ends_at_midnight_utc_and_its_counters_begin_anew(labs: Callable[..., kl.Lab], quoted: Quoted) -> None:
    """EX-3: "today" is a day of UTC, counted over restarts."""
    limits = kl.Limits(day_orders=1)
    lab = labs()
    lab.trading(enable=True, limits=limits).buy(quoted.ticker, 1, quoted.bid)
    again = lab.trading(enable=True, limits=limits)
    with pytest.raises(kl.OrderRejected, match="day_orders"):
        again.buy(quoted.ticker, 1, quoted.bid)
    asyncio.run(
        Store(lab.store.path).write(
            lambda to: to.execute("UPDATE order_attempts SET time = time - INTERVAL 1 DAY") and None
        )
    )
    again.buy(quoted.ticker, 1, quoted.bid)


def test_many_at_once_from_two_sessions_do_not_exceed_the_day(
    labs: Callable[..., kl.Lab], exchange: Exchange, quoted: Quoted
) -> None:
    """EX-3, EX-4: what counts is decided inside the transaction that enters the attempt."""
    credentials = kl.Credentials.generate()
    key = credentials.with_key_id(exchange.account(credentials.public_pem))
    limits = kl.Limits(day_orders=3, position=2)
    found = [
        labs(credentials=key).trading(enable=True, live=True, confirm=agree, limits=limits)._twin for _ in range(2)
    ]
    exchange.reset_log()

    async def scenario() -> list[Any]:
        return await asyncio.gather(
            *(one.buy(quoted.ticker, 1, quoted.bid) for one in found * 4), return_exceptions=True
        )

    ended = PORTAL.call(scenario())
    assert sum(isinstance(one, kl.OrderRejected) for one in ended) == 6, ended
    assert len(written(exchange)) == 2
