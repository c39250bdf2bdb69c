"""Every endpoint of communications and of clearing members over HTTP: status, keys, formats, who may, and bad input."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kalshi_lab import sim
from kalshi_lab.sim.api import Api
from kalshi_lab.sim.app import Application
from kalshi_lab.sim.desk.calls import PREFIX, Signed
from kalshi_lab.sim.virtual import Bucket, VirtualClock
from kalshi_lab.sim.world import World, microseconds
from tests.sim.desk.conftest import WEATHER, Member

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

GAME = "KXNBAGAME-26NOV20PORIND"
RFQS, QUOTES, BATCHES = "/communications/rfqs", "/communications/quotes", "/communications/rfq_batches"
BLOCKS = "/communications/block-trade-proposals"
ASK = {"market_ticker": WEATHER, "contracts_fp": "10.00", "rest_remainder": False}
OFFER = {"yes_bid": "0.30", "no_bid": "0.50", "rest_remainder": False}
# the answers of the batches, which no contract has: for each key what it holds
BATCH = {"id", "status"}
BEST = {"rfq_batch_id", "status", "version", "yes_complete", "no_complete", "updated_ts", "rfqs"}
BEST_ROW = {
    "rfq_id", "market_ticker", "yes_bid_dollars", "no_bid_dollars", "yes_contracts_offered_fp", "no_contracts_offered_fp",
}  # fmt: skip


@pytest.fixture
def house() -> Iterator[sim.Exchange]:
    with sim.start(markets=180, history_days=10, clock="frozen") as running:
        yield running


@pytest.fixture
def asker(house: sim.Exchange, client: httpx.Client) -> Member:
    return Member(house, client).join(tier="prestige", direct=True)


@pytest.fixture
def maker(house: sim.Exchange, client: httpx.Client) -> Member:
    return Member(house, client).join(tier="prestige", direct=True)


class Checked:
    """Calls endpoints by their route and holds each answer against the contract."""

    def __init__(self, contract: Any) -> None:
        self.contract = contract
        self.tried: set[tuple[str, str]] = set()

    def __call__(
        self, member: Member, method: str, route: str, body: Any = None, of: tuple[str, ...] = (), **query: Any
    ) -> Any:
        entry = self.contract.endpoints[method, route]
        values = iter(of)
        path = re.sub(r"\{\w+\}", lambda _: next(values), route)
        response = member.call(method, path, body, **query)
        assert response.status_code == entry["status"], (method, route, response.text)
        self.tried.add((method, route))
        if entry["response"] is None:
            assert response.content == b""
            return None
        found = response.json()
        if entry["response"] == "object":
            assert found == {}
        else:
            assert self.contract.problems(entry["response"], found) == []
        return found


def test_every_endpoint_keeps_the_contract(asker: Member, maker: Member, house: sim.Exchange, contract: Any) -> None:
    """Two members talk until they have traded; each endpoint once at least, its status, keys, types and formats."""
    call = Checked(contract)
    one, quote = f"{RFQS}/{{rfq_id}}", f"{RFQS}/{{rfq_id}}/quotes/{{quote_id}}"
    old = f"{QUOTES}/{{quote_id}}"
    me = call(asker, "GET", "/communications/id")["communications_id"]
    rfq = call(asker, "POST", RFQS, ASK)["id"]
    assert [row["creator_id"] for row in call(maker, "GET", RFQS)["rfqs"]] == [me]
    assert call(asker, "GET", one, of=(rfq,))["rfq"]["creator_user_id"]
    first = call(maker, "POST", QUOTES, {**OFFER, "rfq_id": rfq})["id"]
    call(maker, "DELETE", old, of=(first,))
    second = call(maker, "POST", QUOTES, {**OFFER, "rfq_id": rfq})["id"]
    call(maker, "DELETE", quote, of=(rfq, second))
    third = call(maker, "POST", QUOTES, {**OFFER, "rfq_id": rfq, "post_only": True})["id"]
    call(asker, "GET", old, of=(third,))
    assert call(maker, "GET", quote, of=(rfq, third))["quote"]["post_only"] is True
    call(asker, "PUT", f"{quote}/accept", {"accepted_side": "yes"}, of=(rfq, third))
    call(maker, "PUT", f"{quote}/confirm", {}, of=(rfq, third))
    house.advance(15)
    done = call(maker, "GET", QUOTES, status="executed")["quotes"]
    assert [(row["id"], row["accepted_side"]) for row in done] == [(third, "yes")]
    again = call(asker, "POST", RFQS, {"market_ticker": WEATHER, "target_cost_dollars": "7.00", "rest_remainder": True})
    last = call(maker, "POST", QUOTES, {**OFFER, "rfq_id": again["id"]})["id"]
    call(asker, "PUT", f"{old}/accept", {"accepted_side": "no"}, of=(last,))
    call(maker, "PUT", f"{old}/confirm", of=(last,))
    house.advance(15)
    assert call(asker, "GET", old, of=(last,))["quote"]["status"] == "executed"
    gone = call(asker, "POST", RFQS, {**ASK, "obscure_creator_id": True})["id"]
    call(asker, "DELETE", one, of=(gone,))
    _blocks(call, asker, maker)
    _clearers(call, asker)
    wanted = {key for key, entry in contract.endpoints.items() if entry["family"] in {"communications", "fcm"}}
    assert wanted - call.tried == set()


def _user(member: Member) -> str:
    placed = member.order().json()["order_id"]
    return str(member.get(f"/portfolio/orders/{placed}")["order"]["user_id"])


def _blocks(call: Checked, asker: Member, maker: Member) -> None:
    wish = {
        "buyer_user_id": _user(asker), "seller_user_id": _user(maker), "market_ticker": WEATHER, "price_centi_cents": 4321,
        "centicount": 12_345, "maker_side": "no", "expiration_ts": "2026-11-25T00:00:00Z",
    }  # fmt: skip
    proposal = call(maker, "POST", BLOCKS, wish)["block_trade_proposal_id"]
    accept = f"{BLOCKS}/{{block_trade_proposal_id}}/accept"
    call(asker, "POST", accept, {"subaccount": 0}, of=(proposal,))
    call(maker, "POST", accept, of=(proposal,))
    (row,) = call(asker, "GET", BLOCKS, status="executed")["block_trade_proposals"]
    assert row["buyer_order_id"] != row["seller_order_id"]


def _clearers(call: Checked, member: Member) -> None:
    traders = "/fcm/subtraders"
    first, second = (call(member, "POST", traders, {"subtrader_suffix": name})["subtrader_id"] for name in ("One", "2"))
    assert [row["subtrader_id"] for row in call(member, "GET", traders)["subtraders"]] == [first, second]
    caps, blocks = f"{traders}/event_contract_daily_cap", f"{traders}/blocked_categories"
    call(member, "PUT", caps, {"subtrader_id": first, "limit": "2500.5"})
    cap = call(member, "GET", caps, subtrader_id=first)
    assert (cap["limit"], cap["cap_date"]) == ("2500.5000", "2026-11-20")
    call(member, "DELETE", caps, subtrader_id=first)
    assert member.call("GET", caps, subtrader_id=first).status_code == 404
    for category in ("Sports", "Crypto", "Sports"):
        call(member, "PUT", blocks, {"subtrader_id": first, "category": category, "blocked": True})
    assert call(member, "GET", blocks, subtrader_id=first) == {"categories": ["Crypto", "Sports"]}
    call(member, "PUT", blocks, {"subtrader_id": first, "category": "Crypto", "blocked": False})
    assert call(member, "GET", blocks, subtrader_id=second) == {"categories": []}
    move = {
        "source_subtrader_id": first, "target_subtrader_id": second, "market_ticker": WEATHER, "position_centicount": 300,
        "price_centicents": 4200,
    }  # fmt: skip
    call(member, "POST", "/fcm/positions/transfers", move)
    rows = call(member, "GET", "/fcm/positions", subtrader_id=second)["market_positions"]
    assert [(row["ticker"], row["position_fp"], row["market_exposure_dollars"]) for row in rows] == [
        (WEATHER, "3.00", "1.260000")
    ]
    assert [row["position_fp"] for row in call(member, "GET", "/fcm/positions")["market_positions"]] == [
        "3.00",
        "-3.00",
    ]
    call(member, "GET", "/fcm/orders", subtrader_id=first, status="resting", limit=5)
    call(member, "GET", "/fcm/fills")


def test_unsigned_calls_are_refused(exchange: sim.Exchange, client: httpx.Client, contract: Any) -> None:
    """Without a key each of these endpoints, batches too, answers 401."""
    listed = [key for key, entry in contract.endpoints.items() if entry["family"] in {"communications", "fcm"}]
    for method, path in [*listed, ("GET", BATCHES), ("POST", f"{BATCHES}/x/quotes"), ("PUT", f"{BATCHES}/x/accept")]:
        assert client.request(method, exchange.url + path).status_code == 401, path


@pytest.mark.parametrize(
    ("wish", "status", "code"),
    [
        ({"contracts_fp": None}, 400, "invalid_parameters"),
        ({"target_cost_dollars": "5.00"}, 400, "invalid_parameters"),
        ({"contracts_fp": "0"}, 400, "invalid_parameters"),
        ({"contracts_fp": "1.234"}, 400, "invalid_parameters"),
        ({"contracts": 11}, 400, "invalid_parameters"),
        ({"rest_remainder": None}, 400, "invalid_parameters"),
        ({"rest_remainder": "yes"}, 400, "invalid_parameters"),
        ({"market_ticker": None}, 400, "invalid_parameters"),
        ({"market_ticker": "nobody"}, 404, "market_not_found"),
        ({"subaccount": 64}, 400, "invalid_parameters"),
        ({"subaccount": 5}, 400, "invalid_parameters"),
    ],
)
def test_bad_requests_are_refused(
    wish: dict[str, Any], status: int, code: str, exchange: sim.Exchange, client: httpx.Client
) -> None:
    """A size must be given once, the market must be listed, the flag must be said."""
    response = Member(exchange, client).join().call("POST", RFQS, {**ASK, **wish})
    assert (response.status_code, response.json()["error"]["code"]) == (status, code), response.text


def test_bad_quotes_are_refused(asker: Member, maker: Member) -> None:
    """Off the grid, over a dollar together, none at all, on one's own request, on one that is gone."""
    rfq = asker.call("POST", RFQS, ASK).json()["id"]
    for wrong, status in (
        ({"yes_bid": "0.305"}, 400), ({"no_bid": "0.505"}, 400), ({"yes_bid": "0.51"}, 400), ({"yes_bid": "0", "no_bid": "0"}, 400),
        ({"yes_bid": None}, 400), ({"yes_bid": "2"}, 400), ({"yes_bid": 1}, 400), ({"rest_remainder": None}, 400),
        ({"rfq_id": "nobody"}, 404), ({"rfq_id": None}, 400), ({"yes_bid": "-0.10"}, 400),
    ):  # fmt: skip
        assert maker.call("POST", QUOTES, {**OFFER, "rfq_id": rfq, **wrong}).status_code == status, wrong
    assert asker.call("POST", QUOTES, {**OFFER, "rfq_id": rfq}).status_code == 400
    assert maker.call("POST", QUOTES, {**OFFER, "rfq_id": rfq, "yes_bid": "0"}).status_code == 201
    asker.call("DELETE", f"{RFQS}/{rfq}")
    late = maker.call("POST", QUOTES, {**OFFER, "rfq_id": rfq})
    assert (late.status_code, late.json()["error"]["code"]) == (400, "RFQ_CLOSED")


