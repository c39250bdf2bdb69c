"""What counts as a real quote: the one predicate that markets, frames, alerts, theses and scans share.

A YES market is priced when both sides are quoted strictly inside (0, 1) and the bid is below the ask. The exchange shows an empty
side as a bid of 0 or an ask of 1; a mid taken from those is no price.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from decimal import Decimal


def is_priced(bid: Decimal | None, ask: Decimal | None) -> bool:
    """Whether a YES bid and ask, in dollars, are a real two-sided quote."""
    return bid is not None and ask is not None and 0 < bid < ask < 1


def mid(bid: Decimal | None, ask: Decimal | None) -> Decimal | None:
    """The middle of a real quote in dollars; None where there is none."""
    return (bid + ask) / 2 if bid is not None and ask is not None and is_priced(bid, ask) else None


def priced(bid: str = "yes_bid", ask: str = "yes_ask") -> pl.Expr:
    """`is_priced` over the columns of a frame; false where a side is null."""
    low, high = pl.col(bid), pl.col(ask)
    return ((low > 0) & (low < high) & (high < 1)).fill_null(value=False)


def mids(bid: str = "yes_bid", ask: str = "yes_ask") -> pl.Expr:
    """`mid` over the columns of a frame, as Float64 dollars; null where the quote is not real."""
    middle = (pl.col(bid).cast(pl.Float64) + pl.col(ask).cast(pl.Float64)) / 2
    return pl.when(priced(bid, ask)).then(middle).alias("mid")


def priced_sql(bid: str = "yes_bid", ask: str = "yes_ask") -> str:
    """`is_priced` as the text of a condition in SQL, for reductions; null where a side is null."""
    return f"({bid} > 0 AND {bid} < {ask} AND {ask} < 1)"
