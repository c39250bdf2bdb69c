"""The executor: every order passes the same checks, is entered in the audit before it is sent, and is told what became of it.

Verbs that can only lessen a risk (decrease, cancel, cancel_batch, cancel_all, trigger_group, delete_group) are audited, and nothing else
stands in their way: no check, no kill switch, no confirmation, and no store that cannot be written.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

from kalshi_lab.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    LabError,
    NotFound,
    OrderRejected,
    OrderUnknown,
    StoreError,
    UsageError,
)
from kalshi_lab.kalshi import params
from kalshi_lab.trading.audit import Entry, Seen
from kalshi_lab.trading.guard import Wanted, new_id, on_the_book, wanted
from kalshi_lab.trading.looks import known
from kalshi_lab.trading.resolve import Resolver, answer, unclear
from kalshi_lab.trading.situation import ZERO, Attempt, Proposal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from decimal import Decimal

    import polars as pl

    from kalshi_lab.clock import When
    from kalshi_lab.kalshi.orders import NewOrder
    from kalshi_lab.models.order import OrderResult
    from kalshi_lab.trading.guard import Guard
    from kalshi_lab.trading.looks import Writes

log = logging.getLogger(__name__)
LEFT_BEHIND = timedelta(seconds=60)  # besides the deadline: no process still waits for an answer after that
REFUSED = (BadRequest, Forbidden, NotFound, Conflict)


class AsyncTrading:
    """Orders, awaited; made by `AsyncLab.trading(...)`, which says what `limits`, `confirm` and the modes are.

    Every verb gives an `Attempt`, or raises OrderRejected (a check or the exchange refused it; nothing is live), OrderUnknown (nobody
    knows; `client_order_id` and `reconcile()` lead on), StoreError (the audit could not be written; nothing was sent), or what made
    sending impossible. Prices are dollars of YES; days are days of UTC.
    """

    def __init__(self, guard: Guard, writes: Writes | None, resolver: Resolver) -> None:
        self._guard, self._writes, self._resolver = guard, writes, resolver
        self._audit, self.limits = guard.audit, guard.limits

    @property
    def mode(self) -> str:
        """What becomes of orders: dry, live or paper."""
        return self._audit.mode

    # ------------------------------------------------------------------ what can add to a risk

    async def buy(
        self,
        /,
        ticker: str,
        count: Decimal | str | int,
        price: Decimal | str,
        *,
        side: Literal["yes", "no"] = "yes",
        **words: Any,
    ) -> Attempt:
        """Buy contracts of a side at `price` dollars of that side at most; `words` are further ones of `NewOrder`.

        NO at 0.30 is sent as an ask at YES 0.70. Raises as the class says.
        """
        return await self.create(on_the_book("buy", ticker, side, count, price, **words))

    async def sell(
        self,
        /,
        ticker: str,
        count: Decimal | str | int,
        price: Decimal | str,
        *,
        side: Literal["yes", "no"] = "yes",
        **words: Any,
    ) -> Attempt:
        """Sell contracts of a side at `price` dollars of that side at least: on the book it buys the other side.

        With time_in_force="immediate_or_cancel" and reduce_only=True the exchange lets it close what is held and no more.
        """
        return await self.create(on_the_book("sell", ticker, side, count, price, **words))

    async def create(self, order: NewOrder) -> Attempt:
        """Place an order, once it has passed every check."""
        sent = self._dated(order)
        [attempt] = await self._guard.permitted([wanted(sent)])
        if self._writes is None:
            return await self._dry(attempt)
        try:
            result = await self._writes.orders.create(sent, again=False)
        except LabError as error:
            return await self._after(error, attempt)
        if not result.order_id:  # a 2xx that names no order is as good as none
            return await self._after(OrderUnknown("the exchange's answer names no order"), attempt)
        return await self._accepted(attempt, result)

    async def create_batch(self, orders: Sequence[NewOrder]) -> tuple[Attempt, ...]:
        """Place several orders; where a check refuses one, none is sent. One attempt for each; look at each `state` and `error`.

        Where the answer was lost each order is looked for, and those of which nobody knows have the state "unknown".
        """
        if not orders:
            raise UsageError("no order was given")
        sent = [self._dated(order) for order in orders]
        if len({order.client_order_id for order in sent}) < len(sent):
            raise UsageError("two orders have the same client_order_id")
        attempts = await self._guard.permitted([wanted(order) for order in sent])
        if self._writes is None:
            return tuple([await self._dry(one) for one in attempts])
        try:
            results = await self._writes.orders.create_batch(sent, again=False)
        except LabError as error:
            if not unclear(error):
                for one in attempts:
                    await self._settle(one, "failed", error=str(error))
                raise
            return tuple([await self._looked_for(one, str(error)) for one in attempts])
        return tuple([await self._one_of_batch(one, number, results) for number, one in enumerate(attempts)])

    async def amend(
        self,
        order_id: str,
        *,
        price: Decimal | str,
        count: Decimal | str | int,
        expiration_time: When | Literal[0] | None = None,
    ) -> Attempt:
        """Change an order's price and size; `count` is what is filled plus what is to rest. It passes the checks of a new order.

        Raises NotFound for an order that does not exist; UsageError where nothing would rest.
        """
        old = await self._guard.looks.orders.one(order_id)
        fresh, left = str(uuid4()), params.count(count) - (old.fill_count or ZERO)
        if left <= 0 or old.book_side not in {"bid", "ask"}:
            raise UsageError(
                f"of {order_id} nothing would rest: {old.fill_count} are filled", hint="Cancel it, or give more"
            )
        side: Literal["bid", "ask"] = "bid" if old.book_side == "bid" else "ask"
        body: dict[str, Any] = {
            "ticker": old.ticker, "side": side, "price": params.price(price), "count": params.count(count),
            "client_order_id": old.client_order_id, "updated_client_order_id": fresh, "expiration_time": expiration_time,
            "subaccount": old.subaccount_number,
        }  # fmt: skip
        proposal = Proposal(
            str(old.ticker),
            side,
            left,
            params.price(price),
            "amend",
            fresh,
            old.remaining_count or ZERO,
            old.yes_price or ZERO,
        )
        [attempt] = await self._guard.permitted([Wanted(new_id(), proposal, body, order_id, old.subaccount_number)])
        return await self._sent(attempt, lambda writes: writes.orders.amend(order_id, **body))

    async def create_group(self, contracts_limit: Decimal | str | int, *, subaccount: int | None = None) -> Attempt:
        """Open an order group; `.group` is it. See `kalshi.order_groups.create`."""
        body = {"contracts_limit": params.count(contracts_limit), "subaccount": subaccount}
        attempt = await self._guard.allowed(new_id(), "create_group", body)
        return await self._sent(attempt, lambda writes: writes.groups.create(contracts_limit, subaccount=subaccount))

    async def update_group_limit(self, order_group_id: str, contracts_limit: Decimal | str | int) -> Attempt:
        """Change a group's limit."""
        body = {"contracts_limit": params.count(contracts_limit)}
        attempt = await self._guard.allowed(new_id(), "update_group_limit", body, order_group_id)
        return await self._sent(attempt, lambda writes: writes.groups.update_limit(order_group_id, contracts_limit))

    async def reset_group(self, order_group_id: str) -> Attempt:
        """Let a group that was triggered accept orders again."""
        attempt = await self._guard.allowed(new_id(), "reset_group", {}, order_group_id)
        return await self._sent(attempt, lambda writes: writes.groups.reset(order_group_id))

    # ------------------------------------------------------------------ what can only lessen it

    async def decrease(
        self,
        order_id: str,
        *,
        reduce_by: Decimal | str | int | None = None,
        reduce_to: Decimal | str | int | None = None,
    ) -> Attempt:
        """Make an order smaller, by so many contracts or to so many."""
        if (reduce_by is None) == (reduce_to is None):
            raise UsageError("give either reduce_by or reduce_to")
        body: dict[str, Any] = {"reduce_by": reduce_by, "reduce_to": reduce_to, "ticker": await self._market(order_id)}
        return await self._less("decrease", body, lambda writes: writes.orders.decrease(order_id, **body), order_id)

    async def cancel(self, order_id: str) -> Attempt:
        """Cancel an order."""
        ticker = await self._market(order_id)
        send = lambda writes: writes.orders.cancel(order_id, ticker=ticker)  # noqa: E731 - as the others
        return await self._less("cancel", {"ticker": ticker}, send, order_id)

    async def cancel_batch(self, order_ids: Sequence[str]) -> tuple[OrderResult, ...]:
        """Cancel several orders: the exchange's answer for each, market by market, with an `error` where one failed; none in a dry run."""
        by_market: dict[str | None, list[str]] = {}
        for one in order_ids:
            by_market.setdefault(await self._market(one), []).append(one)
        found: list[OrderResult] = []
        for ticker, ids in by_market.items():

            async def send(writes: Writes, ids: list[str] = ids, ticker: str | None = ticker) -> None:
                found.extend(await writes.orders.cancel_batch(ids, ticker=ticker))

            await self._less("cancel_batch", {"order_ids": ids, "ticker": ticker}, send)
        return tuple(found)

    async def _market(self, order_id: str) -> str | None:
        """An order's market, by which the exchange finds its shard; None, which is shard 0, where nobody knows."""
        found = await known("market", self._audit.market(order_id), {})
        order = None if found else await known("order", self._guard.looks.order(order_id), {})
        return found or (order.ticker if order else None)

    async def cancel_all(self) -> Attempt:
        """Cancel all resting orders; the exchange may also catch those placed within the next minute."""
        return await self._less("cancel_all", {}, lambda writes: writes.orders.cancel_all())

    async def trigger_group(self, order_group_id: str) -> Attempt:
        """Cancel a group's orders now and refuse new ones until it is reset."""
        return await self._less(
            "trigger_group", {}, lambda writes: writes.groups.trigger(order_group_id), order_group_id
        )

    async def delete_group(self, order_group_id: str) -> Attempt:
        """Cancel a group's orders and remove it."""
        return await self._less("delete_group", {}, lambda writes: writes.groups.delete(order_group_id), order_group_id)

    # ------------------------------------------------------------------ what became of it

    async def audit(self) -> pl.DataFrame:
        """Every attempt of this account, oldest first, a row each.

        Columns: id, time, account, environment, mode (dry, live, paper), verb, state (intended, accepted, rejected, failed, unknown),
        ticker, side, count, price (YES), risk, added (dollars, of the order and to the day), client_order_id, order_id, body, checks
        (JSON), answer, error, settled_at. Amounts are exact decimals.
        """
        return await self._audit.frame()

    async def unresolved(self) -> pl.DataFrame:
        """The live attempts of which nobody knows what became, those of killed processes too; see `audit` for the columns."""
        return await self._audit.unresolved()

    async def reconcile(self) -> pl.DataFrame:
        """Look for what became of each unresolved attempt, and enter it; nothing is sent.

        An attempt is taken never to have arrived only where the exchange's lists are complete well beyond the time of sending.
        Gives what is still not known afterwards; see `audit` for the columns.
        """
        travels = timedelta(seconds=self._guard.settings.deadline) + LEFT_BEHIND
        for row in (await self._audit.unresolved()).to_dicts():
            if row["verb"] not in {"create", "amend", "cancel", "decrease"}:
                continue
            state, order = await self._resolver.settled(row, travels=travels, patience=0)
            if state != "unknown":
                error = None if state == "accepted" else "it never arrived: the exchange has no trace of it"
                await self._audit.settle(
                    row["id"], state, order_id=order.order_id if order else None, answer=_plain(order), error=error
                )
        return await self._audit.unresolved()

    # ------------------------------------------------------------------ how it is done

    def _dated(self, order: NewOrder) -> NewOrder:
        ends = params.future(order.expiration_time, "expiration_time", now=self._audit.clock.now())
        return replace(order, expiration_time=ends)

    async def _dry(self, attempt: Attempt) -> Attempt:
        return await self._settle(attempt, "accepted")

    async def _sent(self, attempt: Attempt, send: Callable[[Writes], Awaitable[Any]]) -> Attempt:
        if self._writes is None:
            return await self._dry(attempt)
        try:
            result = await send(self._writes)
        except LabError as error:
            return await self._after(error, attempt)
        if attempt.verb == "create_group":
            return replace(await self._accepted(attempt, result), group=result, result=None)
        return await self._accepted(attempt, result)

    async def _less(
        self, verb: str, body: dict[str, Any], send: Callable[[Writes], Awaitable[Any]], order_id: str = ""
    ) -> Attempt:
        attempt = Attempt(new_id(), self._audit.mode, verb, "intended", order_id=order_id)
        row = self._audit.row(attempt.id, verb, body, order_id=order_id or None)
        try:
            await self._audit.enter([Entry(row, ())], self.limits, Seen())
        except StoreError:
            log.exception("%s is not in the audit, and goes ahead: it can only lessen a risk", verb)
        return await self._sent(attempt, send)

    async def _accepted(self, attempt: Attempt, result: OrderResult | None) -> Attempt:
        found = result.order_id if result is not None and hasattr(result, "order_id") else None
        done = replace(attempt, result=result, order_id=found or attempt.order_id)
        return await self._settle(done, "accepted", given=result)

    async def _one_of_batch(self, attempt: Attempt, number: int, results: tuple[OrderResult, ...]) -> Attempt:
        result = results[number] if number < len(results) else None
        if result is None:
            return await self._looked_for(attempt, "the answer says nothing of it")
        if result.error is None:
            return await self._accepted(attempt, result)
        said = result.error.message or result.error.code or "refused"
        return await self._settle(replace(attempt, result=result), "failed", given=result, error=said)

    async def _after(self, error: LabError, attempt: Attempt) -> Attempt:
        """The end of a write that failed: what is unclear is looked for before anything else."""
        if not unclear(error):
            await self._settle(attempt, "failed", error=str(error))
            if isinstance(error, REFUSED) and attempt.proposal is not None:
                raise OrderRejected(f"the exchange refused it: {error}") from error
            raise error
        found = await self._looked_for(attempt, str(error))
        if found.state == "unknown":
            raise self._unknown(found, error) from error
        if found.state == "failed":
            raise OrderRejected(
                f"{attempt.proposal or attempt.verb} was not carried out: {error.message}", hint=_ABSENT
            ) from error
        return found

    async def _looked_for(self, attempt: Attempt, why: str) -> Attempt:
        known = attempt.verb in {"create", "amend", "cancel", "decrease"}
        rows = (
            (await self._audit.unresolved()).filter(id=attempt.id).to_dicts() if known and self.mode == "live" else []
        )
        state, order = await self._resolver.settled(rows[0]) if rows else ("unknown", None)
        result = answer(order) if order is not None and state == "accepted" else None
        made = replace(attempt, result=result, order_id=order.order_id if order else attempt.order_id)
        return await self._settle(made, state, given=result, error=None if state == "accepted" else why)

    async def _settle(self, attempt: Attempt, state: Any, *, given: Any = None, error: str | None = None) -> Attempt:
        """Complete the audit row. What is live is told even where the row cannot be written: it stays open and is reconciled later."""
        ended = replace(attempt, state=state, error=error or "")
        try:
            await self._audit.settle(
                ended.id, state, order_id=ended.order_id or None, answer=_plain(given), error=error
            )
        except StoreError as problem:
            log.exception("the audit row %s could not be completed", ended.id)
            return replace(
                ended, error=f"{ended.error} the audit row could not be completed: {problem.message}".strip()
            )
        return ended

    @staticmethod
    def _unknown(attempt: Attempt, error: LabError) -> OrderUnknown:
        unknown = OrderUnknown(
            f"nobody can say whether {attempt.verb} was carried out: {error.message}",
            hint="Nothing was sent again. trading.reconcile() looks once more; trading.unresolved() lists what is open",
        )
        unknown.client_order_id = attempt.client_order_id
        unknown.request_id = getattr(error, "request_id", "")
        return unknown

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.mode} in {self._audit.environment}>"


_ABSENT = "The exchange's lists are complete beyond the time of sending, and it is not in them: it may be sent anew"


def _plain(result: Any) -> Any:
    return (
        None
        if result is None
        else {name: value for name, value in result.model_dump(mode="json").items() if value is not None}
    )
