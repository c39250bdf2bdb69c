"""Theses: written down, researched, looked at again, resolved and scored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kalshi_lab.lab.verbs import Verbs
from kalshi_lab.portal import Facade, blocking
from kalshi_lab.research import thesis as research

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from decimal import Decimal

    import polars as pl

    from kalshi_lab.research import Thesis


class AsyncTheses(Verbs):
    """Think: theses."""

    async def thesis(
        self,
        name: str,
        *,
        tickers: str | Iterable[str] | None = None,
        probability: float | str | Decimal | Mapping[str, float | str | Decimal] | None = None,
        because: str = "",
        status: str | None = None,
    ) -> Thesis:
        """Write a thesis down, or look at one: with tickers and a probability of YES it is kept with the prices of this moment.

        With the name alone it is shown as it stands, and resolved from the exchange's own results once they are there.
        """
        chosen: dict[str, Any] = {"tickers": tickers, "probability": probability, "because": because, "status": status}
        return await research.thesis(self.kalshi, self.store, self.clock, name, **chosen)

    async def theses(self) -> pl.DataFrame:
        """All theses at their latest version, a row for each market: your probability, the price then, the result, Brier scores."""
        return await research.theses(self.store)


class Theses(Facade):
    """The blocking face of `AsyncTheses`."""

    thesis = blocking(AsyncTheses.thesis)
    theses = blocking(AsyncTheses.theses)
