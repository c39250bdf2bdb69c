"""How a thesis looks in a notebook."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, cast

from kalshi_lab import markup
from kalshi_lab.errors import one_of
from kalshi_lab.models import quote
from kalshi_lab.research.thesis.scoring import plain

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from kalshi_lab.charts import Picture
    from kalshi_lab.research.thesis.record import Thesis, ThesisMarket

HEADER = ("ticker", "market", "your p", "bid / ask then", "edge then", "bid / ask now", "result", "Brier: you / market")
PICTURES, SHOWN = 4, 12
LONGEST = 400  # characters of a passage that are shown
WHAT = "what would change your mind"


def html(thesis: Thesis) -> markup.Html:
    """The card: the claim, its markets, their price paths, the evidence, what would change your mind, and what is not known."""
    rows = [_row(market, looked=thesis.status == "active") for market in thesis.markets]
    gaps = [markup.tag("div", gap if gap.startswith("not ") else f"Not known: {gap}") for gap in thesis.gaps]
    parts = [markup.table(HEADER, rows), *pictures(thesis), *_criteria(thesis), *_evidence(thesis), *gaps]
    return markup.card(f"Thesis: {thesis.name}", _facts(thesis), *parts)


def _facts(thesis: Thesis) -> dict[str, str]:
    said = {"claim": thesis.claim, "because": thesis.because, "bull case": thesis.bull, "bear case": thesis.bear}
    if thesis.confidence is not None:
        said["confidence"] = plain(thesis.confidence)
    said["assumptions"] = "; ".join(thesis.assumptions)
    said["status"] = f"{thesis.status}, version {thesis.version} of {thesis.time:%Y-%m-%d %H:%M} UTC"
    said["note"] = thesis.note
    said["created"] = f"{thesis.created_at:%Y-%m-%d %H:%M} UTC"
    return {name: words for name, words in said.items() if words} | thesis.score().facts()


def _criteria(thesis: Thesis) -> list[markup.Html]:
    """What would change your mind, and how it stands."""
    stands = {one.criterion: one for one in thesis.checks}
    rows = [
        (words, stands[words].verdict, stands[words].detail) if words in stands else (words, "not looked at", "")
        for words in thesis.invalidation
    ]
    warned = [markup.warning(f"Met: {one.criterion} ({one.detail})") for one in thesis.checks if one.verdict == "met"]
    return [*warned, markup.table((WHAT, "stands", "how it was checked"), rows)] if rows else []


def _evidence(thesis: Thesis) -> list[markup.Html]:
    """The evidence, the newest first."""
    if not thesis.evidence:
        return []
    newest = sorted(thesis.evidence, key=lambda one: one.published or one.first_seen, reverse=True)
    rows = [
        (
            one.towards(thesis.markets) or "not judged",
            one.stance or "not judged",
            markup.link(one.title or one.url, one.url or ""),
            one.domain,
            "" if one.published is None else f"{one.published:%Y-%m-%d}",
            (one.passage or "")[:LONGEST],
            one.source,
        )
        for one in newest[:SHOWN]
    ]
    count = len(thesis.evidence)
    more = [markup.tag("div", f"and {count - SHOWN} more: .found()")] if count > SHOWN else []
    return [markup.table(("claim", "speaks for", "evidence", "at", "of", "passage", "brought by"), rows), *more]


def pictures(thesis: Thesis) -> list[markup.Html]:
    """The price paths of the first markets that have one, with what you said of them."""
    drawn = [market.ticker for market in thesis.markets[:PICTURES] if thesis.path.filter(ticker=market.ticker).height]
    return [markup.png(picture(thesis, ticker).png(), f"price path of {ticker}") for ticker in drawn]


def picture(thesis: Thesis, ticker: str | None) -> Picture:
    """One of its markets over time; without a ticker the first whose prices are known."""
    known = [one.ticker for one in thesis.markets if thesis.path.filter(ticker=one.ticker).height]
    wanted = (known or thesis.tickers)[0] if ticker is None else one_of("ticker", ticker, thesis.tickers)
    market = next(one for one in thesis.markets if one.ticker == wanted)
    path = thesis.path.filter(ticker=wanted)
    ends = [*path["time"].to_list(), thesis.time, *([market.ended_at] if market.ended_at else [])]
    paid = None if market.outcome is None else (market.ended_at or max(ends), float(market.outcome))
    groups: dict[str, list[datetime]] = {}
    for one in thesis.evidence:
        if one.ticker in {None, wanted}:
            groups.setdefault(one.towards([market]) or "not judged", []).append(one.published or one.first_seen)
    charts = importlib.import_module("kalshi_lab.charts")  # matplotlib is loaded by the first picture only
    drawn = charts.thesis(
        path, thesis.history.filter(ticker=wanted), title=f"{market.title} ({wanted})", note=_told(thesis, market),
        until=market.ended_at or max(ends), paid=paid, evidence=groups,
    )  # fmt: skip
    return cast("Picture", drawn)


def _told(thesis: Thesis, market: ThesisMarket) -> str:
    entry = "not quoted" if market.entry is None else f"at {plain(market.entry)}"
    paid = "" if market.result is None else f"; {_result(market)}"
    brier = "" if market.brier is None else f", Brier {market.brier:.4f}"
    return f"{thesis.name}: you say {plain(market.probability)}, the market was {entry} when you said it{paid}{brier}"


def _row(market: ThesisMarket, *, looked: bool) -> tuple[object, ...]:
    then = quoted(market.yes_bid, market.yes_ask)
    return (
        market.ticker,
        market.title,
        plain(market.probability),
        then,
        _edge(market),
        _now(market, looked=looked),
        _result(market),
        _brier(market),
    )


def quoted(bid: Decimal | None, ask: Decimal | None) -> str:
    """A quote in words."""
    if bid is None or ask is None or not quote.is_priced(bid, ask):
        return "not quoted on both sides"
    return f"{plain(bid)} / {plain(ask)}"


def _edge(market: ThesisMarket) -> str:
    if market.edge is None:
        return "unknown"
    return f"{plain(market.edge.dollars)} on {market.edge.side.upper()}" if market.edge.side else "none"


def _now(market: ThesisMarket, *, looked: bool) -> str:
    if market.result is not None:
        return "settled"
    if market.status is None:
        return "not listed" if looked else "not looked up"
    return quoted(market.now_bid, market.now_ask) if market.status == "active" else market.status


def _result(market: ThesisMarket) -> str:
    if market.result is None:
        return (
            f"{market.status}, not final" if market.status in {"determined", "disputed", "amended"} else "not settled"
        )
    paid = "" if market.settlement_value is None else f", paid {plain(market.settlement_value)}"
    return f"{market.result}{paid}"


def _brier(market: ThesisMarket) -> str:
    known = ["unknown" if value is None else f"{value:.4f}" for value in (market.brier, market.market_brier)]
    return " / ".join(known)
