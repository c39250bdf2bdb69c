"""What is subscribed: everything at once on a new connection, and every later change, one after the other."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from kalshi_lab.errors import RateLimited, RequestError, TimedOut, Unavailable, UsageError, unknown
from kalshi_lab.kalshi import params
from kalshi_lab.kalshi.channels import ACTIONS, CHUNK, EVERYTHING, MOST_ITEMS, Subscription

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kalshi_lab.clock import Clock
    from kalshi_lab.kalshi.connection import Connection

PASSING = (Unavailable, TimedOut, RateLimited)  # what another attempt may mend
WAITS = (0.5, 1.0, 2.0, 4.0)  # seconds before a command is repeated that came too soon after others
Items = dict[str, list[str]]


class Subscriptions:
    """The subscriptions that are wanted, by channel; `connection` is the one on which all of them stand, None while none is."""

    def __init__(self, wanted: dict[str, Subscription], clock: Clock) -> None:
        self.wanted = wanted
        self.connection: Connection | None = None
        self._clock = clock
        self._changing = asyncio.Lock()

    def channel(self, sid: int | None) -> str:
        """The channel of a subscription; empty where it is not known."""
        return next((one.channel for one in self.wanted.values() if sid is not None and one.sid == sid), "")

    def take(self, answer: dict[str, Any]) -> None:
        """Take the number of a subscription from its answer, as soon as that arrives: its first messages may be right behind."""
        content = answer.get("msg")
        found = content if isinstance(content, dict) else {}
        channel, sid = found.get("channel"), found.get("sid")
        if isinstance(channel, str) and channel in self.wanted and isinstance(sid, int):
            self.wanted[channel].sid = sid

    async def all_on(self, connection: Connection, *, again: bool) -> dict[str, RequestError]:
        """Subscribe everything on a new connection; what the exchange refuses is raised, or given back where it stood before."""
        async with self._changing:
            refused = {}
            for one in self.wanted.values():
                one.sid = None  # those of the connection before mean something else now
            for one in self.wanted.values():
                try:
                    await self._subscribe(connection, one)
                except RequestError as error:
                    if not again or not error.code or isinstance(error, PASSING):
                        raise
                    refused[one.channel] = error
            self.connection = connection
            return refused

    async def restore(self, one: Subscription, connection: Connection) -> None:
        """Subscribe one again that ended, unless a newer connection did."""
        async with self._changing:
            if self.connection is connection and self.wanted.get(one.channel) is one:
                await self._subscribe(connection, one)

    async def _subscribe(self, connection: Connection, one: Subscription) -> None:
        self.take(await self._command(connection, "subscribe", **one.first()))
        for piece in one.rest():
            await self._update(connection, one, ACTIONS[one.items_name][0], piece)

    async def _update(self, connection: Connection, one: Subscription, action: str, items: list[str]) -> None:
        await self._command(connection, "update_subscription", sid=one.sid, action=action, **{one.items_name: items})

    async def _command(self, connection: Connection, command: str, **parameters: Any) -> dict[str, Any]:
        """A command; one that came too soon after others is repeated after a while."""
        waits = iter(WAITS)
        while True:
            try:
                return await connection.command(command, **parameters)
            except RateLimited:
                wait = next(waits, None)
                if wait is None:
                    raise
                await self._clock.sleep(wait * (0.5 + self._clock.random() / 2))

    async def add(self, items: Items) -> None:
        """Add items to every channel that they fit; what the exchange refuses is not kept."""
        async with self._changing:
            for one, names in self._fitting(items):
                new = [name for name in names if name not in (one.items or ())]
                for piece in _pieces(new):
                    if self.connection is not None:
                        await self._update(self.connection, one, ACTIONS[one.items_name][0], piece)
                    one.items = [*(one.items or ()), *piece]

    async def drop(self, items: Items) -> None:
        """Take items away; a channel without any would be about everything, and is refused."""
        async with self._changing:
            chosen = [(one, [name for name in one.items or () if name in names]) for one, names in self._fitting(items)]
            for one, gone in chosen:
                if gone and len(gone) == len(one.items or ()):
                    raise UsageError(
                        f"nothing would be left on {one.channel}", hint="Unsubscribe it, or close the stream"
                    )
            for one, gone in chosen:
                for piece in _pieces(gone):
                    if self.connection is not None:
                        await self._update(self.connection, one, ACTIONS[one.items_name][1], piece)
                    one.items = [name for name in one.items or () if name not in piece]

    async def unsubscribe(self, channels: list[str]) -> list[Subscription]:
        """End some channels; those that ended, with the numbers that they had."""
        async with self._changing:
            strange = next((name for name in channels if name not in self.wanted), None)
            if strange is not None:
                raise unknown("channel of this stream", strange, self.wanted)
            if not self.wanted.keys() - set(channels):
                raise UsageError("no channel would be left", hint="Close the stream instead")
            ended = []
            for name in dict.fromkeys(channels):
                sid = self.wanted[name].sid
                if self.connection is not None and sid is not None:
                    await self._command(self.connection, "unsubscribe", sids=[sid])
                ended.append(self.wanted.pop(name))
            return ended

    async def ask(self, one: Subscription, action: str, items: list[str]) -> None:
        """Ask for what comes as messages; nothing while there is no connection, since all of it comes with the next one."""
        for piece in _pieces(items) or [[]]:
            if self.connection is not None and one.sid is not None:
                named = {one.items_name: piece} if piece else {}
                await self.connection.ask("update_subscription", sid=one.sid, action=action, **named)

    async def listed(self) -> dict[str, int]:
        """What the exchange says is subscribed: the number of each channel."""
        if self.connection is None:
            raise Unavailable("the stream is not connected", hint="It is being made again; try in a moment")
        found = (await self._command(self.connection, "list_subscriptions")).get("msg")
        rows = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
        return {str(one.get("channel")): sid for one in rows if isinstance(sid := one.get("sid"), int)}

    def _fitting(self, items: Items) -> list[tuple[Subscription, list[str]]]:
        """The subscriptions that list such items, each with those that are meant."""
        found = [(one, items[one.items_name]) for one in self.wanted.values() if one.items and one.items_name in items]
        missing = sorted(items.keys() - {one.items_name for one, _ in found})
        if missing or not items:
            what = "single markets" if missing in ([], ["market_tickers"]) else missing[0]
            raise UsageError(f"this stream is not about {what}", hint="Open it with some")
        everything = next((one for one, _ in found if one.items == [EVERYTHING]), None)
        if everything is not None:
            raise UsageError(f"{everything.channel} brings all of them already")
        return found


def named(
    tickers: str | Iterable[str] | None,
    index_ids: str | Iterable[str] | None,
    underlying_tickers: str | Iterable[str] | None,
) -> Items:
    """What a caller names, by the parameter that lists it."""
    found = {} if tickers is None else {"market_tickers": params.tickers(tickers)}
    for name, given in (("index_ids", index_ids), ("underlying_tickers", underlying_tickers)):
        some = params.several(given, name, most=MOST_ITEMS)
        found |= {} if some is None else {name: some}
    return found


def _pieces(items: list[str]) -> list[list[str]]:
    return [items[start : start + CHUNK] for start in range(0, len(items), CHUNK)]
