"""Trading is off until it is asked for, and a dry run cannot be left."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

import kalshi_lab as kl
from kalshi_lab.door import Call
from kalshi_lab.trading import AsyncTrading
from kalshi_lab.trading.looks import ReadingDoor
from tests.trading.conftest import ORDERS, agree, written

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kalshi_lab.sim.process import Exchange
    from tests.trading.conftest import Quoted

ALONE = """
import sys
import kalshi_lab as kl
lab = kl.Lab("prod", home=sys.argv[1])
lab.close()
print([name for name in sys.modules if name.startswith("kalshi_lab.trading")])
"""


def test_no_code_of_trading_is_there_before_it_is_asked_for(tmp_path: Path) -> None:
    """EX-1: neither the library's import nor a lab brings in what can send orders."""
    told = subprocess.run(
        [sys.executable, "-c", ALONE, str(tmp_path)], capture_output=True, text=True, check=True, timeout=60
    )
    assert told.stdout.strip() == "[]"


def test_trading_is_off_until_it_is_asked_for_and_prod_is_spelled_out(lab: kl.Lab, tmp_path: Path) -> None:
    """EX-3: not enabled, another environment, prod without its name, live without a key: all refused at once."""
    with pytest.raises(kl.TradingOff, match="enable=True"):
        lab.trading()
    with pytest.raises(kl.TradingOff, match="enable=True"):
        lab.trading(live=True)
    with pytest.raises(kl.UsageError, match="not in 'demo'"):
        lab.trading(enable=True, environment="demo")
    with kl.Lab("prod", home=tmp_path / "prod") as real:
        with pytest.raises(kl.TradingOff, match='environment="prod"'):
            real.trading(enable=True)
        with pytest.raises(kl.TradingOff, match="need a key"):
            real.trading(enable=True, live=True, environment="prod")
        assert real.trading(enable=True, environment="prod").mode == "dry"
    assert lab.trading(enable=True, environment="sim").mode == "dry"
    assert lab.trading(enable=True, live=True).mode == "live"


def every_verb(quoted: Quoted, order_id: str) -> dict[str, dict[str, Any]]:
    """Each verb of the executor with words that it would take, so that a new verb must be added here."""
    order = kl.NewOrder(ticker=quoted.ticker, side="bid", count=1, price=quoted.bid)
    return {
        "buy": {"ticker": quoted.ticker, "count": 1, "price": quoted.ask},
        "sell": {"ticker": quoted.ticker, "count": 1, "price": quoted.bid},
        "create": {"order": order},
        "create_batch": {"orders": [kl.NewOrder(ticker=quoted.ticker, side="ask", count=1, price=quoted.ask)]},
        "amend": {"order_id": order_id, "price": quoted.bid, "count": 3},
        "decrease": {"order_id": order_id, "reduce_to": 1},
        "cancel": {"order_id": order_id},
        "cancel_batch": {"order_ids": [order_id]},
        "cancel_all": {},
        "create_group": {"contracts_limit": 5},
        "update_group_limit": {"order_group_id": "g", "contracts_limit": 5},
        "reset_group": {"order_group_id": "g"},
        "trigger_group": {"order_group_id": "g"},
        "delete_group": {"order_group_id": "g"},
        "audit": {},
        "unresolved": {},
        "reconcile": {},
    }


@pytest.mark.parametrize("writable", [pytest.param(False, marks=pytest.mark.long), True])
def test_nothing_that_a_dry_run_does_writes(
    writable: bool, labs: Callable[..., kl.Lab], exchange: Exchange, quoted: Quoted
) -> None:
    """EX-1 ⚠ and lesson 52: every verb of a dry executor, on a lab that may write or not: the exchange sees nothing but GETs."""
    lab = labs(writable=writable)
    resting = lab.trading(enable=True, live=True, confirm=agree).buy(quoted.ticker, 2, quoted.bid)
    verbs = every_verb(quoted, resting.order_id)
    assert set(verbs) == {
        name for name, _ in inspect.getmembers(AsyncTrading, inspect.iscoroutinefunction) if name[0] != "_"
    }
    exchange.reset_log()
    dry = lab.trading(enable=True, confirm=agree)
    for name, words in verbs.items():
        getattr(dry, name)(**words)
    assert written(exchange) == []
    assert exchange.requests()
    assert dry.audit().filter(mode="dry")["state"].unique().to_list() == ["accepted"]
    assert lab.kalshi.orders.one(resting.order_id).remaining_count == 2


def test_a_dry_executor_holds_no_means_to_write(labs: Callable[..., kl.Lab]) -> None:
    """Lesson 52: by structure, not by a flag: there are no writing families, and its door lets only GETs pass."""
    lab = labs(writable=True)
    twin = lab.trading(enable=True)._twin
    assert twin._writes is None
    looks = twin._guard.looks
    for family in (
        looks.orders,
        looks.portfolio,
        looks.markets,
        looks.exchange,
        looks.events,
        looks.series,
        looks.historical,
    ):
        assert isinstance(family._door, ReadingDoor)
        assert not family._door.writable
    with pytest.raises(kl.TradingOff):
        asyncio.run(looks.orders._door.send(Call("create_order_v2", ORDERS, method="POST", body=b"{}")))  # type: ignore[attr-defined]


def test_no_verb_takes_a_word_that_would_make_it_live() -> None:
    """EX-1 ⚠: no dry_run=False and the like on any verb."""
    for name, verb in inspect.getmembers(AsyncTrading, inspect.iscoroutinefunction):
        assert not {"dry_run", "live", "dry", "mode"} & set(inspect.signature(verb).parameters), name
