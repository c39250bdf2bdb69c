"""What happens to orders and money on the venue: rules one by one, and conservation whatever members do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kalshi_lab.sim.desk.order import Group
from kalshi_lab.sim.queries import Refused
from tests.sim.desk.conftest import WEATHER, Floor

if TYPE_CHECKING:
    from kalshi_lab.sim.world import World

DOLLAR = 1_000_000
BITCOIN = "KXBTCD-26NOV2017"


def balances(floor: Floor) -> int:
    """All cash, the world's and the fees with it, and a dollar for each pair of contracts that is open."""
    clearing = floor.venue.clearing
    open_pairs = sum(max(0, position.held) for row in floor.venue.markets for position in clearing.positions(row))
    members = sum(sum(account.funds.values()) for account in floor.members.values())
    return members + clearing.world_cash + clearing.fees + open_pairs * 10_000


def test_taking_pays_price_and_fee(floor: Floor) -> None:
    """10 contracts at 0.38: 3.80 and a fee of 0.07 x 10 x 0.38 x 0.62 = 0.164920, rounded so that the balance moves in cents."""
    account = floor.member("A")
    order = floor.place("A", "bid", 1000, 3800)
    assert (order.status, order.filled, order.taker_cost, order.taker_fees) == ("executed", 1000, 3_800_000, 170_000)
    assert account.available(0, 0) == 1_000 * DOLLAR - 3_970_000


def test_direct_members_pay_to_a_ten_thousandth(floor: Floor) -> None:
    """The same trade costs a direct member 0.1650."""
    floor.member("A", direct=True)
    assert floor.place("A", "bid", 1000, 3800).taker_fees == 165_000


def test_resting_locks_what_it_may_cost(floor: Floor) -> None:
    """A bid locks its cost, an offer to sell what is not held the cost of NO, and an offer of what is held nothing."""
    account = floor.member("A")
    bid = floor.place("A", "bid", 1000, 3600)
    assert account.available(0, 0) == 1_000 * DOLLAR - 3_600_000
    floor.venue.cancel(bid, "", floor.clock.now())
    assert account.available(0, 0) == 1_000 * DOLLAR
    floor.place("A", "ask", 1000, 9000)
    assert account.available(0, 0) == 1_000 * DOLLAR - 1_000_000
    floor.place("A", "bid", 1000, 3800)
    assert account.available(0, 0) == 1_000 * DOLLAR - 3_970_000


def test_what_is_sold_twice_is_paid_for_once(floor: Floor) -> None:
    """Two offers of the same ten contracts: the dearer to cover is the one that is paid for."""
    account = floor.member("A")
    floor.place("A", "bid", 1000, 3800)
    free = account.available(0, 0)
    floor.place("A", "ask", 1000, 9500)
    floor.place("A", "ask", 1000, 9000)
    assert account.available(0, 0) == free - 1_000_000


def test_insufficient_balance(floor: Floor) -> None:
    """An order that cannot be paid with its fee is refused and leaves no trace."""
    account = floor.member("A", 3)
    with pytest.raises(Refused) as refused:
        floor.place("A", "bid", 1000, 3800)
    assert refused.value.body["error"]["code"] == "insufficient_balance"
    assert (account.available(0, 0), floor.venue.orders, len(floor.venue.market(0).book)) == (3 * DOLLAR, {}, 0)


def test_what_is_offered_already_closes_nothing_else(floor: Floor) -> None:
    """While an offer of all that is held rests, selling it once more opens a position, which must be paid."""
    account = floor.member("A", 5)
    floor.place("A", "bid", 1000, 3800)
    offer = floor.place("A", "ask", 1000, 4500)
    with pytest.raises(Refused, match="insufficient"):
        floor.place("A", "ask", 1000, 3600, time_in_force="immediate_or_cancel")
    floor.venue.cancel(offer, "", floor.clock.now())
    sold = floor.place("A", "ask", 1000, 3600, time_in_force="immediate_or_cancel")
    assert (sold.filled, sold.closes, account.positions[0, sold.row].held) == (1000, True, 0)
    assert account.positions[0, sold.row].realized == -200_000


