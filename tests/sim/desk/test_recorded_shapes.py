"""Private answers have the structure of the recorded ones: the same keys, the same way to write numbers and times."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from kalshi_lab import sim
from kalshi_lab.sim.desk.ledger import Position
from tests.sim.desk.conftest import WEATHER, Member

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

pytestmark = pytest.mark.recordings

# keys that came after the recordings were made, and one that went
ADDED = {"exchange_index", "outcome_side", "book_side", "cancel_order_on_pause"}
GONE = {"resting_orders_count"}
PATTERNS = {
    "money": re.compile(r"-?\d+\.\d{6}"),
    "price": re.compile(r"\d+\.\d{4}"),
    "count": re.compile(r"-?\d+\.\d{2}"),
    "moment": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"),
    "uuid": re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
}


def kind(value: Any) -> str:
    if not isinstance(value, str):
        return type(value).__name__
    return next((name for name, pattern in PATTERNS.items() if pattern.fullmatch(value)), "text")


def shape(row: dict[str, Any]) -> dict[str, str]:
    return {name: kind(value) for name, value in row.items() if name not in ADDED | GONE}


@pytest.fixture(scope="module")
def traded(client: httpx.Client) -> Iterator[Member]:
    """A member who bought, sold part of it, and took an order back."""
    with sim.start(markets=180, history_days=10, clock="frozen") as market:
        yield _story(market, Member(market, client).join(tier="prestige", direct=True))


def _story(market: sim.Exchange, member: Member) -> Member:
    member.order(price="0.38", client_order_id="one")
    member.order(price="0.36", side="ask", count="4.50", time_in_force="immediate_or_cancel", client_order_id="two")
    gone = member.order(client_order_id="three").json()
    market.advance(0.123456)
    member.call("DELETE", f"/portfolio/events/orders/{gone['order_id']}")
    return member


@pytest.mark.parametrize(
    ("name", "path", "key"),
    [("fills", "fills", "fills"), ("orders", "orders", "orders"), ("positions", "positions", "market_positions")],
)
def test_rows_are_written_as_recorded(recordings: Path, traded: Member, name: str, path: str, key: str) -> None:
    """Each row has the keys and formats of the recorded ones; nothing recorded is null, so nothing is null here."""
    recorded = json.loads((recordings / f"rest-current/btc15m_account/{name}.json").read_text(encoding="utf-8"))[key]
    made = traded.get(f"/portfolio/{path}")[key]
    assert {json.dumps(shape(row), sort_keys=True) for row in made} <= {
        json.dumps(shape(row) | ({"client_order_id": "text"} if name == "orders" else {}), sort_keys=True)
        for row in recorded
    }
    assert all(value is not None for row in made for value in row.values())


def test_recorded_fills_make_the_recorded_positions(recordings: Path) -> None:
    """The ledger turns 432 recorded fills into the recorded positions: contracts, cost, profit, money traded."""
    root = recordings / "rest-current/btc15m_account"
    fills = json.loads((root / "fills.json").read_text(encoding="utf-8"))["fills"]
    compared = 0
    for row in json.loads((root / "positions.json").read_text(encoding="utf-8"))["market_positions"]:
        past = [
            fill for fill in fills if fill["ticker"] == row["ticker"] and fill["created_time"] <= row["last_updated_ts"]
        ]
        position = Position(0)
        for fill in sorted(past, key=lambda fill: fill["created_time"]):
            position.trade(whole(fill["yes_price_dollars"], 4), whole(fill["count_fp"], 2), buys=fill["side"] == "yes")
        compared += bool(past)
        assert not past or (position.held, position.cost, position.realized, position.traded) == (
            whole(row["position_fp"], 2), whole(row["market_exposure_dollars"], 6), whole(row["realized_pnl_dollars"], 6),
            whole(row["total_traded_dollars"], 6),
        )  # fmt: skip
    assert compared == 55


def whole(text: str, decimals: int) -> int:
    return int(Decimal(text).scaleb(decimals))


def test_an_order_s_cost_is_at_the_price_of_its_exposure(recordings: Path, traded: Member) -> None:
    """What an order moved is contracts times the price of the side it gains, also where it sells: in all recorded orders, and here."""
    root = recordings / "rest-current/btc15m_account"
    recorded = [json.loads((root / f"{name}.json").read_text(encoding="utf-8"))[name] for name in ("orders", "fills")]
    made = [traded.get(f"/portfolio/{name}")[name] for name in ("orders", "fills")]
    for orders, fills in (recorded, made):
        for order in orders:
            mine = [fill for fill in fills if fill["order_id"] == order["order_id"]]
            cost = sum(Decimal(fill["count_fp"]) * Decimal(fill[f"{fill['side']}_price_dollars"]) for fill in mine)
            if sum(Decimal(fill["count_fp"]) for fill in mine) == Decimal(order["fill_count_fp"]):
                assert Decimal(order["taker_fill_cost_dollars"]) == cost


def test_newer_fills_have_the_direction_words(recordings: Path, traded: Member) -> None:
    """The fills of August 2026 add outcome_side and book_side, which are there."""
    recorded = json.loads(
        (recordings / "rest-current/cockpit/portfolio_fills_redacted.json").read_text(encoding="utf-8")
    )
    expected = set(recorded["payload"]["fills"][0]) | {"exchange_index"}
    assert {frozenset(row) for row in traded.get("/portfolio/fills")["fills"]} == {frozenset(expected)}


def test_closing_fills_name_the_other_side(recordings: Path, traded: Member) -> None:
    """A fill that closes is a sale with the opposite side of its order, as in all recorded ones; one that opens has its order's side."""
    root = recordings / "rest-current/btc15m_account"
    recorded = [json.loads((root / f"{name}.json").read_text(encoding="utf-8"))[name] for name in ("orders", "fills")]
    made = [traded.get(f"/portfolio/{name}")[name] for name in ("orders", "fills")]
    for orders, fills in (recorded, made):
        sides = {row["order_id"]: row["side"] for row in orders}
        same = {(row["action"], row["side"] == sides[row["order_id"]]) for row in fills if row["order_id"] in sides}
        assert same == {("buy", True), ("sell", False)}


