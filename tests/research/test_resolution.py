"""Only the exchange's own final results resolve a thesis."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from kalshi_lab.errors import UsageError
from kalshi_lab.portal import PORTAL
from kalshi_lab.research import thesis as research
from tests.research.desk import Desk

if TYPE_CHECKING:
    from pathlib import Path

    from kalshi_lab.research import Thesis
    from tests.research.desk import Exchange

A, B, C = "KXA-1", "KXB-2", "KXC-3"


def written(desk: Desk, exchange: Exchange, probability: Any, *tickers: str) -> Thesis:
    for ticker in tickers:
        exchange.quote(ticker, "0.4000", "0.4200")
    return desk.thesis("claim", tickers=tickers, probability=probability, because="x")


def test_a_price_resolves_nothing(desk: Desk, exchange: Exchange) -> None:
    """A market at 99 cents, closed, or determined but not paid out is not settled."""
    written(desk, exchange, 0.7, A)
    for status, result in (
        ("active", ""),
        ("closed", ""),
        ("determined", "yes"),
        ("disputed", "yes"),
        ("amended", "no"),
    ):
        exchange.quote(
            A, "0.9900", "0.9990", status=status, result=result, settlement_value_dollars="1.0000" if result else None
        )
        seen = desk.thesis("claim")
        assert (seen.status, seen.version, seen.markets[0].result, seen.score().brier) == ("active", 1, None, None)
        assert seen.markets[0].status == status
        assert seen.score().unscored == {A: "not settled"}


def test_final_results_resolve(desk: Desk, exchange: Exchange) -> None:
    """Once every market is final the thesis is resolved as a version of its own, with the known Brier scores."""
    written(desk, exchange, {A: 0.7, B: 0.2}, A, B)
    exchange.settle(A, "yes", "1.0000")
    partly = desk.thesis("claim")
    assert (partly.status, partly.markets[0].result, partly.score().n) == ("active", "yes", 1)
    exchange.settle(B, "no", "0.0000", archive=True)
    desk.later(days=2)
    done = desk.thesis("claim")
    assert (done.status, done.version, done.time) == ("resolved", 2, desk.clock.now())
    score = done.score()
    assert score.brier == pytest.approx((0.3**2 + 0.2**2) / 2)
    assert score.market_brier == pytest.approx((0.59**2 + 0.41**2) / 2)
    assert score.skill == pytest.approx(1 - 0.065 / 0.2581)
    assert desk.theses().get_column("status").to_list() == ["resolved"] * 2
    assert desk.theses().get_column("brier").to_list() == pytest.approx([0.09, 0.04])
    asked = len(exchange.asked("/markets"))
    assert desk.thesis("claim").version == 2
    assert len(exchange.asked("/markets")) == asked, "what is resolved is not asked for again"


def test_scalar_and_void(desk: Desk, exchange: Exchange) -> None:
    """A scalar market is scored against its payout; a void one and one without a payout are not scored, with the reason."""
    written(desk, exchange, 0.5, A, B, C)
    exchange.settle(A, "scalar", "0.250000")
    exchange.settle(B, "", None)
    exchange.settle(C, "scalar", None)
    done = desk.thesis("claim")
    assert done.status == "resolved"
    assert [market.result for market in done.markets] == ["scalar", "void", "scalar"]
    assert [market.brier for market in done.markets] == [Decimal("0.0625"), None, None]
    score = done.score()
    assert (score.n, score.brier) == (1, 0.0625)
    assert score.unscored == {B: "void: neither side won", C: "scalar without a settlement value"}
    assert desk.thesis("claim").score() == score, "the store keeps the difference"


def test_a_market_that_disappears(desk: Desk, exchange: Exchange) -> None:
    """A market that the exchange deleted leaves the thesis active, and that is said."""
    written(desk, exchange, 0.5, A, B)
    exchange.settle(A, "yes", "1.0000")
    del exchange.live[B]
    seen = desk.thesis("claim")
    assert seen.status == "active"
    assert f"{B} (the exchange lists it no longer)" in seen.gaps
    assert "not listed" in seen._repr_html_()


def test_status_by_hand(desk: Desk, exchange: Exchange) -> None:
    """A thesis can be given up and taken up again; resolving is not done by hand, and is final."""
    written(desk, exchange, 0.5, A)
    assert desk.thesis("claim", status="abandoned").version == 2
    assert desk.thesis("claim", status="abandoned").version == 2, "no change, no version"
    exchange.settle(A, "yes", "1.0000")
    assert desk.thesis("claim").status == "abandoned"
    with pytest.raises(UsageError, match="by the exchange's results alone"):
        desk.thesis("claim", status="resolved")
    with pytest.raises(UsageError, match="Did you mean 'abandoned'"):
        desk.thesis("claim", status="abandon")
    assert desk.thesis("claim", status="active").version == 3
    assert desk.thesis("claim").status == "resolved"
    with pytest.raises(UsageError, match="is resolved"):
        desk.thesis("claim", status="abandoned")
    with pytest.raises(UsageError, match="is resolved"):
        desk.thesis("claim", tickers=A, probability=0.1, because="hindsight")
    with pytest.raises(UsageError, match="goes with what it explains"):
        desk.thesis("claim", because="hindsight")


def test_two_lookers_resolve_once(desk: Desk, exchange: Exchange, tmp_path: Path) -> None:
    """Two that look at the same moment write one resolved version between them, and both see it."""
    written(desk, exchange, 0.5, A)
    exchange.settle(A, "yes", "1.0000")
    other = Desk(exchange.url, tmp_path)

    async def both() -> list[Thesis]:
        return await asyncio.gather(
            *(research.thesis(each.kalshi, each.store, each.clock, "claim") for each in (desk, other))
        )

    first, second = PORTAL.call(both())
    other.close()
    assert (first.status, first.version, second.status, second.version) == ("resolved", 2, "resolved", 2)
    assert desk.table("theses").get_column("version").sort().to_list() == [1, 2]


def test_two_writers_lose_nothing(desk: Desk, exchange: Exchange, tmp_path: Path) -> None:
    """Of two that write a version at once, one is kept and the other is told, so that no version is overwritten."""
    written(desk, exchange, 0.5, A)
    other = Desk(exchange.url, tmp_path)

    async def both() -> list[Thesis | BaseException]:
        given: dict[str, Any] = {"tickers": A, "probability": 0.6}
        calls = [research.thesis(each.kalshi, each.store, each.clock, "claim", **given) for each in (desk, other)]
        return await asyncio.gather(*calls, return_exceptions=True)

    answers = PORTAL.call(both())
    other.close()
    versions = desk.table("theses").get_column("version").sort().to_list()
    refused = [answer for answer in answers if isinstance(answer, UsageError)]
    assert versions == list(range(1, len(versions) + 1))
    assert len(versions) + len(refused) == 3
