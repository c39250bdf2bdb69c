"""The live book of one market: a snapshot, then every signed change, with the sequence numbers checked."""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING, Any

from kalshi_lab.book import wire
from kalshi_lab.book.views import Views
from kalshi_lab.errors import BadPayload, UsageError

if TYPE_CHECKING:
    from kalshi_lab.models import Orderbook

_decode, _UNREADABLE = wire.decode, wire.UNREADABLE
_PRICES, _SIZES, _ONE = wire.PRICES, wire.SIZES, wire.ONE_DOLLAR
_NONE = -1  # no frame has this number


class OrderBook(Views):
    """The order book of one market, kept from the exchange's own frames; it does no I/O and knows no clock.

        book = kl.OrderBook("KXHIGHNY-26NOV20-B51.5")
        for frame in frames:            # bytes or text as received, or a dict {type, sid, seq, msg}
            book.apply(frame)
        book.best_bid(), book.best_ask(), book.mid

    Levels are exact: prices to a millionth of a dollar, sizes to a hundredth of a contract.

    Sequence numbers run over all markets of a subscription, so give `apply` every frame of the subscription; those of other markets
    only count. After a gap the book is `stale`, its levels stay as they were, and changes are discarded until the next
    snapshot, which always heals. With `sequence=False` somebody else checks (`OrderBooks`, a recording known to be whole) and calls
    `mark_stale` when a frame was missed. `use_yes_price=True` is for subscriptions whose NO levels come in YES prices.

    Attributes: ticker; sid (subscription, None before the first snapshot); stale and stale_reason; gap, the (expected, received)
    numbers of the gap that made it stale, else None; and counters: gaps, duplicates (frames that came again), discarded (changes
    of this market that came while it waited for a snapshot), trouble (levels that would have gone below zero, or were named twice).
    """

    __slots__ = (
        "_at", "_checks", "_last", "_live", "_next", "_no", "_no_prices", "_yes", "_yes_prices", "discarded", "duplicates", "gap",
        "gaps", "sid", "stale", "stale_reason", "ticker", "trouble", "use_yes_price",
    )  # fmt: skip

    def __init__(self, ticker: str, *, use_yes_price: bool = False, sequence: bool = True) -> None:
        self.ticker = ticker
        self.use_yes_price = use_yes_price
        self.sid: int | None = None
        self.gap: tuple[int, int] | None = None
        self.gaps = self.duplicates = self.discarded = self.trouble = 0
        self.stale = True
        self.stale_reason = "no snapshot yet"
        self._checks = sequence
        self._live = False  # whether changes may be applied
        self._next = _NONE  # the number that must come, where one must
        self._last: int | None = None
        self._at = self._bid = self._bid_of = self._ask = self._ask_of = None
        self._replace({}, {})

    @classmethod
    def of(cls, orderbook: Orderbook, *, use_yes_price: bool = False, sequence: bool = True) -> OrderBook:
        """A book that starts with the levels of a REST answer; see `reset`."""
        book = cls(orderbook.ticker, use_yes_price=use_yes_price, sequence=sequence)
        book.reset(orderbook)
        return book

    def apply(self, frame: bytes | str | dict[str, Any] | wire.Delta) -> bool:  # noqa: C901, PLR0911, PLR0912 - one piece, for speed
        """Take the next frame of the subscription; True where levels changed.

        BadPayload for what cannot be read; then no level changes. A frame lost that way is a gap when the next one comes
        (with `sequence=False` the book is stale at once). UsageError for what is no frame at all.
        """
        try:
            delta = _decode(frame)  # type: ignore[arg-type] # a dict is a TypeError, and takes the other road
        except _UNREADABLE:
            other = wire.frame(frame)
            if isinstance(other, dict):
                return self._other(other)
            delta = other
        seq = delta.seq
        if (seq != self._next or delta.sid != self.sid) and (seq := self._admitted(delta)) is None:
            return False
        change = delta.msg
        if change.market_ticker != self.ticker:
            self._next = seq + 1
            return False
        try:
            price, size = _PRICES[change.price_dollars], _SIZES[change.delta_fp]
        except (KeyError, TypeError):
            try:
                price, size = wire.numbers(change)
            except (ValueError, TypeError) as error:
                raise self._unreadable(error) from None
        if change.side == "yes":
            levels, prices = self._yes, self._yes_prices
        elif change.side == "no":
            levels, prices = self._no, self._no_prices
            if self.use_yes_price:
                price = _ONE - price
        else:
            raise self._unreadable(f"side {change.side!r}")
        self._next = seq + 1
        self._at = change.ts_ms
        if price in levels:
            now = levels[price] + size
            if now > 0:
                levels[price] = now
                return size != 0
            del levels[price], prices[bisect_left(prices, price)]
            self.trouble += now < 0
            return True
        if size > 0:
            levels[price] = size
            insort(prices, price)
            return True
        self.trouble += size < 0
        return False

    def reset(self, orderbook: Orderbook) -> None:
        """Take the levels of a REST answer, which says nothing about the stream's sequence.

        Where sequence numbers are checked, changes still wait for the stream's own snapshot: a REST answer cannot say which of
        them it already holds. With `sequence=False` they are applied on top.
        """
        if orderbook.ticker != self.ticker:
            raise UsageError(f"the book of {self.ticker} cannot take the levels of {orderbook.ticker}")
        self._replace(wire.whole(orderbook.yes_bids), wire.whole(orderbook.no_bids))
        self._next, self._at, self._last = _NONE, None, None
        self._healed(live=not self._checks)

    def mark_stale(self, reason: str) -> None:
        """Say that frames were missed: the levels stay, changes are discarded until the next snapshot."""
        self._last = self.seq
        self._live, self._next = False, _NONE
        self.stale, self.stale_reason = True, reason

    @property
    def wants_snapshot(self) -> bool:
        """Whether changes are discarded until a snapshot comes."""
        return not self._live

    @property
    def seq(self) -> int | None:
        """The number of the last frame in sequence; None before the first."""
        return self._last if self._next == _NONE else self._next - 1

    def copy(self) -> OrderBook:
        """A book of its own with the same levels, counters and place in the sequence."""
        twin = type(self).__new__(type(self))
        for name in (*Views.__slots__, *OrderBook.__slots__):
            value = getattr(self, name)
            setattr(twin, name, value.copy() if isinstance(value, dict | list) else value)
        return twin

    __copy__ = copy

    def _unreadable(self, why: object) -> BadPayload:
        """The error for a frame of this market; where nobody here compares numbers no later gap would tell, so it is stale now."""
        if not self._checks:
            self.mark_stale("a frame could not be read")
        return wire.unreadable(self.ticker, why)

    def _admitted(self, delta: wire.Delta) -> int | None:
        """The number under which to take a delta that is not simply the next one; None where it may not be taken."""
        mine = delta.msg.market_ticker == self.ticker
        if self._live and (not self._checks or self._in_step(delta.sid, delta.seq)):
            return self._next - 1 if delta.seq is None else delta.seq
        if mine and not self._live:
            self.discarded += 1
            if not self.stale:  # levels from elsewhere than the stream, which are now behind
                self.mark_stale("changes came that only a snapshot can place")
        return None

    def _other(self, plain: dict[str, Any]) -> bool:
        """A frame that is no delta: a snapshot, or something that only counts."""
        sid, seq, snapshot = plain.get("sid"), plain.get("seq"), plain.get("type") == "orderbook_snapshot"
        if snapshot and wire.message(plain).get("market_ticker") == self.ticker:
            return self._snapshot(plain)
        if self._live and self._checks and seq is not None:
            if snapshot and sid == self.sid and seq < self._next:
                self.mark_stale("the sequence started again")
            elif self._in_step(sid, seq):
                self._next = seq + 1
        return False

    def _snapshot(self, plain: dict[str, Any]) -> bool:
        """Both sides anew, whatever the number: a snapshot heals a gap, and starts a sequence again after a reconnect."""
        try:
            yes, no, odd = wire.sides(plain, use_yes_price=self.use_yes_price)
        except (ValueError, TypeError, IndexError, KeyError) as error:
            raise self._unreadable(error) from None
        seq, time = plain.get("seq"), wire.message(plain).get("ts_ms") or plain.get("sending_ts_ms")
        self.gaps += seq is not None and plain.get("sid") == self.sid and seq > self._next != _NONE
        self._replace(yes, no)
        self.trouble += odd
        self.sid = plain.get("sid")
        self._at = time if type(time) is int else None
        self._next, self._last = _NONE if seq is None else seq + 1, None
        self._healed(live=True)
        return True

    def _in_step(self, sid: int | None, seq: int | None) -> bool:
        """Whether a numbered frame is the next one of this book's subscription; counts what came again, notes a gap."""
        if sid is not None and sid != self.sid:
            return False  # another subscription's
        if seq is None or self._next in (_NONE, seq):
            return True
        if seq < self._next:
            self.duplicates += 1
        else:
            self._missed(self._next, seq)
        return False

    def _missed(self, expected: int, received: int) -> None:
        self.gaps += 1
        self.mark_stale(f"missed {received - expected} frames from {expected} on")
        self.gap = (expected, received)

    def _healed(self, *, live: bool) -> None:
        self._live, self.stale, self.stale_reason, self.gap = live, False, "", None

    def _replace(self, yes: dict[int, int], no: dict[int, int]) -> None:
        self._yes, self._no = yes, no
        self._yes_prices, self._no_prices = sorted(yes), sorted(no)
