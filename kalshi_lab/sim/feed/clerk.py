"""Answers to the commands of clients."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np

from kalshi_lab.sim.feed import indices, messages
from kalshi_lab.sim.feed.commands import INDEX_CHANNELS, MARKET_CHANNELS, MOST_MARKETS, Command, Rejected, parsed
from kalshi_lab.sim.feed.feed import SLICE, Feed
from kalshi_lab.sim.feed.session import Connection, Frame, Subscription
from kalshi_lab.sim.world import ACTIVE

if TYPE_CHECKING:
    from kalshi_lab.sim.render import Json

BOOK = "orderbook_delta"
_LISTS = {"indexlist": ("_indexlist", "index_ids"), "underlying_list": ("_underlying_list", "underlying_tickers")}


class Clerk:
    """Carries out commands on a feed."""

    def __init__(self, feed: Feed) -> None:
        self.feed, self.world = feed, feed.world
        self._ids: dict[str, int] = {}

    async def answer(self, connection: Connection, text: str) -> None:
        """Carry out one command, or say why not."""
        number = 0
        try:
            command = parsed(text)
            number = command.id
            self._spared()
            await getattr(self, f"_{command.name}")(connection, command)
        except Rejected as error:
            self._reply(connection, "error", number or error.id, msg=error.msg)

    def _spared(self) -> None:
        if fault := self.feed.faults.strikes("command_error"):
            raise Rejected(fault.code)

    @staticmethod
    def _reply(connection: Connection, kind: str, number: int, **more: Any) -> None:
        """A control frame; without an id the key is absent."""
        body: Json = {"type": kind, **({"id": number} if number else {}), **more}
        connection.tell(Frame(messages.text(body)))

    # ------------------------------------------------------------------ subscribe

    async def _subscribe(self, connection: Connection, command: Command) -> None:
        channels = command.channels()
        rows, by_id = self._rows(command, channels)
        if BOOK in channels and not rows:
            raise Rejected(14)
        self._within(connection, rows)
        options = {
            "yes_prices": command.flag("use_yes_price"), "brief": command.flag("skip_ticker_ack"), "own": command.own(),
            "shard": command.shard(), "by_id": by_id,
        }  # fmt: skip
        first, names = command.flag("send_initial_snapshot"), {name: self._names(command, name) for name in channels}
        if "trade" in channels or "ticker" in channels:
            await self.feed.tape()
        for channel in channels:
            chosen = set(rows) if rows and channel in MARKET_CHANNELS else None
            known = connection.on(channel)
            if known is None:
                known = self._opened(connection, command.id, Subscription(
                    connection, connection.sids + 1, channel, self.feed.clock.now(), chosen, names[channel], **options,  # type: ignore[arg-type] # by name
                ))  # fmt: skip
                fresh = list(rows) if chosen is not None else None
            else:
                fresh = self._widened(known, chosen, names[channel])
                self._ok(known, command.id)
            await self._begin(known, fresh, first=first)

    def _opened(self, connection: Connection, number: int, made: Subscription) -> Subscription:
        connection.sids += 1
        self.feed.open(made)
        self._reply(connection, "subscribed", number, msg={"channel": made.channel, "sid": made.sid})
        return made

    @staticmethod
    def _widened(known: Subscription, rows: set[int] | None, names: set[str] | None) -> list[int] | None:
        """Add to a subscription that is there already; gives the markets that are new to it."""
        known.names = None if names is None or known.names is None else known.names | names
        if known.rows is None:
            return []
        if rows is None:
            known.rows = None
            return None
        fresh = sorted(rows - known.rows)
        known.rows |= rows
        return fresh

    def _names(self, command: Command, channel: str) -> set[str] | None:
        if channel in INDEX_CHANNELS:
            return command.names("index_ids", indices.known(channel), 24)
        return command.names("underlying_tickers", indices.known(channel), 28) if channel == "pyth_value" else None

    async def _begin(self, subscription: Subscription, rows: list[int] | None, *, first: bool) -> None:
        """What a subscription is sent before anything happens, for its new markets or (None) for all."""
        if subscription.channel == BOOK:
            for part in _parts(rows or []):
                self.feed.books.follow(subscription, part, self.feed.clock.now())
                await asyncio.sleep(0)
        elif subscription.channel == "ticker" and first:
            for part in _parts(self._active() if rows is None else rows):
                for row, msg in self.feed.tickers.all(part, self.feed.clock.now()):
                    self.feed.emit(subscription, "ticker", messages.text(msg), self.world.names.market(row))
                await asyncio.sleep(0)

    def _active(self) -> list[int]:
        status = self.world.event_status(self.feed.clock.now())[self.world.markets.event]
        return [int(row) for row in np.flatnonzero(status == ACTIVE)]

    def _rows(self, command: Command, channels: list[str]) -> tuple[list[int], bool]:
        """The markets that a command names, and whether by their ids."""
        ids = command.one_or_several("market_id")
        if not ids:
            return self._found(command.one_or_several("market_ticker")), False
        if channels != ["ticker"] or command.one_or_several("market_ticker"):
            raise Rejected(11, "market ids are for the ticker channel, without tickers")
        known = self._by_id()
        rows = [known.get(one) for one in dict.fromkeys(ids)]
        if None in rows:
            raise Rejected(11, "unknown market id", market_id=ids[rows.index(None)])
        return [row for row in rows if row is not None], True

    def _found(self, tickers: list[str]) -> list[int]:
        rows = {ticker: self._listed_row(ticker) for ticker in tickers}
        if strange := [ticker for ticker, row in rows.items() if row is None]:
            raise Rejected(11, "unknown market ticker", market_tickers=strange)
        return [row for row in rows.values() if row is not None]

    def _listed_row(self, ticker: str) -> int | None:
        row = self.world.names.find_market(ticker)
        listed = row is not None and self.world.event_status(self.feed.clock.now())[self.world.markets.event[row]] >= 0
        return row if listed else None

    def _by_id(self) -> dict[str, int]:
        for row in range(len(self._ids), len(self.world.markets)):
            self._ids[messages.market_id(self.world.seed, row)] = row
        return self._ids

    def _within(self, connection: Connection, rows: list[int]) -> None:
        held = sum(len(one.rows or ()) for one in connection.subscriptions.values())
        if held + len(rows) > MOST_MARKETS:
            raise Rejected(26)

    # ------------------------------------------------------------------ the other commands

    async def _unsubscribe(self, connection: Connection, command: Command) -> None:
        ended = [self._subscription(connection, sid) for sid in dict.fromkeys(command.sids())]
        for subscription in ended:
            number = subscription.next()
            self.feed.end(subscription)
            self._reply(connection, "unsubscribed", command.id, sid=subscription.sid, seq=number)

    async def _list_subscriptions(self, connection: Connection, command: Command) -> None:
        listed = [{"channel": one.channel, "sid": one.sid} for one in connection.subscriptions.values()]
        self._reply(connection, "ok", command.id, msg=listed)

    async def _update_subscription(self, connection: Connection, command: Command) -> None:
        subscription = self._subscription(connection, command.sid())
        action = command.params.get("action")
        if not isinstance(action, str) or not action:
            raise Rejected(15)
        if action in {"add_markets", "delete_markets"} and subscription.channel in MARKET_CHANNELS:
            await self._change_markets(subscription, command, add=action == "add_markets")
        elif action == "get_snapshot" and subscription.channel == BOOK:
            await self._glance(subscription, command)
        elif action in {"subscribe_indices", "unsubscribe_indices"} and subscription.channel in INDEX_CHANNELS:
            self._change_names(subscription, command, "index_ids", 24, add=action == "subscribe_indices")
        elif action in {"subscribe_underlyings", "unsubscribe_underlyings"} and subscription.channel == "pyth_value":
            self._change_names(subscription, command, "underlying_tickers", 28, add=action == "subscribe_underlyings")
        elif action in _LISTS and subscription.channel in (INDEX_CHANNELS if action == "indexlist" else {"pyth_value"}):
            ending, key = _LISTS[action]
            known = messages.text({key: indices.known(subscription.channel)})
            self.feed.emit(subscription, f"{subscription.channel}{ending}", known)
        else:
            raise Rejected(13, action)

    @staticmethod
    def _subscription(connection: Connection, sid: int) -> Subscription:
        if sid not in connection.subscriptions:
            raise Rejected(7, str(sid))
        return connection.subscriptions[sid]

    async def _change_markets(self, subscription: Subscription, command: Command, *, add: bool) -> None:
        rows, _ = self._rows(command, [subscription.channel])
        if not rows:
            raise Rejected(14)
        if subscription.rows is None and not add:
            raise Rejected(11, "the subscription has all markets")
        fresh: list[int] | None = []
        if add:
            self._within(subscription.connection, rows)
            fresh = self._widened(subscription, set(rows), subscription.names)
        elif subscription.rows is not None:
            subscription.rows -= set(rows)
            self.feed.books.leave(subscription, rows if subscription.channel == BOOK else ())
        self._ok(subscription, command.id)
        await self._begin(subscription, fresh, first=command.flag("send_initial_snapshot"))

    async def _glance(self, subscription: Subscription, command: Command) -> None:
        rows, _ = self._rows(command, [BOOK])
        if not rows:
            raise Rejected(14)
        for part in _parts(rows):
            self.feed.books.glance(subscription, part, self.feed.clock.now())
            await asyncio.sleep(0)

    def _change_names(self, subscription: Subscription, command: Command, key: str, code: int, *, add: bool) -> None:
        known = indices.known(subscription.channel)
        wanted = command.names(key, known, code)
        held = set(known) if subscription.names is None else subscription.names
        changed = set(known) if wanted is None else wanted
        subscription.names = None if add and wanted is None else held | changed if add else held - changed
        self._ok(subscription, command.id)

    def _ok(self, subscription: Subscription, number: int) -> None:
        """The reply to a change, with the full list of what the subscription has now."""
        numbered = {"seq": subscription.next()} if subscription.sequenced else {}
        listed = {} if subscription.brief else self._listed(subscription)
        self._reply(
            subscription.connection,
            "ok",
            number,
            sid=subscription.sid,
            **numbered,
            **({"msg": listed} if listed else {}),
        )

    def _listed(self, subscription: Subscription) -> dict[str, list[str]]:
        if subscription.channel in indices.INTERVALS:
            key = "underlying_tickers" if subscription.channel == "pyth_value" else "index_ids"
            return {
                key: indices.known(subscription.channel) if subscription.names is None else sorted(subscription.names)
            }
        if subscription.rows is None:
            return {}
        if subscription.by_id:
            return {"market_ids": sorted(messages.market_id(self.world.seed, row) for row in subscription.rows)}
        return {"market_tickers": sorted(self.world.names.market(row) for row in subscription.rows)}


def _parts(rows: list[int]) -> list[list[int]]:
    return [rows[start : start + SLICE] for start in range(0, len(rows), SLICE)]
