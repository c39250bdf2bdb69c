"""Every private endpoint over HTTP: its answer has the contract's keys and formats, its status, and its errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from tests.sim.desk.conftest import ORDER, WEATHER, Member, pem

if TYPE_CHECKING:
    import httpx

    from kalshi_lab import sim

FAMILIES = {"orders", "order_groups", "portfolio", "account", "api_keys"}
ARCHIVE = {"/historical/orders", "/historical/fills", "/historical/positions"}
ID = "00000000-0000-4000-8000-00000000000{}"


def contract_of() -> list[dict[str, Any]]:
    document = json.loads((Path(__file__).parents[2] / "contract.json").read_text(encoding="utf-8"))
    return [one for one in document["endpoints"] if one["family"] in FAMILIES or one["path"] in ARCHIVE]


class Checked:
    """Calls endpoints by their route and holds each answer against the contract."""

    def __init__(self, member: Member, contract: Any) -> None:
        self.member, self.contract = member, contract
        self.tried: set[tuple[str, str]] = set()

    def __call__(
        self, method: str, route: str, body: Any = None, *, of: dict[str, str] | None = None, **query: Any
    ) -> Any:
        response = self.member.call(method, route.format(**(of or {})), body, **query)
        entry = self.contract.endpoints[method, route]
        assert response.status_code == entry["status"], (method, route, response.text)
        self.tried.add((method, route))
        if entry["response"] is None:
            assert response.content == b""
            return None
        if entry["response"] == "object":
            assert response.json() == {}
            return {}
        assert self.contract.problems(entry["response"], response.json()) == []
        return response.json()


def test_every_endpoint_keeps_the_contract(market: sim.Exchange, member: Member, contract: Any) -> None:
    """A day of a member: each endpoint of the private families once at least, its status, keys, types and formats."""
    call = Checked(member, contract)
    orders, groups = "/portfolio/events/orders", "/portfolio/order_groups"
    taken = call("POST", orders, {**ORDER, "price": "0.38", "client_order_id": "one"})
    assert (taken["fill_count"], taken["average_fill_price"], taken["average_fee_paid"]) == (
        "10.00",
        "0.3800",
        "0.0165",
    )
    group = {"order_group_id": call("POST", f"{groups}/create", {"contracts_limit": 5})["order_group_id"]}
    resting = call("POST", orders, {**ORDER, "order_group_id": group["order_group_id"]})
    of = {"order_id": resting["order_id"]}
    assert call("GET", "/portfolio/orders/{order_id}", of=of)["order"]["order_group_id"] == group["order_group_id"]
    assert call("GET", f"{groups}/{{order_group_id}}", of=group)["orders"] == [of["order_id"]]
    call("GET", "/portfolio/orders/{order_id}/queue_position", of=of)
    assert len(call("GET", "/portfolio/orders/queue_positions", market_tickers=WEATHER)["queue_positions"]) == 1
    call(
        "POST", f"{orders}/{{order_id}}/amend", {"ticker": WEATHER, "side": "bid", "price": "0.02", "count": "8"}, of=of
    )
    left = call("POST", f"{orders}/{{order_id}}/decrease", {"reduce_by": "2.50"}, of=of)
    assert left["remaining_count"] == "5.50"
    call("GET", "/portfolio/summary/total_resting_order_value")
    call("PUT", f"{groups}/{{order_group_id}}/limit", {"contracts_limit_fp": "7.50"}, of=group)
    call("PUT", f"{groups}/{{order_group_id}}/trigger", {}, of=group)
    call("PUT", f"{groups}/{{order_group_id}}/reset", of=group)
    assert call("GET", groups)["order_groups"][0]["contracts_limit_fp"] == "7.50"
    call("DELETE", f"{groups}/{{order_group_id}}", of=group)
    batch = call("POST", f"{orders}/batched", {"orders": [ORDER, {**ORDER, "price": "0.015"}, {**ORDER, "count": "0"}]})
    assert [("error" in one) for one in batch["orders"]] == [False, True, True]
    named = {"order_id": batch["orders"][0]["order_id"]}
    gone = call("DELETE", f"{orders}/batched", {"orders": [named, {"order_id": ID.format(1)}]})
    assert [one["reduced_by"] for one in gone["orders"]] == ["10.00", "0.00"]
    again = call("POST", orders, {**ORDER, "expiration_time": 1_795_190_000})
    call("DELETE", f"{orders}/{{order_id}}", of=again)
    call("POST", orders, ORDER)
    call("DELETE", orders)
    assert len(call("GET", "/portfolio/orders")["orders"]) == 5
    assert [row["status"] for row in call("GET", "/portfolio/orders", status="executed")["orders"]] == ["executed"]
    _money(call)
    _account(call)
    assert call("GET", "/portfolio/positions")["market_positions"][0]["position_fp"] == "10.00"
    market.advance(3 * 86_400)
    assert len(call("GET", "/portfolio/settlements")["settlements"]) == 1
    assert call("GET", "/portfolio/positions")["market_positions"] == []
    assert len(call("GET", "/portfolio/positions", settlement_status="settled")["market_positions"]) == 1
    market.advance(60 * 86_400)
    for path, key in (("orders", "orders"), ("fills", "fills"), ("positions", "market_positions")):
        assert call("GET", f"/historical/{path}")[key] != []
        assert call("GET", f"/portfolio/{path}")[key] == []
    missed = {(one["method"], one["path"]) for one in contract_of()} - call.tried
    assert missed == {("GET", "/account/endpoint_costs")}


def _money(call: Checked) -> None:
    call("POST", "/portfolio/subaccounts", {})
    transfer = {"client_transfer_id": ID.format(2), "from_subaccount": 0, "to_subaccount": 1, "amount_cents": 12_345}
    call("POST", "/portfolio/subaccounts/transfer", transfer)
    assert call.member.call("POST", "/portfolio/subaccounts/transfer", transfer).status_code == 409
    assert call("GET", "/portfolio/subaccounts/transfers")["transfers"][0]["amount_cents"] == 12_345
    held = call("GET", "/portfolio/subaccounts/balances")["subaccount_balances"]
    assert next(row["balance"] for row in held if row["subaccount_number"] == 1) == "123.4500"
    call("PUT", "/portfolio/subaccounts/netting", {"subaccount_number": 1, "enabled": True})
    configs = call("GET", "/portfolio/subaccounts/netting")["netting_configs"]
    assert [row["enabled"] for row in configs] == [False, True]
    move = {
        "source": "event_contract",
        "destination": "event_contract",
        "amount": 50_000,
        "destination_exchange_shard": 2,
    }
    moved = call("POST", "/portfolio/intra_exchange_instance_transfer", move)
    listed = "/portfolio/intra_exchange_instance_transfers"
    assert call("GET", listed)["transfers"][0]["amount"] == "5.0000"
    call("GET", f"{listed}/{{transfer_id}}", of=moved)
    balance = call("GET", "/portfolio/balance")
    assert balance["balance_breakdown"][2] == {"exchange_index": 2, "balance": "5.0000"}
    assert balance["balance_dollars"] == "9996.0350"
    assert balance["balance"] == 999_603
    shares = [{"exchange_index": 0, "percent": 75}, {"exchange_index": 1, "percent": 25}]
    call("POST", "/portfolio/target_balance_allocation", {"allocations": shares})
    assert call("GET", "/portfolio/target_balance_allocation")["allocations"] == shares
    spread = call("GET", "/portfolio/balance", subaccount=0)["balance_breakdown"]
    assert [row["balance"] for row in spread] == ["7404.4450", "2468.1400", "0.0000", "0.0000"]
    assert call("GET", "/portfolio/deposits")["deposits"][0]["amount_cents"] == 1_000_000
    call("GET", "/portfolio/withdrawals")
    assert call("GET", "/portfolio/fills", ticker=f"{WEATHER},nobody")["fills"][0]["action"] == "buy"


def _account(call: Checked) -> None:
    limits = call("GET", "/account/limits")
    assert limits["write"] == {"refill_rate": 9600, "bucket_capacity": 28_800}
    call("GET", "/account/api_usage_level/volume_progress")
    call("POST", "/account/api_usage_level/upgrade")
    call("POST", "/api_keys", {"name": "own", "public_key": pem(ed25519.Ed25519PrivateKey.generate())})
    made = call("POST", "/api_keys/generate", {"name": "new", "key_type": "ed25519", "scopes": ["read"]})
    assert "PRIVATE KEY" in made["private_key"]
    assert [key["name"] for key in call("GET", "/api_keys")["api_keys"]] == ["default", "own", "new"]
    call("DELETE", "/api_keys/{api_key}", of={"api_key": made["api_key_id"]})


BAD = [
    ({"price": "0.385"}, 400, "invalid_order"),
    ({"price": "0.38555"}, 400, "invalid_parameters"),
    ({"price": "1.00"}, 400, "invalid_order"),
    ({"price": 38}, 400, "invalid_parameters"),
    ({"price": "-0.10"}, 400, "invalid_parameters"),
    ({"count": "0"}, 400, "invalid_order_size"),
    ({"count": "0.001"}, 400, "invalid_parameters"),
    ({"count": "100000", "price": "0.90"}, 400, "insufficient_balance"),
    ({"ticker": "nobody"}, 404, "market_not_found"),
    ({"side": "yes"}, 400, "invalid_parameters"),
    ({"time_in_force": None}, 400, "invalid_parameters"),
    ({"time_in_force": "day"}, 400, "invalid_parameters"),
    ({"self_trade_prevention_type": None}, 400, "invalid_parameters"),
    ({"expiration_time": 1}, 400, "invalid_order"),
    ({"expiration_time": 1_799_999_999, "time_in_force": "immediate_or_cancel"}, 400, "invalid_order"),
    ({"reduce_only": True}, 400, "invalid_order"),
    ({"post_only": True, "price": "0.38"}, 400, "invalid_order"),
    ({"exchange_index": 1}, 400, "invalid_order"),
    ({"order_group_id": "nobody"}, 404, "not_found"),
    ({"subaccount": 5}, 400, "invalid_parameters"),
]  # fmt: skip


def test_bad_orders_are_refused(member: Member) -> None:
    """Each wrong field has its status and its code, and nothing is booked."""
    for wrong, status, code in BAD:
        answer = member.order(**wrong)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), (wrong, answer.text)
    assert member.get("/portfolio/orders")["orders"] == []
    assert member.get("/portfolio/balance")["balance"] == 1_000_000


def test_other_refusals(market: sim.Exchange, member: Member, client: httpx.Client) -> None:
    """A repeated client id, unknown and foreign orders, a closed market, retired endpoints, a body that is no JSON."""
    assert member.order(client_order_id="x").status_code == 201
    again = member.order(client_order_id="x")
    assert (again.status_code, again.json()) == (
        409, {"error": {"code": "order_already_exists", "message": "order already exists"}},
    )  # fmt: skip
    order_id = member.get("/portfolio/orders")["orders"][0]["order_id"]
    other = Member(market, client).join()
    for caller, path in ((member, "/portfolio/orders/nobody"), (other, f"/portfolio/orders/{order_id}")):
        answer = caller.call("GET", path)
        assert (answer.status_code, answer.json()) == (404, {"error": {"code": "not_found", "message": "not found"}})
    path = f"/portfolio/events/orders/{order_id}"
    for body, code in (
        ({"ticker": "T", "side": "bid", "price": "0.01", "count": "1"}, "order_ticker_mismatch"),
        ({"ticker": WEATHER, "side": "ask", "price": "0.01", "count": "1"}, "order_side_mismatch"),
        (
            {"ticker": WEATHER, "side": "bid", "price": "0.01", "count": "1", "client_order_id": "y"},
            "order_id_and_client_order_id_mismatch",
        ),
    ):  # fmt: skip
        assert member.call("POST", f"{path}/amend", body).json()["error"]["code"] == code
    assert member.call("POST", f"{path}/decrease", {}).status_code == 400
    assert member.call("POST", f"{path}/decrease", {"reduce_by": "1", "reduce_to": "1"}).status_code == 400
    assert member.call("DELETE", path).json()["reduced_by"] == "10.00"
    assert member.call("DELETE", path).status_code == 404
    kept = member.order().json()["order_id"]
    market.advance(86_400)
    for answer in (member.order(), member.call("DELETE", f"/portfolio/events/orders/{kept}")):
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "MARKET_INACTIVE")
    retired = [("POST", ""), ("DELETE", "/x"), ("POST", "/x/amend"), ("POST", "/x/decrease"), ("POST", "/batched")]
    for method, tail in retired:
        answer = member.call(method, f"/portfolio/orders{tail}", {})
        assert (answer.status_code, answer.json()["error"]["code"]) == (410, "deprecated_v1_order_endpoint")


def test_orders_page_newest_first(member: Member) -> None:
    """Pages of two go through five orders without a repeat, and end with an empty cursor."""
    made = [member.order(price=f"0.0{number}").json()["order_id"] for number in range(1, 6)]
    found: list[str] = []
    cursor = ""
    for _ in range(3):
        page = member.get("/portfolio/orders", limit=2, **({"cursor": cursor} if cursor else {}))
        found += [row["order_id"] for row in page["orders"]]
        cursor = page["cursor"]
    assert (found, cursor) == (made[::-1], "")


@pytest.mark.parametrize("seed", [7])
def test_same_inputs_give_the_same_ids(client: httpx.Client, seed: int) -> None:
    """Two exchanges of one seed that hear the same requests answer with the same ids and times."""
    from kalshi_lab import sim

    private, answers = ed25519.Ed25519PrivateKey.generate(), []
    for _ in range(2):
        with sim.start(markets=180, history_days=10, clock="frozen", seed=seed) as running:
            member = Member(running, client, private).join()
            answers.append([member.key, member.order(price="0.38").json(), member.get("/portfolio/fills")])
    assert answers[0] == answers[1]