def test_pooled_shards_lend_and_strict_ones_do_not(floor: Floor) -> None:
    """An order on shard 2 finds the money of shard 0, unless the account keeps its shards apart."""
    ticker = next(name for name in floor.world.tickers() if name.startswith(BITCOIN) and _bids(floor, name))
    price = max(_bids(floor, ticker))
    pooled, strict = floor.member("A"), floor.member("B")
    strict.pooled = False
    floor.place("A", "bid", 1000, price, ticker=ticker)
    assert pooled.funds[0, 2] > 0
    with pytest.raises(Refused, match="insufficient"):
        floor.place("B", "bid", 1000, price, ticker=ticker)


def _bids(floor: Floor, ticker: str) -> dict[int, int]:
    return floor.book(ticker)[0]


def test_members_trade_with_each_other(floor: Floor) -> None:
    """A bid inside the spread is hit by another member at its price; both sides and the public see one trade."""
    floor.member("A")
    floor.member("B")
    bid = floor.place("A", "bid", 1000, 3700)
    ask = floor.place("B", "ask", 400, 3600)
    assert (bid.filled, bid.maker_cost, ask.filled, ask.taker_cost) == (400, 1_480_000, 400, 2_520_000)
    trades = floor.public("trades", ticker=WEATHER, limit="1")["trades"]
    assert trades == [{
        "count_fp": "4.00", "created_time": "2026-11-20T15:00:00Z", "is_block_trade": False, "no_price_dollars": "0.6300",
        "taker_book_side": "ask", "taker_outcome_side": "no", "taker_side": "no", "ticker": WEATHER,
        "trade_id": floor.venue.clearing.all_prints[0].id, "yes_price_dollars": "0.3700",
    }]  # fmt: skip
    assert floor.book()[0][3700] == 600


def test_public_quotes_show_members(floor: Floor) -> None:
    """A better bid is the market's best, a trade its last price, and the volume grows by it."""
    before = floor.public("market", WEATHER)["market"]
    floor.member("A")
    floor.member("B")
    floor.place("A", "bid", 1000, 3700)
    floor.place("B", "ask", 400, 3700)
    after = floor.public("market", WEATHER)["market"]
    assert (after["yes_bid_dollars"], after["no_ask_dollars"], after["yes_bid_size_fp"]) == ("0.3700", "0.6300", "6.00")
    assert after["last_price_dollars"] == "0.3700"
    grown = {
        name: float(after[name]) - float(before[name]) for name in ("volume_fp", "volume_24h_fp", "open_interest_fp")
    }
    assert grown == pytest.approx({"volume_fp": 4.0, "volume_24h_fp": 4.0, "open_interest_fp": 4.0})


