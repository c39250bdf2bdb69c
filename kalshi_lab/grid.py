"""Price grids: which prices a market takes, and the nearest ones that it does.

`price_ranges` of a market decides: bands {start, end, step} in dollars, and a price is valid where it lies in a band and is a whole
number of steps above the band's start (kalshi-api contract, section 7). `price_level_structure` is only a label, and new ones come
without notice, so it is never consulted. That 0 and 1 themselves are no prices is taken for granted here (unverified). A grid may
change while its market trades: make a new one when the lifecycle channel says so.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ValidationError

from kalshi_lab import markup, money
from kalshi_lab.errors import UsageError, one_of
from kalshi_lab.models import Market, PriceRange

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ZERO, ONE, FOUR = Decimal(0), Decimal(1), Decimal("0.0001")


class Grid:
    """The prices that a market takes, in exact dollars, from a `Market` or its `price_ranges`.

    `Grid(market)` or `Grid([{"start": "0.00", "end": "1.00", "step": "0.01"}])`. Where two bands meet, the edge is on both their grids.
    Prices are given as text or Decimal with at most 6 decimals; a seventh decimal, a float (which is not exact) and anything outside
    0 to 1 raise UsageError, as do a market without ranges and ranges that make no sense.
    """

    __slots__ = ("_name", "bands")

    def __init__(self, source: Market | Iterable[PriceRange | Mapping[str, Any]]) -> None:
        self._name = source.ticker if isinstance(source, Market) else "price_ranges"
        ranges = source.price_ranges if isinstance(source, Market) else source
        self.bands = tuple(sorted((_band(band) for band in ranges or ()), key=lambda band: (band.start, band.end)))
        if not self.bands:
            label = source.price_level_structure if isinstance(source, Market) else None
            hint = f"The label {label!r} is only a name, not a rule: ask for the market again" if label else ""
            raise UsageError(f"{self._name}: no price ranges, so its price grid is unknown", hint=hint)

    def valid(self, price: Decimal | str) -> bool:
        """Whether an order may have this price."""
        return self._holds(_price(price))

    def check(self, price: Decimal | str) -> Decimal:
        """The price itself; UsageError with the nearest valid prices below and above where it is not on the grid."""
        asked = _price(price)
        if self._holds(asked):
            return _written(asked)
        near = [f"{found:f}" for found in (self._below(asked), self._above(asked)) if found is not None]
        raise UsageError(f"{self._name} takes no price of {asked:f}", hint=f"Nearest: {' and '.join(near) or 'none'}")

    def snap(self, price: Decimal | str, side: Literal["bid", "ask", "nearest"]) -> Decimal:
        """The valid price next to this one: for a bid at or below it, for an ask at or above it, so that it never pays more.

        >>> kl.Grid([{"start": "0", "end": "1", "step": "0.01"}]).snap("0.425", "bid")
        Decimal('0.4200')

        "nearest" takes the closer of the two, and of two equally near the lower. UsageError where the grid has none on that side.
        """
        asked, word = _price(price), one_of("side", side, ("bid", "ask", "nearest"))
        below = self._below(asked) if word != "ask" else None
        above = self._above(asked) if word != "bid" else None
        found = min((p for p in (below, above) if p is not None), key=lambda p: (abs(p - asked), p), default=None)
        if found is None:
            raise UsageError(f"{self._name} has no price {'below' if word == 'bid' else 'above'} {asked:f}")
        return found

    def ticks(self) -> tuple[Decimal, ...]:
        """All valid prices in dollars, ascending."""
        found = {
            _written(band.start + step * band.step)
            for band in self.bands
            for step in range(int((band.end - band.start) // band.step) + 1)
        }
        return tuple(sorted(found - {ZERO, ONE}))

    def _holds(self, price: Decimal) -> bool:
        return self._below(price) == price

    def _below(self, price: Decimal) -> Decimal | None:
        return max((tick for band in self.bands for tick in _near(band, price, down=True)), default=None)

    def _above(self, price: Decimal) -> Decimal | None:
        return min((tick for band in self.bands for tick in _near(band, price, down=False)), default=None)

    def __eq__(self, other: object) -> bool:
        return self.bands == other.bands if isinstance(other, Grid) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple((band.start, band.end, band.step) for band in self.bands))

    def __repr__(self) -> str:
        return f"<Grid {', '.join(f'{band.start}-{band.end} by {band.step}' for band in self.bands)}>"

    def _repr_html_(self) -> str:
        rows = [(band.start, band.end, band.step) for band in self.bands]
        return markup.card("Price grid (dollars)", {}, markup.table(("from", "to", "step"), rows))


def _near(band: PriceRange, price: Decimal, *, down: bool) -> list[Decimal]:
    """The band's tick nearest to a price on one side of it, none where that side of the band is empty."""
    if (band.start > price) if down else (price > band.end):
        return []
    within = min(price, band.end) if down else max(price, band.start)
    steps, rest = divmod(within - band.start, band.step)
    tick = band.start + (steps if down or not rest else steps + 1) * band.step
    if tick in (ZERO, ONE):
        tick += -band.step if down else band.step
    return [_written(tick)] if band.start <= tick <= band.end and ZERO < tick < ONE else []


def _written(tick: Decimal) -> Decimal:
    """A price with four decimals, as the exchange writes it, or with more where it has more."""
    four = tick.quantize(FOUR)
    return four if four == tick else tick


def _band(given: PriceRange | Mapping[str, Any]) -> PriceRange:
    try:
        band = given if isinstance(given, PriceRange) else PriceRange.model_validate(given)
    except ValidationError as error:
        raise UsageError(
            f"no price range: {str(given)[:80]}", hint="Give start, end and step in dollars, as text"
        ) from error
    if not (ZERO <= band.start < band.end <= ONE and ZERO < band.step <= band.end - band.start):
        raise UsageError(f"no price range within 0 to 1: from {band.start} to {band.end} by {band.step}")
    return band


def _price(value: Decimal | str) -> Decimal:
    try:
        price = money.price(value)
    except ValueError as error:
        raise UsageError(str(error), hint='Give exact text or a Decimal: "0.42"') from None
    if not ZERO <= price <= ONE:
        raise UsageError(f"price {price:f} is not between 0 and 1 dollars", hint='42 cents are "0.42"')
    return price
