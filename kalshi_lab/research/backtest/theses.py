"""Theses as a strategy: each market is bought when its thesis was first held, on the side that was worth more than it cost then."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from kalshi_lab.research.backtest.view import exact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from kalshi_lab.research.backtest.view import Order, View
    from kalshi_lab.store import Store

# the first version that held a market as active: what was thought later is not known then
ENTRIES: Final = """
SELECT name, ticker, min(time) AS time, arg_min(probability, version) AS probability,
       arg_min(yes_bid, version) AS yes_bid, arg_min(yes_ask, version) AS yes_ask
FROM theses JOIN thesis_markets USING (name, version) WHERE status = 'active'
GROUP BY name, ticker ORDER BY time, name, ticker
"""
CENT: Final = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Entry:
    """When a thesis was first held of a market, your probability of YES, and the quote of that moment."""

    name: str
    ticker: str
    time: datetime
    probability: Decimal
    yes_bid: Decimal | None
    yes_ask: Decimal | None


async def entries(store: Store) -> list[Entry]:
    """The entries of all theses, in the order of time."""
    return [Entry(**row) for row in (await store.read(ENTRIES)).to_dicts()]


def quoted(decided: Iterable[Entry]) -> pl.DataFrame:
    """The quotes that theses were written down with, as quotes of the past."""
    rows = [(one.ticker, one.time, one.yes_bid, one.yes_ask) for one in decided]
    price = pl.Decimal(9, 6)
    schema: dict[str, Any] = {"ticker": pl.String, "time": pl.Datetime("us", "UTC"), "yes_bid": price, "yes_ask": price}
    return pl.DataFrame(rows, schema=schema, orient="row")


def planned(decided: Sequence[Entry], stake: Decimal) -> tuple[Callable[[View], Iterable[Order]], list[datetime]]:
    """The strategy, and the moments at which it is asked; `stake` dollars go into each entry."""
    at: defaultdict[datetime, list[Entry]] = defaultdict(list)
    for one in decided:
        at[one.time].append(one)

    def strategy(view: View) -> list[Order]:
        offered = {row[0]: (row[2], row[4]) for row in view.quotes.iter_rows()}
        made = [_order(view, one, *offered.get(one.ticker, (None, None)), stake) for one in at[view.time]]
        return [one for one in made if one is not None]

    return strategy, sorted(at)


def _order(view: View, entry: Entry, bid: float | None, ask: float | None, stake: Decimal) -> Order | None:
    """Buy YES below your probability, NO where its opposite is worth more than one dollar less the bid; None where neither is."""
    yes = None if ask is None or not 0 < ask < 1 else entry.probability - exact(ask, "ask")
    no = None if bid is None or not 0 < bid < 1 else exact(bid, "bid") - entry.probability
    edge, side = max((yes or Decimal(0), "yes"), (no or Decimal(0), "no"))
    if edge <= 0:
        return None
    cost = exact(ask, "ask") if side == "yes" else 1 - exact(bid, "bid")
    count = stake / cost // CENT * CENT
    return (
        view.buy(entry.ticker, count, side="yes" if side == "yes" else "no", limit=cost, reason=entry.name)
        if count
        else None
    )
