"""Orders, positions and their like: what the predecessor got wrong, row by row, against a scripted exchange over HTTP."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

import kalshi_lab as kl
from tests.kalshi.scripted import Answer, Asked, Scripted

if TYPE_CHECKING:
    from collections.abc import Callable

ORDER = kl.NewOrder(ticker="KX-A", side="ask", count="2.5", price="0.4215", client_order_id="mine-1")
PLACED = {
    "order_id": "o-1",
    "client_order_id": "mine-1",
    "fill_count": "0.00",
    "remaining_count": "2.50",
    "ts_ms": 1795200000123,
}


def client(server: Scripted, **options: Any) -> kl.Kalshi:
    """A client that may write, with a key."""
    return kl.Kalshi(
        settings=server.settings(backoff_base=0.01, **options), credentials=kl.Credentials.generate(), writable=True
    )


def position(ticker: str, held: str = "3.00") -> dict[str, Any]:
    return {"ticker": ticker, "position_fp": held, "market_exposure_dollars": "1.2300"}


def test_positions_are_read_to_the_end() -> None:
    """API-11 ⚠: all pages, markets and events alike; rows of no contracts are zero."""

    def answer(asked: Asked) -> Answer:
        if "cursor" in asked.params:
            return Answer({"market_positions": [position("KX-B", "0.00")], "event_positions": [], "cursor": ""})
        events = [{"event_ticker": "KX", "total_cost_dollars": "1.2300"}]
        return Answer({"market_positions": [position("KX-A", "-3.00")], "event_positions": events, "cursor": "2"})

    with Scripted(answer) as server, client(server) as kalshi:
        held = kalshi.portfolio.positions(settled="all").frame(exact=True)
        assert held.select("ticker", "position").rows() == [("KX-A", Decimal(-3)), ("KX-B", Decimal(0))]
        assert [one.event_ticker for one in kalshi.portfolio.event_positions()] == ["KX"]
    assert server.asked[0].params["settlement_status"] == "all"


def test_fills_of_one_order() -> None:
    """API-11 ⚠: the order is a filter."""
    with Scripted(lambda _asked: Answer({"fills": [], "cursor": ""})) as server, client(server) as kalshi:
        assert kalshi.portfolio.fills(order_id="o-1").frame().height == 0
    assert server.asked[0].params["order_id"] == "o-1"


def test_what_an_order_sends() -> None:
    """API-12 ⚠: dollars of YES to the hundredth of a cent, only what was given (False survives), an id of its own where none was."""
    with Scripted(lambda _asked: Answer(PLACED, 201)) as server, client(server) as kalshi:
        placed = kalshi.orders.create(ORDER)
        kalshi.orders.create(kl.NewOrder(ticker="KX-A", side="bid", count=1, price="0.42", post_only=False))
    first, second = (json.loads(one.body) for one in server.asked)
    assert first == {
        "ticker": "KX-A", "side": "ask", "count": "2.5", "price": "0.4215", "time_in_force": "good_till_canceled",
        "self_trade_prevention_type": "taker_at_cross", "client_order_id": "mine-1",
    }  # fmt: skip
    assert second["post_only"] is False
    assert len(second["client_order_id"]) == 36
    assert (placed.order_id, placed.remaining_count, placed.ok) == ("o-1", Decimal("2.5"), True)


@pytest.mark.parametrize(
    "when", ["2036-01-01T05:00:00+00:00", datetime(2036, 1, 1, tzinfo=timezone(timedelta(hours=-5))), 2_082_776_400]
)
def test_a_time_in_a_body_is_what_the_exchange_takes(when: Any) -> None:
    """Lesson 55: text, a time in another zone and Unix seconds are the same seconds in the body, never a text that Python made of them."""
    with Scripted(lambda _asked: Answer(PLACED, 201)) as server, client(server) as kalshi:
        kalshi.orders.create(kl.NewOrder(ticker="KX-A", side="bid", count=1, price="0.42", expiration_time=when))
    assert json.loads(server.asked[0].body)["expiration_time"] == 2_082_776_400


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"price": 0.42}, "price is a float"),
        ({"price": "42"}, "42 cents are"),
        ({"price": "0.42155"}, "more than 4 decimals"),
        ({"count": 0}, "too small"),
        ({"count": "1.005"}, "more than 2 decimals"),
        ({"side": "buy"}, "unknown side 'buy'"),
        ({"time_in_force": "gtc"}, "unknown time_in_force"),
        ({"reduce_only": True}, "immediate_or_cancel only"),
        ({"time_in_force": "immediate_or_cancel", "post_only": True}, "good_till_canceled only"),
        ({"time_in_force": "fill_or_kill", "expiration_time": "2036-01-01"}, "good_till_canceled only"),
        ({"ticker": "kx-a"}, "Did you mean 'KX-A'"),
        ({"subaccount": 64}, "from 0 to 63"),
        ({"price": "NaN"}, "decimals|number"),
    ],
)
def test_an_order_that_cannot_be_sent(wish: dict[str, Any], said: str) -> None:
    """API-12: refused where it is written, with what is allowed."""
    with pytest.raises(kl.UsageError, match=said):
        kl.NewOrder(**{"ticker": "KX-A", "side": "bid", "count": 1, "price": "0.42", **wish})


@pytest.mark.parametrize(
    ("body", "reduced"),
    [
        ({"order_id": "o-1", "reduced_by": "1.00", "ts_ms": 1}, "1.00"),
        ({"order": {"order_id": "o-1", "status": "canceled"}, "reduced_by": "1.00"}, "1.00"),
        ({"reduced_by": "1.00"}, "1.00"),
        ({"order_id": "o-1", "reduced_by": 1.5, "ts_ms": "soon"}, None),
        ({}, None),
    ],
    ids=str,
)
def test_a_cancel_is_read_in_any_form(body: Any, reduced: str | None) -> None:
    """API-13, lesson 9: flat, nested or odd, the order's id is always there and nothing that was done looks failed."""
    with Scripted(lambda _asked: Answer(body)) as server, client(server) as kalshi:
        done = kalshi.orders.cancel("o-1", ticker="KX-A")
    assert (done.order_id, done.reduced_by) == ("o-1", None if reduced is None else Decimal(reduced))
    assert (server.asked[0].method, server.asked[0].params) == ("DELETE", {"market_ticker": "KX-A"})