@pytest.mark.parametrize(
    ("path", "params"),
    [
        (RFQS, {"limit": 101}), (RFQS, {"limit": 0}), (RFQS, {"status": "done"}), (RFQS, {"user_filter": "all"}), (RFQS, {"cursor": "x"}),
        (QUOTES, {"limit": 501}), (QUOTES, {"status": "closed"}), (QUOTES, {"min_ts": "now"}), (BLOCKS, {"limit": 101}),
        (BLOCKS, {"status": "open"}), (BATCHES, {"limit": 101}), (BATCHES, {"status": "done"}), ("/fcm/orders", {"limit": 1001}),
        ("/fcm/orders", {"status": "open"}), ("/fcm/positions", {"settlement_status": "x"}), ("/fcm/fills", {"cursor": "x"}),
        ("/fcm/subtraders/blocked_categories", {}), ("/fcm/subtraders/event_contract_daily_cap", {}),
    ],
)  # fmt: skip
def test_bad_questions_are_refused(
    path: str, params: dict[str, Any], exchange: sim.Exchange, client: httpx.Client
) -> None:
    """Limits and words outside the contract's are answered 400."""
    assert Member(exchange, client).join(direct=True).call("GET", path, **params).status_code == 400


def test_unknown_ids_are_not_found(exchange: sim.Exchange, client: httpx.Client) -> None:
    """404 for what nobody has, whatever is asked of it."""
    member = Member(exchange, client).join(tier="prestige", direct=True)
    for method, path, body in (
        ("GET", f"{RFQS}/x", None), ("DELETE", f"{RFQS}/x", None), ("GET", f"{QUOTES}/x", None), ("DELETE", f"{QUOTES}/x", None),
        ("PUT", f"{QUOTES}/x/accept", {"accepted_side": "yes"}), ("PUT", f"{RFQS}/x/quotes/y/confirm", None),
        ("POST", f"{BLOCKS}/x/accept", None), ("GET", f"{BATCHES}/x", None), ("DELETE", f"{BATCHES}/x", None),
        ("PUT", f"{BATCHES}/x/accept", {}), ("GET", f"{BATCHES}/x/best_quotes", None), ("GET", f"{BATCHES}/x/quotes", None),
        ("POST", f"{BATCHES}/x/quotes", {}), ("DELETE", f"{BATCHES}/x/quotes/y", None), ("PUT", f"{BATCHES}/x/quotes/y/confirm", None),
        ("GET", "/fcm/orders?subtrader_id=x", None),
        ("PUT", "/fcm/subtraders/event_contract_daily_cap", {"subtrader_id": "x", "limit": "1"}),
    ):  # fmt: skip
        bare, _, query = path.partition("?")
        given = dict([query.split("=")]) if query else {}
        assert member.call(method, bare, body, **given).status_code == 404, path


