"""The hosts that the door serves, a row each: where they are, what may go there, and what their refusals mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from kalshi_lab.settings import HOSTS

if TYPE_CHECKING:
    from kalshi_lab.settings import Settings

Bucket = tuple[float, float]
_CDN = {520, 521, 522, 523, 524}  # a CDN's words for 502 and 504
EXA = "https://api.exa.ai"


@dataclass(frozen=True, slots=True)
class Host:
    """One host: its name in messages, the address that paths are put behind, and the rules of its answers.

    Requests go to `origins` (scheme, host and, where it is not the scheme's own, port; nothing else matches), or to any https address and
    plain http on this machine where `unsafe` says so; a key goes to `own` hosts only. `read` and `write` are budgets in tokens (a second,
    and when full), one for both where `write` is None; doors with the same `place` share them, each key its own where `by_key`.
    `spent` are the statuses, and the codes in an answer's body, of money that is used up; `retried` are the statuses of a host in passing
    trouble. `quiet_writes` says that a request which is no GET may be answered with nothing. `key_hint` says how to get a key.
    """

    name: str
    url: str
    origins: frozenset[str]
    own: bool
    place: str
    read: Bucket
    write: Bucket | None = None
    by_key: bool = False
    unsafe: bool = False
    key_hint: str = ""
    spent: frozenset[int | str] = frozenset()
    quiet_writes: bool = True
    retried: frozenset[int] = frozenset({500, 502, 503, 504} | _CDN)

    @property
    def netloc(self) -> str:
        """Host and port, as addresses show them."""
        return urlsplit(self.url).netloc


def exchange(settings: Settings) -> Host:
    """The exchange of the settings' environment. Source: its pages on environments, rate limits and errors (October 2026)."""
    own = settings.own_host
    return Host(
        name="the exchange",
        url=settings.url,
        origins=frozenset(f"https://{host}" for host in HOSTS[settings.environment]),
        own=own,
        place=settings.environment if own and settings.environment != "sim" else settings.url,
        read=settings.read_budget,
        write=settings.write_budget,
        by_key=True,
        unsafe=settings.allow_unsafe_host,
        key_hint="Give one: kl.Kalshi(credentials=kl.Credentials.from_env())",
    )


def exa(settings: Settings, url: str = EXA) -> Host:
    """Exa's search API: ten requests a second for a team, all keys together; 402 means that the money is used up.

    `url` is for a stand-in on this machine, which only the sim's environment takes for Exa's own. Source: Exa's pages on rate limits,
    billing and error codes (September 2026); a spent budget was seen under other statuses too, so its codes count as well.
    """
    parts = urlsplit(url)
    stand_in = settings.environment == "sim" and parts.scheme == "http" and parts.hostname == "127.0.0.1"
    return Host(
        name="Exa",
        url=url,
        origins=frozenset({EXA}),
        own=url == EXA or stand_in,
        place=url,
        read=(10.0, 10.0),
        unsafe=stand_in,
        key_hint="Set EXA_API_KEY, or give api_key=...",
        spent=frozenset({402, "NO_MORE_CREDITS", "API_KEY_BUDGET_EXCEEDED"}),
        quiet_writes=False,
    )
