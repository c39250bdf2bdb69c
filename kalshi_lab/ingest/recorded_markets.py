"""Which markets a recording is about: those named, and those of a series or an event, which grow while it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kalshi_lab.errors import UsageError, one_of
from kalshi_lab.kalshi import params
from kalshi_lab.kalshi.named import batches

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kalshi_lab.kalshi.client import AsyncKalshi

CHANNELS = ("orderbook_delta", "trade", "ticker", "market_lifecycle_v2")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be recorded, checked; without markets only what the exchange sends of all of them."""

    channels: tuple[str, ...]
    tickers: tuple[str, ...]
    series: str | None
    event: str | None

    @property
    def grows(self) -> bool:
        """Whether markets that open later belong to it."""
        return bool(self.series or self.event)

    async def markets(self, kalshi: AsyncKalshi) -> list[str]:
        """The markets to begin with: those named, and the open ones of the series or event. UsageError where there are none."""
        found = await self._known(kalshi)
        unknown = [name for name in self.tickers if name not in found]
        if unknown:
            raise UsageError(f"the exchange has no market {', '.join(unknown[:5])}", hint="lab.markets() lists them")
        if self.grows:
            found += [name for name in await self.open_ones(kalshi) if name not in found]
        if self.grows and not found:
            raise UsageError(
                f"no market of {self.series or self.event} is open", hint="Name tickers, or wait until one opens"
            )
        return found

    async def open_ones(self, kalshi: AsyncKalshi) -> list[str]:
        """The markets of the series or event that are open now."""
        named: dict[str, Any] = {"series": self.series, "event": self.event}
        return [market.ticker async for market in kalshi.markets.list(status="open", combos=True, **named)]

    async def _known(self, kalshi: AsyncKalshi) -> list[str]:
        return [name for part in batches(self.tickers) for name in await _listed(kalshi, part)]

    async def belonging(self, kalshi: AsyncKalshi, names: Sequence[str]) -> list[str]:
        """Those of some markets that belong to the series or event, whatever their status."""
        found = []
        for part in batches(names):
            found += await _listed(kalshi, part, series=self.series, event=self.event)
        return found


def wanted(
    tickers: str | Iterable[str] | None, series: str | None, event: str | None, channels: str | Iterable[str]
) -> Wanted:
    """What is to be recorded, checked before anything is sent; UsageError says what is wrong with it."""
    named = (channels,) if isinstance(channels, str) else tuple(channels)
    checked = tuple(dict.fromkeys(one_of("channel", name, CHANNELS) for name in named))
    if not checked:
        raise UsageError("no channel was given", hint=f"Allowed: {', '.join(CHANNELS)}")
    names = () if tickers is None else tuple(dict.fromkeys(params.tickers(tickers)))
    made = Wanted(checked, names, params.filtered(series, "series"), params.filtered(event, "event"))
    if not (names or made.grows) and "orderbook_delta" in checked:
        raise UsageError("no market was given to record", hint='Give tickers=[...], series="KXHIGHNY" or event=...')
    return made


async def _listed(kalshi: AsyncKalshi, names: Sequence[str], **filters: Any) -> list[str]:
    pages = kalshi.markets.list(tickers=names, **filters)
    return [market.ticker async for market in pages]