def test_block_trades_are_for_their_sides(
    asker: Member, maker: Member, house: sim.Exchange, client: httpx.Client
) -> None:
    """Others may neither propose nor accept nor see; an expired one is done with; a side cannot be two things at once."""
    stranger = Member(house, client).join(tier="prestige")
    wish = {
        "buyer_user_id": _user(asker), "seller_user_id": _user(maker), "market_ticker": WEATHER, "price_centi_cents": 5000,
        "centicount": 100, "maker_side": "yes", "expiration_ts": "2026-11-20T15:01:00Z",
    }  # fmt: skip
    assert stranger.call("POST", BLOCKS, wish).status_code == 403
    for wrong in (
        {"buyer_user_id": "nobody"}, {"price_centi_cents": 0}, {"price_centi_cents": 10_000}, {"centicount": 0}, {"maker_side": "bid"},
        {"expiration_ts": "soon"}, {"expiration_ts": "2026-11-20T15:00:00Z"}, {"expiration_ts": "2026-11-21T15:00:00"},
        {"buyer_subaccount": 0, "buyer_subtrader_id": "x"}, {"seller_subaccount": 64},
    ):  # fmt: skip
        assert asker.call("POST", BLOCKS, {**wish, **wrong}).status_code == 400, wrong
    proposal = asker.call("POST", BLOCKS, wish).json()["block_trade_proposal_id"]
    accept = f"{BLOCKS}/{proposal}/accept"
    assert stranger.call("POST", accept).status_code == 404
    assert stranger.get(BLOCKS)["block_trade_proposals"] == []
    assert asker.call("POST", accept).status_code == 204
    house.advance(61)
    assert maker.call("POST", accept).status_code == 400
    assert [row["status"] for row in maker.get(BLOCKS)["block_trade_proposals"]] == ["expired"]
    limited = Member(house, client).join(tier="prestige", scopes=("read",))
    assert limited.call("POST", BLOCKS, wish).status_code == 403


