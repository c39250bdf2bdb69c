"""Theses: written down with the prices of their moment, looked at again, and resolved by the exchange's own results."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import polars as pl

from kalshi_lab import frames
from kalshi_lab.errors import UsageError, one_of, unknown
from kalshi_lab.kalshi import params
from kalshi_lab.research.thesis import lookup, versions
from kalshi_lab.research.thesis.record import Thesis, ThesisMarket, is_decided
from kalshi_lab.research.thesis.scoring import Probability
from kalshi_lab.research.thesis.scoring import probability as checked

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from kalshi_lab.clock import Clock
    from kalshi_lab.kalshi.client import AsyncKalshi
    from kalshi_lab.models import Market
    from kalshi_lab.store import Store

ACTIVE, RESOLVED, ABANDONED = "active", "resolved", "abandoned"
_NAME = re.compile(r"^[\w -]{1,64}$")
THESES: dict[str, Any] = {
    "name": pl.String,
    "version": pl.Int64,
    "status": pl.String,
    "created_at": frames.TIME,
    "time": frames.TIME,
    "ticker": pl.String,
    "probability": frames.PRICE,
    "yes_bid": frames.PRICE,
    "yes_ask": frames.PRICE,
    "result": pl.String,
    "settlement_value": frames.PRICE,
    "brier": pl.Float64,
    "market_brier": pl.Float64,
}


async def thesis(
    kalshi: AsyncKalshi,
    store: Store,
    clock: Clock,
    name: str,
    *,
    tickers: str | Iterable[str] | None = None,
    probability: Probability | Mapping[str, Probability] | None = None,
    because: str = "",
    status: str | None = None,
) -> Thesis:
    """Write a thesis down, change it, or look at it.

    With tickers and a probability of YES in [0, 1] (one for all, or one for each ticker) it is kept with the quotes of this moment:
    as a new thesis, which needs a reason in `because`, or as the next version of the one of that name. With the name alone it is
    looked at: while it is active the exchange is asked for its markets, and once each of them has its final result, the thesis is
    resolved by these results, never by a price. status: "abandoned" gives it up, "active" takes it up again.

    Raises UsageError for a probability outside [0, 1], a ticker that the exchange does not know or whose outcome is known
    already, a name that is not kept (with the nearest one), and a thesis that another process changed meanwhile.
    """
    name = _name(name)
    known = next(iter(await versions.latest(store, name)), None)
    found: dict[str, Market] = {}
    if tickers is not None or probability is not None:
        draft = _draft(known or _new(name, clock.now()), because, status)
        found, kept = await _write_down(kalshi, store, clock, draft, _own(tickers, probability))
    elif known is None:
        raise await _no_such(store, name)
    elif because:
        raise UsageError("because= goes with what it explains", hint="Give tickers= and probability= with it")
    elif status is not None:
        kept = await _mark(store, clock, known, status)
    elif known.status == ACTIVE:
        found, kept = await _look(kalshi, store, clock, known)
    else:
        kept = known
    return await _with_path(kalshi, store, clock, kept, found)


async def theses(store: Store) -> pl.DataFrame:
    """All theses at their last version as the store holds them, one row for each market.

    Columns: name, version, status; created_at (of the first version) and time (of this one), Datetime(us, UTC); ticker;
    probability of YES, yes_bid and yes_ask as of when it was written down, Float64; result (null until final) and
    settlement_value; brier (yours) and market_brier (of the mid price then), Float64, null where there is none. A thesis is
    resolved when it is looked at by its name.
    """
    rows = [
        {name: value for name, value in market.row().items() if name in THESES}
        | {name: getattr(each, name) for name in ("name", "version", "status", "created_at", "time")}
        for each in await versions.latest(store)
        for market in each.markets
    ]
    return frames.floats(pl.DataFrame(rows, schema=THESES))


def _new(name: str, now: datetime) -> Thesis:
    """A thesis before its first version."""
    return Thesis(name, 0, ACTIVE, "", now, now, ())


def _name(name: str) -> str:
    tidy = " ".join(unicodedata.normalize("NFC", name).split()) if isinstance(name, str) else ""
    if not _NAME.match(tidy):
        hint = "Use 1 to 64 letters, digits, spaces, dashes and underscores"
        raise UsageError(f"{str(name)[:80]!r} cannot be the name of a thesis", hint=hint)
    return tidy


async def _no_such(store: Store, name: str) -> UsageError:
    names = [each.name for each in await versions.latest(store)]
    if names:
        return unknown("thesis", name, names)
    return UsageError(
        f"there is no thesis {name!r}, nor any other", hint="Write one down with tickers=, probability= and because="
    )


def _own(
    tickers: str | Iterable[str] | None, given: Probability | Mapping[str, Probability] | None
) -> dict[str, Decimal]:
    """The probability for each ticker, in the order of the tickers."""
    if tickers is None or given is None:
        raise UsageError(
            "tickers= and probability= go together", hint="Give both to write a thesis down, neither to look at it"
        )
    names = list(dict.fromkeys(params.tickers(tickers)))
    if not isinstance(given, Mapping):
        return dict.fromkeys(names, checked(given))
    for ticker in given:
        if ticker not in names:
            raise unknown("ticker in probability=", str(ticker), names)
    missing = [ticker for ticker in names if ticker not in given]
    if missing:
        raise UsageError(
            f"probability= says nothing of {', '.join(missing)}", hint="Give one number for all, or one for each ticker"
        )
    return {ticker: checked(given[ticker]) for ticker in names}


def _draft(known: Thesis, because: str, status: str | None) -> Thesis:
    """The thesis as it is to be written down, its markets still to come."""
    if status not in {None, ACTIVE}:
        raise UsageError(
            f"a thesis is written down as active, not as {status!r}", hint="Give status= alone to change it"
        )
    if known.status == RESOLVED:
        raise UsageError(f"thesis {known.name!r} is resolved", hint="Write the new one down under another name")
    because = because.strip() or known.because
    if not because:
        raise UsageError("a thesis needs a reason", hint='Say why you think so: because="..."')
    return replace(known, status=ACTIVE, because=because)


async def _write_down(
    kalshi: AsyncKalshi, store: Store, clock: Clock, draft: Thesis, own: Mapping[str, Decimal]
) -> tuple[dict[str, Market], Thesis]:
    """Keep what is thought now, with the quotes of now; the markets as they were seen, and the thesis."""
    found = await lookup.markets(kalshi, list(own))
    _check_open(own, found)
    now = clock.now()
    markets = tuple(ThesisMarket.of(found[ticker], value, now) for ticker, value in own.items())
    draft = replace(draft, created_at=draft.created_at if draft.version else now, time=now, markets=markets)
    return found, await _keep(store, draft)


def _check_open(tickers: Iterable[str], found: Mapping[str, Market]) -> None:
    """Refuse markets that do not exist, and those whose outcome is known: that would be no forecast."""
    absent = [ticker for ticker in tickers if ticker not in found]
    if absent:
        raise UsageError(
            f"the exchange knows no market {', '.join(absent)}", hint="lab.markets(tickers=...) shows which it knows"
        )
    decided = [f"{market.ticker} ({market.result or market.status})" for market in found.values() if is_decided(market)]
    if decided:
        raise UsageError(
            f"the outcome is known already: {', '.join(decided)}", hint="A thesis is about what is still open"
        )


async def _mark(store: Store, clock: Clock, known: Thesis, status: str) -> Thesis:
    """Change the status by hand; only results resolve."""
    if status == RESOLVED:
        raise UsageError(
            "a thesis is resolved by the exchange's results alone", hint="Look at it by its name once they are there"
        )
    wanted = one_of("status", status, (ACTIVE, ABANDONED))
    if known.status == RESOLVED:
        raise UsageError(f"thesis {known.name!r} is resolved, which is final")
    return known if wanted == known.status else await _keep(store, replace(known, status=wanted, time=clock.now()))


async def _keep(store: Store, thesis: Thesis) -> Thesis:
    kept = await versions.append(store, thesis)
    if kept is None:
        raise UsageError(
            f"thesis {thesis.name!r} was changed meanwhile by another process", hint="Look at it again, then repeat"
        )
    return kept


async def _look(kalshi: AsyncKalshi, store: Store, clock: Clock, known: Thesis) -> tuple[dict[str, Market], Thesis]:
    """The thesis with today's quotes; resolved once every market has its final result."""
    found = await lookup.markets(kalshi, [market.ticker for market in known.markets])
    seen = replace(known, markets=tuple(market.seen(found.get(market.ticker)) for market in known.markets))
    if any(market.result is None for market in seen.markets):
        gaps = tuple(
            f"{market.ticker} (the exchange lists it no longer)"
            for market in seen.markets
            if market.ticker not in found
        )
        return found, replace(seen, gaps=gaps)
    kept = await versions.append(store, replace(seen, status=RESOLVED, time=clock.now()))
    return found, kept or (await versions.latest(store, known.name))[0]


async def _with_path(
    kalshi: AsyncKalshi, store: Store, clock: Clock, kept: Thesis, found: Mapping[str, Market]
) -> Thesis:
    opened = {market.ticker: market.open_time for market in found.values() if market.open_time is not None}
    until = kept.time if kept.status == RESOLVED else clock.now()
    path, gaps = await lookup.path(kalshi, store, kept, until, opened)
    return replace(kept, path=path, gaps=(*kept.gaps, *gaps))
