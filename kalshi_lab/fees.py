"""The fee of a fill, exact, with the exchange's fee schedule as dated data.

A fill's fee has three parts (the exchange's fee-rounding page; contract, section 11), for C contracts at price P, multiplier M:

    trade     0.07 x M x C x P x (1 - P) for takers, a share of that for makers, rounded up to the era's fee unit
    rounding  what the balance's change, -/+ C x P - trade, loses when it is rounded down to the member's balance precision
    rebate    rounding fees of the order so far, given back in whole units once they exceed one, never more than the fill's own fee

and costs trade + rounding - rebate. Recorded fills bear this out: 432 of 432 of May 2026 (whole-cent balances, ten of them only with
the rebate) and 33 of 33 of August 2026 ($0.0001 balances, multipliers 1 and 0.5), all of them takers'.

Unverified: the maker shares against the published table; what happens when the rounding fees are exactly one unit (here: no rebate
yet); the hour at which an era begins (here: midnight UTC); whether a waiver also waives the rounding fee (here: it does not);
fees of type `flat`, which are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal, InvalidOperation, localcontext
from typing import Any, Literal, NamedTuple

from kalshi_lab import clock, money
from kalshi_lab.errors import UsageError, one_of, unknown
from kalshi_lab.models import Event, Market, Series

Role = Literal["taker", "maker"]
Action = Literal["buy", "sell"]
Member = Literal["direct", "non-direct"]
When = datetime | date | str

ALWAYS = datetime.min.replace(tzinfo=UTC)
CENT, CENTICENT, MICRO, ZERO = Decimal("0.01"), Decimal("0.0001"), Decimal("0.000001"), Decimal(0)
TAKER = Decimal("0.07")  # the public schedule in force on 7 Jul 2026, and every recorded fill from May 2026 on
COMBO_MAKERS = datetime(2026, 8, 20, tzinfo=UTC)  # makers in combos pay from then on
MAKERS = {  # what a maker pays of a taker's fee
    "quadratic": ZERO,
    "quadratic_with_maker_fees": Decimal("0.25"),
    "quadratic_with_combo_maker_fees": Decimal("0.5"),
}
_EXACT = Context(
    prec=120
)  # no product of the exchange's figures needs as many digits, so nothing is ever rounded by accident
_DATE = re.compile(r"^\s*\d{4}-?\d\d")


class Era(NamedTuple):
    """Rounding rules from `start` on, in dollars: the unit of the trade fee, and of balances and rebates by kind of member."""

    start: datetime
    fee: Decimal
    balance: dict[Member, Decimal]
    rebate: dict[Member, Decimal]


_CENTS: dict[Member, Decimal] = {"direct": CENT, "non-direct": CENT}
_FINE: dict[Member, Decimal] = {"direct": CENTICENT, "non-direct": CENT}
ERAS = (
    Era(ALWAYS, CENT, _CENTS, _CENTS),
    # The start is not published: the exchange's page of 20 Mar 2026 has this rule, and on 9 Mar it opened sub-cent prices beyond
    # combos. Whole contracts at whole cents cost the same under both rules.
    Era(datetime(2026, 3, 9, tzinfo=UTC), CENTICENT, _CENTS, _CENTS),
    # Direct members' balances move in $0.0001; rebates stay whole cents, "always a multiple of $0.01", until the next era.
    Era(datetime(2026, 5, 28, tzinfo=UTC), CENTICENT, _FINE, _CENTS),
    Era(datetime(2026, 8, 30, tzinfo=UTC), MICRO, _FINE, _FINE),  # API 3.29.0
)


class Terms(NamedTuple):
    """Fee type and multiplier from `start` on; None where an event leaves one to its series."""

    start: datetime
    fee_type: str | None
    multiplier: Decimal | None


@dataclass(frozen=True, slots=True)
class FeeSchedule:
    """What a market charges and when: the terms of its series, those of its event, which win where they are not None, and a waiver.

    Made by `FeeSchedule.of(...)`. `terms(at)` is the fee type and the multiplier at a time.
    """

    series: tuple[Terms, ...] = ()
    event: tuple[Terms, ...] = ()
    waived_until: datetime | None = None

    @classmethod
    def of(
        cls,
        source: Series | Event | tuple[str, Any],
        *,
        event: Event | None = None,
        market: Market | None = None,
        changes: Iterable[Any] = (),
        read: When | None = None,
    ) -> FeeSchedule:
        """The schedule of a series, an event, or a pair like ("quadratic", 1).

        `event` adds its overrides, `market` its fee waiver, `changes` the rows of GET /series/fee_changes and GET /events/fee_changes
        (objects or dicts; those of other series and events are passed over), each in force from its `scheduled_ts` on; an event's
        change to null takes its override away. What series and event say holds before all changes; where some changes are history,
        say with `read` when series and event were read. UsageError for rows and values that make no sense; whether a type has a known
        formula is judged when a fee is asked for.
        """
        own, over = (None, source) if isinstance(source, Event) else (_given(source), event)
        ticker = source.ticker if isinstance(source, Series) else over.series_ticker if over else None
        rows, since = list(changes), None if read is None else _moment(read, "read")
        of_series = [row for row in rows if _says(row, "event_ticker") is None]
        of_event = [row for row in rows if over and over.event_ticker == _says(row, "event_ticker")]
        return cls(
            _timeline(own, [_change(row) for row in of_series if ticker in (None, _says(row, "series_ticker"))], since),
            _timeline(_overrides(over) if over else None, [_change(row, "_override") for row in of_event], since),
            market.fee_waiver_expiration_time if market else None,
        )

    def terms(self, at: When | None = None) -> tuple[str, Decimal]:
        """The fee type and the multiplier at a time; the multiplier is 0 while the market's fees are waived.

        Without a time, UsageError where the schedule changes; UsageError too where it doesn't say, and for types without a known
        formula (`flat` and words that are new): none is ever guessed.
        """
        when = None if at is None else _moment(at, "at")
        own, over = _current(self.series, when), _current(self.event, when)
        fee_type = own.fee_type if over.fee_type is None else over.fee_type
        multiplier = own.multiplier if over.multiplier is None else over.multiplier
        if fee_type is None or multiplier is None:
            missing = "fee type" if fee_type is None else "fee multiplier"
            raise UsageError(
                f"the schedule says no {missing}", hint="Give the series: FeeSchedule.of(series, event=event)"
            )
        return _known(fee_type), ZERO if self._waived(when) else multiplier

    def _waived(self, when: datetime | None) -> bool:
        if self.waived_until is None:
            return False
        if when is None:
            raise UsageError("the market's fees are waived for a time", hint="Say when the fill is: at=...")
        return when < self.waived_until

    def __repr__(self) -> str:
        said = [
            f"{name} {one.fee_type} x {one.multiplier}" for name in ("series", "event") for one in getattr(self, name)
        ]
        waived = [f"waived until {self.waived_until.isoformat()}"] if self.waived_until else []
        return f"<FeeSchedule {', '.join(said + waived) or 'unknown'}>"


@dataclass(frozen=True, slots=True)
class Fee:
    """The fee of one fill and its parts, exact dollars.

    `model` is the formula's value, `trade` that value rounded up, `rounding` and `rebate` are what balance precision takes and the order's
    accumulator gives back, `cash` is the change of the balance: negative for a buyer.
    """

    model: Decimal
    trade: Decimal
    rounding: Decimal
    rebate: Decimal
    cash: Decimal

    @property
    def net(self) -> Decimal:
        """What the fill costs: trade + rounding - rebate, never below 0; `fee_cost` of the exchange's fill."""
        return _six(self.trade + self.rounding - self.rebate)

    def __repr__(self) -> str:
        return f"<Fee {self.net:f} = trade {self.trade:f} + rounding {self.rounding:f} - rebate {self.rebate:f}>"


