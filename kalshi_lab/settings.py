"""Everything that can be set, as one immutable value; the only module that reads the environment.

Precedence: an argument, then the environment variable KALSHI_LAB_<NAME> (KALSHI_ENVIRONMENT for the environment), then the default.
Hosts are those of the exchange's documentation; any other needs `allow_unsafe_host=True` and is never sent a signature.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from platformdirs import user_data_path
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from kalshi_lab.errors import UsageError, unknown

if TYPE_CHECKING:
    from collections.abc import Mapping

Environment = Literal["prod", "demo", "sim"]
Tier = Literal["basic", "advanced", "expert", "premier", "paragon", "prime", "prestige"]
PREFIX = "/trade-api/v2"
HOSTS: dict[str, tuple[str, ...]] = {
    "prod": ("external-api.kalshi.com", "api.elections.kalshi.com"),
    "demo": ("external-api.demo.kalshi.co", "demo-api.kalshi.co"),
    "sim": (),
}
STREAM_HOSTS = {  # of the dedicated hosts; the shared ones stream themselves
    "external-api.kalshi.com": "external-api-ws.kalshi.com",
    "external-api.demo.kalshi.co": "external-api-ws.demo.kalshi.co",
}
STREAM_PATH = "/trade-api/ws/v2"
# tokens a second and the seconds of budget that the bucket holds, read and write (rate limits as published in October 2026)
BUDGETS: dict[str, tuple[tuple[float, float], tuple[float, float]]] = {
    "basic": ((200, 3), (100, 1)),
    "advanced": ((300, 3), (300, 3)),
    "expert": ((600, 1), (600, 3)),
    "premier": ((1200, 1), (1200, 3)),
    "paragon": ((2400, 1), (2400, 3)),
    "prime": ((4800, 1), (4800, 3)),
    "prestige": ((12000, 1), (9600, 3)),
}
MIB = 1024 * 1024
NAMED = ("home", "tier", "base_url", "allow_unsafe_host", "run", "kill_switch")
OFF = {"0", "false", "no", "off", "n", "f"}


class Settings(BaseModel):
    """How a client or a lab behaves; times are in seconds, sizes in bytes.

    Raises UsageError for a setting that does not exist (with the nearest name) or a value that is not allowed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    environment: Environment = Field(
        default="prod", description="prod, demo or sim, the built-in exchange on this machine"
    )
    base_url: str = Field(default="", description="the address up to /trade-api/v2; empty: the environment's own")
    allow_unsafe_host: bool = Field(
        default=False, description="accept a base_url that is not the exchange's; nothing is signed for it"
    )
    home: Path | None = Field(
        default=None, description="the folder of the store; None: one for each environment in the user's data folder"
    )
    tier: Tier | None = Field(default=None, description="the rate limit tier; None: basic, and prestige for the sim")
    connect_timeout: float = Field(default=5.0, gt=0)
    read_timeout: float = Field(default=15.0, gt=0)
    deadline: float = Field(default=60.0, gt=0, description="for one request with all its attempts and waits")
    attempts: int = Field(default=4, ge=1, le=10)
    backoff_base: float = Field(default=0.5, gt=0)
    backoff_cap: float = Field(default=8.0, gt=0)
    longest_wait: float = Field(default=60.0, gt=0, description="the longest Retry-After that is honoured")
    max_connections: int = Field(default=16, ge=1)
    raw_cap: int = Field(default=32 * MIB, gt=0, description="largest body as received")
    body_cap: int = Field(default=64 * MIB, gt=0, description="largest body after decompression")
    breaker_failures: int = Field(default=8, ge=1, description="failures in a row after which a host is left alone")
    breaker_rest: float = Field(default=20.0, gt=0, description="how long it is left alone")
    kill_switch: bool = Field(
        default=False,
        description="nothing that could add to a risk is sent; KALSHI_LAB_KILL_SWITCH is read again at every order",
    )
    run: str = Field(
        default="", description="what is spent together under the cap of a run; empty: each session is a run of its own"
    )
    keep_bodies: bool = Field(
        default=False, description="keep the answers of sync and snapshot as received, for reparse(bodies=True)"
    )
    store_min_free: int = Field(
        default=256 * MIB, ge=0, description="the store refuses to write where less is free on its disk"
    )
    sql_seconds: float | None = Field(
        default=None, gt=0, description="how long a query of sql() may take; None: as long as it takes"
    )
    sql_memory: int | None = Field(
        default=None, ge=32 * MIB, description="memory that a query of sql() may take; None: 80% of the machine's"
    )
    store_wait: float = Field(
        default=10.0, gt=0, description="how long to wait for another process that holds the store"
    )

    if not TYPE_CHECKING:

        def __init__(self, **given: Any) -> None:
            try:
                super().__init__(**{**_from_environment(), **given})
            except ValidationError as error:
                raise _explained(error, type(self)) from None

    @model_validator(mode="before")
    @classmethod
    def _simulated_host(cls, given: Any) -> Any:
        """A simulated exchange is on this machine by nature."""
        local = str(given.get("base_url", "")).startswith("http://127.0.0.1:")
        return {"allow_unsafe_host": True, **given} if local and given.get("environment") == "sim" else given

    @model_validator(mode="after")
    def _known_host(self) -> Settings:
        if not self.base_url:
            return self
        parts = urlsplit(self.base_url)
        if parts.username or parts.password:
            raise ValueError("base_url holds a user name or a password, which is never sent")
        known = f"https://{parts.hostname}{PREFIX}" == self.base_url and parts.hostname in HOSTS[self.environment]
        if not known and not self.allow_unsafe_host:
            hosts = ", ".join(HOSTS[self.environment]) or "none, the sim's address is its own"
            raise ValueError(
                f"base_url {self.base_url!r} is not the exchange's address in {self.environment} (its hosts: {hosts}); "
                "allow_unsafe_host=True accepts it, unsigned"
            )
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query:
            raise ValueError(f"base_url {self.base_url!r} is no plain http(s) address")
        return self

    @property
    def killed(self) -> bool:
        """Whether the kill switch is on: in these settings, or in the environment as it is now, by any word that does not deny it."""
        word = environment_values("KALSHI_LAB_KILL_SWITCH").get("KALSHI_LAB_KILL_SWITCH", "0")
        return self.kill_switch or word.strip().lower() not in OFF

    @property
    def url(self) -> str:
        """The address that requests go to; empty for a sim that is not started yet."""
        hosts = HOSTS[self.environment]
        return self.base_url.rstrip("/") or (f"https://{hosts[0]}{PREFIX}" if hosts else "")

    @property
    def stream_url(self) -> str:
        """The address that streams come from; empty for a sim that is not started yet."""
        parts = urlsplit(self.url)
        if not parts.hostname:
            return ""
        host = STREAM_HOSTS.get(parts.netloc, parts.netloc)
        return f"{'wss' if parts.scheme == 'https' else 'ws'}://{host}{STREAM_PATH}"

    @property
    def own_host(self) -> bool:
        """Whether requests go to the environment's own exchange, for which alone anything is signed."""
        parts = urlsplit(self.url)
        if self.environment == "sim":
            return parts.scheme == "http" and parts.hostname == "127.0.0.1"
        return parts.scheme == "https" and parts.netloc in HOSTS[self.environment]

    @property
    def read_budget(self) -> tuple[float, float]:
        """Read tokens a second, and the tokens that the bucket holds when full."""
        return self._budget(0)

    @property
    def write_budget(self) -> tuple[float, float]:
        """Write tokens a second, and the tokens that the bucket holds when full."""
        return self._budget(1)

    def _budget(self, bucket: int) -> tuple[float, float]:
        rate, seconds = BUDGETS[self.tier or ("prestige" if self.environment == "sim" else "basic")][bucket]
        return rate, rate * seconds

    @property
    def folder(self) -> Path:
        """The folder of the store."""
        return (self.home or user_data_path("kalshi_lab") / self.environment).expanduser().resolve()


def environment_values(*names: str) -> dict[str, str]:
    """The environment variables of these names that are set and not empty."""
    return {name: os.environ[name] for name in names if os.environ.get(name)}


def _from_environment() -> dict[str, str]:
    names = {name: f"KALSHI_LAB_{name.upper()}" for name in NAMED}
    names["environment"] = "KALSHI_ENVIRONMENT"
    values = environment_values(*names.values())
    return {name: values[variable] for name, variable in names.items() if variable in values}


def _explained(error: ValidationError, model: type[BaseModel]) -> UsageError:
    first = error.errors(include_url=False)[0]
    name = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return unknown("setting", name, sorted(model.model_fields))
    if first["type"] == "literal_error":
        return unknown(
            name, str(first["input"]), first["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        )
    said = first["msg"].removeprefix("Value error, ")
    return UsageError(f"setting {name}: {said}" if name else said)


def chosen(environment: Environment | None, settings: Settings | None, options: Mapping[str, Any]) -> Settings:
    """The settings of a session: those given whole, or made of single options. Raises UsageError where both are given."""
    if environment is not None:
        options = {**options, "environment": environment}
    if settings is not None and options:
        raise UsageError("give settings= or single options, not both")
    return settings or Settings(**options)
