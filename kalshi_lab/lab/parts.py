"""Questions that hold something of every event, asked of some events at a time, so that memory does not grow with the trades."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from kalshi_lab.store.connection import fetch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kalshi_lab.store.connection import Connection

KEPT = "SELECT (SELECT count(*) FROM trades) AS trades, (SELECT count(*) FROM results) AS markets"
CUTS = """
SELECT DISTINCT cluster FROM (
    SELECT coalesce(event_ticker, ticker) AS cluster, row_number() OVER (ORDER BY coalesce(event_ticker, ticker)) AS place FROM results
) WHERE place % $1 = 0 ORDER BY cluster
"""
AT_ONCE = 20_000_000  # trades whose events are held at once


class EventPart(NamedTuple):
    """Some events: a condition on the tape's `cluster`, and the question's parameters with its own."""

    where: str
    parameters: list[Any]

    def of(self, tape: str) -> str:
        """The part of a tape."""
        return f"SELECT * FROM ({tape}) AS every WHERE {self.where}"  # noqa: S608 - our own words


def parts_of_events(connection: Connection, parameters: Sequence[Any]) -> list[EventPart]:
    """All events in the order of their names, about AT_ONCE trades in each part; the first has the trades without an event, too.

    A lake's files are sorted by ticker and an event's tickers begin alike, so each part reads a part of them. Events are taken for equally
    large: where one is larger than AT_ONCE trades, so is its part.
    """
    trades, markets = fetch(connection, KEPT).row(0)
    pieces = -(-trades // AT_ONCE)
    cuts = fetch(connection, CUTS, [-(-markets // pieces)])["cluster"].to_list() if pieces > 1 and markets else []
    given = list(parameters)
    if not cuts:
        return [EventPart("true", given)]
    first, second = f"${len(given) + 1}", f"${len(given) + 2}"
    return [
        EventPart(f"cluster IS NULL OR cluster < {first}", [*given, cuts[0]]),
        *(EventPart(f"cluster >= {first} AND cluster < {second}", [*given, *ends]) for ends in pairwise(cuts)),
        EventPart(f"cluster >= {first}", [*given, cuts[-1]]),
    ]
