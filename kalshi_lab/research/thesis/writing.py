"""Theses: written down with the prices of their moment, changed in versions, and looked at again."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import polars as pl

from kalshi_lab import frames
from kalshi_lab.errors import UsageError, one_of, unknown
from kalshi_lab.kalshi import named as listed
from kalshi_lab.kalshi import params
from kalshi_lab.research.thesis import criteria, evidence, standing, versions
from kalshi_lab.research.thesis.record import Thesis, ThesisMarket, is_decided
from kalshi_lab.research.thesis.scoring import Probability
from kalshi_lab.research.thesis.scoring import probability as checked

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from decimal import Decimal

    from kalshi_lab.clock import Clock
    from kalshi_lab.kalshi.client import AsyncKalshi
    from kalshi_lab.models import Market
    from kalshi_lab.research.thesis.evidence import Evidence
    from kalshi_lab.store import Store

DRAFT, ACTIVE, RESOLVED, ABANDONED = "draft", "active", "resolved", "abandoned"
MOVES = {
    DRAFT: (DRAFT, ACTIVE, ABANDONED),
    ACTIVE: (ACTIVE, ABANDONED),
    ABANDONED: (ABANDONED, ACTIVE),
    RESOLVED: (RESOLVED,),
}
LONGEST, MOST = 20_000, 50  # characters of a text, and assumptions
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is said of a thesis besides its probabilities; None: nothing new."""

    claim: str | None = None
    confidence: Probability | None = None
    bull: str | None = None
    bear: str | None = None
    assumptions: Iterable[str] | None = None
    invalidation: Iterable[str] | None = None
    evidence: Iterable[Mapping[str, Any]] | None = None
    note: str | None = None

    @property
    def named(self) -> list[str]:
        """Which of them are said."""
        return [field.name for field in fields(self) if getattr(self, field.name) is not None]


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
    version: int | None = None,
    **said: Any,
) -> Thesis:
    """Write a thesis down, change it, or look at it.

    With tickers and a probability of YES in [0, 1] (one for all, or one for each ticker) it is kept with the quotes of this moment:
    as a new thesis, which needs a reason in `because`, or as the next version of the one of that name; then a probability alone is
    enough. With the name alone it is looked at, or with as much of the name as no other has: while it is active the exchange is asked
    for its markets, and once each of them has its final result, the thesis is resolved by these results, never by a price.

    status: "draft" is not a forecast yet (it becomes one with the quotes of the moment at which it is made "active"), "abandoned" gives it
    up, "active" takes it up again; what is resolved stays so. The further words are those of `Change`: each is kept as a version.
    `invalidation` is what would change your mind, see `kalshi_lab.research.thesis.criteria`; it is checked at each look and whenever
    evidence comes in, and how it stands is kept as a version where that changes. `evidence` is a list of mappings with url, title,
    passage, published, stance, relevance, ticker, of which url or title is needed; what is known already is not kept twice.
    version: the one that was read before, 0 where there was none; where the last is another, nothing is written.

    Raises UsageError for a probability outside [0, 1], a ticker that the exchange does not know or whose outcome is known
    already, a name that is not kept (with the nearest one) or that begins several (with all of them), a status that cannot follow, and
    a thesis that another process changed meanwhile.
    """
    for word in said:
        one_of("argument", word, [field.name for field in fields(Change)])
    name, change = tidy(name), Change(**said)
    writes = tickers is not None or probability is not None
    known = await _known(store, name, exact=tickers is not None) if writes else await named(store, name)
    if version is not None and version != (known.version if known else 0):
        if version == 0:
            raise UsageError(f"there is a thesis {name!r} already", hint="Open it by its name, or use another one")
        raise standing.changed(name)
    if writes:
        own = _own(tickers, probability, known)
        draft = _draft(known or _new(name, clock.now()), because, status)
        draft, more = _said(draft, change, list(own), clock.now())
        found, draft = await _written(kalshi, clock, draft, own)
        return await standing.settled(kalshi, store, clock, draft, found=found, more=more, wanted=True)
    assert known is not None  # noqa: S101 - said above
    if because:
        raise UsageError("because= goes with what it explains", hint="Give tickers= and probability= with it, or note=")
    return await _changed(kalshi, store, clock, known, status=status, change=change)


async def named(store: Store, name: str) -> Thesis:
    """The thesis of a name, or the only one whose name begins so, as it is kept. Raises UsageError where there is none, or several."""
    name = tidy(name)
    known = await _known(store, name, exact=False)
    if known is None:
        raise await _no_such(store, name)
    return known


