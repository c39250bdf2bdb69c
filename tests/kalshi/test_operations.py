"""The table of operations is the exchange's own list, and every operation has its place on both clients."""

from __future__ import annotations

import json
from pathlib import Path

import kalshi_lab as kl
from kalshi_lab.kalshi.operations import table

CONTRACT = json.loads((Path(__file__).parents[1] / "contract.json").read_text(encoding="utf-8"))


def test_the_table_is_the_contract() -> None:
    """118 of 118: method, path, family and need of a key are those of the exchange's own document."""
    ours = {
        (row.operation, row.method, row.path, row.family, not row.public) for row in table().values() if row.verified
    }
    theirs = {(e["operation"], e["method"], e["path"], e["family"], e["auth"]) for e in CONTRACT["endpoints"]}
    assert ours == theirs
    assert len(ours) == 118


def test_the_unverified_ones_are_marked() -> None:
    """The 10 RFQ batch operations, known from another client only, say so."""
    ours = {(row.method, row.path) for row in table().values() if not row.verified}
    assert ours == {(e["method"], e["path"]) for e in CONTRACT["unverified_endpoints"]}
    assert len(ours) == 10


def test_operations_is_a_frame_of_facts() -> None:
    """`operations()` says of each operation where it is, whether it needs a key and what it costs."""
    frame = kl.Kalshi.operations()
    assert frame.columns == ["method", "path", "family", "name", "operation", "public", "cost", "verified"]
    assert frame.height == 128
    assert frame.filter(operation="cancel_order_v2").item(0, "cost") == 2
    assert frame.equals(kl.AsyncKalshi.operations())