class OrderFees:
    """The fees of one order's fills, in the order in which they happen: rounding fees add up and are given back in whole units.

    `OrderFees(schedule).add(price, count)` gives each fill's `Fee`; `net` is their sum, `carried` the rounding fees not yet given back.
    One order has one accumulator for its fills as taker and as maker. See `fee` for the arguments.
    """

    def __init__(
        self,
        schedule: Series | Event | FeeSchedule | tuple[str, Any],
        *,
        action: Action = "buy",
        member: Member = "direct",
    ) -> None:
        self.schedule = schedule if isinstance(schedule, FeeSchedule) else FeeSchedule.of(schedule)
        self._sign = -1 if one_of("action", action, ("buy", "sell")) == "buy" else 1
        self._member: Member = member
        one_of("member", member, ("direct", "non-direct"))
        self.carried, self.net = ZERO, ZERO

    def add(
        self, price: Decimal | str, count: Decimal | str | int, *, role: Role = "taker", at: When | None = None
    ) -> Fee:
        """The fee of the next fill."""
        p, c = _price(price), _count(count)
        when = None if at is None else _moment(at, "at")
        era = ERAS[-1] if when is None else next(era for era in reversed(ERAS) if era.start <= when)
        with localcontext(_EXACT):
            model = _share(self.schedule, one_of("role", role, ("taker", "maker")), when) * c * p * (1 - p)
            trade, revenue = _up(model, era.fee), self._sign * c * p
            aligned = _down(revenue - trade, era.balance[self._member])
            rounding = revenue - trade - aligned
            rebate = self._rebate(rounding, trade + rounding, era.rebate[self._member])
            fee = Fee(model, trade, _six(rounding), rebate, aligned + rebate)
            self.carried += rounding - rebate
            self.net = _six(self.net + fee.net)
        return fee

    def _rebate(self, rounding: Decimal, cost: Decimal, unit: Decimal) -> Decimal:
        owed = self.carried + rounding
        return _down(min(owed, cost), unit) if owed > unit else ZERO

    def __repr__(self) -> str:
        return f"<OrderFees {self.net:f} so far, {self.carried:f} carried>"


