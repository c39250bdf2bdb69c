"""An account that trades on the simulated exchange: its store agrees with the exchange's own answers, to the end of every market."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

import kalshi_lab as kl
from kalshi_lab.portfolio import held
from kalshi_lab.portfolio.sync import account_of, sync

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

    from kalshi_lab.sim import Exchange

DAY = 86_400


def lab(exchange: Exchange, home: Path, **options: Any) -> kl.AsyncLab:
    """A session of a new member."""
    credentials = kl.Credentials.generate()
    key = exchange.account(credentials.public_pem, tier="advanced", direct=True, **options)
    return kl.AsyncLab("sim", base_url=exchange.url, credentials=credentials.with_key_id(key), writable=True, home=home)


async def bring(one: kl.AsyncLab, **options: Any) -> Any:
    return await sync(one.kalshi, one.store, one.clock, progress=False, **options)


async def markets(one: kl.AsyncLab, count: int) -> list[tuple[str, float]]:
    """Markets that somebody sells, and at what."""
    found = await one.markets(status="open")
    chosen = found.filter((found["yes_ask"] > 0.1) & (found["yes_ask"] < 0.9) & (found["yes_bid"] > 0.05))
    return chosen.head(count).select("ticker", "yes_ask").rows()


async def buy(one: kl.AsyncLab, ticker: str, price: float, count: str = "2.5", **more: Any) -> Any:
    return await one.kalshi.orders.create(
        kl.NewOrder(ticker=ticker, side="bid", count=count, price=f"{price:.2f}", **more)
    )


async def table(one: kl.AsyncLab, name: str, **options: Any) -> pl.DataFrame:
    found: pl.DataFrame = await getattr(held, name)(one.store, account_of(one.kalshi), **options)
    return found


@pytest.mark.long
def test_an_account_from_its_first_order_to_the_archive(traded: Exchange, tmp_path: Path) -> None:
    """PF-1, PF-2, PF-3: what is open, settled and archived is what the exchange says, with nothing lost over its cutoffs."""

    async def live() -> None:
        async with lab(traded, tmp_path) as one:
            number = await one.kalshi.portfolio.create_subaccount()
            await one.kalshi.portfolio.transfer_to_subaccount(500, source=0, destination=number)
            await one.kalshi.portfolio.transfer_to_shard(10, source_shard=0, destination_shard=1)
            chosen = await markets(one, 6)
            for ticker, price in chosen[:4]:
                await buy(one, ticker, price)
            resting = await buy(one, chosen[4][0], 0.01)
            await buy(one, *chosen[5], subaccount=number)
            done = await bring(one)
            assert done.ok
            assert done.subaccounts == (0, number)
            new = {name: part.new for name, part in done.parts.items() if name != "balances"}
            assert new == {
                "subaccounts": 2, "positions": 5, "fills": 5, "orders": 6, "settlements": 0, "deposits": 1, "withdrawals": 0,
                "shard_transfers": 1, "subaccount_transfers": 1,
            }  # fmt: skip
            assert (await table(one, "fills", subaccount=number)).height == 1
            assert (await table(one, "positions", subaccount=number)).height == 1
            cash = await table(one, "balances")
            told = await one.kalshi.portfolio.balance()
            assert (
                cash.filter(cash["subaccount_number"].is_null() & cash["exchange_index"].is_null())["balance"].item()
                == told.balance
            )
            await one.kalshi.orders.cancel(resting.order_id)
            traded.advance(70 * DAY)
            later = await bring(one)
            assert later.ok
            assert (later.parts["fills"].new, later.parts["settlements"].new) == (0, 5)
            await agrees(one, number)
            assert set((await table(one, "orders"))["status"]) == {"executed", "canceled"}
            assert (await one.store.verify()).ok

    async def agrees(one: kl.AsyncLab, number: int) -> None:
        """Fills, settlements and positions are the exchange's own, over both of its sides and both subaccounts."""
        kalshi = one.kalshi
        fills = await kalshi.historical.fills().frame(exact=True)
        kept = (await table(one, "fills")).sort("fill_id")
        assert kept.equals(fills.sort("fill_id"), null_equal=True)
        for place in (0, number):
            paid = await kalshi.portfolio.settlements(subaccount=place).frame(exact=True)
            mine = (await table(one, "settlements", subaccount=place)).select(paid.columns)
            assert mine.sort("ticker").equals(paid.sort("ticker"), null_equal=True)
            both = [
                await pages.frame(exact=True)
                for pages in (
                    kalshi.portfolio.positions(settled="all", subaccount=place),
                    kalshi.historical.positions(subaccount=place),
                )
            ]
            said = both[0].vstack(both[1]).unique("ticker").sort("ticker")
            seen = (await table(one, "positions", subaccount=place)).select(said.columns).sort("ticker")
            assert seen.equals(said, null_equal=True)

    asyncio.run(live())


def test_what_the_store_holds_is_told_after_a_sync_too(traded: Exchange, tmp_path: Path) -> None:
    """Coverage is about series: an account's records, and how their ledger is named, are no part of it."""

    async def live() -> None:
        async with lab(traded, tmp_path) as one:
            await one.sync("series", progress=False)
            assert (await bring(one)).ok
            assert set((await one.coverage())["dataset"]) == {"series"}

    asyncio.run(live())


def test_accounts_of_one_store_see_their_own(traded: Exchange, tmp_path: Path) -> None:
    """Two members in one home: what each reads back is hers."""

    async def live() -> None:
        async with lab(traded, tmp_path) as one, lab(traded, tmp_path) as other:
            (ticker, price), *_ = await markets(one, 1)
            await buy(one, ticker, price)
            parts = ["positions", "fills"]
            first, second = await asyncio.gather(bring(one, what=parts), bring(other, what=parts))
            assert (first.parts["fills"].new, second.parts["fills"].new) == (1, 0)
            assert [(await table(each, name)).height for each in (one, other) for name in parts] == [1, 1, 0, 0]

    asyncio.run(live())
