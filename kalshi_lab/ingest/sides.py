"""Walks over a dataset that is split by a moving cutoff: the live side is read first, then what had left it by the time it was read."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kalshi_lab.errors import BadRequest
from kalshi_lab.ingest.loader import Decoded, Walk
from kalshi_lab.kalshi.pages import Arrived

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from datetime import datetime

    from kalshi_lab.ingest.loader import Part
    from kalshi_lab.kalshi.client import AsyncKalshi
    from kalshi_lab.kalshi.pages import AsyncPages


class MovingCutoff:
    """Where the historical data of a dataset begin, shared by the walks of a run."""

    def __init__(self, kalshi: AsyncKalshi, name: str) -> None:
        self._kalshi, self._name = kalshi, name
        self._turn = asyncio.Lock()
        self._begun = self._answered = 0
        self.at: datetime | None = None  # as last heard

    async def known(self) -> datetime | None:
        """As this run last heard it."""
        return self.at if self._answered else await self.fresh()

    async def fresh(self) -> datetime | None:
        """As it was asked after this call began; walks that ask at the same time share a question."""
        before = self._begun
        async with self._turn:
            if self._answered <= before:
                self._begun += 1
                number = self._begun
                self.at = getattr(await self._kalshi.historical.cutoff(), self._name)
                self._answered = number
        return self.at


@dataclass(frozen=True, slots=True)
class Stage:
    """A listing in a walk; `pages` is asked when its turn comes, and gives None where there is nothing to read."""

    name: str
    pages: Callable[[], Awaitable[AsyncPages[Any] | None]]


def chained(
    name: str, stages: Sequence[Stage], decode: Callable[[Arrived], Decoded], finish: Callable[[], Sequence[Part]]
) -> Walk:
    """One walk through several listings, each begun once the one before it was read to its end.

    So nothing that moves from the first to the next meanwhile is missed. A cursor in the ledger is the stage's name and the exchange's
    own cursor; `finish` gives what is written together with the last page.
    """

    async def pages(cursor: str, _seen: int) -> AsyncIterator[Arrived]:
        begun, _, rest = cursor.partition(":")
        at, listing = await _first(stages, [stage.name for stage in stages].index(begun) if cursor else 0)
        while listing is not None:
            following: tuple[int, AsyncPages[Any] | None] = (len(stages), None)
            async for arrived in _arrivals(listing, rest):
                if arrived.cursor:
                    yield Arrived(arrived.reply, f"{stages[at].name}:{arrived.cursor}")
                else:
                    following = await _first(stages, at + 1)
                    yield Arrived(arrived.reply, f"{stages[following[0]].name}:" if following[1] is not None else "")
            (at, listing), rest = following, ""

    def read(arrived: Arrived) -> Decoded:
        found = decode(arrived)
        return found if arrived.cursor else Decoded((*found.parts, *finish()), found.refused, found.received)

    return Walk(name, pages, read)


async def _first(stages: Sequence[Stage], at: int) -> tuple[int, AsyncPages[Any] | None]:
    """The first stage from a place on that has something to read, and its pages."""
    for place in range(at, len(stages)):
        listing = await stages[place].pages()
        if listing is not None:
            return place, listing
    return len(stages), None


async def _arrivals(listing: AsyncPages[Any], cursor: str) -> AsyncIterator[Arrived]:
    """The pages from a cursor on, or from the beginning where the exchange knows that cursor no longer."""
    begun = False
    try:
        async for arrived in listing.arrivals(cursor):
            begun = True
            yield arrived
    except BadRequest:
        if begun or not cursor:
            raise
        async for arrived in listing.arrivals():
            yield arrived
