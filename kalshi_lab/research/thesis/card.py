"""How a thesis looks in a notebook."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from kalshi_lab import markup
from kalshi_lab.models import quote
from kalshi_lab.research.thesis.scoring import plain

if TYPE_CHECKING:
    from decimal import Decimal

    import polars as pl

    from kalshi_lab.research.thesis.record import Thesis, ThesisMarket

HEADER = ("ticker", "market", "your p", "bid / ask then", "edge then", "bid / ask now", "result", "Brier: you / market")
PICTURES = 4


def html(thesis: Thesis) -> markup.Html:
    """The card: the claim, its markets, their price paths, and what is not known."""
    facts = {
        "because": thesis.because,
        "status": f"{thesis.status}, version {thesis.version} of {thesis.time:%Y-%m-%d %H:%M} UTC",
        "created": f"{thesis.created_at:%Y-%m-%d %H:%M} UTC",
        "score": thesis.score().words(),
    }
    rows = [_row(market, looked=thesis.status == "active") for market in thesis.markets]
    gaps = [markup.tag("div", f"Not known: {gap}") for gap in thesis.gaps]
    return markup.card(f"Thesis: {thesis.name}", facts, markup.table(HEADER, rows), *pictures(thesis), *gaps)


def pictures(thesis: Thesis) -> list[markup.Html]:
    """The price paths of the first markets that have one, with your probability and the entry."""
    paths = [(market, thesis.path.filter(ticker=market.ticker)) for market in thesis.markets[:PICTURES]]
    return [_picture(market, path) for market, path in paths if path.height]


def _picture(market: ThesisMarket, path: pl.DataFrame) -> markup.Html:
    price_path = importlib.import_module(
        "kalshi_lab.charts"
    ).price_path  # matplotlib is loaded by the first picture only
    entry = None if market.entry is None else (market.quoted_at, float(market.entry))
    drawn = price_path(path, title=f"{market.title} ({market.ticker})", own=float(market.probability), entry=entry)
    return markup.png(drawn.png(), f"price path of {market.ticker}")


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
