"""Pages, each kept by itself: only those are asked for that are not known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from kalshi_lab.exa import cache as caching
from kalshi_lab.exa import prices as pricing
from kalshi_lab.exa.payments import COSTS, Asked, mapping
from kalshi_lab.exa.records import contents_reply, joined
from kalshi_lab.exa.urls import canonical

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from kalshi_lab.exa.payments import Paid, Payments
    from kalshi_lab.exa.records import ContentsReply

FAILED = 15 * caching.MINUTE  # for which a page that could not be read is not asked for again


async def contents(payments: Payments, body: Mapping[str, Any], prices: Mapping[str, Decimal]) -> ContentsReply:
    """The pages of a request: what is known of them, and one call for the others."""
    name = "urls" if "urls" in body else "ids"
    wanted = list(dict.fromkeys(body[name]))
    known = await _known(payments, body, name, wanted)
    missing = [one for one in wanted if one not in known]
    parts = [contents_reply(sent, cached=True, request_id="") for sent in known.values()]
    if missing:
        asked = {**body, name: missing}
        paid = await payments.ask(_asked(asked, prices))
        await _keep(payments, asked, name, paid)
        parts.append(contents_reply(paid.sent, cached=False, request_id=paid.request_id))
    return parts[0] if len(parts) == 1 else joined(parts)


def _asked(body: Mapping[str, Any], prices: Mapping[str, Decimal]) -> Asked:
    return Asked("contents", "/contents", body, pricing.contents(prices, body), tokens=COSTS["contents"])


async def _known(payments: Payments, body: Mapping[str, Any], name: str, wanted: list[str]) -> dict[str, Any]:
    if payments.cache is None or not _lasting(body):
        return {}
    found = {one: await payments.cache.found(_key(body, name, one)) for one in wanted}
    read = {one: mapping(kept) for one, kept in found.items()}
    return {one: kept for one, kept in read.items() if kept is not None}


async def _keep(payments: Payments, body: Mapping[str, Any], name: str, paid: Paid) -> None:
    """Keep each page under its own key: its row and its status, as they were sent."""
    if payments.cache is None or not _lasting(body):
        return
    seconds = caching.lifetime("contents", body)
    for one in body[name]:
        rows = [row for row in _rows(paid.sent, "results") if canonical(one) in _names(row)]
        told = [row for row in _rows(paid.sent, "statuses") if row.get("id") == one]
        if rows or told:
            kept = msgspec.json.encode({"requestId": paid.request_id, "results": rows, "statuses": told})
            good = seconds if rows else min(FAILED, seconds or FAILED)
            key = _key(body, name, one)
            await payments.cache.keep(key, "contents", kept, seconds=good, cost=None, request_id=paid.request_id)


def _rows(sent: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    rows = sent.get(name)
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _names(row: Mapping[str, Any]) -> set[str]:
    return {canonical(name) for name in (row.get("url"), row.get("id")) if isinstance(name, str)}


def _key(body: Mapping[str, Any], name: str, one: str) -> str:
    return caching.key("POST", "/contents", {**body, name: [one]})


def _lasting(body: Mapping[str, Any]) -> bool:
    seconds = caching.lifetime("contents", body)
    return seconds is None or seconds > 0
