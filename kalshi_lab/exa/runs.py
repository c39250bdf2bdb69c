"""Agent runs: research that goes on at Exa until it is done, whoever waits for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kalshi_lab import objects
from kalshi_lab.door import Call
from kalshi_lab.door.call import segment
from kalshi_lab.errors import BadPayload, TimedOut
from kalshi_lab.exa import params
from kalshi_lab.exa import prices as pricing
from kalshi_lab.exa.payments import COSTS, Asked, decoded
from kalshi_lab.exa.records import Run, read
from kalshi_lab.portal import Facade, blocking

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from kalshi_lab.clock import Clock
    from kalshi_lab.exa.payments import Payments

PATH = "/agent/runs"
POLL = 4.0  # seconds between two looks, as Exa's own guide has it
PATIENCE = 900.0


class AsyncRuns:
    """The runs of a client."""

    def __init__(self, payments: Payments, prices: Mapping[str, Decimal], now: Clock) -> None:
        self._payments, self._prices, self._now = payments, prices, now

    async def create(
        self,
        /,
        query: str,
        *,
        effort: str = "low",
        output_schema: Mapping[str, Any] | None = None,
        system_prompt: str | None = None,
        input: Mapping[str, Any] | None = None,  # noqa: A002 - Exa's own word
        previous_run_id: str | None = None,
        metadata: Mapping[str, str] | None = None,
        max_cost: float | str | None = None,
        max_seconds: int | None = None,
        user_identifier: str | None = None,
        **older: Any,
    ) -> tuple[Run, str]:
        """Begin a run, which is paid for whether anybody waits for it or not; the run, and what was set aside for it.

        effort: minimal, low, medium, high or xhigh, each at a fixed price (0.012 to 1 dollar); auto and ultra are metered, so they want
        `max_cost`, 1 to 100 dollars, and ultra takes `max_seconds`, 300 to 10,800. metadata is told again with the run: what finds it once
        the process has died. It is never sent again after a failure that leaves it open whether it began (`error.may_have_happened`):
        look with `list` first. Raises as a search.
        """
        given = {
            name: value for name, value in locals().items() if name not in {"self", "older", "max_cost", "max_seconds"}
        }
        params.refused(older, given)
        body = params.run_body(given, max_cost, max_seconds, self._now.now())
        price = pricing.run(self._prices, body)
        asked = Asked("run", PATH, body, price, tokens=COSTS["run"], again=False)
        paid = await self._payments.ask(asked, settled=False)
        return self._read(paid.sent), paid.reservation

    async def one(self, run_id: str) -> Run:
        """A run as it stands; NotFound where there is none."""
        return self._read(await self._free("exa run", f"{PATH}/{segment(run_id)}"))

    async def list(self, *, limit: int = 20, pages: int = 1) -> tuple[Run, ...]:
        """The newest runs, so many to a page (1 to 100)."""
        found: list[Run] = []
        cursor = ""
        for _ in range(pages):
            words = {
                "limit": str(params.CHECKS["num_results"]("limit", limit)),
                **({"cursor": cursor} if cursor else {}),
            }
            sent = await self._free("exa runs", PATH, words=tuple(words.items()))
            found += read(Run, sent.get("data"))[0]
            cursor = str(sent.get("nextCursor") or "")
            if not cursor or not sent.get("hasMore"):
                break
        return tuple(found)

    async def cancel(self, run_id: str) -> Run:
        """End a run; one that has ended is given back as it is."""
        return self._read(await self._free("exa cancel", f"{PATH}/{segment(run_id)}/cancel", "POST"))

    async def stop(self, run_id: str) -> Run:
        """End a run of effort ultra early, with what it has found."""
        return self._read(await self._free("exa stop", f"{PATH}/{segment(run_id)}/stop", "POST"))

    async def delete(self, run_id: str) -> bool:
        """Delete a run; whether it was."""
        return bool((await self._free("exa delete", f"{PATH}/{segment(run_id)}", "DELETE")).get("deleted"))

    async def events(self, run_id: str, *, limit: int = 100) -> tuple[dict[str, Any], ...]:
        """What happened in a run, as Exa kept it."""
        words = (("limit", str(params.CHECKS["num_results"]("limit", limit))),)
        sent = await self._free("exa events", f"{PATH}/{segment(run_id)}/events", words=words)
        rows = sent.get("data")
        return tuple(row for row in rows if isinstance(row, dict)) if isinstance(rows, list) else ()

    async def wait(self, run_id: str, *, reservation: str = "", seconds: float = PATIENCE) -> Run:
        """A run once it has ended, looked at every few seconds; what was set aside for it is settled then.

        Raises TimedOut where it has not: it goes on, and can be waited for again.
        """
        clock = self._payments.clock
        end = clock.monotonic() + seconds
        while True:
            run = await self.one(run_id)
            if run.is_done:
                if reservation:
                    await self._payments.settle(reservation, run.cost, run.id)
                return run
            if clock.monotonic() + POLL > end:
                raise TimedOut(
                    f"run {run_id} goes on after {seconds:g} s",
                    hint="Wait for it again; it is paid for",
                    elapsed=seconds,
                )
            await clock.sleep(POLL)

    async def _free(
        self, operation: str, path: str, method: str = "GET", *, words: tuple[tuple[str, str], ...] = ()
    ) -> dict[str, Any]:
        """The answer to a request that costs nothing."""
        body = b"{}" if method == "POST" else None
        call = Call(operation, path, words, method=method, cost=COSTS["run"], body=body, auth=True, repeat=True)
        return decoded(await self._payments.door.send(call))

    def _read(self, sent: Any) -> Run:
        try:
            made: Run = objects.one(Run, sent)
        except ValueError as error:
            raise BadPayload(f"Exa's run cannot be read ({error})") from None
        return made


class Runs(Facade):
    """The runs of a client, blocking. See `AsyncRuns`."""

    create = blocking(AsyncRuns.create)
    one = blocking(AsyncRuns.one)
    list = blocking(AsyncRuns.list)
    cancel = blocking(AsyncRuns.cancel)
    stop = blocking(AsyncRuns.stop)
    delete = blocking(AsyncRuns.delete)
    events = blocking(AsyncRuns.events)
    wait = blocking(AsyncRuns.wait)
