"""What goes on at Exa by itself: monitors, which search on a schedule, and websets, which are collections. Thin: nothing here needs them.

Exa tells no cost of either, so creating one wants the amount that you are ready to spend on it, which counts as spent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kalshi_lab import objects
from kalshi_lab.door import Call
from kalshi_lab.door.call import segment
from kalshi_lab.errors import BadPayload, UsageError
from kalshi_lab.exa import params
from kalshi_lab.exa.payments import Asked, decoded
from kalshi_lab.exa.records import read
from kalshi_lab.models.fields import Key, Record, Text, Time, doc, key, wire
from kalshi_lab.portal import Facade, blocking

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from kalshi_lab.exa.payments import Payments

MONITORS: Final = "/monitors"
WEBSETS: Final = "/websets/v0/websets"
QUERY, EXTERNAL, CRITERIA = params.text(5000), params.text(300), params.texts(5, 500)


class Thing(Record):
    """A monitor, one of its runs, a webset, an item or a search of one: what it has beyond this is in `model_extra`."""

    id: Key = key("its id")
    status: Text = doc("how it stands, in Exa's word")
    created_at: Time = wire("createdAt", "when it was created")
    updated_at: Time = wire("updatedAt", "when it last changed")


class AsyncStanding:
    """Requests for things of one kind."""

    def __init__(self, payments: Payments) -> None:
        self._payments = payments

    async def _create(self, path: str, body: Mapping[str, Any], max_cost: float | str | Decimal) -> Thing:
        dollars = params.dollars("max_cost", max_cost)
        paid = await self._payments.ask(Asked(path.strip("/").split("/")[-1], path, body, dollars, again=False))
        return _thing(paid.sent)

    async def _send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        import msgspec

        sent = msgspec.json.encode(body) if body is not None else None
        repeat = method in {"GET", "DELETE", "PATCH"}
        call = Call(f"exa {path.split('/')[1]}", path, method=method, cost=1.0, body=sent, auth=True, repeat=repeat)
        return decoded(await self._payments.door.send(call))

    async def _list(self, path: str, *, limit: int, pages: int, **words: Any) -> tuple[Thing, ...]:
        """The things of so many pages of `limit` each, less where there are no more; rows that cannot be read are left out."""
        given = {"limit": params.CHECKS["num_results"]("limit", limit), **words}
        found: list[Thing] = []
        for _ in range(pages):
            query = tuple((name, str(value)) for name, value in given.items() if value is not None)
            call = Call(f"exa {path.split('/')[1]}", path, query, cost=1.0, auth=True)
            sent = decoded(await self._payments.door.send(call))
            found += read(Thing, sent.get("data"))[0]
            given["cursor"] = sent.get("nextCursor")
            if not given["cursor"] or not sent.get("hasMore"):
                break
        return tuple(found)


class AsyncMonitors(AsyncStanding):
    """Scheduled searches. Exa wants a public https address for their webhook, so few notebooks can use them: see `lab.news` instead."""

    async def create(
        self,
        query: str,
        *,
        webhook: str,
        max_cost: float | str | Decimal,
        period: str | None = None,
        name: str | None = None,
        num_results: int = 10,
        include_domains: list[str] | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Thing:
        """A monitor; without a period ("6h", "1d": an hour at least) it runs when it is triggered. `webhookSecret` is told this once."""
        if not webhook.startswith("https://"):
            raise UsageError(
                f"webhook={webhook[:60]!r} is no https address", hint="Exa takes public https addresses alone"
            )
        search = {
            "query": params.CHECKS["query"]("query", query),
            "numResults": params.CHECKS["num_results"]("num_results", num_results),
        }
        if include_domains is not None:
            search["includeDomains"] = params.CHECKS["include_domains"]("include_domains", include_domains)
        body: dict[str, Any] = {"search": search, "webhook": {"url": webhook}}
        if period is not None:
            body["trigger"] = {"type": "interval", "period": _period(period)}
        if name is not None:
            body["name"] = params.CHECKS["name"]("name", name)
        if metadata is not None:
            body["metadata"] = params.words("metadata", metadata)
        return await self._create(MONITORS, body, max_cost)

    async def list(
        self, *, status: str | None = None, name: str | None = None, limit: int = 50, pages: int = 1
    ) -> tuple[Thing, ...]:
        """The monitors, so many to a page (1 to 100); by their status, or a part of their name."""
        return await self._list(MONITORS, limit=limit, pages=pages, status=status, name=name)

    async def one(self, monitor_id: str) -> Thing:
        """One monitor."""
        return _thing(await self._send("GET", f"{MONITORS}/{segment(monitor_id)}"))

    async def update(self, /, monitor_id: str, **changes: Any) -> Thing:
        """Change a monitor: status ("active" or "paused"), name, search, webhook, trigger (None: no schedule)."""
        return _thing(await self._send("PATCH", f"{MONITORS}/{segment(monitor_id)}", changes))

    async def delete(self, monitor_id: str) -> None:
        """Delete a monitor."""
        await self._send("DELETE", f"{MONITORS}/{segment(monitor_id)}")

    async def trigger(self, monitor_id: str, *, max_cost: float | str | Decimal) -> bool:
        """Run it now; whether it was triggered."""
        path = f"{MONITORS}/{segment(monitor_id)}/trigger"
        paid = await self._payments.ask(Asked("monitor", path, {}, params.dollars("max_cost", max_cost), again=False))
        return bool(paid.sent.get("triggered"))

    async def runs(self, monitor_id: str, *, limit: int = 50, pages: int = 1) -> tuple[Thing, ...]:
        """Its runs, with what they found in `model_extra["output"]`."""
        return await self._list(f"{MONITORS}/{segment(monitor_id)}/runs", limit=limit, pages=pages)

    async def run(self, monitor_id: str, run_id: str) -> Thing:
        """One run."""
        return _thing(await self._send("GET", f"{MONITORS}/{segment(monitor_id)}/runs/{segment(run_id)}"))

    async def batch(
        self, action: str, where: Mapping[str, Any], *, limit: int = 50, dry_run: bool = True
    ) -> dict[str, Any]:
        """Delete, pause or unpause all that fit (name, status, metadata): action, affected, ids; a dry run unless told otherwise."""
        if action not in {"delete", "pause", "unpause"} or not where:
            raise UsageError(
                "batch() wants delete, pause or unpause, and what they have in common", hint='{"name": "..."}'
            )
        if set(where) - {"name", "status", "metadata"} or isinstance(limit, bool) or not 1 <= limit <= 500:  # noqa: PLR2004 - Exa's
            raise UsageError("batch() goes by name, status and metadata, for 1 to 500 monitors at once")
        wanted = {"action": action, "filter": dict(where), "limit": limit, "dry_run": dry_run}
        return await self._send("POST", f"{MONITORS}/batch", wanted)


class AsyncWebsets(AsyncStanding):
    """Collections of things that fit a description, each checked against criteria. Exa points new work of this kind to agent runs."""

    async def create(
        self,
        query: str,
        *,
        max_cost: float | str | Decimal,
        count: int = 10,
        criteria: list[str] | None = None,
        external_id: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Thing:
        """A webset of `count` items, a target and no promise; one to five criteria. Conflict where the external id is taken."""
        body: dict[str, Any] = {"search": _wanted(query, count)}
        if criteria is not None:
            body["search"]["criteria"] = [{"description": one} for one in CRITERIA("criteria", criteria)]
        if external_id is not None:
            body["externalId"] = EXTERNAL("external_id", external_id)
        if metadata is not None:
            body["metadata"] = params.words("metadata", metadata)
        return await self._create(WEBSETS, body, max_cost)

    async def preview(self, query: str, *, count: int = 10) -> dict[str, Any]:
        """What Exa makes of a query: entity, criteria, items."""
        return await self._send("POST", f"{WEBSETS}/preview", {"search": _wanted(query, count)})

    async def list(self, *, limit: int = 25, pages: int = 1) -> tuple[Thing, ...]:
        """The websets, so many to a page (1 to 100)."""
        return await self._list(WEBSETS, limit=limit, pages=pages)

    async def one(self, webset_id: str) -> Thing:
        """One webset, by its id or your external id; status idle means that it is done."""
        return _thing(await self._send("GET", f"{WEBSETS}/{segment(webset_id)}"))

    async def update(self, /, webset_id: str, **changes: Any) -> Thing:
        """Change its title or metadata."""
        return _thing(await self._send("POST", f"{WEBSETS}/{segment(webset_id)}", changes))

    async def cancel(self, webset_id: str) -> Thing:
        """End its searches."""
        return _thing(await self._send("POST", f"{WEBSETS}/{segment(webset_id)}/cancel", {}))

    async def delete(self, webset_id: str) -> None:
        """Delete it."""
        await self._send("DELETE", f"{WEBSETS}/{segment(webset_id)}")

    async def items(self, webset_id: str, *, limit: int = 20, pages: int = 1) -> tuple[Thing, ...]:
        """Its items; they appear while it runs."""
        return await self._list(f"{WEBSETS}/{segment(webset_id)}/items", limit=limit, pages=pages)


def _wanted(query: str, count: int) -> dict[str, Any]:
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise UsageError(f"count={count!r} is no whole number from 1 on")
    return {"query": QUERY("query", query), "count": count}


def _thing(sent: Any) -> Thing:
    try:
        made: Thing = objects.one(Thing, sent)
    except ValueError as error:
        raise BadPayload(f"Exa's answer cannot be read ({error})") from None
    return made


def _period(text: str) -> str:
    from kalshi_lab.clock import span

    if span(text, what="period") < span("1h"):
        raise UsageError(f"period={text!r} is less than an hour")
    return text


class Monitors(Facade):
    """Scheduled searches, blocking. See `AsyncMonitors`."""

    create = blocking(AsyncMonitors.create)
    list = blocking(AsyncMonitors.list)
    one = blocking(AsyncMonitors.one)
    update = blocking(AsyncMonitors.update)
    delete = blocking(AsyncMonitors.delete)
    trigger = blocking(AsyncMonitors.trigger)
    runs = blocking(AsyncMonitors.runs)
    run = blocking(AsyncMonitors.run)
    batch = blocking(AsyncMonitors.batch)


class Websets(Facade):
    """Collections, blocking. See `AsyncWebsets`."""

    create = blocking(AsyncWebsets.create)
    preview = blocking(AsyncWebsets.preview)
    list = blocking(AsyncWebsets.list)
    one = blocking(AsyncWebsets.one)
    update = blocking(AsyncWebsets.update)
    cancel = blocking(AsyncWebsets.cancel)
    delete = blocking(AsyncWebsets.delete)
    items = blocking(AsyncWebsets.items)
