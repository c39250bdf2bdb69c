"""What a sync brings in, what it asks for, and what it leaves alone, against a member's scripted exchange over HTTP."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

import kalshi_lab as kl
from kalshi_lab.portfolio import held
from kalshi_lab.portfolio.sync import PARTS, PortfolioSync, account_of
from kalshi_lab.store.connection import fetch
from tests.kalshi.scripted import Answer, Asked
from tests.portfolio_sync.member import NOW, Member, Session, fill, order, settlement, text

if TYPE_CHECKING:
    from collections.abc import Callable

HOUR = timedelta(hours=1)
KEPT = ("fills", "orders", "settlements", "deposits", "positions", "subaccounts")


def run(session: Session, **options: Any) -> PortfolioSync:
    return asyncio.run(session.sync(**options))


def account(session: Session) -> str:
    made = kl.Kalshi(settings=session.server.settings(), credentials=session.credentials)
    with made:
        return account_of(made._twin)


def fills(session: Session, **options: Any) -> pl.DataFrame:
    return asyncio.run(held.fills(session.store, account(session), **options))


def asked(session: Session, path: str) -> list[dict[str, str]]:
    return [one.params for one in session.server.asked if one.path == path]


def contents(session: Session) -> dict[str, list[Any]]:
    """Every row that a sync keeps, without when and by which run it was seen."""
    sql = {name: f"SELECT * FROM {name} ORDER BY ALL" for name in KEPT}

    def read(connection: Any) -> dict[str, pl.DataFrame]:
        return {name: fetch(connection, text) for name, text in sql.items()}

    found = asyncio.run(session.store.look(read))
    return {name: frame.drop("run_id", "seen_at", "looked_at", strict=False).rows() for name, frame in found.items()}


def balanced(session: Session) -> None:
    """Every page's counts balance, every key is there once, and everything acknowledged is there."""
    found = asyncio.run(session.store.verify())
    assert found.ok, found.faults


def failing(path: str, times: int = 99, after: int = 0, status: int = 500) -> Callable[[Asked], Answer | None]:
    """Answers a path with an error, for so many requests after so many that are well."""
    count = 0

    def wrong(one: Asked) -> Answer | None:
        nonlocal count
        count += one.path == path
        return Answer({"error": "no"}, status) if one.path == path and after < count <= after + times else None

    return wrong


def test_twice_brings_nothing_new(member: Member, session: Session) -> None:
    """PF-1, PF-2, lesson 41: the second sync keeps the same rows, asks for a day before the first one and no more."""
    member.fills = [fill(n, NOW - n * 30 * HOUR) for n in range(1, 8)]
    member.orders = [order(n, NOW - n * 30 * HOUR) for n in range(1, 8)] + [order(9, NOW - HOUR, "resting")]
    member.settlements = [settlement(f"KXS-{n}", NOW - n * 30 * HOUR) for n in range(1, 6)]
    first = run(session)
    assert first.ok
    assert {name: part.new for name, part in first.parts.items() if part.new} == {
        "subaccounts": 1, "balances": 4, "fills": 7, "orders": 8, "settlements": 5,
    }  # fmt: skip
    before, session.server.asked[:] = contents(session), []
    again = run(session)
    assert contents(session) == before
    assert {part.new for name, part in again.parts.items() if name != "balances"} == {0}
    assert [one["min_ts"] for one in asked(session, "/portfolio/fills")] == [str(int((NOW - 24 * HOUR).timestamp()))]
    assert asked(session, "/historical/fills") == []
    assert [one.get("min_ts") for one in asked(session, "/portfolio/orders")] == [
        None,
        str(int((NOW - 24 * HOUR).timestamp())),
    ]
    balanced(session)


def test_every_field_comes_back_exact(member: Member, session: Session) -> None:
    """Prices, counts and fees are the decimals that were sent; what was not sent is null, and a new field is kept."""
    member.fills = [
        fill(1, NOW - HOUR, count_fp="0.07", fee_cost="0.000123", later="x"),
        fill(2, NOW - 2 * HOUR, fee_cost=...),
    ]
    member.fills[1].pop("fee_cost")
    run(session, what="fills")
    second, first = fills(session).to_dicts()
    assert (first["count"], first["yes_price"], first["fee_cost"]) == (
        Decimal("0.07"),
        Decimal("0.42"),
        Decimal("0.000123"),
    )
    assert first["extra"] == '{"later":"x"}'
    assert second["fee_cost"] is None
    assert fills(session, exact=False)["yes_price"].dtype == pl.Float64
    assert fills(session, since=NOW - HOUR)["fill_id"].to_list() == ["f-1"]
    assert fills(session, until=NOW - HOUR)["fill_id"].to_list() == ["f-2"]
    assert fills(session, tickers=["KXB-1"]).height == fills(session, subaccount=3).height == 0


