"""Listings that span pages: iterate objects, take a frame, or walk the pages as they arrive.

The next page is in flight while this one is decoded, since its cursor is cut out of the bytes first.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar

import msgspec
import polars as pl

from kalshi_lab import frames, objects
from kalshi_lab.door.failures import seen
from kalshi_lab.errors import BadPayload, CursorLoop, StalledPagination
from kalshi_lab.models.fields import Record, columns
from kalshi_lab.portal import Facade, faced

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from kalshi_lab.door import Call, Door, Reply

R = TypeVar("R", bound=Record)
P = ParamSpec("P")
MOST_EMPTY = 3
SHORT = 400  # bytes: a page with a row is longer


@dataclass(frozen=True, slots=True)
class Listing(Generic[R]):
    """What a listing is: the first call, the kind and key of its rows, what makes a row unique, and how large its pages may be."""

    record: type[R]
    key: str
    call: Call
    unique: tuple[str, ...]
    page: int | None = None  # rows a page at most; None where the endpoint is not paginated
    size_name: str = "limit"  # empty where the size of a page cannot be chosen
    beside: tuple[tuple[str, type[Record]], ...] = ()  # other lists of the answer: their keys, and what stands in them


@dataclass(frozen=True, slots=True)
class Arrived:
    """A page as it arrived, and the cursor of the next one (empty at the end)."""

    reply: Reply
    cursor: str


class AsyncPages(Generic[R]):
    """A listing not yet read: `async for` gives objects, `await pages.frame()` one frame of everything.

    `truncated` tells after reading whether more was there than was asked for; `duplicates` counts rows that the exchange sent
    twice, `refused` holds rows that could not be read, `beside` records of another kind that came along.
    """

    def __init__(
        self, door: Door, listing: Listing[R], *, limit: int | None = None, max_pages: int | None = None
    ) -> None:
        self._door = door
        self.listing = listing
        self._limit = limit
        self._max_pages = max_pages
        self.on_reply: Callable[[Reply], None] | None = None  # given each answer as received, in a thread
        self._reset()

    def _reset(self) -> None:
        self.truncated = False
        self.refused: list[frames.Refused] = []
        self._beside: dict[str, dict[Any, Any]] = {key: {} for key, _ in self.listing.beside}
        self._distinct = frames.Distinct(self.listing.unique)
        self._parts: list[pl.DataFrame] = []

    @property
    def duplicates(self) -> int:
        """Rows that the exchange sent twice while the pages shifted."""
        return self._distinct.duplicates

    @property
    def beside(self) -> dict[str, list[Any]]:
        """Records of another kind that came along, by their key in the answer."""
        return {key: list(found.values()) for key, found in self._beside.items()}

    async def arrivals(self, cursor: str = "", *, seen: int = 0) -> AsyncIterator[Arrived]:
        """The pages as they arrive, from a cursor on; raises CursorLoop and StalledPagination after the last good page.

        `seen` is how many rows of a `limit` were read before.
        """
        known, empty, pages = {cursor}, 0, 0
        flight = self._start(cursor, seen)
        try:
            while flight is not None:
                reply = await flight
                flight, pages = None, pages + 1
                rows, cursor = self._count(reply), self._cursor(reply)
                seen, empty = seen + rows, 0 if rows else empty + 1
                looped, stalled = bool(cursor) and cursor in known, empty >= MOST_EMPTY
                enough = self._enough(seen, pages)
                if cursor and not (looped or stalled or enough):
                    flight = self._start(cursor, seen)
                known.add(cursor)
                self.truncated = self.truncated or (enough and bool(cursor))
                yield Arrived(reply, cursor)
                if cursor and not enough:
                    self._stop_if(looped, stalled, reply)
        finally:
            if flight is not None:
                flight.cancel()
                await asyncio.gather(flight, return_exceptions=True)

    def _start(self, cursor: str, seen: int) -> asyncio.Task[Reply] | None:
        if self._limit == 0:
            self.truncated = True
            return None
        listing, call = self.listing, self.listing.call
        if listing.page is not None:
            left = listing.page if self._limit is None else min(listing.page, self._limit - seen)
            size = {listing.size_name: str(left)} if listing.size_name else {}
            call = call.with_params(**size, **({"cursor": cursor} if cursor else {}))
        return asyncio.ensure_future(self._door.send(call))

    def _count(self, reply: Reply) -> int:
        """Whether the page has rows at all; counted exactly only where a limit asks for it."""
        if self._limit is None:
            return 0 if len(reply.body) < SHORT and not _rows(reply, self.listing.key) else 1
        return len(_rows(reply, self.listing.key))

    def _cursor(self, reply: Reply) -> str:
        if self.listing.page is None:
            return ""
        try:
            return frames.next_cursor(reply.body)
        except (ValueError, RecursionError) as error:
            raise bad_payload(reply, str(error)) from None

    def _enough(self, seen: int, pages: int) -> bool:
        return (self._limit is not None and seen >= self._limit) or (
            self._max_pages is not None and pages >= self._max_pages
        )

    def _stop_if(self, looped: bool, stalled: bool, reply: Reply) -> None:
        facts: dict[str, Any] = {
            "request_id": reply.request_id,
            "method": "GET",
            "path": reply.call.path,
            "status": reply.status,
        }
        if looped:
            self.truncated = True
            raise CursorLoop(
                "the pages lead back to a page already read", hint="What came before is kept; ask again later", **facts
            )
        if stalled:
            self.truncated = True
            raise StalledPagination(
                f"{MOST_EMPTY} pages in a row had no rows", hint="What came before is kept; ask again later", **facts
            )

    async def batches(self) -> AsyncIterator[frames.Batch]:
        """The pages as exact frames of new rows, decoded away from the event loop."""
        self._reset()
        async for arrived in self.arrivals():
            if self.on_reply is not None:
                await asyncio.to_thread(self.on_reply, arrived.reply)
            batch = await asyncio.to_thread(decode, self.listing, arrived.reply)
            fresh = self._distinct.fresh(batch.frame)
            self.refused += batch.refused
            self._keep_beside(arrived.reply)
            self._parts.append(fresh)
            yield frames.Batch(fresh, batch.refused, batch.received)

    async def frame(self, *, exact: bool = False) -> pl.DataFrame:
        """Everything as one frame with the columns of the record's field table, then `extra`.

        Prices are Float64 dollars and counts Float64 contracts; `exact=True` gives Decimal(9, 6) and Decimal(18, 2). Times are
        Datetime(us, UTC); nested values are JSON text. The schema is the same for no rows. `.to_pandas()` hands it to pandas.
        """
        async for _ in self.batches():
            pass
        return self.so_far(exact=exact)

    def so_far(self, *, exact: bool = False) -> pl.DataFrame:
        """What arrived, also after an error in the middle of the pages, with the columns of `frame`; see there for dtypes."""
        made = pl.concat([frames.empty(self.listing.record), *self._parts])
        return made if exact else frames.floats(made)

    async def objects(self) -> AsyncIterator[list[R]]:
        """The pages as lists of objects, without those that came before."""
        self._reset()
        async for arrived in self.arrivals():
            made, refused = await asyncio.to_thread(_objects, self.listing, arrived.reply)
            self.refused += refused
            self._keep_beside(arrived.reply)
            yield [item for item in made if self._is_new(item)]

    def _keep_beside(self, reply: Reply) -> None:
        for key, record in self.listing.beside:
            made, refused = _along(record, key, reply)
            keys = [column.name for column in columns(record) if column.required]
            self._beside[key] |= {tuple(getattr(item, name) for name in keys): item for item in made}
            self.refused += refused

    def _is_new(self, item: R) -> bool:
        values = tuple(getattr(item, name) for name in self.listing.unique)
        key = values if len(values) > 1 else values[0]
        new = key not in self._distinct.seen
        self._distinct.seen.add(key)
        self._distinct.duplicates += not new
        return new

    async def __aiter__(self) -> AsyncIterator[R]:
        async for page in self.objects():
            for item in page:
                yield item

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.listing.record.__name__} from {self.listing.call.path}>"


class Pages(Facade, Generic[R]):
    """The blocking face of `AsyncPages`: iterate objects, or take `.frame()`."""

    _twin: AsyncPages[R]

    def __iter__(self) -> Iterator[R]:
        walk = self._twin.objects()
        while (page := self._call(_next(walk))) is not None:
            yield from page

    def frame(self, *, exact: bool = False) -> pl.DataFrame:
        """Everything as one frame; see `AsyncPages.frame`."""
        return self._call(self._twin.frame(exact=exact))

    def so_far(self, *, exact: bool = False) -> pl.DataFrame:
        """What arrived, also after an error in the middle of the pages, with the columns of `frame`; see there for dtypes."""
        return self._twin.so_far(exact=exact)

    @property
    def truncated(self) -> bool:
        """Whether more was there than was read."""
        return self._twin.truncated

    @property
    def duplicates(self) -> int:
        """Rows that the exchange sent twice while the pages shifted."""
        return self._twin.duplicates

    @property
    def refused(self) -> list[frames.Refused]:
        """Rows that could not be read, with the reason."""
        return self._twin.refused

    @property
    def beside(self) -> dict[str, list[Any]]:
        """Records of another kind that came along, by their key in the answer."""
        return self._twin.beside

    def __repr__(self) -> str:
        return repr(self._twin).replace("AsyncPages", "Pages")


async def _next(walk: AsyncIterator[list[R]]) -> list[R] | None:
    return await anext(walk, None)


def paged(method: Callable[Concatenate[Any, P], AsyncPages[R]]) -> faced[P, Pages[R]]:
    """A method that gives AsyncPages, as one of the blocking class that gives Pages."""
    return faced(method, Pages)


def decode(listing: Listing[Any], reply: Reply) -> frames.Batch:
    """A page as an exact frame; BadPayload where it is no page of this listing."""
    _check_once(reply, listing.key)
    try:
        return frames.decode(listing.record, reply.body, listing.key)
    except (ValueError, RecursionError, BadPayload) as error:
        raise unread(reply, error) from None


def some(listing: Listing[Any], reply: Reply, only: tuple[str, ...]) -> pl.DataFrame | None:
    """Some columns of a page; None where any of them is odd, or the page itself, of which `decode` tells more."""
    _check_once(reply, listing.key)
    return frames.some(listing.record, reply.body, listing.key, only)


def _objects(listing: Listing[R], reply: Reply) -> tuple[list[R], tuple[frames.Refused, ...]]:
    _check_once(reply, listing.key)
    try:
        return objects.many(listing.record, reply.body, listing.key)
    except (ValueError, RecursionError, BadPayload) as error:
        raise unread(reply, error) from None


def _check_once(reply: Reply, key: str) -> None:
    """Raise BadPayload for a page with two lists of rows: every reader of JSON would drop one of them without a word."""
    if reply.body.count(f'"{key}":'.encode()) > 1 and key in doubled(reply.body):
        raise bad_payload(reply, f"{key!r} stands in it twice")


def doubled(body: bytes) -> list[str]:
    """The keys that some object of a JSON text has twice; none where it is no JSON, which others say better."""
    found: Counter[str] = Counter()

    def look(pairs: list[tuple[str, object]]) -> None:
        if len({name for name, _ in pairs}) < len(pairs):
            found.update(name for name, times in Counter(name for name, _ in pairs).items() if times > 1)

    try:
        json.loads(body, object_pairs_hook=look)
    except (ValueError, RecursionError):
        return []
    return list(found)


def _along(record: type[Record], key: str, reply: Reply) -> tuple[list[Any], tuple[frames.Refused, ...]]:
    """The records under another key of the answer than that of its rows; none where the key is absent."""
    try:
        there = key in msgspec.json.decode(reply.body, type=dict[str, msgspec.Raw])
        return objects.many(record, reply.body, key) if there else ([], ())
    except (ValueError, RecursionError, BadPayload) as error:
        raise unread(reply, error) from None


def _rows(reply: Reply, key: str) -> list[Any]:
    try:
        return list(frames.raw_rows(reply.body, key))
    except (ValueError, RecursionError) as error:
        raise bad_payload(reply, str(error)) from None


def unread(reply: Reply, error: Exception) -> BadPayload:
    """The error for an answer that could not be read because of `error`."""
    if isinstance(error, BadPayload):
        return bad_payload(reply, error.message, hint=error.hint)
    return bad_payload(reply, str(error).replace("\n", " ")[:300])


def bad_payload(
    reply: Reply,
    why: str,
    *,
    hint: str = "The exchange may have changed its format; a newer version of this library may read it",
) -> BadPayload:
    """The error for an answer that is not what the contract says."""
    told, digest = seen(reply.call, reply.body)
    error = BadPayload(
        f"the exchange's answer to {reply.call.operation} is not in the expected form: {why}; {told}",
        hint=hint,
        request_id=reply.request_id,
        method=reply.call.method,
        path=reply.call.path,
        status=reply.status,
        attempts=reply.attempts,
        elapsed=reply.elapsed,
    )
    error.sha256, error.may_have_happened = digest, reply.call.method != "GET"
    return error
