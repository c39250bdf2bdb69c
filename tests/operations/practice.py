"""A simulated exchange with two members, and what each operation needs to find there before it is called."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import kalshi_lab as kl
from kalshi_lab.kalshi.orders import NewOrder
from tests.operations import discover

if TYPE_CHECKING:
    from collections.abc import Callable

    from kalshi_lab import sim
    from tests.operations.calls import Known

LOW = "0.01"


class Practice:
    """Two members of one exchange: `mine` calls, `theirs` is the other side."""

    def __init__(self, exchange: sim.Exchange) -> None:
        self.exchange = exchange
        self._count = itertools.count()
        self.settings = kl.Settings(environment="sim", base_url=exchange.url)
        self.key, self.other_key = self._join(), self._join()
        self.mine = kl.Kalshi(settings=self.settings, credentials=self.key, writable=True)
        self.theirs = kl.Kalshi(settings=self.settings, credentials=self.other_key, writable=True)
        self.known = replace(discover.public(self.mine), price=LOW)

    def _join(self) -> kl.Credentials:
        made = kl.Credentials.generate()
        return made.with_key_id(self.exchange.account(made.public_pem, tier="prime", direct=True))

    def suffix(self) -> str:
        """A name that no subtrader has yet."""
        return f"t{next(self._count)}"

    def close(self) -> None:
        """Give back the connections."""
        self.mine.close()
        self.theirs.close()

    def ready(self, operation: str) -> Known:
        """Known names, with what the operation needs made first."""
        return replace(self.known, **NEEDS[operation](self)) if operation in NEEDS else self.known

    def order(self) -> str:
        """An order of mine that rests."""
        placed = self.mine.orders.create(NewOrder(ticker=self.known.ticker, side="bid", count=2, price=LOW))
        return str(placed.order_id)

    def rfq(self, client: kl.Kalshi) -> str:
        """An open request of a member."""
        return client.communications.create_rfq(self.known.ticker, contracts=10, replace_existing=True)

    def quote(self, asker: kl.Kalshi, maker: kl.Kalshi) -> dict[str, str]:
        """A quote on an open request."""
        rfq = self.rfq(asker)
        return {"rfq": rfq, "quote": maker.communications.create_quote(rfq, yes_bid="0.40", no_bid="0.50")}

    def accepted(self) -> dict[str, str]:
        """A quote of mine that was accepted."""
        found = self.quote(self.theirs, self.mine)
        self.theirs.communications.accept_quote(found["quote"], "yes", rfq_id=found["rfq"])
        return found

    def block_trade(self) -> str:
        """A proposal to me."""
        return self.theirs.communications.propose_block_trade(
            self.known.ticker, 10, "0.42", buyer_user_id=self.user(self.mine), seller_user_id=self.user(self.theirs),
            maker_side="yes", expires=self.known.later,
        )  # fmt: skip

    def user(self, client: kl.Kalshi) -> str:
        """A member's user id, which its orders carry."""
        placed = client.orders.create(NewOrder(ticker=self.known.ticker, side="bid", count=1, price=LOW))
        return str(client.orders.one(placed.order_id or "").user_id)

    def batch(self, client: kl.Kalshi) -> dict[str, str]:
        """A batch of requests, and one of its requests."""
        made = client.communications.create_rfq_batch([{"market_ticker": self.known.ticker, "contracts_fp": "5.00"}])
        best = client.communications.best_quotes(made.id or "")
        return {"batch": made.id or "", "rfq": str((best.rfqs or ())[0].rfq_id)}

    def batch_quote(self, asker: kl.Kalshi, maker: kl.Kalshi) -> dict[str, str]:
        """A quote for a batch."""
        found = self.batch(asker)
        bids = {found["rfq"]: ("0.40", "0.50")}
        return {**found, "batch_quote": maker.communications.create_batch_quote(found["batch"], bids)}

    def accepted_batch(self) -> dict[str, str]:
        """A quote of mine for a batch that was accepted."""
        found = self.batch_quote(self.theirs, self.mine)
        self.theirs.communications.accept_rfq_batch(found["batch"], "yes", {found["rfq"]: "0.40"})
        return found

    def legs(self) -> dict[str, Any]:
        """Legs that a collection takes: an open market of each of two of its events."""
        collection = self.mine.multivariate.one(self.known.collection)
        events = [self.mine.events.one(str(one.ticker)) for one in (collection.associated_events or ())[:6]]
        chosen = [(event.event_ticker, market.ticker, "yes") for event in events for market in event.markets[:1]]
        return {"legs": tuple(chosen[:2])}