def test_late_fills_are_found(member: Member, session: Session) -> None:
    """PF-1 ⚠: fills between two syncs are found, and those that the exchange shows hours after they happened."""
    member.fills = [fill(1, NOW - 100 * HOUR)]
    run(session, what="fills")
    session.clock.advance(3600)
    member.fills += [fill(2, NOW + HOUR / 2), fill(3, NOW - 20 * HOUR)]
    assert run(session, what="fills").parts["fills"].new == 2
    assert fills(session)["fill_id"].to_list() == ["f-1", "f-3", "f-2"]


def test_history_that_moves_is_neither_lost_nor_doubled(member: Member, session: Session) -> None:
    """PF-1, lesson 41: what passes the cutoff between two syncs, or while one reads, is there once."""
    member.fills = [fill(n, NOW - n * 24 * HOUR) for n in range(1, 15)]
    member.orders = [order(n, NOW - n * 24 * HOUR) for n in range(1, 15)]
    member.cutoffs = dict.fromkeys(member.cutoffs, text(NOW - 10 * 24 * HOUR))

    def moving(one: Asked) -> None:
        if one.path == "/portfolio/fills" and one.params.get("cursor") == "3":
            member.cutoffs = dict.fromkeys(member.cutoffs, text(NOW - 5 * 24 * HOUR))

    member.wrong = moving
    run(session, what=["fills", "orders"])
    assert fills(session)["fill_id"].n_unique() == fills(session).height == 14
    session.clock.advance(30 * 24 * 3600)
    member.cutoffs = dict.fromkeys(member.cutoffs, text(NOW + 20 * 24 * HOUR))
    member.fills += [fill(20 + n, NOW + n * 24 * HOUR) for n in range(1, 30)]
    member.orders += [order(20 + n, NOW + n * 24 * HOUR) for n in range(1, 30)]
    again = run(session, what=["fills", "orders"])
    assert (again.parts["fills"].new, again.parts["orders"].new) == (29, 29)
    assert contents(session)["fills"] == sorted(set(contents(session)["fills"]))
    assert asyncio.run(held.orders(session.store, account(session))).height == 43
    balanced(session)


def test_resting_orders_are_followed_to_their_end(member: Member, session: Session) -> None:
    """An order that rested long ago is seen as it ends, also where it is historical by then; others of its time are not read again."""
    member.orders = [
        order(1, NOW - 90 * 24 * HOUR, "resting"),
        order(2, NOW - 50 * 24 * HOUR, "resting"),
        order(3, NOW - HOUR),
    ]
    run(session, what="orders")
    session.clock.advance(60 * 24 * 3600)
    member.orders[1] = order(2, NOW - 50 * 24 * HOUR, "executed", NOW + 24 * HOUR)
    member.cutoffs = dict.fromkeys(member.cutoffs, text(NOW + 40 * 24 * HOUR))
    session.server.asked[:] = []
    run(session, what="orders")
    seen = dict(asyncio.run(held.orders(session.store, account(session))).select("order_id", "status").rows())
    assert seen == {"o-1": "resting", "o-2": "executed", "o-3": "executed"}
    begun = {
        int(one["min_ts"])
        for path in ("/portfolio/orders", "/historical/orders")
        for one in asked(session, path)
        if "min_ts" in one
    }
    assert begun == {int((NOW - 50 * 24 * HOUR - HOUR).timestamp())}


@pytest.mark.parametrize(
    "broken",
    [
        Answer({"error": "no"}, 500),
        pytest.param(Answer({"settlements": [], "cursor": ""}, kept_back=9), marks=pytest.mark.long),
    ],
)
def test_one_part_fails_alone(member: Member, session: Session, broken: Answer) -> None:
    """PF-2: the others are done and stay done; the next sync brings the one that failed from where it was."""
    member.fills, member.settlements = [fill(1, NOW - HOUR)], [settlement("KXS-1", NOW - 90 * HOUR)]
    member.wrong = lambda one: broken if one.path == "/portfolio/settlements" else None
    done = run(session, what=["fills", "settlements"])
    assert not done.ok
    assert list(done.problems) == ["settlements"]
    assert "FAILED: settlements" in repr(done)
    assert done.parts["fills"].new == 1
    marked = asyncio.run(session.store.read("SELECT DISTINCT dataset FROM coverage WHERE complete"))
    assert sorted(marked.to_series()) == ["fills"]
    member.wrong = lambda _one: None
    assert run(session, what=["fills", "settlements"]).parts["settlements"].new == 1
    balanced(session)


