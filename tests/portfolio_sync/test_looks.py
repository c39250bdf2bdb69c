"""Looks at positions and cash: what changed is kept, and nothing is taken for closed that was not seen to be."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from kalshi_lab.portfolio import held
from kalshi_lab.portfolio.sync import PARTS
from tests.kalshi.scripted import Answer, Asked
from tests.portfolio_sync.member import NOW, Member, Session, position
from tests.portfolio_sync.test_sync import account, asked, balanced, run

if TYPE_CHECKING:
    from datetime import datetime

PATH = "/portfolio/positions"


def look(session: Session) -> Any:
    session.clock.advance(3600)
    return run(session, what=["positions", "deposits"])


def positions(session: Session, **options: Any) -> dict[str, Decimal]:
    return dict(frame(session, **options).select("ticker", "position").rows())


def frame(session: Session, as_of: datetime | None = None) -> pl.DataFrame:
    return asyncio.run(held.positions(session.store, account(session), as_of=as_of))


def looks(session: Session) -> pl.DataFrame:
    return asyncio.run(held.position_looks(session.store, account(session)))


def test_only_changes_are_kept(member: Member, session: Session) -> None:
    """PF-3: NO is negative, zero stays zero (lesson 8), and a look that saw the same adds no rows but moves what is known to its time."""
    member.open = [position("KXA-1", "3.50"), position("KXA-2", "-2.00"), position("KXA-3", "0.00")]
    member.settled, member.archived = (
        [position("KXS-1", "0.00")],
        [position("KXH-1", "0.00", realized_pnl_dollars="-1.500000")],
    )
    assert look(session).parts["positions"].new == 5
    assert look(session).parts["positions"].new == 0
    member.open[0] = position("KXA-1", "1.25")
    done = look(session).parts["positions"]
    assert (done.new, done.stored, done.duplicate, done.received) == (1, 1, 2, 3)
    assert positions(session) == {"KXA-1": Decimal("1.25"), "KXA-2": -2, "KXA-3": 0, "KXS-1": 0, "KXH-1": 0}
    assert positions(session, as_of=NOW + timedelta(hours=2.5))["KXA-1"] == Decimal("3.50")
    last = looks(session)["looked_at"].max()
    known = {row["ticker"]: row["looked_at"] for row in frame(session).to_dicts()}
    assert known["KXA-2"] == known["KXA-1"] == last > known["KXS-1"]
    assert looks(session)["complete"].all()
    balanced(session)


@pytest.mark.long
def test_what_stops_being_open_is_asked_for(member: Member, session: Session) -> None:
    """PF-3: settled positions are not listed again and again; those that stop being open are found where they are by then."""
    member.open = [position("KXA-1", "1.00"), position("KXA-2", "2.00"), position("KXA-3", "3.00")]
    look(session)
    session.server.asked[:] = []
    member.settled = [position("KXA-2", "0.00", realized_pnl_dollars="1.000000")]
    member.archived = [position("KXA-3", "0.00", realized_pnl_dollars="-3.000000")]
    del member.open[1:]
    assert look(session).parts["positions"].new == 2
    told = {
        row["ticker"]: (row["position"], row["realized_pnl"], row["settled"], row["gone"])
        for row in frame(session).to_dicts()
    }
    assert told["KXA-2"] == (0, 1, True, False)
    assert told["KXA-3"] == (0, -3, True, False)
    assert [one.get("ticker") for one in asked(session, PATH)] == [None, "KXA-2", "KXA-3"]
    assert [one.get("ticker") for one in asked(session, "/historical/positions")] == ["KXA-3"]


def test_what_left_a_whole_answer_is_closed_and_unknown(member: Member, session: Session) -> None:
    """PF-3, lessons 26 and 34: nothing is held of it, what it made is null and not zero, and it is looked for until it is found."""
    member.open = [position("KXA-1", "1.00"), position("KXA-2", "2.00")]
    look(session)
    lost = member.open.pop()
    look(session)
    row = frame(session).filter(ticker="KXA-2").to_dicts()[0]
    assert (row["position"], row["gone"]) == (0, True)
    assert (row["realized_pnl"], row["fees_paid"], row["market_exposure"], row["settled"]) == (None, None, None, None)
    look(session)
    member.settled = [{**lost, "position_fp": "0.00", "realized_pnl_dollars": "0.400000"}]
    look(session)
    row = frame(session).filter(ticker="KXA-2").to_dicts()[0]
    assert (row["realized_pnl"], row["settled"], row["gone"]) == (Decimal("0.4"), True, False)


def test_neither_an_empty_nor_a_broken_answer_closes_anything(member: Member, session: Session) -> None:
    """PF-3 ⚠, lesson 7: an empty list, an unreadable row, a wrong key, an error in the middle leave all positions as they are."""
    member.open = [position(f"KXA-{n}", "1.00") for n in range(5)]
    look(session)
    before = frame(session).drop("looked_at")
    rows, member.open = member.open, []
    look(session)
    assert frame(session).drop("looked_at").equals(before)
    member.open = [*rows[:3], {**rows[3], "position_fp": "?"}]
    done = look(session).parts["positions"]
    assert (done.quarantined, done.received) == (1, done.stored + done.duplicate + 1)
    assert frame(session).drop("looked_at").equals(before)

    def second_page(one: Asked) -> Answer | None:
        return Answer({"error": "no"}, 500) if one.path == PATH and "cursor" in one.params else None

    member.open, member.wrong = rows, second_page
    assert list(look(session).problems) == ["positions"]
    member.wrong = lambda one: Answer({"positions": [], "cursor": ""}) if one.path == PATH else None
    assert "market_positions" in look(session).problems["positions"]
    assert frame(session).drop("looked_at").equals(before)
    assert looks(session)["complete"].to_list() == [True, False, False]
    assert frame(session)["looked_at"].unique().to_list() == [looks(session)["looked_at"][0]]
    balanced(session)


@pytest.mark.long
def test_open_positions_are_kept_where_the_settled_cannot_be_had(member: Member, session: Session) -> None:
    """A failure of the historical side is told, and what is open is kept; the next look lists the settled ones then."""
    member.open, member.archived = [position("KXA-1", "1.00")], [position("KXH-1", "0.00")]
    member.wrong = lambda one: Answer({"error": "no"}, 500) if one.path == "/historical/positions" else None
    assert list(look(session).problems) == ["positions"]
    assert positions(session) == {"KXA-1": 1}
    member.wrong = lambda _one: None
    assert look(session).ok
    assert positions(session) == {"KXA-1": 1, "KXH-1": 0}


@pytest.mark.long
def test_many_that_close_at_once_are_listed_together(member: Member, session: Session) -> None:
    """More than 20 markets that stop being open cost one listing of the settled ones, not a request for each."""
    member.per_page = 100
    member.open = [position(f"KXA-{n:02}", "1.00") for n in range(30)]
    look(session)
    session.server.asked[:] = []
    member.settled, member.open = [{**row, "position_fp": "0.00"} for row in member.open[:25]], member.open[25:]
    look(session)
    assert [one.get("settlement_status") for one in asked(session, PATH)] == ["unsettled", "settled"]
    assert sum(positions(session).values()) == 5
    assert len(asked(session, "/historical/positions")) == 1


@pytest.mark.long
def test_cash_of_every_look(member: Member, session: Session) -> None:
    """Cash in all, by shard, and of the subaccount by shard, exact; older answers without dollars give their cents."""
    run(session, what="balances")
    session.clock.advance(3600)
    member.wrong = lambda one: (
        Answer({"balance": 1299, "portfolio_value": 5, "updated_ts": 1795200000})
        if one.path.endswith("/balance")
        else None
    )
    run(session, what="balances")
    cash = asyncio.run(held.balances(session.store, account(session)))
    assert cash["looked_at"].n_unique() == 2
    whole = cash.filter(pl.col("subaccount_number").is_null() & pl.col("exchange_index").is_null())
    assert whole.select("balance", "portfolio_value").rows() == [
        (Decimal("12.3456"), 0),
        (Decimal("12.99"), Decimal("0.05")),
    ]
    assert asyncio.run(held.balances(session.store, account(session), since=NOW + timedelta(minutes=30))).height == 2
    balanced(session)


@pytest.mark.long
def test_nothing_kept_gives_no_rows(session: Session) -> None:
    """Lesson 43: an account of which nothing is kept, and a store that is not there, give empty frames of the right columns."""
    for name in (*PARTS, "position_looks"):
        kept = asyncio.run(getattr(held, name)(session.store, "nobody"))
        (session.home / "kalshi.duckdb").rename(session.home / "aside")
        nowhere = asyncio.run(getattr(held, name)(session.store, "nobody"))
        (session.home / "aside").rename(session.home / "kalshi.duckdb")
        assert kept.schema == nowhere.schema
        assert kept.height == 0
