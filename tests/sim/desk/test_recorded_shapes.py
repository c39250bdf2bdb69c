"""Private answers have the structure of the recorded ones: the same keys, the same way to write numbers and times."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from kalshi_lab import sim
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