def test_clearing_is_for_direct_members(exchange: sim.Exchange, client: httpx.Client) -> None:
    """Others are refused with 403; names, amounts and moves are checked."""
    other = Member(exchange, client).join(tier="prestige")
    for path in ("/fcm/subtraders", "/fcm/orders", "/fcm/fills", "/fcm/positions"):
        assert other.call("GET", path).status_code == 403
    member = Member(exchange, client).join(tier="prestige", direct=True)
    name = member.call("POST", "/fcm/subtraders", {"subtrader_suffix": "abc"}).json()["subtrader_id"]
    assert member.call("POST", "/fcm/subtraders", {"subtrader_suffix": "abc"}).status_code == 409
    for suffix in ("", "a-b", "x" * 17, 5):
        assert member.call("POST", "/fcm/subtraders", {"subtrader_suffix": suffix}).status_code == 400
    target = member.call("POST", "/fcm/subtraders", {"subtrader_suffix": "def"}).json()["subtrader_id"]
    move = {
        "source_subtrader_id": name, "target_subtrader_id": target, "market_ticker": WEATHER, "position_centicount": 100,
        "price_centicents": 100,
    }  # fmt: skip
    for wrong, status in (
        ({"position_centicount": 150}, 400), ({"position_centicount": 0}, 400), ({"price_centicents": 50}, 400),
        ({"price_centicents": 10_001}, 400), ({"target_subtrader_id": name}, 400), ({"target_subtrader_id": "x"}, 404),
        ({"market_ticker": "nobody"}, 404),
    ):  # fmt: skip
        assert member.call("POST", "/fcm/positions/transfers", {**move, **wrong}).status_code == status, wrong
    blocks = "/fcm/subtraders/blocked_categories"
    assert member.call("PUT", blocks, {"subtrader_id": name, "category": "Sports"}).status_code == 400


