"""Who may do what: signatures, clocks, scopes, locked keys, tiers and their buckets."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from kalshi_lab import sim
from kalshi_lab.errors import UsageError
from kalshi_lab.sim.desk.keys import Caller, Ids, Keyring
from kalshi_lab.sim.desk.ledger import Account
from kalshi_lab.sim.desk.tiers import TIERS, Limits, capacity, cost
from kalshi_lab.sim.queries import Refused
from kalshi_lab.sim.virtual import Bucket
from tests.sim.desk.conftest import ORDER, WEATHER, Member, headers, pem

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

BALANCE = "/portfolio/balance"


@pytest.fixture(scope="module")
def market() -> Iterator[sim.Exchange]:
    """One exchange for all tests here: each opens accounts of its own."""
    with sim.start(markets=180, history_days=10, clock="frozen") as running:
        yield running


@pytest.fixture(scope="session")
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def test_both_kinds_of_keys_sign(market: sim.Exchange, client: httpx.Client, rsa_key: rsa.RSAPrivateKey) -> None:
    """AUTH-1: RSA-PSS and Ed25519 signatures over time, method and path without the query are taken, and the log names the key."""
    for private in (rsa_key, ed25519.Ed25519PrivateKey.generate()):
        member = Member(market, client, private).join()
        assert member.call("GET", BALANCE, subaccount=0).status_code == 200
        entry = market.requests()[-1]
        assert (entry["path"], entry["query"], entry["key"]) == (BALANCE, "subaccount=0", member.key)


def test_bad_signatures_are_401(market: sim.Exchange, client: httpx.Client) -> None:
    """Missing headers, another path, method or key, and text that is no signature: each says what is wrong, none is let in."""
    market.reset_log()
    member, stranger = Member(market, client).join(), ed25519.Ed25519PrivateKey.generate()
    good = headers(member.private, member.key, "GET", BALANCE)
    tried = {
        "authentication_error": [
            {},
            {**good, "KALSHI-ACCESS-SIGNATURE": ""},
            {**good, "KALSHI-ACCESS-TIMESTAMP": "soon"},
        ],
        "NOT_FOUND": [{**good, "KALSHI-ACCESS-KEY": "nobody"}],
        "INCORRECT_API_KEY_SIGNATURE": [
            headers(member.private, member.key, "POST", BALANCE),
            headers(member.private, member.key, "GET", f"{BALANCE}?subaccount=0"),
            headers(stranger, member.key, "GET", BALANCE),
            {**good, "KALSHI-ACCESS-SIGNATURE": "no base64 !"},
            {**good, "KALSHI-ACCESS-TIMESTAMP": str(int(good["KALSHI-ACCESS-TIMESTAMP"]) + 1)},
        ],
    }
    for code, wrong in tried.items():
        for one in wrong:
            answer = client.get(market.url + BALANCE, headers=one)
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, code)
    assert all("key" not in entry for entry in market.requests())
    assert client.get(f"{market.url}/markets?limit=1", headers=tried["NOT_FOUND"][0]).status_code == 200


def test_paths_are_signed_as_they_are_sent(market: sim.Exchange, client: httpx.Client) -> None:
    """AUTH-1: a percent-encoded path is signed in that form; in the other form the signature is wrong."""
    member = Member(market, client).join()
    for signed, status in (("/portfolio/orders/a%20b", 404), ("/portfolio/orders/a b", 401)):
        sent = headers(member.private, member.key, "GET", signed)
        assert client.get(f"{market.url}/portfolio/orders/a%20b", headers=sent).status_code == status


def test_the_clock_of_signatures_is_the_machine_s(market: sim.Exchange, client: httpx.Client) -> None:
    """Signatures older than five seconds are refused with a code of their own; the Date header tells the exchange's clock."""
    member = Member(market, client).join()
    for late, status in ((3, 200), (8, 401), (-8, 401)):
        signed = headers(member.private, member.key, "GET", BALANCE, late=late)
        answer = client.get(market.url + BALANCE, headers=signed)
        assert answer.status_code == status
        assert status == 200 or answer.json()["error"]["code"] == "header_timestamp_expired"
    market.skew(-40)
    answer = member.call("GET", BALANCE)
    signed = headers(member.private, member.key, "GET", BALANCE, late=40)
    understood = client.get(market.url + BALANCE, headers=signed)
    market.skew(0)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "header_timestamp_expired")
    assert len(answer.headers.get_list("date")) == 1
    assert abs(parsedate_to_datetime(answer.headers["date"]).timestamp() - time.time() + 40) < 5
    assert understood.status_code == 200


