"""What of an answer found no field: looked for in everything that a call gave."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

import polars as pl
from pydantic import BaseModel

import kalshi_lab as kl
from kalshi_lab.frames import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def everything(result: Any) -> list[Any]:
    """What a call of the blocking client gave: the objects and the frame of a listing, or the value itself."""
    if isinstance(result, kl.Pages):
        found = [result.frame(exact=True), *result]
        return [*found, *result.refused]
    return [result]


def awaited(client: Callable[[], kl.AsyncKalshi], call: Callable[[kl.AsyncKalshi], Any]) -> list[Any]:
    """The same of an awaited client, made inside its own loop."""

    async def gather() -> list[Any]:
        async with client() as made:
            result = call(made)
            if isinstance(result, kl.AsyncPages):
                found = [await result.frame(exact=True), *[item async for item in result]]
                return [*found, *result.refused]
            return [await result if inspect.isawaitable(result) else result]

    return asyncio.run(gather())


def leftovers(value: Any, where: str = "") -> Iterator[str]:
    """Fields that the wire has and the record does not name, and rows that were refused."""
    if isinstance(value, Refused):
        yield f"refused: {value}"
    elif isinstance(value, pl.DataFrame):
        extra = value.get_column("extra").drop_nulls().to_list() if "extra" in value.columns else []
        yield from (f"{where} extra {text}" for text in extra)
    elif isinstance(value, BaseModel):
        yield from (f"{type(value).__name__}.{name}" for name in value.model_extra or {})
        for name, item in value:
            yield from leftovers(item, f"{where}.{name}")
    elif isinstance(value, dict):
        for item in value.values():
            yield from leftovers(item, where)
    elif isinstance(value, list | tuple) and not isinstance(value, str):
        for item in value:
            yield from leftovers(item, where)
