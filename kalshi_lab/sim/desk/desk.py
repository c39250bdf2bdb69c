"""The desk: everything behind the endpoints that need a key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kalshi_lab.sim.desk.display import Display
from kalshi_lab.sim.desk.groups import Groups
from kalshi_lab.sim.desk.keys import SCOPES, Ids, Keyring
from kalshi_lab.sim.desk.ledger import CENT, Account
from kalshi_lab.sim.desk.membership import Membership
from kalshi_lab.sim.desk.orders import Orders
from kalshi_lab.sim.desk.portfolio import Portfolio
from kalshi_lab.sim.desk.tiers import TIERS, Limits
from kalshi_lab.sim.desk.transfers import Transfers
from kalshi_lab.sim.desk.venue import Venue

if TYPE_CHECKING:
    from starlette.routing import Route

    from kalshi_lab.sim.api import Api
    from kalshi_lab.sim.hub import Hub
    from kalshi_lab.sim.virtual import Bucket


class Desk:
    """Keys, accounts, rate limits and the venue of one exchange."""

    def __init__(self, api: Api, hub: Hub, anonymous: Bucket) -> None:
        self.api, self.ids = api, Ids(api.world.seed)
        self.keys, self.limits = Keyring(self.ids), Limits(anonymous)
        self.venue = Venue(api.renderer, hub, self.ids)
        api.attach(Display(self.venue))

    def routes(self) -> list[Route]:
        """The endpoints of orders, order groups, portfolio, account and keys."""
        orders, money = Orders(self.venue).routes(), Portfolio(self.venue).routes()
        groups, transfers = Groups(self.venue).routes(), Transfers(self.ids).routes()
        return [*orders, *groups, *money, *transfers, *Membership(self.venue, self.keys).routes()]

    def open_account(self, wanted: dict[str, Any]) -> dict[str, str]:
        """A new account with money and a key. Raises ValueError or Refused for a wrong wish."""
        tier, scopes = wanted.get("tier", "basic"), tuple(wanted.get("scopes", ("read", "write")))
        if tier not in TIERS:
            raise ValueError(f"unknown tier {tier!r}; allowed: {', '.join(TIERS)}")
        if not set(scopes) <= set(SCOPES):
            raise ValueError(f"unknown scope in {scopes}; allowed: {', '.join(SCOPES)}")
        whole, _, part = str(wanted.get("balance", 10_000)).partition(".")
        if not (whole + part).isdigit() or len(part.rstrip("0")) > 2:
            raise ValueError("balance is an amount of dollars with at most two decimals")
        now = self.api.now()
        account = Account(
            self.ids.new(), tier, bool(wanted.get("direct")), bool(wanted.get("pooled", True)), opened=now
        )
        caller = self.keys.add(account, str(wanted["public_key"]), scopes=scopes)
        self.venue.admit(account, (int(whole) * 100 + int(part[:2].ljust(2, "0"))) * CENT, now)
        return {"key_id": caller.key, "account_id": account.id}
