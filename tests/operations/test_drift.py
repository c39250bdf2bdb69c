"""The monthly check of the exchange's answers: silent where they are as the contract says, exact where they are not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import kalshi_lab as kl
from kalshi_lab import sim
from tests.operations import drift, server
from tests.operations.calls import PUBLIC
from tests.operations.contract import answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

RECORDED = ("cockpit/events_nfl_preseason.json", "money_maker/trades.json", "money_maker/exchange_status.json")


@pytest.fixture(scope="module")
def contract_server() -> Iterator[server.ContractServer]:
    with server.ContractServer() as running:
        yield running


@pytest.fixture
def drifted(
    contract_server: server.ContractServer, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, Callable[[Any], Any]], list[tuple[Any, ...]]]:
    """What the check says where the answer to one operation is another than the contract's."""

    def compared(operation: str, change: Callable[[Any], Any]) -> list[tuple[Any, ...]]:
        def changed(name: str) -> Any:
            made = answer(name)
            return (change(made) or made) if name == operation else made

        monkeypatch.setattr(server, "answer", changed)
        with kl.Kalshi(environment="sim", base_url=contract_server.url, attempts=1) as client:
            return drift.drift(client).rows()

    return compared


def test_the_contract_itself_has_not_changed(drifted: Callable[..., list[Any]]) -> None:
    """An exchange that answers with every field of the contract gives an empty frame of the promised columns."""
    assert drifted("", lambda made: made) == []


@pytest.fixture(scope="module")
def simulated() -> Iterator[sim.Exchange]:
    with sim.start(markets=400, history_days=45, clock="frozen") as running:
        yield running


def test_the_simulated_exchange_has_not_drifted(simulated: sim.Exchange) -> None:
    """Each public endpoint of the simulated exchange answers as the contract says."""
    with kl.Kalshi(environment="sim", base_url=simulated.url) as client:
        found = drift.drift(client)
    assert (found.rows(), dict(found.schema)) == ([], drift.SCHEMA)


def _market(made: Any) -> Any:
    return made["markets"][0]


def _second(made: Any) -> None:
    made["markets"].append({name: value for name, value in _market(made).items() if name != "rules_primary"})


CHANGES: list[tuple[Callable[[Any], Any], list[tuple[str, str, int, str]]]] = [
    (lambda made: _market(made).update(brand_new=[1]), [("Market.brand_new", "new", 1, "[1]")]),
    (lambda made: made.update(total=1), [("GetMarketsResponse.total", "new", 1, "1")]),
    (lambda made: _market(made).pop("rules_primary"), [("Market.rules_primary", "gone", 1, "")]),
    (_second, [("Market.rules_primary", "changed: absent", 1, "")]),
    (lambda made: _market(made).update(rules_primary=7), [("Market.rules_primary", "changed: no string", 1, "7")]),
    (lambda made: _market(made).update(can_close_early=1), [("Market.can_close_early", "changed: no boolean", 1, "1")]),
    (
        lambda made: _market(made).update(notional_value_dollars=1.0),
        [("Market.notional_value_dollars", "changed: no string", 1, "1.0")],
    ),
    (
        lambda made: _market(made).update(yes_bid_dollars="42c"),
        [("Market.yes_bid_dollars", "changed: no fixed_point_dollars", 1, '"42c"')],
    ),
    (
        lambda made: _market(made).update(open_time="20/11/2026"),
        [("Market.open_time", "changed: no date-time", 1, '"20/11/2026"')],
    ),
    (lambda made: _market(made).update(status="frozen"), [("Market.status", "changed: a new word", 1, '"frozen"')]),
    (lambda made: _market(made).update(rules_primary=None), [("Market.rules_primary", "changed: null", 1, "null")]),
    (lambda made: _market(made).update(subtitle=None), []),
    (lambda made: _market(made).update(price_ranges={}), [("Market.price_ranges", "changed: no array", 1, "{}")]),
    (lambda made: _market(made)["price_ranges"][0].pop("step"), [("PriceRange.step", "gone", 1, "")]),
    (
        lambda made: made.update(markets=made["markets"] * 3, cursor=None),
        [("GetMarketsResponse.cursor", "changed: null", 1, "null")],
    ),
]