def test_an_amendment_names_everything() -> None:
    """API-13, lesson 10: ticker, side, full price and full count; a new client id only where one is given."""
    with Scripted(lambda _asked: Answer({"order_id": "o-1", "ts_ms": 1})) as server, client(server) as kalshi:
        kalshi.orders.amend(
            "o-1", ticker="KX-A", side="bid", price="0.43", count=5, client_order_id="a", updated_client_order_id="b"
        )
        with pytest.raises(kl.UsageError, match="either reduce_by or reduce_to"):
            kalshi.orders.decrease("o-1", reduce_by=1, reduce_to=1)
        kalshi.orders.decrease("o-1", reduce_to=0)
    amended, decreased = (json.loads(one.body) for one in server.asked)
    assert amended == {
        "ticker": "KX-A", "side": "bid", "price": "0.43", "count": "5", "client_order_id": "a", "updated_client_order_id": "b",
    }  # fmt: skip
    assert decreased == {"reduce_to": "0"}


def test_a_batch_tells_of_each() -> None:
    """API-14 ⚠: every order has an id of its own, every result stands in its place, a failure says why."""
    rows = [{**PLACED}, {"client_order_id": "x", "error": {"code": "insufficient_balance", "message": "no money"}}]
    with Scripted(lambda _asked: Answer({"orders": rows}, 201)) as server, client(server) as kalshi:
        done = kalshi.orders.create_batch([ORDER, kl.NewOrder(ticker="KX-A", side="bid", count=1, price="0.01")])
        with pytest.raises(kl.UsageError, match="no order"):
            kalshi.orders.create_batch([])
        with pytest.raises(kl.UsageError, match="list of order ids"):
            kalshi.orders.cancel_batch("o-1")
    assert [one.ok for one in done] == [True, False]
    assert done[1].error is not None
    assert done[1].error.code == "insufficient_balance"
    assert all(one["client_order_id"] for one in json.loads(server.asked[0].body)["orders"])


def test_queue_positions_may_be_null() -> None:
    """API-15, lesson 11."""
    with Scripted(lambda _asked: Answer({"queue_positions": None})) as server, client(server) as kalshi:
        assert kalshi.orders.queue_positions(["KX-A", "KX-B"]) == ()
    assert server.asked[0].params == {"market_tickers": "KX-A,KX-B"}


def test_what_resting_orders_bind_may_be_forbidden() -> None:
    """API-15: 403 in demo is Forbidden, and says so."""
    with (
        Scripted(lambda _asked: Answer({"code": "forbidden"}, 403)) as server,
        client(server) as kalshi,
        pytest.raises(kl.Forbidden),
    ):
        kalshi.portfolio.resting_order_value()


def test_a_group_has_one_id() -> None:
    """API-16: the list calls it `id`, the creation `order_group_id`."""

    def answer(asked: Asked) -> Answer:
        if asked.method == "POST":
            return Answer({"order_group_id": "g-1", "subaccount": 0}, 201)
        return Answer({"order_groups": [{"id": "g-1", "is_auto_cancel_enabled": True, "contracts_limit_fp": "50.00"}]})

    with Scripted(answer) as server, client(server) as kalshi:
        assert kalshi.order_groups.create("12.5").order_group_id == "g-1"
        assert [one.order_group_id for one in kalshi.order_groups.list()] == ["g-1"]
        with pytest.raises(kl.UsageError, match="too small"):
            kalshi.order_groups.create(0)
    assert json.loads(server.asked[0].body) == {"contracts_limit_fp": "12.5"}


