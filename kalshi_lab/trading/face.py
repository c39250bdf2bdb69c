"""The blocking face of the executor."""

from __future__ import annotations

from kalshi_lab.portal import Facade, blocking
from kalshi_lab.trading.executor import AsyncTrading


class Trading(Facade):
    """The blocking face of `AsyncTrading`."""

    _twin: AsyncTrading

    buy = blocking(AsyncTrading.buy)
    sell = blocking(AsyncTrading.sell)
    create = blocking(AsyncTrading.create)
    create_batch = blocking(AsyncTrading.create_batch)
    amend = blocking(AsyncTrading.amend)
    create_group = blocking(AsyncTrading.create_group)
    update_group_limit = blocking(AsyncTrading.update_group_limit)
    reset_group = blocking(AsyncTrading.reset_group)
    decrease = blocking(AsyncTrading.decrease)
    cancel = blocking(AsyncTrading.cancel)
    cancel_batch = blocking(AsyncTrading.cancel_batch)
    cancel_all = blocking(AsyncTrading.cancel_all)
    trigger_group = blocking(AsyncTrading.trigger_group)
    delete_group = blocking(AsyncTrading.delete_group)
    audit = blocking(AsyncTrading.audit)
    unresolved = blocking(AsyncTrading.unresolved)
    reconcile = blocking(AsyncTrading.reconcile)

    @property
    def mode(self) -> str:
        """What becomes of orders: dry, live or paper."""
        return self._twin.mode

    def __repr__(self) -> str:
        return repr(self._twin).replace("AsyncTrading", "Trading")
