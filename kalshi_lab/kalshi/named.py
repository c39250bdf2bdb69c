"""Markets by their tickers, as many in a request as the exchange takes."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from kalshi_lab.kalshi.markets import BATCH

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kalshi_lab.kalshi.client import AsyncKalshi
    from kalshi_lab.kalshi.pages import AsyncPages
    from kalshi_lab.models import Market

log = logging.getLogger(__name__)


def batches(tickers: Sequence[str]) -> Iterator[list[str]]:
    """The tickers in order, up to 100 at a time."""
    for start in range(0, len(tickers), BATCH):
        yield list(tickers[start : start + BATCH])


async def markets(kalshi: AsyncKalshi, tickers: Sequence[str], *, archived: bool = False) -> dict[str, Market]:
    """The markets by ticker as they stand now, combos too; unknown ones are absent.

    archived: those that are not listed any more are looked for in the archive, with a request more for each hundred.
    """
    found: dict[str, Market] = {}
    for asked in batches(tickers):
        found |= await by_ticker(kalshi.markets.list(tickers=asked, limit=len(asked)))
        gone = [ticker for ticker in asked if ticker not in found] if archived else []
        if gone:
            found |= await by_ticker(kalshi.historical.markets(tickers=gone, limit=len(gone)))
    return found


async def by_ticker(pages: AsyncPages[Market]) -> dict[str, Market]:
    """The markets of a listing; those that could not be read are left out, and told in the log."""
    found = {market.ticker: market async for market in pages}
    for row in pages.refused:
        log.warning("a market was left out, since it could not be read (%s): %.200s", row.reason, row.raw)
    return found
