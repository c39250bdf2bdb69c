"""Pages of the market listing made before anybody asks, for benchmarks in which the server must cost nothing."""

from __future__ import annotations

import mmap
import tempfile
from typing import TYPE_CHECKING

import numpy as np
from starlette.datastructures import QueryParams

from kalshi_lab.sim.listing import page
from kalshi_lab.sim.process import PREFIX
from kalshi_lab.sim.queries import Query
from kalshi_lab.sim.wire import encoded

if TYPE_CHECKING:
    from starlette.responses import Response

    from kalshi_lab.sim.api import Api
    from kalshi_lab.sim.draws import Ints

LISTINGS: tuple[dict[str, str], ...] = ({}, {"status": "open"}, {"status": "open", "mve_filter": "exclude"})
LIMIT = 1000
_ROUTE = "/markets"
_Key = tuple[tuple[str, str], ...]


class Pages:
    """The bodies of GET /markets with limit 1000: all markets, the open ones, and those without combos, as they are now.

    Each market is written once, in the order of the listing, to an unnamed temporary file; a page is a few runs of it. So a million
    markets need disk rather than memory, and sending a page copies bytes. The clock does not move them.
    """

    def __init__(self, api: Api, *, squeezed: bool = False) -> None:
        self._api = api
        self.squeezed: dict[str, Response] | None = {} if squeezed else None  # pages gzipped once, by their query
        self._runs: dict[_Key, tuple[bytes, list[tuple[int, int]]]] = {}
        positions = api.listing.markets(Query(QueryParams({})), api.now())
        starts, ends = self._spooled(positions)
        for filters in LISTINGS:
            self._list(filters, positions, starts, ends)

    def __len__(self) -> int:
        return len(self._runs)

    def find(self, path: str, params: QueryParams) -> bytes | None:
        """The body of a request, None when it was not made before."""
        found = self._runs.get(_key(dict(params))) if path == PREFIX + _ROUTE else None
        if found is None:
            return None
        head, runs = found
        return head + b",".join([self._bodies[start:end] for start, end in runs]) + b"]}"

    def _spooled(self, positions: Ints) -> tuple[Ints, Ints]:
        """Write all markets, a comma between neighbours; where each begins and ends."""
        api, lengths = self._api, []
        with tempfile.TemporaryFile() as spool:
            for first in range(0, len(positions), LIMIT):
                rows = api.world.order[positions[first : first + LIMIT]]
                bodies = [encoded(market) for market in api.renderer.markets(rows, api.now())]
                lengths += [len(body) for body in bodies]
                spool.writelines(body + b"," for body in bodies)
            spool.flush()
            self._bodies = mmap.mmap(spool.fileno(), 0, access=mmap.ACCESS_READ)
        ends = np.cumsum(np.array(lengths, dtype=np.int64) + 1) - 1
        return ends - lengths, ends

    def _list(self, filters: dict[str, str], positions: Ints, starts: Ints, ends: Ints) -> None:
        cursor: str | None = None
        wanted = self._api.listing.markets(Query(QueryParams(filters)), self._api.now())
        while cursor != "":
            params = {**filters, "limit": str(LIMIT), **({"cursor": cursor} if cursor else {})}
            chosen, cursor = page(Query(QueryParams(params)), _ROUTE, wanted, LIMIT)
            places = np.searchsorted(positions, chosen)
            breaks = np.flatnonzero(np.diff(places) > 1)
            first, last = places[np.concatenate([[0], breaks + 1])], places[np.concatenate([breaks, [len(places) - 1]])]
            head = encoded({"cursor": cursor, "markets": []})[:-2]
            self._runs[_key(params)] = head, list(zip(starts[first].tolist(), ends[last].tolist(), strict=True))


def _key(params: dict[str, str]) -> _Key:
    return tuple(sorted(params.items()))
