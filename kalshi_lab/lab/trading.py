"""The door to trading: closed until it is asked for, and the only place that imports what can send orders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast
from uuid import uuid4

from kalshi_lab import money
from kalshi_lab.errors import TradingOff, UsageError
from kalshi_lab.lab.verbs import Verbs
from kalshi_lab.portal import Facade, faced
from kalshi_lab.portfolio.sync import account_of

if TYPE_CHECKING:
    from decimal import Decimal

    from kalshi_lab.kalshi.order_groups import AsyncOrderGroups
    from kalshi_lab.kalshi.orders import AsyncOrders
    from kalshi_lab.trading import AsyncTrading, Limits, Trading
    from kalshi_lab.trading.forward import AsyncPaper, Paper
    from kalshi_lab.trading.guard import Confirm

KEYLESS: Final = "without a key"


class AsyncTradings(Verbs):
    """Act: orders, behind rails."""

    def trading(
        self,
        *,
        enable: bool = False,
        live: bool = False,
        environment: str | None = None,
        limits: Limits | None = None,
        confirm: Confirm | None = None,
        patience: float = 30.0,
    ) -> AsyncTrading:
        """Orders; asked for once with `enable=True` they are judged and audited but never sent, asked for twice with `live=True` they are.

        environment: on prod it must be spelled out, environment="prod"; elsewhere it may be, and must be right. limits: `Limits(...)`,
        tight ones where none are given. confirm: is given the proposals of a live order once every check has passed, as a tuple, and
        lets them go by returning True (or an awaitable of it); nothing live is sent without one, unless Limits(confirmation=False).
        patience: seconds for which an order whose answer was lost is looked for. Raises TradingOff without enable=True, for prod
        without its name, and for live orders without a key; UsageError for another environment's name.
        """
        settings = self.kalshi.settings
        if not enable:
            raise TradingOff("trading is off", hint="lab.trading(enable=True) judges orders, live=True sends them")
        if environment not in {None, settings.environment}:
            raise UsageError(f"this lab is in {settings.environment}, not in {environment!r}")
        if settings.environment == "prod" and environment != "prod":
            raise TradingOff(
                "this lab is in prod, which is real money", hint='Say so: lab.trading(..., environment="prod")'
            )
        signer = self.kalshi.door.signer
        if live and signer is None:
            raise TradingOff("live orders need a key", hint="kl.Lab(credentials=kl.Credentials.from_env())")
        return self._trading(live=live, limits=limits, confirm=confirm, patience=patience)

    def _trading(self, *, live: bool, limits: Limits | None, confirm: Confirm | None, patience: float) -> AsyncTrading:
        from kalshi_lab import trading
        from kalshi_lab.trading.audit import Audit
        from kalshi_lab.trading.guard import Guard
        from kalshi_lab.trading.looks import Looks, Writes
        from kalshi_lab.trading.resolve import Resolver

        door, settings = self.kalshi.door, self.kalshi.settings
        looks = Looks(door, self.clock)
        account = account_of(self.kalshi) if door.signer else KEYLESS
        audit = Audit(self.store, self.clock, account, settings.environment, "live" if live else "dry")
        guard = Guard(looks, audit, settings, limits or trading.Limits(), confirm)
        writes = Writes.through(door, self.clock) if live else None
        return trading.AsyncTrading(guard, writes, Resolver(looks, self.clock, patience))

    def paper(self, *, cash: Decimal | str | int = 10_000, limits: Limits | None = None) -> AsyncPaper:
        """A paper account: the same verbs and checks as live trading, filled from the live books, and nothing is sent.

        cash: dollars at the start. limits: as in `trading`. `.trading` takes orders by hand, `.step(strategy, tickers)` those of a
        strategy of `backtest`, unchanged. It lasts as long as the object; its attempts are rows of the audit. Raises UsageError for
        cash that is no amount.
        """
        from kalshi_lab import trading
        from kalshi_lab.research.backtest.account import Account
        from kalshi_lab.trading.audit import Audit
        from kalshi_lab.trading.forward import AsyncPaper
        from kalshi_lab.trading.guard import Guard
        from kalshi_lab.trading.looks import Writes
        from kalshi_lab.trading.paper import NoGroups, PaperDesk, PaperLooks
        from kalshi_lab.trading.resolve import Resolver

        settings, looks = self.kalshi.settings, PaperLooks(self.kalshi.door, self.clock)
        try:
            desk = PaperDesk(looks, Account(money.dollars(cash)))
        except ValueError as error:
            raise UsageError(str(error)) from None
        looks.on(desk)
        audit = Audit(self.store, self.clock, f"paper {uuid4().hex[:10]}", settings.environment, "paper")
        guard = Guard(looks, audit, settings, limits or trading.Limits(), None)
        writes = Writes(cast("AsyncOrders", desk), cast("AsyncOrderGroups", NoGroups()))
        return AsyncPaper(desk, trading.AsyncTrading(guard, writes, Resolver(looks, self.clock, 0)))


def _paper(twin: Any) -> Paper:
    from kalshi_lab.trading.forward import Paper

    return Paper(twin)


def _face(twin: Any) -> Trading:
    from kalshi_lab.trading import Trading

    return Trading(twin)


class Tradings(Facade):
    """The blocking face of `AsyncTradings`."""

    trading = faced(AsyncTradings.trading, _face)
    paper = faced(AsyncTradings.paper, _paper)