def lost_then(*after: Answer) -> Callable[[Asked], Answer]:
    """The first POST is cut before its answer is whole; then these answers, one after the other."""
    left = [Answer(PLACED, 201, kept_back=5), *after]
    return lambda _asked: left.pop(0)


def test_an_order_whose_answer_was_lost_is_found() -> None:
    """NET-4 ⚠, F36, lesson 19: sent again under the same client id, told that it is there, looked up."""
    rows = [
        {"order_id": "o-0", "client_order_id": "else"},
        {**PLACED, "fill_count_fp": "1.00", "remaining_count_fp": "1.50"},
    ]
    script = lost_then(Answer({"error": {"code": "conflict"}}, 409), Answer({"orders": rows, "cursor": ""}))
    with Scripted(script) as server, client(server) as kalshi:
        placed = kalshi.orders.create(ORDER)
    assert (placed.order_id, placed.fill_count, placed.remaining_count) == ("o-1", 1, Decimal("1.5"))
    assert [one.method for one in server.asked] == ["POST", "POST", "GET"]
    assert server.asked[0].body == server.asked[1].body


def test_an_order_that_nobody_knows() -> None:
    """NET-4 ⚠, F36: where it is not found either, the error names the client id to look for."""
    script = lost_then(Answer({"error": {"code": "conflict"}}, 409), Answer({"orders": [], "cursor": ""}))
    with Scripted(script) as server, client(server) as kalshi, pytest.raises(kl.OrderUnknown, match="mine-1") as caught:
        kalshi.orders.create(ORDER)
    assert caught.value.client_order_id == "mine-1"
    assert len(server.asked) == 3


def test_an_order_that_may_be_live() -> None:
    """NET-4 ⚠: answers that never come leave it unknown, not failed."""
    with (
        Scripted(lambda _asked: Answer(PLACED, 201, kept_back=5)) as server,
        client(server, attempts=2) as kalshi,
        pytest.raises(kl.OrderUnknown) as caught,
    ):
        kalshi.orders.create(ORDER)
    assert caught.value.client_order_id == "mine-1"
    assert len(server.asked) == 2


def test_a_client_id_that_was_used_before() -> None:
    """A 409 at the first attempt is somebody's mistake, not a lost answer."""
    with (
        Scripted(lambda _asked: Answer({"error": {"code": "conflict"}}, 409)) as server,
        client(server) as kalshi,
        pytest.raises(kl.Conflict),
    ):
        kalshi.orders.create(ORDER)
    assert len(server.asked) == 1


def test_a_decrease_is_sent_once() -> None:
    """NET-4 ⚠: what would count twice is not sent twice, and the error says that it may have happened."""
    with (
        Scripted(lambda _asked: Answer({"order_id": "o-1"}, kept_back=5)) as server,
        client(server) as kalshi,
        pytest.raises(kl.BrokenResponse) as caught,
    ):
        kalshi.orders.decrease("o-1", reduce_by=1)
    assert caught.value.may_have_happened
    assert len(server.asked) == 1


def test_a_private_key_is_never_sent() -> None:
    """Registering a key takes the public one; a new key's private half is in no repr."""
    made = {"api_key_id": "k-1", "private_key": "SECRET-PEM", "key_type": "ed25519"}
    with Scripted(lambda _asked: Answer(made, 201)) as server, client(server) as kalshi:
        with pytest.raises(kl.UsageError, match="private key"):
            kalshi.api_keys.create("mine", "-----BEGIN PRIVATE " + "KEY-----")
        key = kalshi.api_keys.generate("mine")
    assert key.private_key == "SECRET-PEM"  # pragma: allowlist secret
    assert "SECRET" not in repr(key) + str(key) + key._repr_html_()
    assert [one.path for one in server.asked] == ["/api_keys/generate"]


def test_a_position_moves_between_subtraders() -> None:
    """Whole contracts in hundredths, signed; whole cents in hundredths of a cent."""
    with Scripted(lambda _asked: Answer({"position_transfer_id": "t-1"}, 201)) as server, client(server) as kalshi:
        assert kalshi.fcm.transfer_position("KX-A", -3, "0.42", source="a", destination="b") == "t-1"
        for wrong in ({"contracts": 0}, {"contracts": 1.5}, {"price": "0.425"}, {"price": "1.01"}, {"price": -1}):
            with pytest.raises(kl.UsageError):
                kalshi.fcm.transfer_position(
                    **{"ticker": "KX-A", "contracts": 1, "price": "0.4", "source": "a", "destination": "b", **wrong}
                )
    sent = json.loads(server.asked[0].body)
    assert (sent["position_centicount"], sent["price_centicents"]) == (-300, 4200)
    assert len(server.asked) == 1