async def _changed(
    kalshi: AsyncKalshi, store: Store, clock: Clock, known: Thesis, *, status: str | None, change: Change
) -> Thesis:
    """A change of words or status, or a look."""
    if known.status == RESOLVED and set(change.named) - {"note"}:
        raise UsageError(f"thesis {known.name!r} is resolved", hint="note= is all that can be added")
    draft, more = _said(known, change, known.tickers, clock.now())
    draft = _marked(draft, status)
    wanted = draft is not known or bool(more)
    if wanted and change.note is None:
        draft = replace(draft, note="")  # what was said of the version before
    found: dict[str, Market] = {}
    if standing.is_open(draft):
        found = await listed.markets(kalshi, [*draft.tickers, *standing.others(draft)], archived=True)
    if known.status == DRAFT and draft.status == ACTIVE:
        draft = _quoted(draft, found, clock.now())
    return await standing.settled(kalshi, store, clock, draft, found=found, more=more, wanted=wanted)


async def researched(
    kalshi: AsyncKalshi,
    store: Store,
    clock: Clock,
    known: Thesis,
    rows: Sequence[Mapping[str, Any]],
    *,
    found: Mapping[str, Market],
    cost: Decimal,
) -> Thesis:
    """A thesis with what research found for it, as its next version where any of that is new; its markets as they were seen before."""
    more = evidence.new(known.evidence, evidence.given(rows, known.tickers, clock.now()))
    note = f"Researched for {cost:f} dollars: {len(more)} passages that were not known" if more else None
    draft, more = _said(known, Change(evidence=rows, note=note), known.tickers, clock.now())
    return await standing.settled(kalshi, store, clock, draft, found=found, more=more, wanted=bool(more))


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


def tidy(name: str) -> str:
    """A name as it is kept. Raises UsageError for what cannot be one."""
    found = " ".join(unicodedata.normalize("NFC", name).split()) if isinstance(name, str) else ""
    if not _NAME.match(found):
        hint = "Use 1 to 64 letters, digits, spaces, dashes and underscores"
        raise UsageError(f"{str(name)[:80]!r} cannot be the name of a thesis", hint=hint)
    return found


async def _known(store: Store, name: str, *, exact: bool) -> Thesis | None:
    """The thesis of a name, or, unless one is being written, the only one whose name begins so."""
    found = next(iter(await versions.latest(store, name)), None)
    if found is not None or exact:
        return found
    near = [one for one in await versions.names(store) if one.startswith(name)]
    if len(near) > 1:
        raise UsageError(
            f"{name!r} begins the names of {len(near)} theses: {', '.join(near[:20])}", hint="Give one whole"
        )
    return next(iter(await versions.latest(store, near[0])), None) if near else None


async def _no_such(store: Store, name: str) -> UsageError:
    names = await versions.names(store)
    if names:
        return unknown("thesis", name, names)
    return UsageError(
        f"there is no thesis {name!r}, nor any other", hint="Write one down with tickers=, probability= and because="
    )


def _own(
    tickers: str | Iterable[str] | None,
    given: Probability | Mapping[str, Probability] | None,
    known: Thesis | None,
) -> dict[str, Decimal]:
    """The probability for each ticker, in the order of the tickers; those of a thesis that is kept stay where nothing else is said."""
    kept = {} if known is None or tickers is not None else {one.ticker: one.probability for one in known.markets}
    if given is None or (tickers is None and not kept):
        raise UsageError(
            "tickers= and probability= go together", hint="Give both to write a thesis down, neither to look at it"
        )
    names = list(kept) if tickers is None else list(dict.fromkeys(params.tickers(tickers)))
    if not isinstance(given, Mapping):
        return dict.fromkeys(names, checked(given))
    for ticker in given:
        if ticker not in names:
            raise unknown("ticker in probability=", str(ticker), names)
    own: dict[str, Decimal] = kept | {ticker: checked(value) for ticker, value in given.items()}
    missing = [ticker for ticker in names if ticker not in own]
    if missing:
        raise UsageError(
            f"probability= says nothing of {', '.join(missing)}", hint="Give one number for all, or one for each ticker"
        )
    return {ticker: own[ticker] for ticker in names}


def _draft(known: Thesis, because: str, status: str | None) -> Thesis:
    """The thesis as it is to be written down, its markets still to come."""
    if status not in {None, DRAFT, ACTIVE}:
        raise UsageError(
            f"a thesis is written down as active or as a draft, not as {status!r}",
            hint="Give status= alone to change it",
        )
    if known.status == RESOLVED:
        raise UsageError(f"thesis {known.name!r} is resolved", hint="Write the new one down under another name")
    if status == DRAFT and known.version and known.status != DRAFT:
        raise UsageError(
            f"thesis {known.name!r} is {known.status} and cannot be a draft again", hint="Use another name"
        )
    because = because.strip() or known.because
    if not because:
        raise UsageError("a thesis needs a reason", hint='Say why you think so: because="..."')
    stays = DRAFT if known.version and known.status == DRAFT else ACTIVE
    return replace(known, status=status or stays, because=because, note="")


