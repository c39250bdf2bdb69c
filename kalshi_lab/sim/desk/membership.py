"""The endpoints of an account's rate limits and of its keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kalshi_lab.sim.desk.calls import Body, Call, Reply, Signed, invalid
from kalshi_lab.sim.desk.keys import SCOPES, Keyring, generated
from kalshi_lab.sim.desk.tiers import GOALS, TIERS, capacity
from kalshi_lab.sim.queries import Refused, missing
from kalshi_lab.sim.wire import DAY, SECOND, count

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.routing import Route

    from kalshi_lab.sim.desk.keys import Caller
    from kalshi_lab.sim.desk.shapes import Json
    from kalshi_lab.sim.desk.venue import Venue

MONTH = 1_500_000_000 * 100
"""Contracts, in hundredths, that the whole exchange is said to have traded last month."""
_RECENT = 100


class Membership:
    """Answers about tiers and keys."""

    def __init__(self, venue: Venue, keys: Keyring) -> None:
        self.venue, self.keys = venue, keys

    def routes(self) -> list[Route]:
        """The endpoints."""
        listed: list[tuple[str, str, Callable[..., Any], str]] = [
            ("GET", "/account/limits", self.limits, "read"),
            ("GET", "/account/api_usage_level/volume_progress", self.progress, "read"),
            ("POST", "/account/api_usage_level/upgrade", self.upgrade, "write"),
            ("GET", "/api_keys", self.listed, "read"),
            ("POST", "/api_keys", self.create, "write"),
            ("POST", "/api_keys/generate", self.generate, "write"),
            ("DELETE", "/api_keys/{api_key}", self.delete, "write"),
        ]
        return [Signed(*route) for route in listed]

    # ------------------------------------------------------------------ limits

    def limits(self, call: Call) -> Json:
        """GET /account/limits."""
        tier = call.account.tier
        rates = dict(zip(("read", "write"), TIERS[tier], strict=True))
        grant = {"exchange_instance": "event_contract", "level": tier, "source": "manual"}
        return {
            "usage_tier": tier,
            **{kind: {"refill_rate": rate, "bucket_capacity": capacity(tier, kind)} for kind, rate in rates.items()},
            "grants": [] if tier == "basic" else [grant],
        }

    def progress(self, call: Call) -> Json:
        """GET /account/api_usage_level/volume_progress."""
        since = call.now - 30 * DAY * SECOND
        sizes = [record.body["count_fp"] for record in call.account.kept("fills") if record.at > since]
        traded = sum(int(size.replace(".", "")) for size in sizes)
        return {
            "volume_progress": [
                {
                    "computed_ts": call.now // SECOND,
                    "trailing_30d_volume_fp": count(traded),
                    "goals": [
                        {
                            "level": level,
                            "earn_volume_goal_fp": count(2 * MONTH * earn // 1_000_000),
                            "keep_volume_goal_fp": count(2 * MONTH * keep // 1_000_000),
                        }
                        for level, (earn, keep) in GOALS.items()
                    ],
                }
            ]
        }

    def upgrade(self, call: Call) -> Reply:
        """POST /account/api_usage_level/upgrade: to Advanced, once an order was sent through the API."""
        if call.account.tier == "basic":
            if not any(order.owner == call.account.id for order in list(self.venue.orders.values())[-_RECENT:]):
                raise Refused(403, "forbidden", "forbidden", "send an order through the API first")
            call.account.tier = "advanced"
        return Reply(201)

    # ------------------------------------------------------------------ keys

    def listed(self, call: Call) -> Json:
        """GET /api_keys."""
        mine = [caller for caller in self.keys.callers.values() if caller.account is call.account]
        return {
            "api_keys": [
                {
                    "api_key_id": caller.key,
                    "name": caller.name,
                    "scopes": list(caller.scopes),
                    "subaccount": caller.subaccount,
                }
                for caller in mine
            ],
            "api_key_region_expiration_ts": None,
        }

    def create(self, call: Call) -> Reply:
        """POST /api_keys: for the tier Premier and above."""
        if list(TIERS).index(call.account.tier) < list(TIERS).index("premier"):
            raise Refused(403, "forbidden", "forbidden", "own public keys are for the tier premier and above")
        caller = self._added(call, call.body.text("public_key", needed=True))
        return Reply(201, {"api_key_id": caller.key})

    def generate(self, call: Call) -> Reply:
        """POST /api_keys/generate: the one answer that differs from run to run."""
        kind = call.body.word("key_type", ("rsa", "ed25519"), "rsa")
        private, public = generated(kind)
        caller = self._added(call, public)
        return Reply(201, {"api_key_id": caller.key, "key_type": kind, "private_key": private})

    def _added(self, call: Call, public: str) -> Caller:
        _whole(call)
        subaccount = call.caller.allowed(call.body.number("subaccount", 0, 63))
        name = call.body.text("name", needed=True)
        return self.keys.add(call.account, public, name=name, scopes=_scopes(call.body), subaccount=subaccount)

    def delete(self, call: Call, api_key: str) -> Reply:
        """DELETE /api_keys/{api_key}."""
        _whole(call)
        caller = self.keys.callers.get(api_key)
        if caller is None or caller.account is not call.account:
            raise missing()
        del self.keys.callers[api_key]
        return Reply(204)


def _whole(call: Call) -> None:
    if call.caller.subaccount is not None:
        raise Refused(403, "forbidden", "forbidden", "the key is restricted to one subaccount")


def _scopes(body: Body) -> tuple[str, ...]:
    wanted = body.several("scopes", len(SCOPES)) if body.values.get("scopes") is not None else ["read", "write"]
    if not all(isinstance(scope, str) and scope in SCOPES for scope in wanted):
        raise invalid("unknown scope")
    if "write" in wanted and "read" not in wanted:
        raise invalid("the scope write needs read")
    return tuple(wanted)
