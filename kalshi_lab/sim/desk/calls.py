"""A signed request on its way to an answer, and the routes that need a key."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from kalshi_lab.sim.queries import Query, Refused, bad

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from starlette.datastructures import QueryParams

    from kalshi_lab.sim.desk.keys import Caller

PREFIX = "/trade-api/v2"
_NUMBER = re.compile(r"\d{1,12}(\.\d{1,6})?")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer with a status other than 200; None is an empty body."""

    status: int
    body: Any = None


class Signed(Route):
    """A route for callers whose key has `scope` ("read" or "write", or a child of one); its endpoint takes a Call."""

    def __init__(self, method: str, path: str, endpoint: Callable[..., Any], scope: str) -> None:
        super().__init__(PREFIX + path, endpoint, methods=[method])
        self.scope = scope


class Call(Query):
    """The query, JSON body and caller of one request at a virtual time."""

    def __init__(self, params: QueryParams, body: Any, caller: Caller, now: int) -> None:
        super().__init__(params)
        self.caller, self.account, self.now = caller, caller.account, now
        self.body = Body({} if body is None else body)

    def subaccount(self, default: int | None = None) -> int | None:
        """The subaccount that the query names, or `default`; a key that is locked to one may name no other."""
        return self.caller.allowed(self.number("subaccount"), default)


class Body:
    """A JSON object whose fields are read strictly. Raises Refused for a wrong or missing one."""

    def __init__(self, values: Any) -> None:
        if not isinstance(values, dict):
            raise bad("the body must be a JSON object")
        self.values: dict[str, Any] = values

    def _given(self, name: str, kind: type, *, needed: bool) -> Any:
        value = self.values.get(name)
        if value is None:
            if needed:
                raise invalid(f"{name} is required")
            return None
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise invalid(f"invalid {name}")
        return value

    def text(self, name: str, *, needed: bool = False) -> str:
        """A text, empty when it is absent."""
        return self._given(name, str, needed=needed) or ""

    def word(self, name: str, allowed: Iterable[str], default: str = "") -> str:
        """One of a few words; it must be given unless there is a default."""
        value = self.text(name, needed=not default) or default
        if value not in set(allowed):
            raise invalid(f"invalid {name}")
        return value

    def flag(self, name: str) -> bool:
        """A boolean, False when it is absent."""
        return bool(self._given(name, bool, needed=False))

    def number(self, name: str, low: int, high: int, *, needed: bool = False) -> int | None:
        """A whole number within bounds."""
        value: int | None = self._given(name, int, needed=needed)
        if value is not None and not low <= value <= high:
            raise invalid(f"{name} must be between {low} and {high}")
        return value

    def needed(self, name: str, low: int, high: int) -> int:
        """A whole number that must be given."""
        value = self.number(name, low, high, needed=True)
        return value if value is not None else low

    def scaled(self, name: str, decimals: int, *, needed: bool = False) -> int | None:
        """A decimal text as a whole number of its smallest part, with at most so many decimals."""
        value = self._given(name, str, needed=needed)
        return None if value is None else scaled(name, value, decimals)

    def count(self, name: str) -> int:
        """Contracts in hundredths, at least one of them."""
        value = self.scaled(name, 2, needed=True) or 0
        if value <= 0:
            raise Refused(400, "invalid_order_size", "invalid order size", f"{name} must be at least 0.01")
        return value

    def several(self, name: str, most: int) -> list[Any]:
        """A list, not empty."""
        values: list[Any] = self._given(name, list, needed=True) or []
        if not 1 <= len(values) <= most:
            raise invalid(f"{name} takes 1 to {most} items")
        return values


def scaled(name: str, value: str, decimals: int) -> int:
    """A decimal text as a whole number of its smallest part."""
    whole, _, part = value.partition(".")
    if not _NUMBER.fullmatch(value) or len(part) > decimals:
        raise invalid(f"{name} must be a decimal text with at most {decimals} decimals")
    return int(whole + part.ljust(decimals, "0"))


def invalid(details: str) -> Refused:
    """The answer to a field that is wrong."""
    return Refused(400, "invalid_parameters", "invalid parameters", details)
