"""Candlesticks: a long window in as many requests as it needs, and the answers of all endpoints as one kind of frame."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import msgspec
import polars as pl

from kalshi_lab import frames
from kalshi_lab.clock import between, unix
from kalshi_lab.errors import BadPayload, UsageError
from kalshi_lab.kalshi import params
from kalshi_lab.kalshi.pages import bad_payload, unread
from kalshi_lab.models import Candlestick

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from kalshi_lab.clock import When
    from kalshi_lab.door import Reply

log = logging.getLogger(__name__)
MOST = 10_000  # candlesticks in one answer of the batch endpoint, over all its markets
MOST_ALONE = 5_000  # in one answer about one market, which is what is known to be served
MOST_REQUESTS = 100  # for one frame


def windows(
    since: When, until: When | None, minutes: int, *, now: datetime, most: int, latest_before: bool = False
) -> list[params.Params]:
    """The bounds and the interval of each request, none with more than `most` periods; neighbours share their edge.

    Raises UsageError for an empty window, and for one that would take more than 100 requests.
    """
    first, last = between(since, now if until is None else until, now=now)
    if first is None or last is None:
        raise UsageError("candlesticks need a start", hint='Give since="7d", say')
    start, end, step = unix(first), unix(last), max(most - 2, 1) * minutes * 60
    edges = range(start, max(end, start + 1), step)
    if len(edges) > MOST_REQUESTS:
        raise UsageError(
            f"{(end - start) // (minutes * 60)} periods would take {len(edges)} requests",
            hint="Start later, take a longer interval or fewer markets; lab.sync keeps long histories",
        )
    return [
        params.given(
            start_ts=edge,
            end_ts=min(edge + step, end),
            period_interval=minutes,
            include_latest_before_start=True if latest_before and edge == start else None,
        )
        for edge in edges
    ]


def of_market(reply: Reply, ticker: str, minutes: int) -> frames.Batch:
    """The candlesticks of an answer about one market, from any of the three endpoints, with market and interval filled in."""
    if reply.call.path == "/markets/candlesticks":
        return of_markets(reply, minutes, only=ticker)
    return _whole(reply, [(ticker, _list(reply, reply.body, "candlesticks"))], minutes)


def of_markets(reply: Reply, minutes: int, *, only: str | None = None) -> frames.Batch:
    """The candlesticks of an answer about several markets; `only` names the market where one was asked for."""
    rows = [(_object(reply, raw), raw) for raw in _list(reply, reply.body, "markets")]
    named = [(only or str(row.get("market_ticker")), _list(reply, raw, "candlesticks")) for row, raw in rows]
    return _whole(reply, named, minutes)


class _Market(msgspec.Struct):
    market_ticker: str = ""


class _Markets(msgspec.Struct):
    markets: list[_Market] | None = None


def tickers_in(reply: Reply) -> set[str]:
    """The markets that an answer about several is about; those that the live side does not have are left out of it."""
    try:
        return {row.market_ticker for row in msgspec.json.decode(reply.body, type=_Markets).markets or ()}
    except (ValueError, RecursionError) as error:
        raise unread(reply, error) from None


def of_event(reply: Reply, minutes: int) -> tuple[frames.Batch, int]:
    """The candlesticks of an answer about an event's markets, and the Unix second up to which it goes."""
    answer = _object(reply, reply.body)
    tickers, end = answer.get("market_tickers") or [], answer.get("adjusted_end_ts")
    lists = _list(reply, reply.body, "market_candlesticks")
    if not isinstance(tickers, list) or len(tickers) != len(lists) or type(end) is not int:
        raise bad_payload(
            reply, f"the markets {str(tickers)[:60]} with {len(lists)} lists of candlesticks up to {end!r}"
        )
    try:
        rows = [msgspec.json.decode(raw, type=list[msgspec.Raw] | None) or [] for raw in lists]
    except (ValueError, RecursionError) as error:
        raise unread(reply, error) from None
    return _whole(reply, zip(map(str, tickers), rows, strict=True), minutes), end


def joined(parts: Iterable[frames.Batch]) -> frames.Batch:
    """The candlesticks of several answers, each once, by market and time."""
    found = list(parts)
    rows = pl.concat([frames.empty(Candlestick), *(part.frame for part in found)])
    rows = rows.unique(["ticker", "end_time"], keep="first", maintain_order=True).sort("ticker", "end_time")
    refused = tuple(one for part in found for one in part.refused)
    return frames.Batch(rows, refused, sum(part.received for part in found))


def frame(parts: Iterable[frames.Batch], *, exact: bool) -> pl.DataFrame:
    """The candlesticks of several answers as the frame that a user gets; rows that could not be read are logged."""
    found = joined(parts)
    if found.refused:
        log.warning("%d candlesticks could not be read: %s", len(found.refused), found.refused[0].reason)
    return found.frame if exact else frames.floats(found.frame)


def _whole(reply: Reply, markets: Iterable[tuple[str, list[msgspec.Raw]]], minutes: int) -> frames.Batch:
    """Rows of several markets as one Batch."""
    try:
        return joined(
            frames.rows_to_batch(Candlestick, rows, {"ticker": ticker, "interval_minutes": minutes})
            for ticker, rows in markets
        )
    except (ValueError, RecursionError, BadPayload) as error:
        raise unread(reply, error) from None


def _list(reply: Reply, body: bytes, key: str) -> list[msgspec.Raw]:
    try:
        return frames.raw_rows(body, key)
    except (ValueError, RecursionError) as error:
        raise unread(reply, error) from None


def _object(reply: Reply, body: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (ValueError, RecursionError) as error:
        raise unread(reply, error) from None