def test_write_answers_and_errors_are_as_recorded(recordings: Path, traded: Member) -> None:
    """Order answers are flat with the transcribed keys and formats; 404 and 409 have the recorded bodies."""
    root = recordings / "rest-current"
    shapes = json.loads((root / "order_shapes_synthetic.json").read_text(encoding="utf-8"))
    bodies = {one["status"]: one["body"] for one in json.loads((root / "errors.json").read_text(encoding="utf-8"))}
    filled = traded.order(price="0.38", time_in_force="immediate_or_cancel", client_order_id="four").json()
    resting = traded.order(client_order_id="five")
    gone = traded.call("DELETE", f"/portfolio/events/orders/{resting.json()['order_id']}").json()
    assert shape(filled) == {**shape(shapes["create_ioc_filled_201"]), "client_order_id": "text"}
    assert shape(resting.json()) == {**shape(shapes["create_gtc_resting_201"]), "client_order_id": "text"}
    assert shape({**gone, "client_order_id": ""}) == {**shape(shapes["cancel_200"]), "client_order_id": "text"}
    balance, recorded = traded.get("/portfolio/balance"), shapes["balance_200"]
    assert [kind(balance[name]) for name in recorded] == [kind(recorded[name]) for name in recorded]
    assert [shape(row) for row in balance["balance_breakdown"]] == [shape(row) for row in recorded["balance_breakdown"]]
    assert traded.order(client_order_id="four").json() == bodies[409]
    assert traded.call("GET", "/portfolio/orders/nobody").json()["error"].items() <= bodies[404]["error"].items()
    assert traded.get("/portfolio/positions", ticker=WEATHER)["market_positions"][0]["position_fp"] == "15.50"
