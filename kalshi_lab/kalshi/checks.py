"""Whether a key works, and what is wrong with one that does not, in plain words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from kalshi_lab import markup
from kalshi_lab.errors import AuthFailed, ClockSkew, Forbidden
from kalshi_lab.kalshi.account import AsyncAccount, AsyncApiKeys

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from kalshi_lab.clock import Clock
    from kalshi_lab.door import Door
    from kalshi_lab.models.account import AccountLimits, ApiKey, ApiKeys
    from kalshi_lab.settings import Settings

T = TypeVar("T")
_MENTIONED = 1.0  # seconds by which a clock may be off without a word


@dataclass(frozen=True, slots=True, repr=False)
class KeyCheck:
    """What a key is good for; true where it works. `why` says it in plain words.

    `tier` is the rate limit tier and `scopes` what the key may do (None: the exchange did not tell), `subaccount` the only one that it
    may use, `offset` the seconds by which this machine's clock is behind the exchange's, as far as they are known.
    """

    ok: bool
    why: str
    environment: str
    tier: str | None = None
    scopes: tuple[str, ...] | None = None
    subaccount: int | None = None
    offset: float = 0.0

    def __bool__(self) -> bool:
        return self.ok

    def __repr__(self) -> str:
        return f"<KeyCheck {self.environment} {'ok' if self.ok else 'not ok'}: {self.why}>"

    def _repr_html_(self) -> str:
        scopes = None if self.scopes is None else ", ".join(self.scopes)
        facts = {"works": "yes" if self.ok else "no", "why": self.why, "tier": self.tier, "scopes": scopes}
        return markup.card(f"Key for {self.environment}", facts)


async def check_key(door: Door, settings: Settings, clock: Clock) -> KeyCheck:
    """Ask the exchange what it says of this client's key; see `AsyncKalshi.check_key`."""
    signer = door.signer
    if signer is None:
        foreign = bool(settings.url) and not settings.own_host
        why = f"nothing is signed for {settings.url}, which is not the exchange's address" if foreign else _NONE
        return KeyCheck(ok=False, why=why, environment=settings.environment)
    try:
        limits = await AsyncAccount(door, clock).limits()
    except Forbidden as refused:
        why, offset = _refused(refused, settings.environment), getattr(refused, "offset", signer.offset)
        return KeyCheck(ok=False, why=why, environment=settings.environment, offset=offset)
    keys = await _unless_forbidden(AsyncApiKeys(door, clock).list())
    own = _own(keys, signer.credentials.key_id)
    said = [_works(limits, own), *_limited(own, keys, clock), *_clock(signer.offset)]
    return KeyCheck(
        ok=True,
        why="; ".join(said),
        environment=settings.environment,
        tier=limits.usage_tier,
        scopes=own.scopes if own else None,
        subaccount=own.subaccount if own else None,
        offset=signer.offset,
    )


_NONE = "this client has no key; give it one: kl.Kalshi(credentials=kl.Credentials.from_env())"


async def _unless_forbidden(asked: Awaitable[T]) -> T | None:
    try:
        return await asked
    except Forbidden:
        return None


def _refused(refused: Forbidden, environment: str) -> str:
    """Why a key was refused, as far as the exchange's code and words tell."""
    if isinstance(refused, ClockSkew):
        return f"{refused.message}; {refused.hint[:1].lower()}{refused.hint[1:]}"
    said = f"{refused.code} {refused.message}".lower()
    if not isinstance(refused, AuthFailed):
        return (
            "the exchange knows the key, but it may not read the account: it has no scope 'read', or is a subtrader's"
        )
    if "signature" in said:
        return "the exchange knows the key id, but the private key does not belong to it"
    other = {"prod": "demo", "demo": "prod"}.get(environment, "another exchange")
    if "not_found" in said or "not found" in said or "unknown" in said:
        return f"the exchange does not know the key id: it is mistyped, was deleted, or belongs to {other}"
    return f"the exchange did not accept the key ({refused.message}): check the id, the key, and that it is not one of {other}"


def _own(keys: ApiKeys | None, key_id: str) -> ApiKey | None:
    return next((key for key in (keys.api_keys if keys else None) or () if key.api_key_id == key_id), None)


def _works(limits: AccountLimits, own: ApiKey | None) -> str:
    scopes = f"scopes {', '.join(own.scopes)}" if own and own.scopes else "scopes not told"
    return f"the key works: tier {limits.usage_tier or 'not told'}, {scopes}"


def _limited(own: ApiKey | None, keys: ApiKeys | None, clock: Clock) -> list[str]:
    said = []
    if keys is None:
        said.append("the exchange does not show it the list of keys, as with a key of one subaccount")
    if own and own.scopes is not None and not any(scope.startswith("write") for scope in own.scopes):
        said.append("it only reads")
    if own and own.subaccount is not None:
        said.append(f"it is locked to subaccount {own.subaccount}")
    ends = keys.api_key_region_expiration_ts if keys else None
    if ends is not None and ends <= clock.now():
        said.append(f"its region has expired on {ends:%Y-%m-%d}: it may not trade Sports, Elections or Entertainment")
    return said


def _clock(offset: float) -> list[str]:
    if abs(offset) < _MENTIONED:
        return []
    way = "behind" if offset > 0 else "ahead"
    return [f"this machine's clock is {abs(offset):.0f} s {way}, which is made up for; set it right"]
