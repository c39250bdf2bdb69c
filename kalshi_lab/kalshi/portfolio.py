"""Family portfolio: balance, positions, fills, settlements, and money moved in, out and about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args
from uuid import uuid4

from kalshi_lab.errors import UsageError, one_of
from kalshi_lab.kalshi import params
from kalshi_lab.kalshi.family import Family, envelope
from kalshi_lab.kalshi.operations import call
from kalshi_lab.kalshi.pages import AsyncPages, bad_payload, paged
from kalshi_lab.models.portfolio import (
    Balance,
    Deposit,
    EventPosition,
    Fill,
    MarketPosition,
    RestingOrderValue,
    Settlement,
    ShardTransfer,
    SubaccountBalance,
    SubaccountNetting,
    SubaccountTransfer,
    TargetAllocation,
    Withdrawal,
)
from kalshi_lab.portal import Facade, blocking

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from decimal import Decimal

    from kalshi_lab.clock import When

PAGE, MONEY_PAGE = 1000, 500
SETTLED = Literal["unsettled", "settled", "all"]
NONZERO = Literal["position", "total_traded"]
INSTANCE = Literal["event_contract", "margined"]
RESERVATION = Literal["none", "max", "sum"]
MOST_TICKERS = 100


def position_filters(
    *,
    ticker: str | None,
    event: str | None,
    settled: str,
    nonzero: str | Iterable[str] | None,
    **others: str | int | None,
) -> params.Params:
    """The filters of a listing of positions, checked."""
    words = [nonzero] if isinstance(nonzero, str) else list(nonzero or ())
    chosen = [one_of("nonzero", word, get_args(NONZERO)) for word in words]
    return params.given(
        ticker=params.filtered(ticker),
        event_ticker=params.filtered(event, "event"),
        settlement_status=one_of("settled", settled, get_args(SETTLED)),
        count_filter=",".join(chosen) or None,
        **others,
    )


class AsyncPortfolio(Family):
    """What the account holds and has done. All of it needs a key."""

    async def balance(self, *, subaccount: int | None = None, shard: int | None = None) -> Balance:
        """Cash and the value of the open positions; without a shard, of all shards together."""
        asked = params.given(subaccount=params.subaccount(subaccount), exchange_index=params.shard(shard))
        return await self._object(Balance, call("get_balance", asked))

    def positions(
        self,
        *,
        ticker: str | None = None,
        event: str | None = None,
        settled: SETTLED = "unsettled",
        nonzero: NONZERO | Iterable[NONZERO] | None = None,
        subaccount: int | None = None,
        shard: int | None = None,
        limit: int | None = None,
        max_pages: int | None = None,
    ) -> AsyncPages[MarketPosition]:
        """Positions by market. Closed ones (position 0) come too unless `nonzero="position"`.

        settled: unsettled, settled or all. Without a subaccount, of the primary one (0).
        """
        asked = position_filters(
            ticker=ticker, event=event, settled=settled, nonzero=nonzero,
            subaccount=params.subaccount(subaccount), exchange_index=params.shard(shard),
        )  # fmt: skip
        made = call("get_positions", asked)
        return self._pages(
            MarketPosition, "market_positions", made, ("ticker",), page=PAGE, limit=limit, max_pages=max_pages
        )

    def event_positions(
        self,
        *,
        ticker: str | None = None,
        event: str | None = None,
        settled: SETTLED = "unsettled",
        nonzero: NONZERO | Iterable[NONZERO] | None = None,
        subaccount: int | None = None,
        shard: int | None = None,
        limit: int | None = None,
        max_pages: int | None = None,
    ) -> AsyncPages[EventPosition]:
        """The same answer as `positions`, added up by event as the exchange does it."""
        asked = position_filters(
            ticker=ticker, event=event, settled=settled, nonzero=nonzero,
            subaccount=params.subaccount(subaccount), exchange_index=params.shard(shard),
        )  # fmt: skip
        made = call("get_positions", asked)
        return self._pages(
            EventPosition, "event_positions", made, ("event_ticker",), page=PAGE, limit=limit, max_pages=max_pages
        )

    def fills(
        self,
        tickers: str | Iterable[str] | None = None,
        *,
        order_id: str | None = None,
        since: When | None = None,
        until: When | None = None,
        subaccount: int | None = None,
        shard: int | None = None,
        limit: int | None = None,
        max_pages: int | None = None,
    ) -> AsyncPages[Fill]:
        """Executions of your orders, newest first; older ones are in `historical.fills`. At most 100 tickers."""
        asked = params.given(
            ticker=params.listed(tickers, most=MOST_TICKERS),
            order_id=order_id,
            subaccount=params.subaccount(subaccount),
            exchange_index=params.shard(shard),
        )
        made = call("get_fills", asked + params.window(since, until, now=self._clock.now()))
        return self._pages(Fill, "fills", made, ("fill_id",), page=PAGE, limit=limit, max_pages=max_pages)

    def settlements(
        self,
        *,
        ticker: str | None = None,
        event: str | None = None,
        since: When | None = None,
        until: When | None = None,
        subaccount: int | None = None,
        limit: int | None = None,
        max_pages: int | None = None,
    ) -> AsyncPages[Settlement]:
        """Markets that paid out. They age out of the exchange's answers: `historical.positions` has the old ones."""
        asked = params.given(
            ticker=params.filtered(ticker),
            event_ticker=params.filtered(event, "event"),
            subaccount=params.subaccount(subaccount),
        )
        made = call("get_settlements", asked + params.window(since, until, now=self._clock.now()))
        unique = ("ticker", "settled_time")
        return self._pages(Settlement, "settlements", made, unique, page=PAGE, limit=limit, max_pages=max_pages)

    def deposits(self, *, limit: int | None = None) -> AsyncPages[Deposit]:
        """Money that came in."""
        return self._pages(Deposit, "deposits", call("get_deposits"), ("id",), page=MONEY_PAGE, limit=limit)

    def withdrawals(self, *, limit: int | None = None) -> AsyncPages[Withdrawal]:
        """Money that went out."""
        return self._pages(Withdrawal, "withdrawals", call("get_withdrawals"), ("id",), page=MONEY_PAGE, limit=limit)

    async def resting_order_value(self) -> RestingOrderValue:
        """What the resting orders bind; Forbidden in demo."""
        return await self._object(RestingOrderValue, call("get_portfolio_resting_order_total_value"))

    async def target_allocation(self) -> TargetAllocation:
        """How the balance is spread over the shards."""
        return await self._object(TargetAllocation, call("get_target_balance_allocation"))

    async def update_target_allocation(
        self, shares: Mapping[int, int], *, resting_margin_reservation: RESERVATION = "sum"
    ) -> None:
        """Spread the balance over shards: percent by shard, 100 together; an empty mapping switches it off."""
        if shares and (sum(shares.values()) != 100 or min(shares.values()) < 0):  # noqa: PLR2004 - percent
            raise UsageError(f"the shares add up to {sum(shares.values())}, not to 100")
        rows = [{"exchange_index": shard, "percent": percent} for shard, percent in shares.items()]
        word = one_of("resting_margin_reservation", resting_margin_reservation, get_args(RESERVATION))
        await self._send(
            call("set_target_balance_allocation", body=params.body(allocations=rows, resting_margin_reservation=word))
        )

    def shard_transfers(self, *, limit: int | None = None) -> AsyncPages[ShardTransfer]:
        """Money moved between shards."""
        made = call("get_intra_exchange_instance_transfers")
        return self._pages(ShardTransfer, "transfers", made, ("transfer_id",), page=MONEY_PAGE, limit=limit)

    async def shard_transfer(self, transfer_id: str) -> ShardTransfer:
        """One transfer between shards."""
        return await self._object(
            ShardTransfer, call("get_intra_exchange_instance_transfer", transfer_id=transfer_id), "transfer"
        )

    async def transfer_to_shard(
        self,
        amount: Decimal | str | int,
        *,
        source_shard: int = 0,
        destination_shard: int = 0,
        source: INSTANCE = "event_contract",
        destination: INSTANCE = "event_contract",
        source_subaccount: int | None = None,
        destination_subaccount: int | None = None,
        client_transfer_id: str | None = None,
    ) -> str:
        """Move dollars between shards; gives the transfer's id. A repeat with the same client_transfer_id is refused (Conflict)."""
        sent = params.body(
            client_transfer_id=client_transfer_id or str(uuid4()),
            source=one_of("source", source, get_args(INSTANCE)),
            destination=one_of("destination", destination, get_args(INSTANCE)),
            amount=params.units(amount, 4, "amount"),
            source_exchange_shard=params.shard(source_shard),
            destination_exchange_shard=params.shard(destination_shard),
            source_subaccount=params.subaccount(source_subaccount),
            destination_subaccount=params.subaccount(destination_subaccount),
        )
        return await self._id(call("intra_exchange_instance_transfer", body=sent), "transfer_id")

    async def create_subaccount(self, *, shard: int | None = None) -> int:
        """Open the next subaccount; gives its number (1 to 63)."""
        reply = await self._send(call("create_subaccount", body=params.body(exchange_index=params.shard(shard))))
        number = envelope(reply, "subaccount_number")["subaccount_number"]
        if type(number) is not int:
            raise bad_payload(reply, "a subaccount_number that is no whole number")
        return number

    async def subaccount_balances(self) -> tuple[SubaccountBalance, ...]:
        """Cash by subaccount and shard."""
        return await self._rows(SubaccountBalance, call("get_subaccount_balances"), "subaccount_balances")

    def subaccount_transfers(self, *, limit: int | None = None) -> AsyncPages[SubaccountTransfer]:
        """Money moved between subaccounts."""
        made = call("get_subaccount_transfers")
        return self._pages(SubaccountTransfer, "transfers", made, ("transfer_id",), page=PAGE, limit=limit)

    async def transfer_to_subaccount(
        self,
        amount: Decimal | str | int,
        *,
        source: int,
        destination: int,
        shard: int | None = None,
        client_transfer_id: str | None = None,
    ) -> str:
        """Move dollars (whole cents) between subaccounts; gives the client id, under which a repeat is refused (Conflict)."""
        transfer_id = client_transfer_id or str(uuid4())
        sent = params.body(
            client_transfer_id=transfer_id,
            from_subaccount=params.subaccount(source),
            to_subaccount=params.subaccount(destination),
            amount_cents=params.units(amount, 2, "amount"),
            exchange_index=params.shard(shard),
        )
        await self._send(call("apply_subaccount_transfer", body=sent))
        return transfer_id

    async def netting(self) -> tuple[SubaccountNetting, ...]:
        """Which subaccounts net the positions of an event."""
        return await self._rows(SubaccountNetting, call("get_subaccount_netting"), "netting_configs")

    async def update_netting(self, subaccount: int, *, enabled: bool) -> None:
        """Switch the netting of a subaccount on or off."""
        sent = params.body(subaccount_number=params.subaccount(subaccount), enabled=enabled)
        await self._send(call("update_subaccount_netting", body=sent))


