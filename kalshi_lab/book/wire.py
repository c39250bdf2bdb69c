"""Frames of the book channel as received: what is in them, as whole numbers.

Prices become millionths of a dollar and sizes hundredths of a contract, which are the finest units that the exchange writes, so that
a book adds integers and loses nothing. A delta takes the fast road, one msgspec decode into a struct; everything else, and whatever
is odd, takes the careful road through plain objects.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from kalshi_lab import money
from kalshi_lab.errors import BadPayload, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

ONE_DOLLAR = 1_000_000
_RECEIVED = (dict, bytes, str, bytearray, memoryview)
_KEPT = 50_000  # texts remembered at most; the prices and sizes of a busy day stay below
_LEGACY = (
    "it has no prices in dollars, as in the legacy format of whole cents, which the exchange sent until 12 March 2026"
)


class Change(msgspec.Struct, gc=False):
    """The `msg` of an orderbook_delta, in the order in which the exchange writes it."""

    market_ticker: str
    price_dollars: str
    delta_fp: str
    side: Literal["yes", "no"]
    ts_ms: int | None = None


class Delta(msgspec.Struct, gc=False, kw_only=True, tag="orderbook_delta", tag_field="type"):
    """A whole orderbook_delta frame."""

    sid: int | None = None
    seq: Annotated[int, msgspec.Meta(ge=0)] | None = None
    msg: Change


decode = msgspec.json.Decoder(Delta).decode
UNREADABLE = (
    TypeError,
    ValueError,
    RecursionError,
    msgspec.DecodeError,
)  # what `decode` raises for anything but a plain delta


def _price(text: str) -> int:
    money.price(_text(text))
    number = _scaled(text, money.PRICE_SCALE)
    if not 0 <= number <= ONE_DOLLAR:
        raise ValueError(f"a price beyond 0 to 1 dollar: {text!r}")
    return number


def _size(text: str) -> int:
    money.contracts(_text(text))
    return _scaled(text, money.COUNT_SCALE)


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    raise ValueError(f"numbers come as text, not {type(value).__name__}")


def _scaled(text: str, scale: int) -> int:
    """Text like "-0.42" times ten to the `scale`; no decimal context has a part in it."""
    whole, _, part = text.partition(".")
    return int(whole + part.ljust(scale, "0"))


PRICES: dict[str, int] = {}  # texts seen so far and what they mean
SIZES: dict[str, int] = {}


def price(text: str) -> int:
    """A price as written, in millionths of a dollar; ValueError where it is none from 0 to 1 dollar."""
    return PRICES[text] if text in PRICES else _kept(PRICES, text, _price(text))


def size(text: str) -> int:
    """A signed size as written, in hundredths of a contract; ValueError where it is none."""
    return SIZES[text] if text in SIZES else _kept(SIZES, text, _size(text))


def _kept(known: dict[str, int], text: str, number: int) -> int:
    if len(known) >= _KEPT:
        known.clear()
    known[text] = number
    return number


class Decimals(dict[int, Decimal]):
    """Whole numbers as exact decimals, made once each; with four decimals unless more are needed, as the exchange writes them."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale

    def __missing__(self, number: int) -> Decimal:
        spare = 10 ** max(self.scale - 4, 0)
        made = Decimal(f"{number // spare}e-4" if spare > 1 and number % spare == 0 else f"{number}e-{self.scale}")
        if len(self) >= _KEPT:
            self.clear()
        self[number] = made
        return made


DOLLARS, CONTRACTS = Decimals(money.PRICE_SCALE), Decimals(money.COUNT_SCALE)


def frame(received: object) -> Delta | dict[str, Any]:
    """A frame that the fast road did not take: bytes, text, a dict or a Delta, as a Delta where it is one and as a dict otherwise.

    Raises BadPayload for what is no frame of the exchange, UsageError for what could not have been received at all.
    """
    if isinstance(received, Delta):
        return received
    if not isinstance(received, _RECEIVED):
        raise UsageError(
            f"a book takes frames, not {type(received).__name__}",
            hint="Pass the bytes or text as received, or its dict",
        )
    plain = received if isinstance(received, dict) else _plain(received)
    if not isinstance(plain, dict):
        raise BadPayload(f"a frame is an object, not {type(plain).__name__}")
    if plain.get("type") == "orderbook_delta":
        try:
            return msgspec.convert(plain, Delta)
        except msgspec.ValidationError:
            return _odd_delta(plain)
    return _numbered(plain)


