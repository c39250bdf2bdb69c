"""The one way to permission: gather what is known, judge it, ask for confirmation, and enter the attempt in the audit."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from kalshi_lab.errors import UsageError, one_of
from kalshi_lab.kalshi import params
from kalshi_lab.kalshi.orders import NewOrder
from kalshi_lab.trading.audit import Entry, Seen, day_of
from kalshi_lab.trading.checks import added, judged, kill_switch, risk
from kalshi_lab.trading.looks import known
from kalshi_lab.trading.situation import ZERO, Attempt, Check, Proposal, Situation, refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kalshi_lab.settings import Settings
    from kalshi_lab.trading.audit import Audit
    from kalshi_lab.trading.limits import Limits
    from kalshi_lab.trading.looks import Looks, Own

log = logging.getLogger(__name__)
Confirm = Callable[[tuple[Proposal, ...]], bool | Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """One order to be permitted: its id in the audit, what it proposes, what would be sent, and the order that it takes the place of."""

    id: str
    proposal: Proposal
    body: dict[str, Any]
    order_id: str = ""
    subaccount: int | None = None


@dataclass(frozen=True, slots=True)
class Guard:
    """Says whether orders may be sent."""

    looks: Looks
    audit: Audit
    settings: Settings
    limits: Limits
    confirm: Confirm | None

    async def permitted(self, wanted: Sequence[Wanted]) -> list[Attempt]:
        """The attempts, entered as intended. Raises OrderRejected, with all of them entered as rejected, where one may not be sent.

        Raises StoreError where the audit cannot be written; then nothing may be sent.
        """
        situations, seen = await self._situations(wanted)
        verdicts = [judged(one, self.limits) for one in situations]
        if all(check.passed for checks in verdicts for check in checks):
            agreed = await self._confirmed(tuple(one.proposal for one in wanted))
            verdicts = [(*checks, agreed) for checks in verdicts]
        entries = [self._entry(*one) for one in zip(wanted, situations, verdicts, strict=True)]
        final = await self.audit.enter(entries, self.limits, seen)
        failed = [
            (one, checks)
            for one, checks in zip(wanted, final, strict=True)
            if not all(check.passed for check in checks)
        ]
        if failed:
            raise refused(
                tuple(check for _, checks in failed for check in checks),
                "; ".join(str(one.proposal) for one, _ in failed),
            )
        return [
            Attempt(
                one.id, self.audit.mode, one.proposal.verb, "intended", checks, one.proposal, entry.row["risk"],
                one.proposal.client_order_id, one.order_id,
            )
            for one, checks, entry in zip(wanted, final, entries, strict=True)
        ]  # fmt: skip

    async def allowed(self, made: str, verb: str, body: dict[str, Any], order_id: str = "") -> Attempt:
        """Permission for what adds to a risk without being an order: the kill switch and the confirmation alone bear on it."""
        proposal = Proposal("", "bid", ZERO, ZERO, verb=verb)
        switch = kill_switch(Situation(proposal, self.audit.clock.now(), killed=self.settings.killed), self.limits)
        checks = (switch, await self._confirmed((proposal,))) if switch.passed else (switch,)
        entry = Entry(self.audit.row(made, verb, body, order_id=order_id or None), checks)
        await self.audit.enter([entry], self.limits, Seen())
        if not all(check.passed for check in checks):
            raise refused(checks, verb)
        return Attempt(made, self.audit.mode, verb, "intended", checks, order_id=order_id)

    async def _situations(self, wanted: Sequence[Wanted]) -> tuple[list[Situation], Seen]:
        """What is known for each order; the account is asked once for each subaccount."""
        owns: dict[int | None, tuple[Own, dict[str, str]]] = {}
        for one in wanted:
            if one.subaccount not in owns:
                missing: dict[str, str] = {}
                owns[one.subaccount] = (
                    await self.looks.own(one.subaccount, day_of(self.audit.clock.now()), missing),
                    missing,
                )
        seen = Seen(
            min((own.as_of for own, _ in owns.values() if own.as_of is not None), default=None),
            tuple(
                order.client_order_id
                for own, _ in owns.values()
                for order in own.resting or ()
                if order.client_order_id
            ),
        )
        found = await asyncio.gather(*(self._situation(one, *owns[one.subaccount], seen) for one in wanted))
        return list(found), seen

    async def _situation(self, one: Wanted, own: Own, lacking: dict[str, str], seen: Seen) -> Situation:
        missing = dict(lacking)
        made = await self.looks.situation(one.proposal, own, missing)
        day = await known("day", self.audit.counters(one.proposal.ticker, seen), missing)
        loss = None if own.worth is None else await known("loss", self.audit.loss(own.worth), missing)
        known_now = replace(made, killed=self.settings.killed, day=day, loss=loss, missing=missing)
        return self.looks.within(known_now, own, one.order_id)

    def _entry(self, one: Wanted, situation: Situation, checks: tuple[Check, ...]) -> Entry:
        own = one.proposal
        try:
            worst, more = risk(situation), added(situation)
        except UsageError:  # the check of the risk says why
            worst, more = None, None
        row = self.audit.row(
            one.id, own.verb, one.body, ticker=own.ticker, side=own.side, count=own.count, price=own.price, risk=worst, added=more,
            client_order_id=own.client_order_id, order_id=one.order_id or None,
        )  # fmt: skip
        return Entry(row, checks, situation)

    async def _confirmed(self, proposals: tuple[Proposal, ...]) -> Check:
        """Whether whoever trades agrees; asked last, since nobody should be asked about what is refused anyway."""
        if self.audit.mode != "live":
            return Check("confirmation", True, f"not asked for: {self.audit.mode}")
        if not self.limits.confirmation:
            return Check("confirmation", True, "not needed: Limits(confirmation=False)")
        if self.confirm is None:
            return Check("confirmation", False, "there is nobody to ask: lab.trading(confirm=...)")
        try:
            said = await asyncio.to_thread(self.confirm, proposals)
            agreed = await said if inspect.isawaitable(said) else said
        except Exception as error:
            log.exception("the confirmation failed")
            return Check("confirmation", False, f"it failed: {type(error).__name__}")
        return Check("confirmation", agreed is True, "agreed" if agreed is True else "declined")


def new_id() -> str:
    """The id of an attempt."""
    return uuid4().hex


def on_the_book(action: str, ticker: str, side: str, count: Any, price: Any, **words: Any) -> NewOrder:
    """An order on the YES book: whoever buys NO at a price, or sells YES at its complement, asks."""
    exact, one = params.price(price), one_of("side", side, ("yes", "no"))
    lifts = (one == "yes") == (action == "buy")
    return NewOrder(
        ticker=ticker, side="bid" if lifts else "ask", count=count, price=exact if one == "yes" else 1 - exact, **words
    )


def wanted(order: NewOrder) -> Wanted:
    """What an order proposes, and what would be sent."""
    fields = order.fields()
    proposal = Proposal(
        order.ticker, order.side, fields["count"], fields["price"], client_order_id=str(order.client_order_id),
        reduces=bool(order.reduce_only), rests_only=bool(order.post_only),
    )  # fmt: skip
    return Wanted(new_id(), proposal, fields, subaccount=order.subaccount)
