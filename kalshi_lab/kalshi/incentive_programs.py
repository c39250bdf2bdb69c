"""Family incentive_programs: what the exchange pays for quoting and trading certain markets."""

from __future__ import annotations

from typing import Literal, get_args

from kalshi_lab.errors import one_of
from kalshi_lab.kalshi import params
from kalshi_lab.kalshi.family import Family
from kalshi_lab.kalshi.operations import call
from kalshi_lab.kalshi.pages import AsyncPages, paged
from kalshi_lab.models import IncentiveProgram
from kalshi_lab.portal import Facade

PAGE = 10_000
STATUS = Literal["all", "active", "upcoming", "closed", "paid_out"]
TYPE = Literal["all", "liquidity", "volume", "margin_maker_volume", "margin_taker_volume"]


class AsyncIncentivePrograms(Family):
    """Rewards for liquidity and volume."""

    def list(
        self,
        *,
        status: STATUS = "all",
        type: TYPE = "all",  # noqa: A002 - the exchange's word
        description: str | None = None,
        limit: int | None = None,
        max_pages: int | None = None,
    ) -> AsyncPages[IncentiveProgram]:
        """Incentive programs; description: those whose terms are this text."""
        asked = params.given(
            status=one_of("status", status, get_args(STATUS)),
            type=one_of("type", type, get_args(TYPE)),
            incentive_description=description,
        )
        return self._pages(
            IncentiveProgram,
            "incentive_programs",
            call("get_incentive_programs", asked),
            ("id",),
            page=PAGE,
            limit=limit,
            max_pages=max_pages,
        )


class IncentivePrograms(Facade):
    """The blocking face of `AsyncIncentivePrograms`."""

    list = paged(AsyncIncentivePrograms.list)