def _plain(received: object) -> Any:
    try:
        return msgspec.json.decode(received)  # type: ignore[call-overload]
    except (ValueError, RecursionError, msgspec.DecodeError) as error:
        raise BadPayload(f"a frame that is no JSON: {str(error)[:80]}") from None


def _numbered(plain: dict[str, Any]) -> dict[str, Any]:
    for key in ("seq", "sid"):
        number = plain.get(key)
        if number is not None and (type(number) is not int or number < 0):
            raise BadPayload(f"{key} is no whole number: {str(number)[:40]!r}")
    return plain


def _odd_delta(plain: dict[str, Any]) -> Delta:
    """A delta with something unexpected in it; what cannot be used is refused where it would be."""
    _numbered(plain)
    msg = message(plain)
    odd: dict[str, Any] = {key: msg.get(key) for key in ("market_ticker", "price_dollars", "delta_fp", "side")}
    if not isinstance(odd["market_ticker"], str):
        raise BadPayload("an orderbook_delta without its market_ticker")
    time = msg.get("ts_ms")
    change = Change(**odd, ts_ms=time if type(time) is int else None)
    return Delta(sid=plain.get("sid"), seq=plain.get("seq"), msg=change)


def message(plain: dict[str, Any]) -> dict[str, Any]:
    """The `msg` of a frame; empty where it is absent or a list, as some acknowledgements have it."""
    msg = plain.get("msg")
    return msg if isinstance(msg, dict) else {}


def numbers(change: Change) -> tuple[int, int]:
    """Price and signed size of a change as whole numbers; ValueError or TypeError where they cannot be read."""
    odd: tuple[Any, Any] = (change.price_dollars, change.delta_fp)
    if odd == (None, None):
        raise ValueError(_LEGACY)
    return price(odd[0]), size(odd[1])


def sides(plain: dict[str, Any], *, use_yes_price: bool) -> tuple[dict[int, int], dict[int, int], int]:
    """The YES and NO bids of an orderbook_snapshot, as size by price, and how many levels made no sense.

    An absent, null or empty side is empty. A level without size is none; of a price named twice the last counts. ValueError,
    TypeError, IndexError or KeyError where a level cannot be read.
    """
    msg = message(plain)
    if not msg.keys() & {"yes_dollars_fp", "no_dollars_fp"} and msg.keys() & {"yes", "no"}:
        raise ValueError(_LEGACY)
    yes, odd_yes = _side(msg.get("yes_dollars_fp"), flip=False)
    no, odd_no = _side(msg.get("no_dollars_fp"), flip=use_yes_price)
    return yes, no, odd_yes + odd_no


def _side(levels: Any, *, flip: bool) -> tuple[dict[int, int], int]:
    made: dict[int, int] = {}
    odd = 0
    for level in levels or ():
        at, resting = price(level[0]), size(level[1])
        at = ONE_DOLLAR - at if flip else at
        odd += at in made or resting < 0
        if resting > 0:
            made[at] = resting
    return made, odd


def whole(levels: Iterable[tuple[Decimal, Decimal]]) -> dict[int, int]:
    """Size by price of levels in dollars and contracts; UsageError where they are finer than the exchange's units."""
    try:
        return {_price(f"{price:f}"): _size(f"{size:f}") for price, size in levels if size > 0}
    except ValueError as error:
        raise UsageError(f"levels that no book can hold: {error}") from None


def unreadable(ticker: str, why: object) -> BadPayload:
    """The error for a frame of one market whose levels cannot be read."""
    return BadPayload(
        f"a frame of {ticker} cannot be read: {why}", hint="The levels stay as they were; ask for a new snapshot"
    )