def test_batches_are_asked_answered_and_traded(
    asker: Member, maker: Member, house: sim.Exchange, client: httpx.Client
) -> None:
    """Unverified endpoints: the statuses and keys of the one list that there is, and a trade at the end."""
    rival = Member(house, client).join(tier="prestige")
    children = [{"market_ticker": WEATHER, "contracts_fp": "5.00"}, {"market_ticker": f"{GAME}-POR"}]
    wish = {"children": children, "contracts_fp": "3", "client_batch_id": "mine", "rest_remainder": False}
    made = asker.call("POST", BATCHES, wish)
    assert (made.status_code, set(made.json()["rfq_batch"])) == (201, BATCH)
    batch = made.json()["rfq_batch"]["id"]
    assert asker.call("POST", BATCHES, wish).json() == made.json()
    path = f"{BATCHES}/{batch}"
    best = asker.get(f"{path}/best_quotes")["best_quotes"]
    assert (set(best), best["yes_complete"], best["status"]) == (BEST, False, "open")
    rfqs = [row["rfq_id"] for row in best["rfqs"]]
    assert [row["contracts_fp"] for row in maker.get(RFQS)["rfqs"]] == ["3.00", "5.00"]
    low = {"quotes": [{"rfq_id": rfq, "yes_bid": "0.20", "no_bid": "0"} for rfq in rfqs], "rest_remainder": False}
    high = {"quotes": [{"rfq_id": rfqs[0], "yes_bid": "0.25", "no_bid": "0.60"}], "rest_remainder": False}
    ids = [member.call("POST", f"{path}/quotes", body).json()["id"] for member, body in ((maker, low), (rival, high))]
    assert [row["id"] for row in asker.get(f"{path}/quotes")["batch_quotes"]] == ids
    assert [row["id"] for row in rival.get(f"{path}/quotes")["batch_quotes"]] == ids[1:]
    best = asker.get(f"{path}/best_quotes")["best_quotes"]
    assert set(best["rfqs"][0]) == BEST_ROW
    assert [row["yes_bid_dollars"] for row in best["rfqs"]] == ["0.2500", "0.2000"]
    assert (best["yes_complete"], best["no_complete"], best["version"]) == (True, False, 3)
    bids = [{"rfq_id": rfq, "bid_dollars": "0.20"} for rfq in rfqs]
    assert asker.call("PUT", f"{path}/accept", {"accepted_side": "no", "min_bids": bids}).status_code == 400
    too_much = [{"rfq_id": rfqs[1], "bid_dollars": "0.21"}]
    assert asker.call("PUT", f"{path}/accept", {"accepted_side": "yes", "min_bids": too_much}).status_code == 400
    single = rival.get(QUOTES)["quotes"][0]["id"]
    assert asker.call("PUT", f"{QUOTES}/{single}/accept", {"accepted_side": "yes"}).status_code == 400
    taken = asker.call("PUT", f"{path}/accept", {"accepted_side": "yes", "min_bids": bids})
    assert taken.json() == {"accepted_side": "yes", "quotes": [{"id": one} for one in ids]}
    assert asker.get(path)["rfq_batch"]["status"] == "accepted"
    assert rival.call("PUT", f"{path}/quotes/{ids[1]}/confirm").status_code == 204
    house.advance(16)
    assert asker.get("/portfolio/fills")["fills"] == []
    assert maker.call("PUT", f"{path}/quotes/{ids[0]}/confirm").status_code == 204
    house.advance(15)
    found = {row["ticker"]: row["position_fp"] for row in asker.get("/portfolio/positions")["market_positions"]}
    assert found == {WEATHER: "-5.00", f"{GAME}-POR": "-3.00"}
    assert asker.get(path)["rfq_batch"]["status"] == "closed"
    assert [row["status"] for row in asker.get(BATCHES, status="closed")["rfq_batches"]] == ["closed"]
    assert asker.call("DELETE", path).status_code == 404