def _subtrader(p: Practice) -> dict[str, str]:
    known = [one.subtrader_id for one in p.mine.fcm.subtraders()]
    return {"subtrader": known[0] if known else p.mine.fcm.create_subtrader("one")}


def _two(p: Practice) -> dict[str, str]:
    return {
        "subtrader": p.mine.fcm.create_subtrader(p.suffix()),
        "other_subtrader": p.mine.fcm.create_subtrader(p.suffix()),
    }


def _capped(p: Practice) -> dict[str, str]:
    found = _subtrader(p)
    p.mine.fcm.update_daily_cap(found["subtrader"], 500)
    return found


def _subaccount(p: Practice) -> dict[str, str]:
    if len({one.subaccount_number for one in p.mine.portfolio.subaccount_balances()}) == 1:
        p.mine.portfolio.create_subaccount()
    return {}


ORDERS = ("get_order", "get_order_queue_position", "amend_order_v2", "decrease_order_v2", "cancel_order_v2")
GROUPS = (
    "get_order_group",
    "update_order_group_limit",
    "trigger_order_group",
    "reset_order_group",
    "delete_order_group",
)
SUBTRADER = (
    "get_fcm_orders", "get_fcm_positions", "get_fcm_subtrader_blocked_categories",
    "update_fcm_subtrader_blocked_categories", "update_fcm_event_contract_daily_cap",
)  # fmt: skip
NEEDS: dict[str, Callable[[Practice], dict[str, Any]]] = {
    **dict.fromkeys(ORDERS, lambda p: {"order": p.order()}),
    **dict.fromkeys(GROUPS, lambda p: {"group": str(p.mine.order_groups.create(100).order_group_id)}),
    **dict.fromkeys(SUBTRADER, _subtrader),
    **dict.fromkeys(("get_fcm_event_contract_daily_cap", "delete_fcm_event_contract_daily_cap"), _capped),
    **dict.fromkeys(("get_rfq", "delete_rfq"), lambda p: {"rfq": p.rfq(p.mine)}),
    **dict.fromkeys(
        ("get_quotes", "get_rfq_quote", "get_quote", "accept_rfq_quote", "accept_quote"),
        lambda p: p.quote(p.mine, p.theirs),
    ),
    **dict.fromkeys(("delete_rfq_quote", "delete_quote"), lambda p: p.quote(p.theirs, p.mine)),
    **dict.fromkeys(("confirm_rfq_quote", "confirm_quote"), lambda p: p.accepted()),
    **dict.fromkeys(("get_rfq_batch", "get_rfq_batch_best_quotes", "delete_rfq_batch"), lambda p: p.batch(p.mine)),
    **dict.fromkeys(("get_rfq_batch_quotes", "accept_rfq_batch"), lambda p: p.batch_quote(p.mine, p.theirs)),
    "create_rfq_batch_quote": lambda p: p.batch(p.theirs),
    "delete_rfq_batch_quote": lambda p: p.batch_quote(p.theirs, p.mine),
    "confirm_rfq_batch_quote": lambda p: p.accepted_batch(),
    "create_fcm_position_transfer": _two,
    "create_fcm_subtrader": lambda p: {"suffix": p.suffix()},
    "batch_cancel_orders_v2": lambda p: {"other_order": p.order()},
    "create_quote": lambda p: {"rfq": p.rfq(p.theirs)},
    "create_market_in_multivariate_event_collection": lambda p: p.legs(),
    "upgrade_account_api_usage_level": lambda p: {"order": p.order()},
    "get_intra_exchange_instance_transfer": lambda p: {
        "transfer": p.mine.portfolio.transfer_to_shard("1", source_shard=0, destination_shard=1)
    },
    "apply_subaccount_transfer": _subaccount,
    "propose_block_trade": lambda p: {"user": p.user(p.mine)},
    "accept_block_trade_proposal": lambda p: {"block_trade": p.block_trade()},
    "create_api_key": lambda _p: {"public_key": kl.Credentials.generate().public_pem},
    "delete_api_key": lambda p: {"key": p.mine.api_keys.generate("short-lived").api_key_id},
}