def test_scopes(market: sim.Exchange, client: httpx.Client) -> None:
    """A key that may read may not trade; child scopes open what is theirs."""
    reader = Member(market, client).join(scopes=["read"])
    assert reader.order().json()["error"]["code"] == "forbidden"
    assert (reader.order().status_code, reader.call("GET", BALANCE).status_code) == (403, 200)
    trader = Member(market, client).join(scopes=["write::trade", "read::portfolio_balance"])
    assert (trader.order().status_code, trader.call("GET", BALANCE).status_code) == (201, 200)
    assert trader.call("GET", "/portfolio/fills").status_code == 403


def test_a_key_locked_to_a_subaccount(market: sim.Exchange, client: httpx.Client, member: Member) -> None:
    """It sees and uses its own subaccount alone; others, transfers and keys answer 403."""
    member.call("POST", "/portfolio/subaccounts", {})
    move = {"from_subaccount": 0, "to_subaccount": 1, "amount_cents": 10_000}
    member.call(
        "POST",
        "/portfolio/subaccounts/transfer",
        {**move, "client_transfer_id": "0" * 8 + "-0000-0000-0000-" + "0" * 12},
    )
    locked = Member(market, client)
    made = member.call("POST", "/api_keys", {"name": "one", "public_key": pem(locked.private), "subaccount": 1})
    locked.key = made.json()["api_key_id"]
    balance = locked.get(BALANCE)
    assert (balance["balance"], "balance_breakdown" in balance) == (10_000, False)
    assert locked.order(count="100", price="0.38").status_code == 201
    assert [row["subaccount_number"] for row in member.get("/portfolio/fills")["fills"]] == [1]
    for answer in (
        locked.order(subaccount=0), locked.call("GET", BALANCE, subaccount=0), locked.call("GET", "/portfolio/positions", subaccount=0),
        locked.call("POST", "/portfolio/subaccounts/transfer", move), locked.call("POST", "/api_keys/generate", {"name": "n"}),
    ):  # fmt: skip
        assert answer.status_code == 403, answer.text
    assert len(locked.get("/portfolio/positions")["market_positions"]) == 1


def test_what_only_some_members_may(market: sim.Exchange, client: httpx.Client) -> None:
    """Subaccounts, cancelling all, own keys, allocations and the upgrade have their conditions."""
    member = Member(market, client).join()
    own = {"name": "n", "public_key": pem(ed25519.Ed25519PrivateKey.generate())}
    for method, path, body in (
        ("POST", "/portfolio/subaccounts", {}), ("DELETE", "/portfolio/events/orders", None), ("POST", "/api_keys", own),
        ("GET", "/portfolio/target_balance_allocation", None), ("POST", "/account/api_usage_level/upgrade", None),
    ):  # fmt: skip
        assert member.call(method, path, body).status_code == 403, path
    assert member.order().status_code == 201
    assert member.call("POST", "/account/api_usage_level/upgrade").status_code == 201
    assert member.get("/account/limits")["usage_tier"] == "advanced"


@pytest.mark.parametrize(
    "wrong", [{"tier": "gold"}, {"scopes": ["all"]}, {"balance": "a lot"}, {"balance": "1.005"}, {"balance": -5}]
)
def test_accounts_that_make_no_sense(market: sim.Exchange, wrong: dict[str, Any]) -> None:
    """A wrong tier, scope or balance is bad input to the process that asked."""
    with pytest.raises(UsageError):
        market.account(pem(ed25519.Ed25519PrivateKey.generate()), **wrong)
    with pytest.raises(UsageError):
        market.account("no key")


