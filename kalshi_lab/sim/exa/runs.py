"""Agent runs: created and charged at once, done a little later, kept until they are deleted."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from kalshi_lab.sim.exa import bill as bills
from kalshi_lab.sim.exa.asked import Denied, stamp
from kalshi_lab.sim.exa.finding import READ, grounding
from kalshi_lab.sim.wire import SECOND

if TYPE_CHECKING:
    from kalshi_lab.sim.exa.bill import Bill
    from kalshi_lab.sim.exa.engine import Engine
    from kalshi_lab.sim.virtual import VirtualClock

LOOKS = 2  # at which a run is done, however little time has passed
TAKES = 30 * SECOND
STARTS = 2 * SECOND
ACTIVE = 50  # runs at once
ENDED = frozenset({"completed", "failed", "cancelled"})
UNIT = 0.1  # dollars of an agent compute unit
ECHOED = ("query", "effort", "systemPrompt", "outputSchema", "input", "previousRunId", "budget", "dataSources")
Told = tuple[int, dict[str, Any]]


class Runs:
    """The runs of one team. `fails` lets runs that end from now on end in failure."""

    def __init__(self, engine: Engine, bill: Bill, clock: VirtualClock) -> None:
        self._engine, self._bill, self._clock = engine, bill, clock
        self._kept: dict[str, dict[str, Any]] = {}
        self._looks: dict[str, int] = {}
        self._begun: dict[str, int] = {}
        self.fails = False

    def answer(self, method: str, parts: list[str], body: Any, words: dict[str, str]) -> Told:
        """The status and the body of an answer; `parts` is what stands in the path below /agent/runs."""
        name, action = parts[0], "/".join(parts[1:])
        for run in self._kept.values():
            self._brought(run)
        if not name:
            return self._create(body) if method == "POST" else paged(list(reversed(self._kept.values())), words)
        found = self._kept.get(name)
        if found is None:
            raise Denied(404, "RUN_NOT_FOUND", f"no run {name[:40]}")
        if action:
            return self._acted(method, found, action, words)
        if method == "DELETE":
            del self._kept[name]
            return 200, {"id": name, "object": "agent_run.deleted", "deleted": True}
        self._looks[name] += 1
        return 200, self._brought(found)

    def _acted(self, method: str, run: dict[str, Any], action: str, words: dict[str, str]) -> Told:
        if method == "GET" and action == "events":
            return paged(self.told(run["id"]), words)
        if method == "POST" and action == "cancel":
            return 200, self._ended(run, "cancelled")
        if method == "POST" and action == "stop":
            if run["request"]["effort"] not in {"ultra", "max"}:
                raise _invalid("only runs of the effort ultra can be stopped")
            return 200, self._ended(run, "stopped")
        raise Denied(404, "NOT_FOUND", "no such path")

    def _create(self, body: Any) -> Told:
        self._check(body)
        name = f"agent_run_{len(self._looks) + 1:08d}"
        dollars, short = bills.run(body)
        self._bill.charge("run", dollars, id=name, metadata=body.get("metadata") or {})
        run: dict[str, Any] = {
            "id": name,
            "object": "agent_run",
            "status": "queued",
            "stopReason": None,
            "createdAt": stamp(self._clock.now()),
            "completedAt": None,
            "request": {"effort": "auto", **{key: body[key] for key in ECHOED if body.get(key)}},
            "metadata": body.get("metadata") or {},
            "output": {"text": "", "structured": None, "grounding": []},
            "usage": _usage(Decimal(0), 0),
            "costDollars": _cost(Decimal(0)),
        }
        self._kept[name], self._looks[name], self._begun[name] = run, 0, self._clock.now()
        run["_"] = (dollars, short)
        return 200, _shown(run)

    def _check(self, body: Any) -> None:
        if not isinstance(body, dict) or not isinstance(body.get("query"), str) or not body["query"]:
            raise _invalid("query: expected a text")
        effort, budget = body.get("effort") or "auto", body.get("budget") or {}
        if not isinstance(effort, str) or effort not in {*bills.RUN, *bills.METERED}:
            raise _invalid("effort: expected minimal, low, medium, high, xhigh, auto or ultra")
        if not isinstance(budget, dict) or (budget and effort not in bills.METERED):
            raise _invalid("budget: only with the efforts auto and ultra")
        limits = {"maxCostDollars": (1, 100), "maxDurationSeconds": (300, 10_800)}
        for key, (low, high) in limits.items():
            value = budget.get(key, low)
            if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
                raise _invalid(f"budget.{key}: expected {low} to {high}")
        if not _words(body.get("metadata") or {}):
            raise _invalid("metadata: expected texts")
        if not isinstance(body.get("outputSchema") or {}, dict):
            raise Denied(400, "INVALID_OUTPUT_SCHEMA", "outputSchema: expected an object")
        self._follow(body.get("previousRunId"))
        if sum(run["status"] not in ENDED for run in self._kept.values()) >= ACTIVE:
            raise Denied(429, "CONCURRENCY_LIMIT_REACHED", f"{ACTIVE} runs are active")

    def _follow(self, previous: Any) -> None:
        if previous is None:
            return
        run = self._kept.get(previous) if isinstance(previous, str) else None
        if run is None:
            raise Denied(404, "PREVIOUS_RUN_NOT_FOUND", "no such run")
        if run["status"] != "completed":
            raise Denied(400, "PREVIOUS_RUN_NOT_COMPLETED", "that run is not completed")

    def _brought(self, run: dict[str, Any]) -> dict[str, Any]:
        """A run as it stands by now: time brings it on, and so does each look at it."""
        looks, lasted = self._looks[run["id"]], self._clock.now() - self._begun[run["id"]]
        if run["status"] not in ENDED:
            if looks >= LOOKS or lasted >= TAKES:
                return self._ended(
                    run, "error" if self.fails else "budget_reached" if run["_"][1] else "schema_satisfied"
                )
            if looks or lasted >= STARTS:
                run["status"] = "running"
        return _shown(run)

    def _ended(self, run: dict[str, Any], reason: str) -> dict[str, Any]:
        if run["status"] in ENDED:
            return _shown(run)
        status = {"cancelled": "cancelled", "error": "failed"}.get(reason, "completed")
        run |= {"status": status, "stopReason": reason, "completedAt": stamp(self._clock.now())}
        run |= {"usage": _usage(run["_"][0], READ), "costDollars": _cost(run["_"][0])}
        if status == "completed":
            run["output"] = self._written(run["request"])
        if status == "failed":
            run["error"] = {"type": "SERVER_ERROR", "code": "SERVER_ERROR", "message": "the run broke down"}
        return _shown(run)

    def _written(self, request: dict[str, Any]) -> dict[str, Any]:
        query, schema = request["query"], request.get("outputSchema")
        found = [leaf for leaf in self._engine.search(query, self._clock.now()) if not leaf.broken][:READ]
        value, grounds = self._engine.filled(schema, found, query) if schema else (None, [])
        return {
            "text": self._engine.said(found, query),
            "structured": value,
            "grounding": [*grounding([("text", found[:5])]), *grounding(grounds, "structured.")],
        }

    def followed(self, name: str) -> list[dict[str, Any]]:
        """Everything that happens in a run, to its end."""
        self._looks[name] = LOOKS
        self._brought(self._kept[name])
        return self.told(name)

    def told(self, name: str) -> list[dict[str, Any]]:
        """What happened in a run so far."""
        run = self._kept[name]
        done, status = run["status"] in ENDED, run["status"]
        kinds = ["created", *(["started"] if status != "queued" else []), *([status] if done else [])]
        times = {"created": run["createdAt"], status: run["completedAt"]}
        return [
            {"id": f"{name}:{place}", "type": f"agent_run.{kind}", "createdAt": times.get(kind) or run["createdAt"],
             "data": _shown(run) if kind == status else {"id": name, "status": {"created": "queued"}.get(kind, "running")}}
            for place, kind in enumerate(kinds)
        ]  # fmt: skip


def _shown(run: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in run.items() if key != "_"}


def _usage(dollars: Decimal, searches: int) -> dict[str, Any]:
    return {
        "agentComputeUnits": round(float(dollars) / UNIT, 4),
        "searches": searches if dollars else 0,
        "emails": 0,
        "phoneNumbers": 0,
    }


def _cost(dollars: Decimal) -> dict[str, Any]:
    return {"total": float(dollars), "agentCompute": float(dollars), "search": 0, "emails": 0, "phoneNumbers": 0}


def _words(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(one, str) for pair in value.items() for one in pair)


def _invalid(text: str) -> Denied:
    return Denied(400, "INVALID_REQUEST", text)


def paged(rows: list[dict[str, Any]], words: dict[str, str], most: int = 100, usual: int = 20) -> Told:
    """A page of a list: from its cursor on, so many as are asked for."""
    limit, start = words.get("limit", str(usual)), words.get("cursor") or "0"
    if not limit.isdecimal() or not 1 <= int(limit) <= most or not start.isdecimal():
        raise _invalid(f"limit: expected 1 to {most}; cursor: expected one that was told")
    here = rows[int(start) : int(start) + int(limit)]
    more = int(start) + int(limit) < len(rows)
    data = [_shown(row) for row in here]
    return 200, {"data": data, "hasMore": more, "nextCursor": str(int(start) + int(limit)) if more else None}
