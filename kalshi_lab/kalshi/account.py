"""Families account and api_keys: rate limits, tiers, keys."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, get_args

from kalshi_lab.errors import BadPayload, UsageError, one_of
from kalshi_lab.kalshi import params
from kalshi_lab.kalshi.family import Family
from kalshi_lab.kalshi.operations import call, table
from kalshi_lab.models.account import AccountLimits, ApiKeys, Bucket, EndpointCosts, NewApiKey, VolumeProgress
from kalshi_lab.portal import Facade, blocking
from kalshi_lab.settings import PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterable

KEY_TYPE = Literal["ed25519", "rsa"]
SCOPE = Literal[
    "read",
    "write",
    "read::block_trade_accept",
    "read::portfolio_balance",
    "write::trade",
    "write::transfer",
    "write::fcm_risk",
    "write::block_trade_accept",
]


ORDINARY = 10  # tokens of most requests; a bucket that does not hold them is a mistake, which must not stop everything


class AsyncAccount(Family):
    """The account's rate limits; what they say is taken over by this client's own budget."""

    async def limits(self) -> AccountLimits:
        """Tier and token buckets of the account. Needs a key."""
        found = await self._object(AccountLimits, call("get_account_api_limits"))
        self._door.limits(read=_size(found.read), write=_size(found.write))
        return found

    async def endpoint_costs(self) -> EndpointCosts:
        """What requests cost in tokens, where it is not the default."""
        found = await self._object(EndpointCosts, call("get_account_endpoint_costs"))
        self._door.limits(costs=_costs(found), default=max(found.default_cost or 0, 0) or None)
        return found

    async def volume_progress(self) -> tuple[VolumeProgress, ...]:
        """How far the account is on its way to the next tier. Needs a key."""
        return await self._rows(VolumeProgress, call("get_account_api_usage_level_volume_progress"), "volume_progress")

    async def upgrade(self) -> None:
        """Ask for the Advanced tier, which needs an API order among the last 100. Needs a key and a client opened for writing."""
        await self._send(call("upgrade_account_api_usage_level"))


class AsyncApiKeys(Family):
    """The account's keys; all of it needs a key, and changes need a client opened for writing."""

    async def list(self, *, subtrader: str | None = None) -> ApiKeys:
        """The keys, and until when they may trade everything."""
        return await self._object(ApiKeys, call("get_api_keys", params.given(fcm_subtrader_id=subtrader)))

    async def create(
        self,
        name: str,
        public_key: str,
        *,
        scopes: Iterable[SCOPE] | None = None,
        subaccount: int | None = None,
        subtrader: str | None = None,
    ) -> NewApiKey:
        """Register a public key (PEM text) of your own; needs the Premier or Market Maker level."""
        if "PRIVATE KEY" in public_key:
            raise UsageError("this is a private key, which is never sent", hint="Give the public key")
        sent = _key_body(name, scopes, subaccount, subtrader, public_key=public_key)
        return await self._object(NewApiKey, call("create_api_key", body=sent))

    async def generate(
        self,
        name: str,
        *,
        key_type: KEY_TYPE = "ed25519",
        scopes: Iterable[SCOPE] | None = None,
        subaccount: int | None = None,
        subtrader: str | None = None,
    ) -> NewApiKey:
        """Let the exchange make a pair of keys; the private one is in the answer, this once. Keep it in a file of your own."""
        sent = _key_body(name, scopes, subaccount, subtrader, key_type=one_of("key_type", key_type, get_args(KEY_TYPE)))
        try:
            return await self._object(NewApiKey, call("generate_api_key", body=sent))
        except BadPayload as error:
            unread = error
        raise unread.with_traceback(None)  # its frames hold the answer, and so the key

    async def delete(self, api_key_id: str) -> None:
        """Revoke a key."""
        await self._send(call("delete_api_key", api_key=api_key_id))


def _size(bucket: Bucket | None) -> tuple[float, float] | None:
    """Rate and capacity, where the exchange told both and they let at least one ordinary request pass."""
    if bucket is None or not bucket.refill_rate or bucket.refill_rate < 0 or (bucket.bucket_capacity or 0) < ORDINARY:
        return None
    return bucket.refill_rate, bucket.bucket_capacity or 0


def _costs(found: EndpointCosts) -> dict[str, float]:
    """Tokens by operation: the exchange names routes, whose parameters may be called otherwise than here."""
    routes = {(row.method, _route(row.path)): row.operation for row in table().values()}
    listed = ((routes.get((one.method or "", _route(one.path or ""))), one.cost) for one in found.endpoint_costs or ())
    return {operation: cost for operation, cost in listed if operation and cost and cost > 0}


def _route(path: str) -> str:
    return re.sub(r"\{\w+\}|:\w+", "{}", path.removeprefix(PREFIX))


def _key_body(
    name: str, scopes: Iterable[str] | None, subaccount: int | None, subtrader: str | None, **others: str
) -> bytes:
    words = None if scopes is None else [one_of("scope", scope, get_args(SCOPE)) for scope in scopes]
    if words is not None and "write" in words and "read" not in words:
        raise UsageError("the scope write needs read as well", hint='Give scopes=["read", "write"]')
    return params.body(
        name=name, scopes=words, subaccount=params.subaccount(subaccount), fcm_subtrader_id=subtrader, **others
    )


class Account(Facade):
    """The blocking face of `AsyncAccount`."""

    limits = blocking(AsyncAccount.limits)
    endpoint_costs = blocking(AsyncAccount.endpoint_costs)
    volume_progress = blocking(AsyncAccount.volume_progress)
    upgrade = blocking(AsyncAccount.upgrade)


class ApiKeyFamily(Facade):
    """The blocking face of `AsyncApiKeys`."""

    list = blocking(AsyncApiKeys.list)
    create = blocking(AsyncApiKeys.create)
    generate = blocking(AsyncApiKeys.generate)
    delete = blocking(AsyncApiKeys.delete)