def test_the_log_has_bodies_and_no_secrets(market: sim.Exchange, member: Member) -> None:
    """The JSON that came with a request is in the log, its signature is not."""
    member.order(client_order_id="mine")
    entry = market.requests()[-1]
    assert (entry["method"], entry["path"], entry["status"]) == ("POST", "/portfolio/events/orders", 201)
    assert (entry["body"], entry["key"]) == ({**ORDER, "client_order_id": "mine"}, member.key)
    assert set(entry) == {"method", "path", "query", "status", "body", "key"}


def test_basic_buckets_over_http(market: sim.Exchange, client: httpx.Client) -> None:
    """RL: ten creates fit Basic's write bucket of 100, a batch of eleven never does, reads have a bucket of their own."""
    member = Member(market, client).join()
    refused = member.call("POST", "/portfolio/events/orders/batched", {"orders": [ORDER] * 11})
    assert (refused.status_code, refused.json()) == (
        429, {"error": {"code": "too_many_requests", "message": "too many requests"}},
    )  # fmt: skip
    assert "retry-after" not in refused.headers
    statuses = [member.order().status_code for _ in range(40)]
    assert statuses[:10] == [201] * 10
    assert 429 in statuses
    assert member.call("GET", BALANCE).status_code == 200
    assert client.get(f"{market.url}/markets/{WEATHER}").status_code == 200


def test_tokens_by_tier_and_request() -> None:
    """RL: capacities of the tiers, costs of requests, a batch by its orders, and a shard's own write bucket."""
    assert [capacity(tier, "read") for tier in TIERS] == [600, 900, 600, 1200, 2400, 4800, 12_000]
    assert [capacity(tier, "write") for tier in TIERS] == [100, 900, 1800, 3600, 7200, 14_400, 28_800]
    orders = {"orders": [{}] * 7}
    base = "/portfolio/events/orders"
    assert [cost("POST", base, {}), cost("DELETE", f"{base}/{{order_id}}", None), cost("DELETE", base, None)] == [
        10,
        2,
        2,
    ]
    assert [cost("POST", f"{base}/batched", orders), cost("DELETE", f"{base}/batched", orders)] == [70, 14]
    limits, caller = Limits(Bucket(1.0)), Caller("k", Account("A"))
    assert [limits.take(caller, "POST", base, {}) for _ in range(11)] == [True] * 10 + [False]
    assert limits.take(caller, "POST", base, {"exchange_index": 2})
    assert limits.take(caller, "GET", BALANCE, None)
    assert [limits.take(None, "GET", "/markets", None) for _ in range(2)] == [True, False]


def test_a_handshake_is_verified_like_a_request() -> None:
    """Streams are signed over GET and their own path; the answer is the caller or the refusal."""
    keys, private = Keyring(Ids(1), lambda: 1_700_000_000.0), ed25519.Ed25519PrivateKey.generate()
    caller = keys.add(Account("A"), pem(private))
    from tests.sim.desk.conftest import signature

    stamp, path = "1700000003000", "/trade-api/ws/v2"
    sent = {
        "kalshi-access-key": caller.key, "kalshi-access-timestamp": stamp,
        "kalshi-access-signature": signature(private, f"{stamp}GET{path}"),
    }  # fmt: skip
    found = keys.verify(sent, "GET", path)
    assert isinstance(found, Caller)
    assert (found.id, found.key) == ("A", caller.key)
    assert isinstance(keys.verify(sent, "GET", "/trade-api/v2/markets"), Refused)
    assert isinstance(keys.verify({}, "GET", path), Refused)
    with pytest.raises(Refused, match="the key exists"):
        keys.add(Account("B"), pem(private))
