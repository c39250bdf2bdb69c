"""A look at a listing: every quote in it, and whole rows only of the markets that are not known yet."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import polars as pl

from kalshi_lab import frames
from kalshi_lab.ingest.progress import Progress
from kalshi_lab.ingest.quotes import Look
from kalshi_lab.kalshi.pages import decode, some
from kalshi_lab.store import bodies
from kalshi_lab.store.queries import QUOTE

if TYPE_CHECKING:
    from kalshi_lab.door import Reply
    from kalshi_lab.kalshi.pages import AsyncPages, Listing
    from kalshi_lab.models import Market
    from kalshi_lab.store import Store

ONLY = ("ticker", *QUOTE)


async def look(pages: AsyncPages[Market], store: Store, progress: bool | None) -> Look:
    """Read the listing to its end."""
    known = set() if store.is_new else set((await store.read("SELECT ticker FROM markets")).to_series())
    distinct = frames.Distinct(pages.listing.unique)
    quotes: list[pl.DataFrame] = []
    new: list[pl.DataFrame] = []
    refused: list[frames.Refused] = []
    kept: list[bodies.Body] = []
    with Progress("snapshot", unit="markets", shown=progress) as bar:
        async for arrived in pages.arrivals():
            if store.keep_bodies:
                kept.append(await asyncio.to_thread(bodies.of, arrived.reply, "live", len(kept) + 1))
            # the first page is read whole in any case, so that a field that the exchange adds is noticed
            named = known if quotes else frozenset[str]()
            page, whole = await asyncio.to_thread(_read, pages.listing, arrived.reply, named)
            quotes.append(distinct.fresh(page))
            bar.advance(page.height if whole is None else whole.received)
            if whole is not None:
                refused += whole.refused
                new.append(
                    whole.frame.filter(pl.Series([one not in known for one in page["ticker"]], dtype=pl.Boolean))
                )
    empty = frames.empty(pages.listing.record)
    rows = pl.concat([empty, *new]).unique("ticker", keep="first", maintain_order=True)
    return Look(pl.concat([empty.select(ONLY), *quotes]), rows, refused, kept)


def _read(
    listing: Listing[Market], reply: Reply, known: set[str] | frozenset[str]
) -> tuple[pl.DataFrame, frames.Batch | None]:
    """A page's quotes; and all of it where a market in it is not known, or a quote is odd."""
    if known:
        quotes = some(listing, reply, ONLY)
        if quotes is not None and known.issuperset(quotes.get_column("ticker")):
            return quotes.select(ONLY), None
    whole = decode(listing, reply)
    return whole.frame.select(ONLY), whole
