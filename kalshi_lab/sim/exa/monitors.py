"""Monitors of the simulated Exa: searches that run on the virtual clock's schedule, or when they are triggered, and repeat nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from kalshi_lab.sim.exa import asked
from kalshi_lab.sim.exa.asked import BAD_BODY, Denied, stamp
from kalshi_lab.sim.exa.bill import MONITOR_RUN
from kalshi_lab.sim.exa.runs import paged
from kalshi_lab.sim.wire import SECOND

if TYPE_CHECKING:
    from kalshi_lab.sim.exa.bill import Bill
    from kalshi_lab.sim.exa.engine import Engine
    from kalshi_lab.sim.exa.finding import Finding
    from kalshi_lab.sim.virtual import VirtualClock

PERIOD = re.compile(r"([1-9]\d{0,4})([hd])")
SECONDS = {"h": 3600, "d": 86_400}
MOST_RUNS = 100  # of a monitor, on its schedule; it would be at fault to make more at one look
SETTABLE = ("active", "paused")
CHANGED = ("name", "trigger", "outputSchema", "metadata")
_WORD = re.compile(r"metadata\[(.+)\]")
Told = tuple[int, dict[str, Any]]
Body = dict[str, Any]


class Monitors:
    """The monitors of one team, and their runs."""

    def __init__(self, finding: Finding, engine: Engine, bill: Bill, clock: VirtualClock) -> None:
        self._finding, self._engine, self._bill, self._clock = finding, engine, bill, clock
        self._kept: dict[str, Body] = {}
        self._runs: dict[str, list[Body]] = {}
        self._seen: dict[str, set[str]] = {}
        self._next: dict[str, int] = {}
        self._made = 0

    def answer(self, method: str, parts: list[str], body: Any, words: dict[str, str]) -> Told | None:
        """The answer to a request below /monitors; None for a path that is none."""
        name, rest = parts[0], parts[1:]
        for one in list(self._kept.values()):
            self._brought(one)
        if not name:
            return self._together(method, body, words)
        if name == "batch" and method == "POST":
            return 200, self._batch(asked.body(body))
        found = self._kept.get(name)
        if found is None:
            raise Denied(404, "NOT_FOUND", f"no monitor {name[:40]}")
        return self._deeper(method, found, rest, words) if rest else self._alone(method, found, body)

    def _together(self, method: str, body: Any, words: dict[str, str]) -> Told | None:
        if method == "POST":
            return self._create(asked.body(body))
        return self._listed(words) if method == "GET" else None

    def _create(self, body: Body) -> Told:
        search = asked.search(asked.mapping("search", body.get("search")))
        asked.mapping("webhook", body.get("webhook"))
        _described(body)
        now, self._made = self._clock.now(), self._made + 1
        one: Body = {
            "id": f"monitor_{self._made:06d}", "name": body.get("name"), "status": "active", "search": _plain(search),
            "trigger": body.get("trigger"), "webhook": _webhook(body["webhook"]), "outputSchema": body.get("outputSchema"),
            "metadata": body.get("metadata") or {}, "createdAt": stamp(now), "updatedAt": stamp(now),
        }  # fmt: skip
        period = _period(one["trigger"])
        self._kept[one["id"]], self._runs[one["id"]], self._seen[one["id"]] = one, [], set()
        self._next[one["id"]] = now + period
        return 201, {**one, "webhookSecret": f"whsec_{self._made:016x}"}

    def _alone(self, method: str, one: Body, body: Any) -> Told | None:
        if method == "DELETE":
            return 200, self._kept.pop(one["id"])
        if method == "PATCH":
            self._change(one, asked.mapping("the body", body))
        return (200, dict(one)) if method in {"GET", "PATCH"} else None

    def _change(self, one: Body, body: Body) -> None:
        if "status" in body and body["status"] not in SETTABLE:
            raise Denied(400, BAD_BODY, "status: expected active or paused")
        _described(body)
        changed = {name: body[name] for name in CHANGED if name in body}
        period = _period(changed.get("trigger", one["trigger"]))
        if "search" in body:
            changed["search"] = _plain(asked.search({**one["search"], **asked.mapping("search", body["search"])}))
        if "webhook" in body:
            changed["webhook"] = _webhook({**one["webhook"], **asked.mapping("webhook", body["webhook"])})
        if "trigger" in changed:
            self._next[one["id"]] = self._clock.now() + period
        one |= {
            **changed,
            "metadata": changed.get("metadata") or one["metadata"],
            "status": body.get("status", one["status"]),
            "updatedAt": stamp(self._clock.now()),
        }

    def _deeper(self, method: str, one: Body, rest: list[str], words: dict[str, str]) -> Told | None:
        runs = self._runs[one["id"]]
        if rest == ["trigger"] and method == "POST":
            self._run(one, self._clock.now())
            return 200, {"triggered": True}
        if method != "GET" or rest[0] != "runs" or len(rest) > 2:
            return None
        if len(rest) == 1:
            return paged(list(reversed(runs)), words, usual=50)
        found = next((run for run in runs if run["id"] == rest[1]), None)
        if found is None:
            raise Denied(404, "NOT_FOUND", f"no run {rest[1][:40]}")
        return 200, dict(found)

    def _brought(self, one: Body) -> None:
        """Make the runs that were due by now."""
        period, name = _period(one["trigger"]), one["id"]
        while period and self._next[name] <= self._clock.now():
            if one["status"] == "active" and len(self._runs[name]) < MOST_RUNS:
                self._run(one, self._next[name])
            self._next[name] += period

    def _run(self, one: Body, when: int) -> None:
        runs, search = self._runs[one["id"]], one["search"]
        run: Body = {
            "id": f"{one['id']}_run_{len(runs) + 1}", "monitorId": one["id"], "status": "completed", "output": None, "failReason": None,
            "startedAt": stamp(when), "completedAt": stamp(when), "failedAt": None, "cancelledAt": None, "durationMs": 1500,
            "createdAt": stamp(when), "updatedAt": stamp(when),
        }  # fmt: skip
        runs.append(run)
        if self._bill.is_spent:
            run |= {
                "status": "failed",
                "failReason": "insufficient_credits",
                "completedAt": None,
                "failedAt": stamp(when),
            }
            return
        self._bill.charge("monitor", MONITOR_RUN, id=run["id"])
        seen = self._seen[one["id"]]
        fresh = [leaf for leaf in self._finding.found(search, when) if leaf.url not in seen][
            : search.get("numResults", 10)
        ]
        seen |= {leaf.url for leaf in fresh}
        rows = [self._finding.result(leaf, search.get("contents") or {}, search["query"]) for leaf in fresh]
        run["output"] = {
            "results": rows,
            **self._finding.output(one["outputSchema"] or {"type": "text"}, fresh, search["query"]),
        }

    def _listed(self, words: dict[str, str]) -> Told:
        wanted = {found[1]: value for name, value in words.items() if (found := _WORD.fullmatch(name))}
        return paged(self._like(words.get("name"), words.get("status"), wanted), words, usual=50)

    def _like(self, name: Any, status: Any, metadata: Any) -> list[Body]:
        return [
            one
            for one in reversed(self._kept.values())
            if (not name or str(name) in (one["name"] or ""))
            and (not status or one["status"] == status)
            and all(one["metadata"].get(key) == value for key, value in (metadata or {}).items())
        ]

    def _batch(self, body: Body) -> Body:
        action, wanted = body.get("action"), asked.mapping("filter", body.get("filter"))
        if action not in ("delete", "pause", "unpause") or not wanted or wanted.keys() - {"name", "status", "metadata"}:
            raise Denied(400, BAD_BODY, "expected an action and a filter")
        limit, dry = asked.whole("limit", body.get("limit", 50), 1, 500), body.get("dry_run", True)
        found = self._like(
            wanted.get("name"), wanted.get("status"), asked.mapping("metadata", wanted.get("metadata") or {})
        )
        for one in () if dry else found[:limit]:
            if action == "delete":
                del self._kept[one["id"]]
            else:
                one["status"] = "paused" if action == "pause" else "active"
        ids = [one["id"] for one in found[:limit]]
        return {"action": action, "dry_run": dry, "affected": len(ids), "ids": ids, "has_more": len(found) > limit}


def _described(body: Body) -> None:
    """Check what a monitor has beside its search, webhook and schedule."""
    for name in ("outputSchema", "metadata"):
        if body.get(name) is not None:
            asked.mapping(name, body[name])
    if body.get("name") is not None:
        asked.string("name", body["name"])


def _plain(search: Body) -> Body:
    return {name: value for name, value in search.items() if name != "contents" or value}


def _period(trigger: Any) -> int:
    """Microseconds between two runs; 0 where there is no schedule."""
    if trigger is None:
        return 0
    found = PERIOD.fullmatch(str(asked.mapping("trigger", trigger).get("period")))
    if trigger.get("type") != "interval" or not found:
        raise Denied(400, BAD_BODY, "trigger.period: expected an hour or more, such as 6h or 7d")
    return int(found[1]) * SECONDS[found[2]] * SECOND


def _webhook(given: Body) -> Body:
    url = asked.string("webhook.url", given.get("url"), 2048)
    host = urlsplit(url).hostname or ""
    if (
        not url.startswith("https://")
        or host in {"localhost", ""}
        or host.startswith(("127.", "10.", "192.168.", "169.254."))
    ):
        raise Denied(400, BAD_BODY, "webhook.url: expected a public https address")
    return given