def test_a_batch_lapses_as_a_whole(asker: Member, maker: Member, house: sim.Exchange, client: httpx.Client) -> None:
    """One maker that does not confirm ends what the others confirmed; the batch is open again, and can be withdrawn."""
    rival = Member(house, client).join(tier="prestige")
    children = [{"market_ticker": WEATHER}, {"market_ticker": f"{GAME}-POR"}]
    path = f"{BATCHES}/{asker.call('POST', BATCHES, {'children': children, 'contracts_fp': '2'}).json()['rfq_batch']['id']}"
    rfqs = [row["rfq_id"] for row in asker.get(f"{path}/best_quotes")["best_quotes"]["rfqs"]]
    ids = []
    for member, rfq in ((maker, rfqs[0]), (rival, rfqs[1])):
        body = {"quotes": [{"rfq_id": rfq, "yes_bid": "0.10", "no_bid": "0.10"}], "rest_remainder": False}
        ids.append(member.call("POST", f"{path}/quotes", body).json()["id"])
    bids = [{"rfq_id": rfq, "bid_dollars": "0.10"} for rfq in rfqs]
    assert asker.call("PUT", f"{path}/accept", {"accepted_side": "no", "min_bids": bids}).status_code == 200
    assert maker.call("PUT", f"{path}/quotes/{ids[0]}/confirm").status_code == 204
    assert maker.call("DELETE", f"{path}/quotes/{ids[0]}").status_code == 400
    assert asker.call("DELETE", path).status_code == 400
    house.advance(30)
    assert asker.get(path)["rfq_batch"]["status"] == "open"
    assert {row["cancellation_reason"] for row in asker.get(QUOTES)["quotes"]} == {"not_confirmed"}
    assert asker.get(f"{path}/quotes")["batch_quotes"] == []
    again = rival.call(
        "POST",
        f"{path}/quotes",
        {"quotes": [{"rfq_id": rfqs[1], "yes_bid": "0.10", "no_bid": "0"}], "rest_remainder": True},
    )
    assert rival.call("DELETE", f"{path}/quotes/{again.json()['id']}").status_code == 204
    assert asker.call("DELETE", path).status_code == 204
    assert asker.get(RFQS, status="open")["rfqs"] == []


