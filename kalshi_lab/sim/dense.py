"""A history of many millions of trades that costs next to nothing to serve, for measurements: computed from their numbers, never kept."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
from starlette.datastructures import QueryParams

from kalshi_lab.sim.draws import words
from kalshi_lab.sim.process import PREFIX
from kalshi_lab.sim.queries import Query
from kalshi_lab.sim.render import deal
from kalshi_lab.sim.wire import SECOND, encoded

if TYPE_CHECKING:
    from kalshi_lab.sim.api import Api
    from kalshi_lab.sim.draws import Ints

LIVE, ARCHIVE = "/markets/trades", "/historical/trades"
KINDS = 509  # ways in which trades differ; a prime, so that every market has all of them
MARKETS = 256
_DENSE = 0x4445


class Dense:
    """The answers of both trade endpoints in place of the world's own: `many` trades, evenly over its history up to its start time.

    Number `n` is of one of 256 open markets and stands at its own uneven place within the n-th of as many equal parts of the time. Windows,
    cursors and the cutoff mean what they mean elsewhere.
    """

    squeezed = None  # sent as they are

    def __init__(self, api: Api, many: int, days: int) -> None:
        self._api, self._many = api, many
        self._seed = api.world.seed
        span = days * 86_400 * SECOND
        self._step = span // many
        self._first = int(api.world.start.timestamp()) * SECOND - span
        listed = api.listing.markets(Query(QueryParams({"status": "open"})), api.now())[:MARKETS]
        self._tickers = [api.world.names.market(row) for row in api.world.order[listed].tolist()]
        draws = words(self._seed, _DENSE, 1, np.arange(KINDS)).astype(np.uint64).tolist()
        self._tails = [_tail(draw) for draw in draws]

    def find(self, path: str, params: QueryParams) -> bytes | None:
        """The body of a request for trades, None for any other. Raises Refused as the endpoints do."""
        path = path.removeprefix(PREFIX)
        return self._page(Query(params), path) if path in {LIVE, ARCHIVE} else None

    def _page(self, query: Query, path: str) -> bytes:
        now, limit = self._api.now(), query.limit(0, 1000, 100)
        low, high = query.number("min_ts", 0) or 0, query.number("max_ts")
        cutoff = self._api.world.cutoffs(now)["trades_created_ts"]
        first = low * SECOND if path == ARCHIVE else max(low * SECOND, cutoff)
        last = min(cutoff - 1 if path == ARCHIVE else now, now if high is None else high * SECOND)
        start, end = self._number(first), self._number(last + 1)
        after, ticker = query.position(path), query.text("ticker")
        end = end if after is None else min(end, after)
        chosen = self._chosen(start, end, ticker, limit)
        more = len(chosen) == limit and len(self._chosen(start, int(chosen[-1]), ticker, 1)) > 0
        cursor = query.cursor(path, int(chosen[-1])) if more else ""
        return b'{"cursor":%s,"trades":[%s]}' % (encoded(cursor), ",".join(self._rows(chosen)).encode())

    def _chosen(self, start: int, end: int, ticker: str, limit: int) -> Ints:
        """The numbers of a page, newest first."""
        if not ticker:
            return np.arange(end - 1, max(start, end - limit) - 1, -1, dtype=np.int64)
        if ticker not in self._tickers:
            return np.empty(0, dtype=np.int64)
        place, every = self._tickers.index(ticker), len(self._tickers)
        newest = end - 1 - (end - 1 - place) % every
        return np.arange(newest, start - 1, -every, dtype=np.int64)[:limit]

    def _number(self, time: int) -> int:
        """The first trade at a moment or later."""
        number = min(max((time - self._first) // self._step, 0), self._many)
        while number < self._many and int(self._times(np.array([number]))[0]) < time:
            number += 1
        return number

    def _times(self, numbers: Ints) -> Ints:
        within = words(self._seed, _DENSE, 2, numbers) % np.uint64(self._step)
        return self._first + numbers * self._step + within.astype(np.int64)

    def _rows(self, numbers: Ints) -> list[str]:
        times = np.datetime_as_string(self._times(numbers).astype("datetime64[us]")).tolist()
        tickers, tails = self._tickers, self._tails
        many, seed = len(tickers), f"{self._seed & 0xFFFF:04x}"
        return [
            f'{{"created_time":"{time}Z","ticker":"{tickers[number % many]}","trade_id":"d{number:07x}-{seed}-4{number % 4096:03x}-8000-'
            f'{number:012x}",{tails[number % KINDS]}}}'
            for number, time in zip(numbers.tolist(), times, strict=True)
        ]  # fmt: skip


def _tail(draw: int) -> str:
    """Price, count and taker of one kind of trade, as they stand in its object."""
    price, contracts = 100 + draw % 98 * 100, 100 + (draw >> 8) % 40_000
    said: dict[str, Any] = deal(price, contracts, bool(draw >> 40 & 1), (draw >> 41) % 300 == 0)
    return re.sub(r"^\{|\}$", "", encoded(said).decode())