class Portfolio(Facade):
    """The blocking face of `AsyncPortfolio`."""

    balance = blocking(AsyncPortfolio.balance)
    positions = paged(AsyncPortfolio.positions)
    event_positions = paged(AsyncPortfolio.event_positions)
    fills = paged(AsyncPortfolio.fills)
    settlements = paged(AsyncPortfolio.settlements)
    deposits = paged(AsyncPortfolio.deposits)
    withdrawals = paged(AsyncPortfolio.withdrawals)
    resting_order_value = blocking(AsyncPortfolio.resting_order_value)
    target_allocation = blocking(AsyncPortfolio.target_allocation)
    update_target_allocation = blocking(AsyncPortfolio.update_target_allocation)
    shard_transfers = paged(AsyncPortfolio.shard_transfers)
    shard_transfer = blocking(AsyncPortfolio.shard_transfer)
    transfer_to_shard = blocking(AsyncPortfolio.transfer_to_shard)
    create_subaccount = blocking(AsyncPortfolio.create_subaccount)
    subaccount_balances = blocking(AsyncPortfolio.subaccount_balances)
    subaccount_transfers = paged(AsyncPortfolio.subaccount_transfers)
    transfer_to_subaccount = blocking(AsyncPortfolio.transfer_to_subaccount)
    netting = blocking(AsyncPortfolio.netting)
    update_netting = blocking(AsyncPortfolio.update_netting)