def test_a_batch_may_make_its_combos(asker: Member, maker: Member) -> None:
    """A child of legs gets a market; children of neither or both kinds are refused, and nothing is left open."""
    events = asker.get("/events", status="open", with_nested_markets="true")["events"]
    legs = [
        {"event_ticker": event["event_ticker"], "market_ticker": event["markets"][0]["ticker"], "side": "no"}
        for event in events[:3]
    ]
    child = {"selected_markets": legs, "target_cost_dollars": "20"}
    wish = {"children": [child], "mve_collection_ticker": "KXMVECROSSCATEGORY-R"}
    made = asker.call("POST", BATCHES, wish)
    assert made.status_code == 201, made.text
    (rfq,) = maker.get(RFQS)["rfqs"]
    assert (rfq["mve_selected_legs"], rfq["target_cost_dollars"]) == (legs, "20.0000")
    for wrong in (
        {"children": []}, {"children": [{}]}, {"children": [{**child, "market_ticker": WEATHER}]}, {"mve_collection_ticker": "x"},
        {"client_batch_id": "x" * 65}, {"children": [{"market_ticker": WEATHER}]},
    ):  # fmt: skip
        assert asker.call("POST", BATCHES, {**wish, **wrong}).status_code == 400, wrong
    twice = {"children": [{"market_ticker": WEATHER}] * 2, "contracts_fp": "1"}
    assert asker.call("POST", BATCHES, twice).status_code == 400
    assert len(maker.get(RFQS, status="open")["rfqs"]) == 1


def test_the_log_keeps_what_was_sent(house: sim.Exchange, asker: Member) -> None:
    """Writes are in the request log with their bodies and keys."""
    house.reset_log()
    rfq = asker.call("POST", RFQS, ASK).json()["id"]
    asker.call("DELETE", f"{RFQS}/{rfq}")
    first, second = house.requests()
    assert (first["method"], first["path"], first["body"], first["key"]) == ("POST", RFQS, ASK, asker.key)
    assert (second["method"], second["status"], "body" in second) == ("DELETE", 204, False)


def test_every_operation_has_an_answer() -> None:
    """All operations of the contract and the ten unverified ones are routes of the exchange; those with a key are signed ones."""
    document = json.loads((Path(__file__).parents[1] / "contract.json").read_text(encoding="utf-8"))
    world = World(open_markets=100, history_days=0)
    clock = VirtualClock(microseconds(world.start), "frozen")
    served = Application(Api(world, clock.now), clock, Bucket(100.0)).routes
    signed = {
        (method, route.path.removeprefix(PREFIX)): isinstance(route, Signed)
        for route in served
        for method in route.methods or ()
    }
    wanted = [*document["endpoints"], *document["unverified_endpoints"]]
    assert len(wanted) == 128
    assert [(one["method"], one["path"]) for one in wanted if (one["method"], one["path"]) not in signed] == []
    assert [one["path"] for one in wanted if signed[one["method"], one["path"]] != one["auth"]] == []
