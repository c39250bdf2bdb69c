"""One call says whether a key works, and in plain words why not."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import pytest

import kalshi_lab as kl
from tests.door.raw_server import RawServer, reply
from tests.door.sending import settings_for
from tests.fakes import FakeClock

if TYPE_CHECKING:
    from kalshi_lab.kalshi.checks import KeyCheck

KEY = kl.Credentials.generate(key_id="3f0c2a8e-0000-4000-8000-canary009d41")
LIMITS = {
    "usage_tier": "advanced",
    "read": {"refill_rate": 300, "bucket_capacity": 900},
    "write": {"refill_rate": 310, "bucket_capacity": 930},
    "grants": [],
}


def listed(*scopes: str, **more: Any) -> dict[str, Any]:
    own = {"api_key_id": KEY.key_id, "name": "desk", "scopes": list(scopes), "subaccount": more.pop("subaccount", None)}
    return {"api_keys": [{"api_key_id": "another", "name": "x", "scopes": ["read"]}, own], **more}


def checked(
    *answers: bytes, credentials: kl.Credentials | None = KEY, **changes: Any
) -> tuple[KeyCheck, dict[str, Any]]:
    async def main(url: str) -> tuple[KeyCheck, dict[str, Any]]:
        async with kl.AsyncKalshi(
            settings=settings_for(url, **changes), credentials=credentials, clock=FakeClock()
        ) as client:
            return await client.check_key(), client.door.state

    with RawServer(*answers) as server:
        return asyncio.run(main(server.url))


def test_a_good_key_tells_tier_and_scopes() -> None:
    """AUTH-1 and RL-2: tier and scopes are told, and the limits are the budget's from then on."""
    found, state = checked(reply(LIMITS), reply(listed("read", "write")))
    assert found
    assert (found.tier, found.scopes, found.subaccount, found.offset) == ("advanced", ("read", "write"), None, 0.0)
    assert found.why == "the key works: tier advanced, scopes read, write"
    assert (state["rate"], state["write_rate"]) == (300, 310)
    assert KEY.key_id not in repr(found) + found._repr_html_()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (listed("read"), "it only reads"),
        (listed("read", "write::trade", subaccount=3), "locked to subaccount 3"),
        (listed("read", "write", api_key_region_expiration_ts=1_700_000_000), "region has expired on 2023-11-14"),
    ],
)
def test_a_key_with_limits_names_them(answer: dict[str, Any], said: str) -> None:
    """A key that works in part works, and what it may not do is said."""
    found, _ = checked(reply(LIMITS), reply(answer))
    assert found.ok
    assert said in found.why


def test_a_locked_key_works_without_its_scopes() -> None:
    """A key that may not see the list of keys is not broken."""
    found, _ = checked(reply(LIMITS), reply({"code": "forbidden"}, 403))
    assert (found.ok, found.scopes, found.tier) == (True, None, "advanced")
    assert "one subaccount" in found.why


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (401, {"code": "INCORRECT_API_KEY_SIGNATURE", "message": "no"}, "private key does not belong to it"),
        (401, {"code": "NOT_FOUND", "message": "unknown key"}, "does not know the key id.*mistyped.*deleted"),
        (401, {"code": "authentication_error", "message": "no"}, "did not accept the key"),
        (403, {"code": "forbidden"}, "no scope 'read'"),
    ],
)
def test_a_bad_key_is_explained(status: int, body: dict[str, str], said: str) -> None:
    """AUTH-1: wrong key, wrong id, wrong environment and missing scope each have their words."""
    found, _ = checked(reply(body, status))
    assert not found
    assert re.search(said, found.why), found.why


def test_a_wrong_clock_is_named() -> None:
    """F18: a clock that is off is made up for and mentioned, or where it is too far off, the reason."""
    clock = FakeClock()
    late, far = (format_datetime(clock.now() + timedelta(seconds=off), usegmt=True) for off in (60, 4000))
    found, _ = checked(reply(b"{}", 401, Date=late), reply(LIMITS), reply(listed("read", "write")))
    assert found.ok
    assert "60 s behind" in found.why
    lost, _ = checked(reply(b"{}", 401, Date=far))
    assert not lost.ok
    assert "4000 s behind" in lost.why
    assert lost.offset == pytest.approx(4000, abs=1)


def test_no_key_and_foreign_hosts_are_named() -> None:
    """Without a key, or at a host for which nothing is signed, nothing is asked."""
    none, _ = checked(credentials=None)
    foreign, _ = checked(environment="prod")
    assert "from_env" in none.why
    assert "not the exchange's address" in foreign.why
    assert not none
    assert not foreign


def test_an_exchange_that_is_down_says_nothing_of_the_key() -> None:
    """An outage is raised, not blamed on the key; the blocking face is the same."""
    with pytest.raises(kl.Unavailable):
        checked(reply(b"{}", 503))
    with (
        RawServer(reply(LIMITS), reply(listed("read", "write"))) as server,
        kl.Kalshi(settings=settings_for(server), credentials=KEY) as client,
    ):
        assert client.check_key().ok
