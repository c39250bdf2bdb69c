"""Pages of a member's own lists, newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

from kalshi_lab.sim.listing import page
from kalshi_lab.sim.wire import SECOND

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kalshi_lab.sim.desk.calls import Call
    from kalshi_lab.sim.desk.ledger import Record

_Row = TypeVar("_Row")


def listed(call: Call, path: str, rows: Sequence[_Row], most: int) -> tuple[list[_Row], str]:
    """A page of rows that stand oldest first, and the next cursor."""
    limit = call.limit(1, most, 100)
    chosen, cursor = page(call, path, np.arange(len(rows)), limit, newest_last=True)
    return [rows[place] for place in chosen.tolist()], cursor


def since(call: Call) -> tuple[int, int]:
    """The window of times that a request asks for, in microseconds."""
    low, high = call.number("min_ts") or 0, call.number("max_ts")
    return low * SECOND, (1 << 62) if high is None else high * SECOND + SECOND - 1


def records(call: Call, name: str) -> list[Record]:
    """The caller's records of a kind that the request's window, tickers, subaccount and shard leave."""
    low, high = since(call)
    tickers, order = set(call.several("ticker", 100)), call.text("order_id")
    subaccount, shard = call.subaccount(), call.number("exchange_index")
    return [
        record
        for record in call.account.kept(name)
        if low <= record.at <= high
        and (not tickers or record.body["ticker"] in tickers)
        and order in {"", record.order}
        and subaccount in {None, record.subaccount}
        and shard in {None, record.shard}
    ]