def test_everything_failing_raises(member: Member, session: Session) -> None:
    """A sync of which nothing worked says so, and a key that is refused does at once."""
    member.wrong = lambda _one: Answer({"error": "down"}, 503)
    with pytest.raises(kl.Unavailable):
        run(session, what=["fills", "deposits"])
    member.wrong = lambda _one: Answer({"error": {"code": "authentication_error", "message": "who"}}, 401)
    session.server.asked[:] = []
    with pytest.raises(kl.AuthFailed):
        run(session, what=["fills", "deposits"])
    assert len(session.server.asked) == 1


@pytest.mark.long
def test_without_subaccounts_none_is_named(member: Member, session: Session) -> None:
    """A key that may not ask for subaccounts has one, which requests need not name; that is no failure."""
    member.subaccounts, member.fills = None, [fill(1, NOW - HOUR)]
    done = run(session, what=["subaccounts", "positions", "fills"])
    assert done.ok
    assert done.parts["subaccounts"].status == "forbidden"
    assert done.subaccounts == (0,)
    assert done.parts["fills"].new == 1
    assert all("subaccount" not in one.params for one in session.server.asked)


@pytest.mark.long
def test_every_subaccount_is_read(member: Member, session: Session) -> None:
    """Settlements and positions do not say whose they are, so each subaccount is asked for; one that is new is read from its beginning."""
    member.fills = [fill(1, NOW - 50 * HOUR), fill(2, NOW - 60 * HOUR, subaccount_number=2)]
    member.settlements = [
        settlement("KXS-1", NOW - 50 * HOUR),
        settlement("KXS-1", NOW - 50 * HOUR, subaccount_number=2),
    ]
    run(session, what=["balances", "fills", "settlements"])
    assert fills(session)["fill_id"].to_list() == ["f-1"]
    member.subaccounts = [0, 2]
    done = run(session, what=["balances", "fills", "settlements"])
    assert done.subaccounts == (0, 2)
    assert fills(session)["subaccount_number"].to_list() == [2, 0]
    paid = asyncio.run(held.settlements(session.store, account(session)))
    assert paid.select("ticker", "subaccount_number").rows() == [("KXS-1", 0), ("KXS-1", 2)]
    cash = asyncio.run(held.balances(session.store, account(session)))
    assert {row[:2] for row in cash.select("subaccount_number", "exchange_index").rows()} >= {
        (None, None),
        (0, None),
        (2, 0),
    }
    assert asyncio.run(held.subaccounts(session.store, account(session)))["netting"].to_list() == [True, None]


def test_a_broken_off_walk_goes_on_and_then_catches_up(member: Member, session: Session) -> None:
    """Lesson 44: pages that were committed are not read again, and what came after they were read is not missed."""
    member.fills = [fill(n, NOW - n * 24 * HOUR) for n in range(1, 15)]
    member.wrong = failing("/portfolio/fills", after=2)
    assert list(run(session, what=["fills", "deposits"]).problems) == ["fills"]
    assert fills(session).height == 6
    session.clock.advance(100 * 3600)
    member.wrong, session.server.asked[:] = (lambda _one: None), []
    member.fills.append(fill(20, NOW + 50 * HOUR))
    done = run(session, what=["fills", "deposits"]).parts["fills"]
    assert (done.resumed_pages, done.new) == (2, 9)
    assert asked(session, "/portfolio/fills")[0]["cursor"] == "6"
    assert fills(session)["fill_id"].n_unique() == fills(session).height == 15
    balanced(session)


def test_rows_that_cannot_be_read_are_put_aside(member: Member, session: Session) -> None:
    """Counts balance: received = stored + duplicate + quarantined; the good rows of the page are kept."""
    member.fills = [fill(1, NOW - HOUR), fill(2, NOW - 2 * HOUR, count_fp="many")]
    member.settlements = [settlement("KXS-1", NOW - HOUR), settlement("KXS-2", None)]
    done = run(session, what=["fills", "settlements"])
    for part in ("fills", "settlements"):
        made = done.parts[part]
        assert (made.received, made.stored, made.duplicate, made.quarantined) == (2, 1, 0, 1)
    aside = asyncio.run(session.store.read("SELECT dataset, reason FROM quarantine ORDER BY dataset")).rows()
    assert [dataset for dataset, _ in aside] == ["fills", "settlements"]
    assert "QUARANTINED" in repr(done)
    balanced(session)