def test_public_trades_page_through_members_and_world(floor: Floor) -> None:
    """Pages of one trade give what one page gives, members' trades at their own times."""
    floor.member("A")
    floor.place("A", "bid", 100, 3800)
    floor.advance(3600)
    floor.place("A", "bid", 100, min(floor.book()[1]))
    whole = floor.public("trades", ticker=WEATHER, limit="50")["trades"]
    assert [row["created_time"] for row in whole] == sorted((row["created_time"] for row in whole), reverse=True)
    mine = {one.id for one in floor.venue.clearing.all_prints}
    assert len(mine & {row["trade_id"] for row in whole}) == 2
    assert len({row["trade_id"] for row in whole}) == len(whole)
    found: list[Any] = []
    cursor = ""
    while len(found) < len(whole):
        page = floor.public("trades", ticker=WEATHER, limit="1", **({"cursor": cursor} if cursor else {}))
        found += page["trades"]
        cursor = page["cursor"]
    assert found == whole
    assert floor.public("trades", limit="1000", min_ts=str(floor.clock.now() // DOLLAR - 3700))["trades"][0] == whole[0]


def test_resting_order_is_filled_by_the_world(floor: Floor) -> None:
    """A bid at the best price waits behind the quote; trades of the tape or a move of the quote fill it, as maker, at its price."""
    account = floor.member("A")
    best = max(floor.book()[0])
    order = floor.place("A", "bid", 500, best)
    floor.advance(6 * 3600)
    assert (order.status, order.filled, order.maker_cost) == ("executed", 500, 500 * best)
    record = account.kept("fills")[0]
    assert (record.body["is_taker"], record.body["yes_price_dollars"]) == (False, f"{best / 10_000:.4f}")
    assert microseconds_of(floor) < record.at <= floor.clock.now()


def microseconds_of(floor: Floor) -> int:
    return floor.clock.now() - 6 * 3600 * DOLLAR


def test_catching_up_at_once_or_step_by_step_is_the_same(small: World) -> None:
    """Asking every minute gives the same fills at the same times as asking once."""
    heard = []
    for steps in (1, 90):
        floor = Floor(small)
        floor.member("A", direct=True)
        best_bid, best_ask = max(floor.book()[0]), min(floor.book()[1])
        for off in (0, 100, 200):
            floor.place("A", "bid", 5000, best_bid - off)
            floor.place("A", "ask", 5000, best_ask + off)
        for _ in range(steps):
            floor.advance(5400 / steps)
        heard.append([(event.channel, event.msg) for event in floor.heard])
    assert heard[0] == heard[1]
    assert sum(channel == "fill" for channel, _ in heard[0]) > 0


def test_orders_expire_at_their_time(floor: Floor) -> None:
    """After its expiration an order is gone, cancelled at that moment."""
    floor.member("A")
    end = floor.clock.now() + 60 * DOLLAR
    order = floor.place("A", "bid", 100, 100, expires=end)
    floor.advance(59)
    assert order.status == "resting"
    floor.advance(600)
    assert (order.status, order.reason, order.updated) == ("canceled", "ExpiryCancel", end)


def test_close_sweeps_and_settlement_pays(floor: Floor) -> None:
    """At the close resting orders end; when the market is paid out, cash is what was there plus a dollar for each right contract."""
    account = floor.member("A")
    floor.place("A", "bid", 1000, 3800)
    resting = floor.place("A", "bid", 100, 100)
    before = account.funds[0, 0]
    market = floor.venue.find(WEATHER)
    floor.advance((market.settled - floor.clock.now()) / DOLLAR + 1)
    assert (resting.status, resting.reason, resting.updated) == ("canceled", "CloseCancel", market.close)
    payout = 1000 * int(floor.world.payouts[market.row])
    assert account.funds[0, 0] == before + payout
    (record,) = account.kept("settlements")
    assert (record.body["revenue"], record.body["yes_count_fp"], record.body["yes_total_cost_dollars"]) == (
        payout // 10_000, "10.00", "3.800000",
    )  # fmt: skip
    position = account.positions[0, market.row]
    assert (position.held, position.settled, position.realized) == (0, market.settled, payout - 3_800_000)
    with pytest.raises(Refused, match="market inactive"):
        floor.place("A", "bid", 100, 100)


def test_a_pause_cancels_what_asked_for_it_and_its_end_everything(floor: Floor) -> None:
    """Orders that want it are cancelled when trading pauses, the others when it resumes; meanwhile nothing is taken or filled."""
    floor.member("A")
    now, market = floor.clock.now(), floor.venue.find(WEATHER)
    market.pause = now + 60 * DOLLAR, now + 900 * DOLLAR
    soft = floor.place("A", "bid", 100, 100, cancel_on_pause=True)
    hard = floor.place("A", "bid", 100, 100)
    best = floor.place("A", "bid", 100, 3700)
    floor.advance((market.pause[0] - now) / DOLLAR + 1)
    assert (soft.status, soft.reason, soft.updated, hard.status) == (
        "canceled",
        "HaltCancel",
        market.pause[0],
        "resting",
    )
    with pytest.raises(Refused, match="market inactive"):
        floor.place("A", "bid", 100, 100)
    floor.advance((market.pause[1] - floor.clock.now()) / DOLLAR + 1)
    assert (hard.status, hard.reason, hard.updated) == ("canceled", "HaltCancel", market.pause[1])
    assert (best.status, best.filled) == ("canceled", 0)


def test_order_groups_trigger_on_what_trades_within_15_seconds(floor: Floor) -> None:
    """Twenty contracts in 15 seconds trigger a group of twenty: its orders go, new ones are refused until it is reset."""
    account = floor.member("A")
    group = Group("G", account.id, 0, 0, 2000)
    floor.venue.groups["G"] = group
    resting = floor.place("A", "bid", 100, 100, group="G")
    floor.place("A", "bid", 1500, 3800, group="G")
    floor.advance(16)
    floor.place("A", "bid", 700, min(floor.book()[1]), group="G")
    assert (group.triggered, resting.status) == (False, "resting")
    floor.place("A", "bid", 1300, min(floor.book()[1]), group="G")
    assert (group.triggered, resting.status) == (True, "canceled")
    with pytest.raises(Refused, match="triggered"):
        floor.place("A", "bid", 100, 100, group="G")
    group.reset()
    assert floor.place("A", "bid", 100, 100, group="G").status == "resting"


def test_fill_or_kill_and_reduce_only(floor: Floor) -> None:
    """All or nothing; and no more than what is held."""
    floor.member("A", 100_000)
    offered = sum(floor.book()[1].values())
    killed = floor.place("A", "bid", offered + 1, 9900, time_in_force="fill_or_kill")
    assert (killed.status, killed.filled, floor.book()[1] == {}) == ("canceled", 0, False)
    assert floor.place("A", "bid", 500, 9900, time_in_force="fill_or_kill").filled == 500
    with pytest.raises(Refused, match="nothing to reduce"):
        floor.place("A", "bid", 500, 9900, time_in_force="immediate_or_cancel", reduce_only=True)
    sold = floor.place("A", "ask", 800, 100, time_in_force="immediate_or_cancel", reduce_only=True)
    assert (sold.initial, sold.filled) == (500, 500)


def test_amend_keeps_or_loses_the_queue(floor: Floor) -> None:
    """Smaller or another expiry keeps the place; larger or another price goes behind those who came since; a crossing price trades."""
    floor.member("A")
    floor.member("B")
    now = floor.clock.now()
    mine, other = floor.place("A", "bid", 500, 3700), floor.place("B", "bid", 300, 3700)
    market = floor.venue.find(WEATHER)

    def queue() -> int:
        return market.book.queue(mine, market.quotes(now))

    floor.venue.amend(mine, 3700, 400, now + DOLLAR, now=now)
    assert (queue(), mine.left, mine.expires) == (0, 400, now + DOLLAR)
    floor.venue.amend(mine, 3700, 600, None, now=now)
    assert (queue(), mine.left) == (300, 600)
    floor.venue.amend(mine, 3800, 600, None, now=now)
    assert (mine.status, mine.filled, mine.taker_cost) == ("executed", 600, 2_280_000)
    assert other.status == "resting"
    with pytest.raises(Refused, match="insufficient"):
        floor.venue.amend(other, 3700, 10_000_000, None, now=now)
    assert (other.left, market.book.queue(other, market.quotes(now))) == (300, 0)


def test_private_events_are_published(floor: Floor, contract: Any) -> None:
    """Fills, orders, positions and groups are told to their owner in the shapes of the streams."""
    account = floor.member("A")
    floor.venue.groups["G"] = Group("G", account.id, 0, 0, 100)
    floor.place("A", "bid", 500, 3800, group="G", client_id="mine", expires=floor.clock.now() + DOLLAR)
    kinds = {(event.channel, event.kind) for event in floor.heard}
    assert kinds == {
        ("trade", "trade"), ("fill", "fill"), ("user_orders", "user_order"), ("market_positions", "market_position"),
        ("order_group_updates", "order_group_updates"),
    }  # fmt: skip
    for event in floor.heard:
        fields = contract.messages[event.kind]["msg"]
        wrong = contract.problems_of(fields, event.msg)
        assert [one for one in wrong if "user_id" not in one and "order_group_id" not in one] == []
        assert event.user == ("" if event.channel == "trade" else account.id)


ACTS = st.lists(
    st.one_of(
        st.tuples(
            st.just("place"), st.sampled_from("ABC"), st.booleans(), st.integers(0, 2), st.integers(-4, 4), st.integers(1, 4000),
            st.sampled_from(["good_till_canceled", "immediate_or_cancel", "fill_or_kill"]), st.sampled_from(["maker", "taker_at_cross"]),
        ),
        st.tuples(st.just("cancel"), st.integers(0, 99)),
        st.tuples(st.just("amend"), st.integers(0, 99), st.integers(-3, 3), st.integers(1, 3000)),
        st.tuples(st.just("advance"), st.sampled_from([1, 70, 1_000, 20_000])),
    ),
    min_size=20,
    max_size=40,
)  # fmt: skip


@pytest.mark.long
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.large_base_example, HealthCheck.data_too_large]
)
@given(acts=ACTS)
def test_money_and_contracts_are_conserved(small: World, acts: list[tuple[Any, ...]]) -> None:
    """Whatever members do: contracts add up to nothing, money to what was paid in, books are not crossed, nobody owes anything."""
    floor = Floor(small)
    for name, direct in (("A", True), ("B", False), ("C", False)):
        floor.member(name, 60, direct=direct)
    tickers = [WEATHER, "KXHIGHNY-26NOV20-B53.5", next(name for name in small.tickers() if name.startswith(BITCOIN))]
    for act in acts:
        _act(floor, tickers, act)
        check(floor, tickers)
    floor.advance(5 * 86_400)
    check(floor, tickers)
    assert all(not position.held for row in floor.venue.markets for position in floor.venue.clearing.positions(row))
    assert floor.venue.resting() == []