def fee(
    price: Decimal | str,
    count: Decimal | str | int,
    schedule: Series | Event | FeeSchedule | tuple[str, Any],
    *,
    role: Role = "taker",
    action: Action = "buy",
    at: When | None = None,
    member: Member = "direct",
) -> Decimal:
    """What one fill costs in fees, exact dollars.

    >>> kl.fee("0.50", 100, ("quadratic", 1))
    Decimal('1.750000')

    `price` is that of the side that the order buys or sells, dollars above 0 and below 1, as text or Decimal; `count` is in contracts.
    A fill record that closes a position names the other side: take its opposite's price. `schedule` is a Series, an Event whose
    overrides say all, a pair (fee_type, multiplier), or a `FeeSchedule`, which also knows waivers and changes. `role` is "taker" or
    "maker"; in a combo's RFQ, since 21 Aug 2026, a quoter who meets an order that rested for less than 5 s is the maker, that order
    the taker. `member` is "direct" (balances in $0.0001) or "non-direct" (whole cents). `at` is the time of the fill, UTC-aware or
    ISO text; without it, the newest rules and the schedule as it was given apply.

    The fill is taken as its order's only one: for an order filled in parts, and for the parts of a fee, use `OrderFees`. Raises
    UsageError for bad input, for fee types without a published formula, and where the schedule doesn't say.
    Source: the exchange's public fee schedule and its fee-rounding page; see `kalshi_lab.fees` for what is unverified.
    """
    return OrderFees(schedule, action=action, member=member).add(price, count, role=role, at=at).net


def _share(schedule: FeeSchedule, role: str, when: datetime | None) -> Decimal:
    """The coefficient of C x P x (1 - P)."""
    fee_type, multiplier = schedule.terms(when)
    if role == "taker":
        return TAKER * multiplier
    early = when is not None and when < COMBO_MAKERS and fee_type == "quadratic_with_combo_maker_fees"
    return ZERO if early else TAKER * multiplier * MAKERS[fee_type]


def _known(fee_type: str) -> str:
    if fee_type == "flat":
        raise UsageError("fees of type 'flat' have no published formula", hint="Read them from the fills: fee_cost")
    if fee_type not in MAKERS:
        raise unknown("fee type", fee_type, MAKERS)
    return fee_type