def _said(known: Thesis, change: Change, tickers: Sequence[str], now: datetime) -> tuple[Thesis, tuple[Evidence, ...]]:
    """The thesis with what is said of it, checked, and the evidence that is new; the very same where nothing is."""
    words: dict[str, Any] = {
        name: _text(name, getattr(change, name)) for name in ("claim", "bull", "bear") if name in change.named
    }
    if change.confidence is not None:
        words["confidence"] = checked(change.confidence, what="confidence")
    if change.assumptions is not None:
        words["assumptions"] = _assumptions(change.assumptions)
    if change.invalidation is not None:
        words["invalidation"] = tuple(one.words for one in criteria.criteria(change.invalidation))
    differs = {name: value for name, value in words.items() if getattr(known, name) != value}
    note = _text("note", change.note) if change.note is not None else ""
    more: tuple[Evidence, ...] = ()
    if change.evidence is not None:
        more = evidence.new(known.evidence, evidence.given(change.evidence, tickers, now))
    if not (differs or note or more):
        return known, ()
    return replace(known, **differs, note=note), more


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise UsageError(f"{name}= is text, not {type(value).__name__}")
    if len(value) > LONGEST:
        raise UsageError(f"{name}= has {len(value):,} characters, more than {LONGEST:,}")
    return value.strip()


def _assumptions(given: Iterable[str]) -> tuple[str, ...]:
    several = [given] if isinstance(given, str) else list(given)
    found = tuple(dict.fromkeys(text for text in (_text("assumptions", one) for one in several) if text))
    if len(found) > MOST:
        raise UsageError(f"{len(found)} assumptions are too many", hint=f"Keep the {MOST} that count")
    return found


async def _written(
    kalshi: AsyncKalshi, clock: Clock, draft: Thesis, own: Mapping[str, Decimal]
) -> tuple[dict[str, Market], Thesis]:
    """What is thought now, with the quotes of now; the markets as they were seen, and the thesis."""
    found = await listed.markets(kalshi, [*own, *standing.others(draft)], archived=True)
    _check_open(own, found)
    now = clock.now()
    markets = tuple(ThesisMarket.of(found[ticker], value, now) for ticker, value in own.items())
    return found, replace(draft, created_at=draft.created_at if draft.version else now, time=now, markets=markets)


def _quoted(draft: Thesis, found: Mapping[str, Market], now: datetime) -> Thesis:
    """A draft that becomes a forecast: with the quotes of this moment, of markets that are still open."""
    _check_open(draft.tickers, found)
    return replace(
        draft, markets=tuple(ThesisMarket.of(found[one.ticker], one.probability, now) for one in draft.markets)
    )


def _check_open(tickers: Iterable[str], found: Mapping[str, Market]) -> None:
    """Refuse markets that do not exist, and those whose outcome is known: that would be no forecast."""
    names = list(tickers)
    absent = [ticker for ticker in names if ticker not in found]
    if absent:
        raise UsageError(
            f"the exchange knows no market {', '.join(absent)}", hint="lab.markets(tickers=...) shows which it knows"
        )
    asked = [found[ticker] for ticker in names]
    decided = [f"{market.ticker} ({market.result or market.status})" for market in asked if is_decided(market)]
    if decided:
        raise UsageError(
            f"the outcome is known already: {', '.join(decided)}", hint="A thesis is about what is still open"
        )


def _marked(known: Thesis, status: str | None) -> Thesis:
    """The thesis with a status that may follow; only results resolve."""
    if status is None:
        return known
    if status == RESOLVED:
        raise UsageError(
            "a thesis is resolved by the exchange's results alone", hint="Look at it by its name once they are there"
        )
    wanted = one_of("status", status, (DRAFT, ACTIVE, ABANDONED))
    if known.status == RESOLVED:
        raise UsageError(f"thesis {known.name!r} is resolved, which is final")
    if wanted not in MOVES[known.status]:
        may = ", ".join(one for one in MOVES[known.status] if one != known.status)
        raise UsageError(
            f"thesis {known.name!r} is {known.status} and cannot become {wanted}", hint=f"It can become {may}"
        )
    return known if wanted == known.status else replace(known, status=wanted)