@pytest.mark.long
def test_no_empty_answer_takes_anything_away(member: Member, session: Session) -> None:
    """Empty answers of every kind leave what is kept as it is."""
    member.fills, member.settlements = [fill(1, NOW - HOUR)], [settlement("KXS-1", NOW - HOUR)]
    run(session, what=["fills", "settlements"])
    before = contents(session)
    member.fills, member.settlements = [], []
    assert run(session, what=["fills", "settlements"]).ok
    assert contents(session) == before


@pytest.mark.long
def test_two_accounts_never_mix(member: Member, session: Session) -> None:
    """Two keys in one store: each sees its own, and the same ids of both are kept."""
    other = Session(session.server, session.home, credentials=kl.Credentials.generate(key_id="another-key"))
    member.fills = [fill(1, NOW - HOUR)]
    run(session, what="fills")
    assert run(other, what="fills").parts["fills"].new == 1
    assert account(session) != account(other)
    assert fills(session).height == fills(other).height == 1
    member.fills.append(fill(2, NOW - HOUR))
    run(other, what="fills")
    assert (fills(session).height, fills(other).height) == (1, 2)


@pytest.mark.long
def test_two_syncs_at_once_both_succeed(member: Member, session: Session) -> None:
    """Lesson 44: two syncs of one account into one store at the same time; every row is there once."""
    member.fills = [fill(n, NOW - n * HOUR) for n in range(1, 40)]
    member.orders = [order(n, NOW - n * HOUR) for n in range(1, 40)]
    other = Session(session.server, session.home, session.credentials)

    async def both() -> list[PortfolioSync]:
        return await asyncio.gather(*(one.sync(what=["fills", "orders"]) for one in (session, other)))

    assert all(one.ok for one in asyncio.run(both()))
    assert fills(session)["fill_id"].n_unique() == fills(session).height == 39
    assert asyncio.run(held.orders(session.store, account(session))).height == 39
    balanced(session)


@pytest.mark.long
def test_since_and_full(member: Member, session: Session) -> None:
    """A first sync goes back to since=; asked for an earlier time, it reads what is missing; full=True reads all again."""
    member.fills = [fill(n, NOW - n * 24 * HOUR) for n in range(1, 11)]
    assert run(session, since="84h", what="fills").parts["fills"].new == 3
    assert run(session, what=["fills"]).parts["fills"].new == 7
    assert run(session, what="fills").parts["fills"].received == 1
    assert run(session, what="fills", full=True).parts["fills"].received == 10


def test_what_cannot_be_asked(session: Session) -> None:
    """Nothing is sent for a wrong word, a time to come, another account, or without a key."""
    for wrong in ({"what": "filks"}, {"what": []}, {"since": NOW + HOUR}, {"account": "0" * 16}):
        with pytest.raises(kl.UsageError):
            run(session, **wrong)
    with pytest.raises(kl.UsageError, match="Did you mean 'fills'"):
        run(session, what="filks")
    session.credentials = None  # type: ignore[assignment]
    with pytest.raises(kl.UsageError, match="needs a key"):
        run(session)
    assert session.server.asked == []


def test_the_key_s_id_is_nowhere(member: Member, session: Session) -> None:
    """The account's name in the store is a hash that says nothing, and is the same every time."""
    member.fills = [fill(1, NOW - HOUR)]
    done = run(session, what="fills")
    assert done.account == account(session) == run(session, what="fills").account
    assert len(done.account) == 16
    kept = b"".join(one.read_bytes() for one in session.home.iterdir() if one.is_file())
    assert session.credentials.key_id.encode() not in kept
    assert session.credentials.key_id not in repr(done) + done._repr_html_()


def test_the_result_shows_itself(member: Member, session: Session) -> None:
    """A row for each part in its frame, text from outside escaped."""
    member.wrong = lambda one: Answer({"error": "<b>no</b>"}, 500) if one.path.endswith("/deposits") else None
    done = run(session)
    assert done.frame()["part"].to_list() == list(PARTS)
    assert done.frame().filter(pl.col("status") == "failed")["part"].to_list() == ["deposits"]
    html = done._repr_html_()
    assert "deposits" in html
    assert "<b>no" not in html
    assert repr(done).startswith(f"<PortfolioSync {done.account}: ")