@pytest.mark.parametrize(("change", "expected"), CHANGES)
def test_one_change_is_one_row(change: Callable[[Any], Any], expected: list[tuple[str, str, int, str]]) -> None:
    """A field that is new, gone, of another type, format or word, or null, is named once, with how often and an example."""
    made = answer("get_markets")
    change(made)
    compared = drift.Comparison("get_markets")
    compared.add(json.dumps(made).encode())
    assert compared.rows() == [("get_markets", *row) for row in expected]


def test_all_changes_together_are_told_apart(drifted: Callable[..., list[Any]]) -> None:
    """Five changes of one row are five rows, and no other endpoint is blamed."""

    def change(made: Any) -> None:
        row = made["trades"][0]
        row.update(brand_new=1, is_block_trade="no", taker_book_side="middle", yes_price_dollars=None)
        del row["count_fp"]

    assert [row[1:4] for row in drifted("get_trades", change)] == [
        ("Trade.brand_new", "new", 1),
        ("Trade.count_fp", "gone", 1),
        ("Trade.is_block_trade", "changed: no boolean", 1),
        ("Trade.taker_book_side", "changed: a new word", 1),
        ("Trade.yes_price_dollars", "changed: null", 1),
    ]


def test_what_does_not_answer_is_listed_with_the_reason(simulated: sim.Exchange) -> None:
    """An endpoint without an answer is no proof of anything, and said to be unanswered; the others are compared."""
    simulated.faults("/search/filters_by_sport", status=404)
    with kl.Kalshi(environment="sim", base_url=simulated.url, attempts=1) as client:
        [row] = drift.drift(client).rows()
    assert row[:4] == ("get_filters_for_sports", "", "unanswered", 1)
    assert "404" in row[4]


def test_answers_that_cannot_be_read_are_rows_too(drifted: Callable[..., list[Any]]) -> None:
    """Where nothing is as it was, the check still compares all it gets and does not end in an error."""
    found = drifted("get_trades", lambda _made: ["nothing", "known"])
    assert [row for row in found if row[0] == "get_trades"] == [
        ("get_trades", "GetTradesResponse", "changed: no object", 1, '["nothing", "known"]')
    ]
    assert {row[0] for row in found} == {"get_trades"}


def test_every_public_operation_is_asked(contract_server: server.ContractServer) -> None:
    """None of the public endpoints is left out, and the client sends as before when the check is done."""
    contract_server.asked.clear()
    with kl.Kalshi(environment="sim", base_url=contract_server.url, attempts=1) as client:
        drift.drift(client)
        assert {one.operation for one in contract_server.asked} == PUBLIC.keys()
        contract_server.asked.clear()
        client.exchange.status()
    assert [one.operation for one in contract_server.asked] == ["get_exchange_status"]


@pytest.mark.recordings
def test_what_changed_since_the_recordings_is_found(recordings: Path) -> None:
    """Recorded answers of August and September 2026 differ from today's contract in just what the exchange changed since."""
    read = {name: json.loads((recordings / "rest-current" / name).read_text(encoding="utf-8")) for name in RECORDED}
    events = {"events": read[RECORDED[0]]["events"], "cursor": ""}
    trades, status = read[RECORDED[1]], read[RECORDED[2]]
    found = []
    for operation, body in (("get_events", events), ("get_trades", trades), ("get_exchange_status", status)):
        compared = drift.Comparison(operation)
        compared.add(json.dumps(body).encode())
        found += [row[1:4] for row in compared.rows()]
    assert found == [
        ("EventData.available_on_brokers", "new", 32),
        ("Market.liquidity_dollars", "new", 64),
        ("Market.settlement_bounds_type", "gone", 64),
    ]