def _act(floor: Floor, tickers: list[str], act: tuple[Any, ...]) -> None:
    try:
        if act[0] == "place":
            _, name, buys, market, off, count, time_in_force, prevention = act
            bids, asks = floor.book(tickers[market])
            best = (min(asks, default=5000) if buys else max(bids, default=5000)) + 100 * off
            side = "bid" if buys else "ask"
            more = {"time_in_force": time_in_force, "prevention": prevention}
            floor.place(name, side, count, best, ticker=tickers[market], **more)
        elif act[0] == "advance":
            floor.advance(act[1])
        elif resting := floor.venue.resting():
            order = resting[act[1] % len(resting)]
            if act[0] == "cancel":
                floor.venue.cancel(order, "", floor.clock.now())
            else:
                price, total = order.price + 100 * act[2], order.filled + act[3]
                floor.venue.amend(order, price, total, None, now=floor.clock.now())
    except Refused:
        pass


def check(floor: Floor, tickers: list[str]) -> None:
    assert balances(floor) == 180 * DOLLAR
    clearing = floor.venue.clearing
    for row in floor.venue.markets:
        assert sum(position.held for position in clearing.positions(row)) == 0
    for account in floor.members.values():
        assert all(cash % account.unit == 0 for cash in account.funds.values())
        for (subaccount, shard), cash in account.funds.items():
            assert cash >= -100_000
            for row, locked in account.locked.get((subaccount, shard), {}).items():
                assert locked == clearing.needed(account, floor.venue.market(row), subaccount)
    for ticker in tickers:
        bids, asks = floor.book(ticker)
        assert max(bids, default=0) < min(asks, default=10_001)
    for order in floor.venue.orders.values():
        assert order.initial >= order.filled + order.left
        assert (order.left > 0) == (order.status == "resting")


def test_a_market_s_status_is_the_world_s(floor: Floor) -> None:
    """One market asked alone says at every moment what the world says of all."""
    events = floor.world.events
    for row in range(0, len(floor.world.markets), 31):
        market = floor.venue.market(row)
        moments = [
            int(getattr(events, name)[market.event]) for name in ("created", "open", "close", "determined", "settled")
        ]
        for moment in [*moments, *market.pause]:
            for now in (moment - 1, moment, moment + 1):
                assert market.status(now) == floor.world.event_status(now)[market.event]
                assert market.quotes(now).bids == dict(floor.api.renderer.levels(row, now)[0])
