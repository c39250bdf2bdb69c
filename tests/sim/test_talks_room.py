"""What becomes of requests, quotes and blocks: windows, replacement, money, messages, and what each side may see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from starlette.datastructures import QueryParams

from kalshi_lab.sim.desk.calls import Call, Reply
from kalshi_lab.sim.queries import Refused
from kalshi_lab.sim.reference.combos import Combos
from kalshi_lab.sim.talks import routes
from kalshi_lab.sim.talks.talk import NOBODY, public_id
from kalshi_lab.sim.world import World
from tests.sim.desk.conftest import WEATHER, Floor, pem

if TYPE_CHECKING:
    from starlette.routing import Route

    from kalshi_lab.sim.desk.keys import Caller
    from kalshi_lab.sim.hub import Event

RFQS, QUOTES, BLOCKS = "/communications/rfqs", "/communications/quotes", "/communications/block-trade-proposals"
DAY = 86_400


class Hall(Floor):
    """A floor whose members also talk: `ask`, `offer` and the like by name."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.routes: list[Route] = routes(self.venue, Combos(self.api))
        self.callers: dict[str, Caller] = {}
        for name in "ABC":
            account = self.member(name, direct=name == "C")
            self.callers[name] = self.desk.keys.add(account, pem(ed25519.Ed25519PrivateKey.generate()))

    def call(self, name: str, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """The answer's body; None for an empty one."""
        now = self.clock.now()
        self.venue.settle(now)
        scope = {"type": "http", "method": method, "path": f"/trade-api/v2{path}", "headers": []}
        for route in self.routes:
            match, found = route.matches(scope)
            if match.name == "FULL":
                made = route.endpoint(Call(QueryParams(query), body, self.callers[name], now), **found["path_params"])
                return made.body if isinstance(made, Reply) else made
        raise AssertionError(path)

    def ask(self, name: str = "A", **wish: Any) -> str:
        given = {"market_ticker": WEATHER, "rest_remainder": False, **wish}
        if "target_cost_dollars" not in wish:
            given.setdefault("contracts_fp", "10")
        return str(self.call(name, "POST", RFQS, given)["id"])

    def offer(self, rfq: str, yes: str = "0.30", no: str = "0.50", name: str = "B", **wish: Any) -> str:
        body = {"rfq_id": rfq, "yes_bid": yes, "no_bid": no, "rest_remainder": False, **wish}
        return str(self.call(name, "POST", QUOTES, body)["id"])

    def accept(self, quote: str, side: str = "yes", name: str = "A") -> None:
        self.call(name, "PUT", f"{QUOTES}/{quote}/accept", {"accepted_side": side})

    def confirm(self, quote: str, name: str = "B") -> None:
        self.call(name, "PUT", f"{QUOTES}/{quote}/confirm")

    def quote(self, quote: str, name: str = "B") -> dict[str, Any]:
        return dict(self.call(name, "GET", f"{QUOTES}/{quote}")["quote"])

    def held(self, name: str, ticker: str = WEATHER) -> int:
        row = self.world.names.find_market(ticker)
        assert row is not None
        return self.members[name].position(0, row).held

    def cash(self, name: str) -> int:
        return sum(self.members[name].funds.values())

    def said(self, kind: str) -> list[Event]:
        return [event for event in self.heard if event.channel == "communications" and event.kind == kind]


@pytest.fixture(scope="module")
def small() -> World:
    return World(open_markets=180, history_days=10)


@pytest.fixture
def hall(small: World) -> Hall:
    return Hall(small)


def _code(error: pytest.ExceptionInfo[Refused]) -> tuple[int, str]:
    return error.value.status, error.value.body["error"]["code"]


@pytest.mark.parametrize(("side", "held", "cost"), [("yes", 1_000, 3_000_000), ("no", -1_000, 5_000_000)])
def test_the_maker_buys_the_accepted_side_at_its_bid(hall: Hall, side: str, held: int, cost: int) -> None:
    """WS rfq: ten contracts change hands at the bid, both pay their fee, nothing is lost, and everybody's books show it."""
    quote = hall.offer(hall.ask())
    hall.accept(quote, side)
    hall.confirm(quote)
    hall.advance(15)
    assert (hall.held("B"), hall.held("A")) == (held, -held)
    fees = hall.venue.clearing.fees
    assert fees > 0
    assert hall.cash("A") + hall.cash("B") == 2_000_000_000 - fees - 10_000_000
    fills = [record.body for name in "AB" for record in hall.members[name].kept("fills")]
    assert [fill["is_taker"] for fill in fills] == [True, False]
    assert 1_000_000_000 - hall.cash("B") - int(fills[1]["fee_cost"].replace(".", "")) == cost
    shown = hall.quote(quote)
    assert (shown["status"], shown["creator_order_id"]) == ("executed", fills[1]["order_id"])
    assert hall.quote(quote, "A")["rfq_creator_order_id"] == fills[0]["order_id"]
    assert "creator_order_id" not in hall.quote(quote, "A")
    order = hall.venue.orders[fills[1]["order_id"]]
    assert (order.status, order.filled, order.left) == ("executed", 1_000, 0)


def test_a_quote_trades_when_its_window_is_over_and_not_before(hall: Hall) -> None:
    """Thirty seconds to confirm, fifteen until the trade; the trade has its own time though the clock leapt."""
    quote = hall.offer(hall.ask())
    hall.accept(quote)
    hall.advance(29)
    hall.confirm(quote)
    hall.advance(14)
    assert (hall.quote(quote)["status"], hall.held("A")) == ("confirmed", 0)
    hall.advance(5 * DAY)
    assert hall.quote(quote)["executed_ts"] == "2026-11-20T15:00:44Z"
    row = hall.world.names.find_market(WEATHER)
    assert row is not None
    assert hall.members["B"].positions[0, row].settled is not None


def test_combos_are_quick(hall: Hall) -> None:
    """Three seconds to confirm and one until the trade; the request names the legs."""
    world, now = hall.world, hall.clock.now()
    row = next(
        row for row in np.flatnonzero(world.markets.legs[:, 0] >= 0).tolist()
        if world.event_status(now)[world.markets.event[row]] == 2
    )  # fmt: skip
    ticker = world.names.market(row)
    rfq = hall.ask(market_ticker=ticker)
    assert hall.call("B", "GET", f"{RFQS}/{rfq}")["rfq"]["mve_selected_legs"] == world.names.legs(row)
    late, quote = hall.offer(rfq, "0.111", "0.5"), ""
    hall.accept(late)
    hall.advance(3)
    assert hall.quote(late)["cancellation_reason"] == "not_confirmed"
    quote = hall.offer(rfq, "0.112", "0.5")
    hall.accept(quote)
    hall.confirm(quote)
    hall.advance(1)
    assert hall.held("B", ticker) == 1_000


def test_after_a_lapse_another_quote_may_be_taken(hall: Hall) -> None:
    """While one quote waits no other is accepted; afterwards the request is open as before."""
    rfq = hall.ask()
    first, second = hall.offer(rfq), hall.offer(rfq, name="C")
    hall.accept(first)
    with pytest.raises(Refused):
        hall.accept(second)
    with pytest.raises(Refused):
        hall.offer(rfq, "0.31")
    hall.advance(30)
    with pytest.raises(Refused):
        hall.confirm(first)
    hall.accept(second)
    hall.confirm(second, "C")
    hall.advance(15)
    assert (hall.held("C"), hall.held("B")) == (1_000, 0)
    assert hall.call("B", "GET", f"{RFQS}/{rfq}")["rfq"]["status"] == "closed"
    with pytest.raises(Refused) as error:
        hall.accept(hall.offer(hall.ask(), "0.20"), "maybe")
    assert _code(error) == (400, "invalid_parameters")
    with pytest.raises(Refused) as error:
        hall.accept(first)
    assert _code(error) == (400, "RFQ_CLOSED")


def test_a_new_quote_replaces_the_makers_own(hall: Hall) -> None:
    """Others' quotes stay; each is seen by its maker and the requester alone."""
    rfq = hall.ask()
    first, other = hall.offer(rfq), hall.offer(rfq, name="C")
    second = hall.offer(rfq, "0.31", "0.40")
    assert hall.quote(first)["cancellation_reason"] == "replaced"
    assert (hall.quote(second)["status"], hall.quote(other, "C")["status"]) == ("open", "open")
    seen = {name: {row["id"] for row in hall.call(name, "GET", QUOTES, status="open")["quotes"]} for name in "ABC"}
    assert seen == {"A": {second, other}, "B": {second}, "C": {other}}
    with pytest.raises(Refused) as error:
        hall.quote(second, "C")
    assert _code(error) == (404, "not_found")
    for wrong, name in ((hall.accept, "B"), (hall.confirm, "A")):
        with pytest.raises(Refused) as error:
            wrong(second, name=name)
        assert error.value.status == 404


def test_one_open_request_for_a_market(hall: Hall) -> None:
    """A second is a conflict, another member's is not, and `replace_existing` makes room."""
    first = hall.ask()
    with pytest.raises(Refused) as error:
        hall.ask()
    assert _code(error) == (409, "already_exists")
    hall.ask("B")
    second = hall.ask(replace_existing=True)
    assert hall.call("A", "GET", f"{RFQS}/{first}")["rfq"]["cancellation_reason"] == "deleted"
    assert [row["id"] for row in hall.call("A", "GET", RFQS, user_filter="self", status="open")["rfqs"]] == [second]


def test_at_most_a_hundred_requests_are_open(hall: Hall) -> None:
    """The hundred and first is refused until one is withdrawn; pages walk through all of them."""
    status = hall.world.event_status(hall.clock.now())
    rows = [row for row in range(len(hall.world.markets)) if status[hall.world.markets.event[row]] == 2]
    tickers = [hall.world.names.market(row) for row in rows[:101]]
    made = [hall.ask(market_ticker=ticker) for ticker in tickers[:100]]
    with pytest.raises(Refused) as error:
        hall.ask(market_ticker=tickers[100])
    assert error.value.status == 400
    found, cursor = [], ""
    while True:
        page = hall.call("B", "GET", RFQS, limit="33", **({"cursor": cursor} if cursor else {}))
        found += [row["id"] for row in page["rfqs"]]
        cursor = page["cursor"]
        if not cursor:
            break
    assert found == made[::-1]
    hall.call("A", "DELETE", f"{RFQS}/{made[0]}")
    hall.ask(market_ticker=tickers[100])


def test_money_decides_the_size(hall: Hall) -> None:
    """A target cost buys what the other side of the bid costs, with or without the fee; both sides' sizes are shown."""
    plain = hall.ask(target_cost_dollars="7", target_cost_excludes_fees=True)
    shown = hall.quote(hall.offer(plain))
    assert (shown["contracts_fp"], shown["yes_contracts_fp"], shown["no_contracts_fp"]) == ("0.00", "10.00", "14.00")
    assert shown["rfq_target_cost_dollars"] == "7.0000"
    rfq = hall.ask(target_cost_centi_cents=70_000, replace_existing=True, contracts_fp=None)
    quote = hall.offer(rfq)
    hall.accept(quote)
    hall.confirm(quote)
    hall.advance(15)
    spent = 1_000_000_000 - hall.cash("A")
    assert 6_900_000 < spent <= 7_010_000
    assert hall.held("A") == -int(hall.quote(quote)["yes_contracts_fp"].replace(".", ""))


def test_who_cannot_pay_does_not_trade(hall: Hall) -> None:
    """The quote ends with the reason, and nothing moved."""
    quote = hall.offer(hall.ask(contracts_fp="100000"))
    hall.accept(quote)
    hall.confirm(quote)
    hall.advance(15)
    shown = hall.quote(quote)
    assert (shown["status"], shown["cancellation_reason"]) == ("cancelled", "insufficient_balance")
    assert (hall.cash("A"), hall.cash("B"), hall.held("A")) == (1_000_000_000, 1_000_000_000, 0)


def test_what_is_confirmed_cannot_be_taken_back(hall: Hall) -> None:
    """Until then the maker may withdraw an accepted quote and the requester the request."""
    quote = hall.offer(hall.ask())
    hall.accept(quote)
    hall.call("B", "DELETE", f"{QUOTES}/{quote}")
    assert hall.quote(quote)["status"] == "cancelled"
    rfq = hall.ask(replace_existing=True)
    quote = hall.offer(rfq)
    hall.accept(quote)
    hall.confirm(quote)
    for name, path, status in (("B", f"{RFQS}/{rfq}/quotes/{quote}", 400), ("A", f"{RFQS}/{rfq}", 404)):
        with pytest.raises(Refused) as error:
            hall.call(name, "DELETE", path)
        assert error.value.status == status
    assert hall.call("A", "GET", f"{RFQS}/{rfq}")["rfq"]["status"] == "closed"
    hall.ask()
    with pytest.raises(Refused) as error:
        hall.call("B", "DELETE", f"{RFQS}/{rfq}")
    assert error.value.status == 404
    with pytest.raises(Refused) as error:
        hall.call("B", "GET", f"{RFQS}/nobody/quotes/{quote}")
    assert error.value.status == 404


def test_hidden_requesters_are_known_after_the_trade(hall: Hall) -> None:
    """`obscure_creator_id` shows the hash of nothing until the quote is executed."""
    rfq = hall.ask(obscure_creator_id=True)
    assert NOBODY.startswith("e3b0c442")
    assert hall.call("B", "GET", f"{RFQS}/{rfq}")["rfq"]["creator_id"] == NOBODY
    assert "creator_user_id" not in hall.call("B", "GET", f"{RFQS}/{rfq}")["rfq"]
    assert hall.said("rfq_created")[-1].msg["creator_id"] == NOBODY
    quote = hall.offer(rfq)
    assert hall.quote(quote)["rfq_creator_id"] == NOBODY
    hall.accept(quote)
    hall.confirm(quote)
    hall.advance(15)
    assert hall.quote(quote)["rfq_creator_id"] == public_id(hall.members["A"])
    assert hall.said("rfq_deleted")[-1].msg["creator_id"] == NOBODY


def test_messages_keep_the_contract(hall: Hall, contract: Any) -> None:
    """rfq_* go to everybody, quote_* to the two sides, each with its own order and subaccount; all keys are the contract's."""
    quote = hall.offer(hall.ask(target_cost_dollars="5.5"))
    hall.accept(quote)
    hall.confirm(quote)
    hall.advance(15)
    for kind in ("rfq_created", "rfq_deleted", "quote_created", "quote_accepted", "quote_executed"):
        events = hall.said(kind)
        wanted = [""] if kind.startswith("rfq") else ["A", "B"]
        assert [event.user for event in events] == wanted, kind
        for event in events:
            assert contract.problems_of(contract.messages[kind]["msg"], event.msg) == []
            assert event.market == event.msg["market_ticker"] == WEATHER
    orders = {event.user: event.msg["order_id"] for event in hall.said("quote_executed")}
    owners = {name: hall.venue.orders[order].owner for name, order in orders.items()}
    assert owners == {"A": "A", "B": "B"}
    told = [event for event in hall.heard if event.channel == "user_orders"]
    assert {event.msg["order_id"] for event in told} == set(orders.values())
    prints = [event for event in hall.heard if event.channel == "trade"]
    assert [event.msg["is_block_trade"] for event in prints] == [False]


def test_closed_talk_is_forgotten_after_a_week(hall: Hall) -> None:
    """Seven days later neither the request nor its quotes are there."""
    rfq = hall.ask()
    quote = hall.offer(rfq)
    hall.call("A", "DELETE", f"{RFQS}/{rfq}")
    hall.advance(7 * DAY)
    assert hall.quote(quote)["cancellation_reason"] == "rfq_deleted"
    hall.advance(1)
    for path in (f"{RFQS}/{rfq}", f"{QUOTES}/{quote}"):
        with pytest.raises(Refused) as error:
            hall.call("A", "GET", path)
        assert error.value.status == 404


def test_requests_end_with_their_market(hall: Hall) -> None:
    """At the close they are closed with their quotes; nothing is asked for in a market that does not trade."""
    rfq = hall.ask()
    quote = hall.offer(rfq)
    hall.advance(2 * DAY)
    assert hall.call("B", "GET", f"{RFQS}/{rfq}")["rfq"]["cancellation_reason"] == "market_closed"
    assert hall.quote(quote)["cancellation_reason"] == "market_closed"
    with pytest.raises(Refused) as error:
        hall.ask()
    assert _code(error) == (400, "MARKET_INACTIVE")


def test_quotes_are_filtered(hall: Hall) -> None:
    """By request, by maker, by requester, by time, by role."""
    first, second = hall.ask(), hall.ask("C")
    one = hall.offer(first)
    hall.advance(10)
    two, three = hall.offer(second), hall.offer(first, name="C")
    at = hall.clock.now() // 1_000_000

    def ids(name: str, **query: Any) -> list[str]:
        return [row["id"] for row in hall.call(name, "GET", QUOTES, **query)["quotes"]]

    assert ids("B") == [two, one]
    assert ids("C") == [three, two]
    assert ids("C", user_filter="self") == [three]
    assert ids("C", rfq_user_filter="self") == [two]
    assert ids("A", rfq_id=first, min_ts=str(at)) == [three]
    assert ids("A", rfq_id=first, max_ts=str(at - 1)) == [one]
    assert ids("A", quote_creator_user_id="C") == [three]
    assert ids("A", quote_creator_user_id=public_id(hall.members["B"])) == [one]
    assert ids("B", rfq_creator_user_id="C") == [two]
    assert ids("B", limit="1") == [two]


def test_requests_are_filtered(hall: Hall) -> None:
    """By market, event, subaccount and own user id."""
    first, second = hall.ask(), hall.ask("B")

    def ids(name: str, **query: Any) -> list[str]:
        return [row["id"] for row in hall.call(name, "GET", RFQS, **query)["rfqs"]]

    assert ids("C") == [second, first]
    assert ids("A", market_ticker=WEATHER, event_ticker=WEATHER.rpartition("-")[0]) == [second, first]
    assert ids("A", market_ticker="nobody") == []
    assert ids("A", subaccount="0") == [first]
    assert ids("A", creator_user_id="A") == [first]
    assert ids("A", creator_user_id="B") == []


def test_a_block_trades_once_both_have_accepted(hall: Hall) -> None:
    """At any price, off the book, marked in the public trades; the maker side pays as maker."""
    wish = {
        "buyer_user_id": "A", "seller_user_id": "B", "market_ticker": WEATHER, "price_centi_cents": 4_321, "centicount": 1_050,
        "maker_side": "yes", "expiration_ts": "2026-11-21T00:00:00Z",
    }  # fmt: skip
    block = hall.call("B", "POST", BLOCKS, wish)["block_trade_proposal_id"]
    hall.call("A", "POST", f"{BLOCKS}/{block}/accept")
    (row,) = hall.call("B", "GET", BLOCKS)["block_trade_proposals"]
    assert (row["status"], row["buyer_accepted"], row["seller_accepted"]) == ("pending", True, False)
    hall.call("B", "POST", f"{BLOCKS}/{block}/accept")
    assert (hall.held("A"), hall.held("B")) == (1_050, -1_050)
    listed = hall.public("trades", ticker=WEATHER, is_block_trade="true", limit="5")["trades"]
    assert (listed[0]["count_fp"], listed[0]["yes_price_dollars"]) == ("10.50", "0.4321")
    others = hall.public("trades", ticker=WEATHER, is_block_trade="false", limit="1000")["trades"]
    assert listed[0]["trade_id"] not in {one["trade_id"] for one in others}
    prints = [event.msg for event in hall.heard if event.channel == "trade"]
    assert [(one["is_block_trade"], one["taker_side"]) for one in prints] == [(True, "no")]
    assert [record.body["is_taker"] for record in hall.members["A"].kept("fills")] == [False]
    with pytest.raises(Refused):
        hall.call("B", "POST", f"{BLOCKS}/{block}/accept")


def test_a_block_that_cannot_be_paid_stays_open(hall: Hall) -> None:
    """The second acceptance is refused and may be given again; a trade with oneself never happens."""
    wish = {
        "buyer_user_id": "A", "seller_user_id": "B", "market_ticker": WEATHER, "price_centi_cents": 5_000, "centicount": 10**8,
        "maker_side": "no", "expiration_ts": "2026-11-21T00:00:00Z",
    }  # fmt: skip
    block = hall.call("A", "POST", BLOCKS, wish)["block_trade_proposal_id"]
    hall.call("A", "POST", f"{BLOCKS}/{block}/accept")
    with pytest.raises(Refused) as error:
        hall.call("B", "POST", f"{BLOCKS}/{block}/accept")
    assert _code(error) == (400, "insufficient_balance")
    (row,) = hall.call("B", "GET", BLOCKS, status="pending")["block_trade_proposals"]
    assert (row["seller_accepted"], hall.held("A")) == (False, 0)
    own = hall.call("A", "POST", BLOCKS, {**wish, "seller_user_id": "A", "centicount": 100})["block_trade_proposal_id"]
    with pytest.raises(Refused) as error:
        hall.call("A", "POST", f"{BLOCKS}/{own}/accept")
    assert error.value.status == 400


def test_resting_orders_are_paid_for_after_a_trade_beside_the_book(hall: Hall) -> None:
    """Closing a position off the book makes a resting sale a new risk: money is set aside for it at once."""
    quote = hall.offer(hall.ask(contracts_fp="1000"), "0.80", "0")
    hall.accept(quote)
    hall.confirm(quote)
    hall.advance(15)
    assert hall.held("B") == 100_000
    order = hall.place("B", "ask", 100_000, 9_900)
    assert (order.status, hall.members["B"].locked[0, 0]) == ("resting", {})
    rfq = hall.ask("A", contracts_fp="1000")
    back = hall.offer(rfq, "0", "0.10")
    hall.accept(back, "no")
    hall.confirm(back)
    hall.advance(15)
    assert hall.held("B") == 0
    assert order.status == "resting"
    assert hall.members["B"].locked[0, 0][order.row] >= 10_000_000


STRANGE = (
    None,
    [],
    {},
    "x",
    "",
    -1,
    0,
    1.5,
    True,
    "1e5",
    "99999999999999",
    10**15,
    [None],
    [{}],
    ["x"],
    {"x": 1},
    "0.0",
    "NaN",
)


def test_strange_bodies_never_break_the_exchange(hall: Hall, contract: Any) -> None:
    """Whatever stands in whichever field of a body, the answer is a result or a refusal of the exchange's own."""
    quote = hall.offer(hall.ask("C"))
    batch = hall.call(
        "C", "POST", "/communications/rfq_batches", {"children": [{"market_ticker": WEATHER}], "contracts_fp": "1"}
    )
    path = f"/communications/rfq_batches/{batch['rfq_batch']['id']}"
    leg = {"market_ticker": WEATHER, "event_ticker": WEATHER.rpartition("-")[0], "side": "yes"}
    good: dict[tuple[str, str], dict[str, Any]] = {
        ("POST", RFQS): {"market_ticker": WEATHER, "contracts_fp": "1", "rest_remainder": False, "replace_existing": True},
        ("POST", QUOTES): {"rfq_id": hall.quote(quote)["rfq_id"], "yes_bid": "0.1", "no_bid": "0.1", "rest_remainder": True},
        ("PUT", f"{QUOTES}/{quote}/accept"): {"accepted_side": "yes"},
        ("POST", BLOCKS): {"buyer_user_id": "A", "seller_user_id": "B", "market_ticker": WEATHER, "price_centi_cents": 1, "centicount": 1,
                           "maker_side": "no", "expiration_ts": "2027-01-01T00:00:00Z", "buyer_subaccount": 0},
        ("POST", "/communications/rfq_batches"): {"children": [{"selected_markets": [leg, leg]}], "mve_collection_ticker": "x"},
        ("POST", f"{path}/quotes"): {"quotes": [{"rfq_id": "x", "yes_bid": "0.1", "no_bid": "0.1"}], "rest_remainder": True},
        ("PUT", f"{path}/accept"): {"accepted_side": "no", "min_bids": [{"rfq_id": "x", "bid_dollars": "0.1"}]},
        ("POST", "/fcm/subtraders"): {"subtrader_suffix": "a"},
        ("POST", "/fcm/positions/transfers"): {"source_subtrader_id": "C-a", "target_subtrader_id": "C-b", "market_ticker": WEATHER,
                                               "position_centicount": 100, "price_centicents": 100},
        ("PUT", "/fcm/subtraders/event_contract_daily_cap"): {"subtrader_id": "C-a", "limit": "1"},
        ("PUT", "/fcm/subtraders/blocked_categories"): {"subtrader_id": "C-a", "category": "x", "blocked": True},
    }  # fmt: skip
    hall.call("C", "POST", "/fcm/subtraders", {"subtrader_suffix": "b"})
    tried, refused = 0, list[Refused]()
    for (method, where), body in good.items():
        for name in "ABC":
            for wrong in (*STRANGE, *({**body, field: value} for field in body for value in STRANGE)):
                tried += 1
                try:
                    hall.call(name, method, where, wrong)
                except Refused as refusal:
                    refused.append(refusal)
    assert tried > len(refused) > 2_000
    assert {refusal.status for refusal in refused} == {400, 403, 404, 409}
    assert [wrong for one in refused for wrong in contract.problems("ErrorResponse", one.body["error"])] == []