def _timeline(base: Terms | None, changes: list[Terms], read: datetime | None) -> tuple[Terms, ...]:
    """All terms by their start; the base was read after those changes that are no later than `read`, and before the others."""
    past = [change.start for change in changes if read is not None and change.start <= read]
    given = [base._replace(start=max(past, default=ALWAYS))] if base else []
    return tuple(sorted([*changes, *given], key=lambda terms: terms.start))  # of two at one time the later given counts


def _current(timeline: tuple[Terms, ...], when: datetime | None) -> Terms:
    if not timeline:
        return Terms(ALWAYS, None, None)
    if when is None:
        if len(timeline) > 1:
            raise UsageError("the schedule changes over time", hint="Say when the fill is: at=...")
        return timeline[-1]
    past = [terms for terms in timeline if terms.start <= when]
    if not past:
        raise UsageError(f"the schedule is not known before {timeline[0].start.isoformat()}", hint="Give older changes")
    return past[-1]


def _given(source: object) -> Terms:
    if isinstance(source, Series):
        return _terms(ALWAYS, source.fee_type, source.fee_multiplier)
    if isinstance(source, tuple) and len(source) == 2 and isinstance(source[0], str):  # noqa: PLR2004 - a pair
        return _terms(ALWAYS, source[0], source[1])
    hint = 'Give a Series, an Event or a pair like ("quadratic", 1)'
    raise UsageError(f"a {type(source).__name__} says no fees", hint=hint)


def _overrides(event: Event) -> Terms:
    return _terms(ALWAYS, event.fee_type_override, event.fee_multiplier_override)


def _says(row: object, name: str) -> Any:
    return row.get(name) if isinstance(row, Mapping) else getattr(row, name, None)


def _change(row: object, suffix: str = "") -> Terms:
    start = _says(row, "scheduled_ts")
    if start is None:
        raise UsageError(f"a fee change without scheduled_ts: {str(row)[:80]}")
    values = _says(row, f"fee_type{suffix}"), _says(row, f"fee_multiplier{suffix}")
    return _terms(_moment(start, "scheduled_ts"), *values)


def _terms(start: datetime, fee_type: str | None, multiplier: object) -> Terms:
    if multiplier is None:
        return Terms(start, fee_type, None)
    try:
        exact = Decimal("NaN") if isinstance(multiplier, bool) else Decimal(str(multiplier))
    except InvalidOperation:
        exact = Decimal("NaN")
    if not exact.is_finite() or exact < 0 or exact != exact.quantize(MICRO, context=_EXACT):
        raise UsageError(f"fee multiplier {str(multiplier)[:40]!r} is no number from 0 on with at most 6 decimals")
    return Terms(start, fee_type, exact)


def _moment(value: When, what: str) -> datetime:
    if isinstance(value, str) and not _DATE.match(value):
        raise UsageError(f"{what} {value!r} is no time", hint='Write it like "2026-05-10T23:39:13Z"')
    return clock.moment(value, now=ALWAYS, what=what)


def _price(value: Decimal | str) -> Decimal:
    try:
        price = money.price(value)
    except ValueError as error:
        raise UsageError(str(error), hint='Give exact text or a Decimal: "0.42"') from None
    if not 0 < price < 1:
        raise UsageError(f"price {price:f} is not above 0 and below 1 dollar", hint='42 cents are "0.42"')
    return price


def _count(value: Decimal | str | int) -> Decimal:
    try:
        count = money.contracts(value)
    except ValueError as error:
        raise UsageError(str(error), hint='Give contracts: 3 or "2.50"') from None
    if count <= 0:
        raise UsageError(f"{count} contracts are no fill", hint="Give more than 0; a sale is action='sell'")
    return count


def _up(value: Decimal, unit: Decimal) -> Decimal:
    return value.quantize(unit, rounding=ROUND_CEILING)


def _down(value: Decimal, unit: Decimal) -> Decimal:
    return value.quantize(unit, rounding=ROUND_FLOOR)


def _six(value: Decimal) -> Decimal:
    """With six decimals, as the exchange writes fees, or with more where it has more."""
    six = value.quantize(MICRO, context=_EXACT)
    return six if six == value else value
