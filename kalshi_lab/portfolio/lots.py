"""The lots of one market, exactly: what opened them, what closed them, and what that made.

Everything is whole numbers: prices in 1/1,000,000 dollar, contracts in 1/100, money in their product, 1/100,000,000 dollar.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, Literal

from kalshi_lab.money import MICRO

if TYPE_CHECKING:
    from collections.abc import Iterable

Method = Literal["fifo", "lifo", "average"]
UNIT: Final = 100_000_000  # of money in a dollar
SIXTH: Final = 100  # units in the sixth decimal of a dollar, where the exchange cuts what it shares out
UNKNOWN: Final = -1  # in place of the row of a fill: what opened it is not known
RECALLED: Final = -2  # no fill is known, but what a settlement says of them all
SETTLED, REFUNDED, UNVALUED, NETTED = (
    -1,
    -2,
    -3,
    -4,
)  # in place of the fill that closed it: paid out, void, at an unknown value, by pairs
Lot = list[int]
"""Row of the fill that opened it, contracts, cost, fee: what is left of them."""


CLOSING: Final = ("market", "side", "opened", "closed", "count", "cost", "proceeds", "fee_in", "fee_out")
"""What is said of each part of a lot that was closed: the market, 1 for YES and -1 for NO, the rows of the fills that opened and closed it
(below zero: none of them), contracts, cost, proceeds, the fee of either end."""
PROCEEDS: Final = CLOSING.index("proceeds") - len(CLOSING)


class Lots:
    """The open lots of one market in one subaccount. YES and NO of a market annul each other: a pair is a dollar at once.

    `held` is positive for YES and negative for NO. Costs and fees that are shared out between parts of a lot add up to the whole: the last
    part takes the rest. With "average" all lots are one, whose cost is cut at the sixth decimal where a part of it leaves, as the exchange
    does it. What is closed goes to the end of `out`, one number after the other, as `CLOSING` names them.
    """

    __slots__ = ("_last", "_market", "_out", "_pooled", "held", "open")

    def __init__(self, market: int, method: Method, out: list[int], unknown: int = 0) -> None:
        self._market, self._out, self._last, self._pooled = market, out, method == "lifo", method == "average"
        self.held = unknown
        self.open: deque[Lot] = deque([[UNKNOWN, abs(unknown), 0, 0]] if unknown else ())

    def take(self, fills: Iterable[tuple[int, int, int, int]]) -> None:
        """Book fills in the order of time: row, contracts (positive: YES gained), price of the side that is gained, fee."""
        for row, change, price, fee in fills:
            count, left = abs(change), fee
            if (self.held < 0 < change) or (change < 0 < self.held):
                closing = min(count, abs(self.held))
                left -= fee * closing // count
                self._close(row, closing, MICRO - price, fee - left)
                count -= closing
            self.held += change
            if count:
                self._add(row, count, price * count, left)

    def settle(self, row: int, value: int, paid: int | None = None) -> None:
        """Close what is left at what YES paid a contract; `paid` is what came in all, where its rounding is known."""
        if not self.held:
            return
        count, price = abs(self.held), value if self.held > 0 else MICRO - value
        self._close(row, count, price, 0)
        if paid is not None:
            self._out[PROCEEDS] += paid - price * count
        self.held = 0

    def refund(self, row: int) -> None:
        """Close what is left at what it cost."""
        for opened, count, cost, fee in self.open:
            self._closed((opened, count, cost, fee), row, cost)
        self.open.clear()
        self.held = 0

    def recall(self, yes: tuple[int, int], no: tuple[int, int], fee: int) -> None:
        """Take contracts and their cost of either side from a settlement's totals, where no fill is known: pairs are closed at once."""
        more, less, side = (yes, no, 1) if yes[0] >= no[0] else (no, yes, -1)
        if not more[0]:
            return
        self.held, pairs = side * more[0], less[0]
        share, paid = more[1] * pairs // more[0], fee * pairs // more[0]
        if pairs:
            self._closed((RECALLED, pairs, share, paid), NETTED, pairs * MICRO - less[1])
        self.held -= side * pairs
        if self.held:
            self.open.append([RECALLED, abs(self.held), more[1] - share, fee - paid])

    def _add(self, row: int, count: int, cost: int, fee: int) -> None:
        if self._pooled and self.open and self.open[-1][0] != UNKNOWN:
            pool = self.open[-1]
            pool[1] += count
            pool[2] += cost
            pool[3] += fee
        else:
            self.open.append([row, count, cost, fee])

    def _close(self, row: int, count: int, price: int, fee: int) -> None:
        """Take contracts out of the lots, the oldest first, or the newest, and give each its share of the fee."""
        lots, out, side = self.open, self._out, 1 if self.held > 0 else -1
        while count:
            lot = lots[-1] if self._last else lots[0]
            opened, held, cost, paid = lot
            if held <= count:
                part = held
                lots.pop() if self._last else lots.popleft()
            else:
                part, grain = count, SIXTH if self._pooled else 1
                cost, paid = cost // grain * part // held * grain, paid * part // held
                lot[1] -= part
                lot[2] -= cost
                lot[3] -= paid
            share = fee * part // count
            out.extend((self._market, side, opened, row, part, cost, price * part, paid, share))
            count -= part
            fee -= share

    def _closed(self, lot: tuple[int, int, int, int], row: int, proceeds: int) -> None:
        opened, count, cost, fee = lot
        self._out.extend((self._market, 1 if self.held > 0 else -1, opened, row, count, cost, proceeds, fee, 0))
