"""Positions at a price, profit by key, tax lots and the reconciliation, each worked out by hand."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from matplotlib.text import Text

from kalshi_lab.errors import UsageError
from kalshi_lab.portfolio.ledger import ledger
from kalshi_lab.portfolio.reconciliation import reconcile
from kalshi_lab.portfolio.summary import summary
from kalshi_lab.portfolio.tax import tax_lots
from kalshi_lab.portfolio.views import positions, profit_and_loss
from tests.portfolio.conftest import MARKET, START, fill, frame, moment, settled, settlement

D = Decimal
DAY = 24 * 60


def quotes(*rows: tuple[str, str | None, str | None]) -> pl.DataFrame:
    kinds = {"ticker": pl.String, "yes_bid": pl.Decimal(9, 6), "yes_ask": pl.Decimal(9, 6)}
    made = [(ticker, None if bid is None else D(bid), None if ask is None else D(ask)) for ticker, bid, ask in rows]
    return pl.DataFrame(made, schema=kinds, orient="row")


def other(number: int, ticker: str, *rest: Any, **more: Any) -> dict[str, Any]:
    return fill(number, *rest, ticker=ticker, market_ticker=ticker, fill_id=f"{ticker}{number}", **more)


@pytest.mark.parametrize(
    ("side", "bid", "ask", "sold", "mid"),
    [
        ("yes", "0.60", "0.64", "0.60", "0.62"),
        ("no", "0.60", "0.64", "0.36", "0.38"),  # NO is sold by buying YES at the ask
        ("yes", "0.00", "1.00", None, None),  # nobody quotes
        ("yes", "0.60", "1.00", "0.60", None),  # a bid alone is a price to sell at, and no middle
        ("no", "0.00", "0.64", "0.36", None),
        ("no", "0.60", "1.00", None, None),
        ("yes", None, None, None, None),
    ],
)
def test_what_is_held_at_what_it_could_be_sold_for(
    side: str, bid: str | None, ask: str | None, sold: str | None, mid: str | None
) -> None:
    """PF-4, PF-8, lesson 35: the price of the own side; 0/0 and 0/100 are no prices; what is unknown stays unknown, and is never zero."""
    found = positions(ledger(frame([fill(0, side, "10.00", "0.40", fee="0.17")])), quotes((MARKET, bid, ask))).row(
        0, named=True
    )
    assert (found["side"], found["contracts"], found["cost"], found["fees"]) == (side, 10, D("4.00"), D("0.17"))
    assert found["bid"] == (None if sold is None else D(sold))
    assert found["unrealized"] == (None if sold is None else 10 * D(sold) - D("4.17"))
    assert found["mid"] == (None if mid is None else D(mid))
    assert found["unrealized_mid"] == (None if mid is None else 10 * D(mid) - D("4.17"))


def test_a_position_without_a_quote_or_a_cost_is_still_one() -> None:
    """PF-4, lesson 26: a market that no quote is known of; and one whose cost is not: neither has a profit."""
    looks = pl.DataFrame({"ticker": ["KXLOST"], "position": [D(3)], "time": [START]})
    found = positions(
        ledger(frame([fill(0, "yes", "1.00", "0.40")]), positions=looks), quotes(("KXLOST", "0.50", "0.52"))
    )
    rows = {row["ticker"]: row for row in found.to_dicts()}
    assert (rows[MARKET]["value"], rows[MARKET]["unrealized"], rows[MARKET]["complete"]) == (None, None, True)
    assert (rows["KXLOST"]["value"], rows["KXLOST"]["unrealized"], rows["KXLOST"]["complete"]) == (
        D("1.50"),
        None,
        False,
    )


def account() -> Any:
    """Three markets over three days: one won 6.00, one lost 4.00, one sold even but for its fee; and one that is held."""
    fills = [
        other(0, "KXA-1", "yes", "10.00", "0.40"),
        other(1, "KXB-1", "yes", "10.00", "0.40", fee="0.10"),
        other(2, "KXA-2", "yes", "10.00", "0.40", fee="0.05"),
        other(3, "KXA-2", "no", "10.00", "0.60"),
        other(4, "KXC-1", "no", "5.00", "0.30"),
    ]
    paid = [
        settlement("yes", "10.00", ticker="KXA-1", event_ticker="KXA", settled_time=moment(DAY), revenue=1000),
        settlement("no", "10.00", ticker="KXB-1", event_ticker="KXB", settled_time=moment(2 * DAY), revenue=0),
    ]
    return ledger(frame(fills), settled(*paid))


def test_profit_by_any_key() -> None:
    """PF-7: wins, losses, averages and the profit factor of closings, with their fees; by market, day, series and thesis."""
    made = profit_and_loss(account())
    total = made.frame().row(0, named=True)
    assert (total["closings"], total["wins"], total["losses"], total["contracts"]) == (3, 1, 2, 30)
    assert (total["gross"], total["fees"], total["net"]) == (D("2.00"), D("0.15"), D("1.85"))
    assert (total["average_win"], total["average_loss"]) == (D("6.00"), D("-2.075"))
    assert total["win_rate"] == pytest.approx(1 / 3)
    assert total["profit_factor"] == pytest.approx(6 / 4.15)
    by_day = profit_and_loss(account(), "day").frame()
    assert by_day.select("key", "net").rows() == [
        ("2026-11-02", D("-0.05")),
        ("2026-11-03", D("6.00")),
        ("2026-11-04", D("-4.10")),
    ]
    names = pl.DataFrame({"ticker": ["KXA-1", "KXA-2", "KXB-1"], "series_ticker": ["KXA", "KXA", "KXB"]})
    by_series = profit_and_loss(account(), "series", names=names).frame()
    assert by_series.select("key", "net").rows() == [("KXA", D("5.95")), ("KXB", D("-4.10"))]
    theses = pl.DataFrame({"ticker": ["KXA-1", "KXA-1", "KXB-1"], "thesis": ["warm", "hot", "warm"]})
    by_thesis = profit_and_loss(account(), "thesis", names=theses).frame()
    assert sorted(by_thesis.select("key", "net").rows(), key=str) == [
        ("hot", D("6.00")),
        ("warm", D("1.90")),
        (None, D("-0.05")),
    ]


def test_no_profit_factor_without_losses() -> None:
    """PF-7: nobody lost: none, not zero; nothing closed: no rates at all."""
    won = ledger(frame([fill(0, "yes", "1.00", "0.40")]), settled(settlement("yes", "1.00")))
    row = profit_and_loss(won).frame().row(0, named=True)
    assert (row["profit_factor"], row["win_rate"], row["average_loss"]) == (None, 1.0, None)
    assert profit_and_loss(ledger(frame([]))).frame().is_empty()


def test_the_curve_of_profit() -> None:
    """PF-7: realised so far, the fall below its highest, and what was at risk at most: 4 + 4 + 4, and 3.50 after one was sold."""
    made = profit_and_loss(account())
    assert made.equity["realized"].to_list()[-1] == made.net == D("1.85")
    assert made.drawdown == D("4.10")
    assert made.capital == D("12.00")
    assert made.return_on_capital == pytest.approx(1.85 / 12)
    assert made.equity["at_risk"].to_list()[-1] == D("1.50")


def test_a_day_is_the_user_s() -> None:
    """Lesson 42: a closing at 02:00 UTC belongs to the day before in New York."""
    paid = settlement("yes", "1.00", settled_time="2026-11-03T02:00:00Z")
    made = ledger(frame([fill(0, "yes", "1.00", "0.40")]), settled(paid))
    assert profit_and_loss(made, "day").frame()["key"].to_list() == ["2026-11-03"]
    assert profit_and_loss(made, "day", zone="America/New_York").frame()["key"].to_list() == ["2026-11-02"]
    assert profit_and_loss(made, "month").frame()["key"].to_list() == ["2026-11-01"]


def test_bad_keys_are_refused() -> None:
    with pytest.raises(UsageError, match="month"):
        profit_and_loss(account(), "monht")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="thesis"):
        profit_and_loss(account(), "thesis")


def test_the_account_in_a_dozen_figures() -> None:
    """PF-7, lesson 26: sums of what is known, and a count of what is not."""
    made = account()
    told = summary(made, positions(made, quotes(("KXC-1", "0.60", "0.65"))))
    assert (told.realized, told.unrealized, told.total) == (D("1.85"), D("0.25"), D("2.10"))
    assert (told.positions, told.unpriced, told.trades, told.wins, told.losses) == (1, 0, 3, 1, 2)
    blind = summary(made, positions(made, quotes()))
    assert (blind.unrealized, blind.unpriced, blind.total) == (None, 1, D("1.85"))
    assert "unrealised unknown" in repr(blind)
    assert "1 of unknown value" in blind._repr_html_()
    assert summary(ledger(frame([])), positions(ledger(frame([])), quotes())).unrealized == 0


def test_tax_lots_to_the_cent() -> None:
    """PF-8: fees go into the basis and off the proceeds; dates are New York's; a lot of unknown basis stays empty."""
    late = fill(DAY * 400, "no", "4.00", "0.5050", fee="0.0101")
    made = tax_lots(
        ledger(
            frame([fill(0, "yes", "10.00", "0.4050", fee="0.17"), late]),
            settled(settlement("yes", "10", "4", settled_time=moment(DAY * 401))),
        )
    )
    first = made.row(0)
    assert first[0] == f"4.00 YES {MARKET}"
    assert first[1:5] == (date(2026, 11, 2), date(2027, 12, 7), D("1.97"), D("1.69"))
    assert first[5:] == (None, None, D("0.28"), "long")
    assert made.height == 2
    assert (made["(d) Proceeds"] - made["(e) Cost or other basis"]).equals(made["(h) Gain or loss"])
    bought = ledger(frame([fill(0, "yes", "1.00", "0.40"), fill(9 * 60 + 30, "no", "1.00", "0.40")]))
    assert tax_lots(bought)["(c) Date sold or disposed of"].to_list() == [date(2026, 11, 2)]  # 00:30 UTC of the third
    assert tax_lots(bought, 2025).is_empty()
    sale = {**fill(0, "no", "3.00", "0.13"), "side": "no", "action": "sell", "outcome_side": None}
    assert tax_lots(ledger(frame([sale]))).row(0)[4] is None
    with pytest.raises(UsageError, match="1999"):
        tax_lots(bought, 1999)


def look(**more: Any) -> pl.DataFrame:
    kinds = {
        "ticker": pl.String, "subaccount_number": pl.Int64, "position": pl.Decimal(18, 2), "market_exposure": pl.Decimal(18, 6),
        "realized_pnl": pl.Decimal(18, 6), "fees_paid": pl.Decimal(18, 6), "total_traded": pl.Decimal(18, 6),
        "looked_at": pl.Datetime("us", "UTC"),
    }  # fmt: skip
    row = {
        "ticker": MARKET, "subaccount_number": 0, "position": D(6), "market_exposure": D("2.40"), "realized_pnl": D("0.40"),
        "fees_paid": D("0.24"), "total_traded": D("6.00"), "looked_at": START + timedelta(minutes=30), **more,
    }  # fmt: skip
    return pl.DataFrame([row], schema=kinds)


FILLS = (fill(0, "yes", "10.00", "0.40", fee="0.17"), fill(1, "no", "4.00", "0.50", fee="0.07"))


def reasons(positions: pl.DataFrame, *fills: dict[str, Any], **more: Any) -> dict[str, str]:
    made = reconcile(frame(fills), settled(), positions, **more).frame()
    return dict(made.select("figure", "reason").iter_rows())


def test_every_difference_has_its_reason() -> None:
    """PF-3, lesson 31: what agrees, what the exchange does not say, what is cut, what is missing, and what nobody can explain."""
    agree = dict.fromkeys(("cost", "fees", "gross", "position", "traded"), "agrees")
    assert reasons(look(), *FILLS) == agree
    later = fill(60, "yes", "1.00", "0.90")  # after the look
    assert reasons(look(), *FILLS, later) == agree
    assert reasons(look(realized_pnl=None), *FILLS)["gross"] == "the exchange does not say"
    assert reasons(look(realized_pnl=D("0.400001")), *FILLS)["gross"] == "cut at the sixth decimal"
    assert reasons(look(fees_paid=D("0.25")), *FILLS)["fees"] == "unexplained"
    missing = reasons(look(position=D(7), market_exposure=D("2.90")), *FILLS)
    assert (missing["position"], missing["cost"]) == ("agrees", "history is missing")
    assert reasons(look())["cost"] == "history is missing"


def cash(balance: str) -> pl.DataFrame:
    return pl.DataFrame(
        {"looked_at": [START + timedelta(minutes=30)], "balance": [D(balance)]},
        schema={"looked_at": pl.Datetime("us", "UTC"), "balance": pl.Decimal(18, 6)},
    )


def moved(cents: int, **more: Any) -> pl.DataFrame:
    row = {
        "status": "applied",
        "amount_cents": cents,
        "fee_cents": 0,
        "finalized_ts": START,
        "created_ts": START,
        **more,
    }
    return pl.DataFrame(
        [row], schema_overrides={"finalized_ts": pl.Datetime("us", "UTC"), "created_ts": pl.Datetime("us", "UTC")}
    )


def test_cash_is_explained() -> None:
    """100 came in, 20 went out, 10 YES at 0.40 and 4 NO at 0.50 (four pairs pay 4.00), 0.24 of fees: 77.76."""
    more: dict[str, Any] = {"deposits": moved(10_000), "withdrawals": moved(2_000)}
    assert reasons(look(), *FILLS, balance=cash("77.76"), **more)["cash"] == "agrees"
    assert reasons(look(), *FILLS, balance=cash("77.75995"), **more)["cash"] == "cut at the fourth decimal"
    assert reasons(look(), *FILLS, balance=cash("76.76"), **more)["cash"] == "unexplained"
    resting = pl.DataFrame(
        {
            "status": ["resting"],
            "outcome_side": ["yes"],
            "side": ["yes"],
            "yes_price": [D("0.10")],
            "no_price": [D("0.90")],
            "remaining_count": [D(10)],
        }
    )
    assert reasons(look(), *FILLS, balance=cash("76.76"), orders=resting, **more)["cash"] == "bound by resting orders"
    bare = [
        {**one, "fee_cost": None} for one in FILLS
    ]  # whose fees nobody said: the cash cannot be explained, and that is why
    assert reasons(look(), *bare, balance=cash("77.76"), **more)["cash"] == "history is missing"
    pending = {"deposits": moved(10_000), "withdrawals": moved(2_000, status="pending")}
    assert reasons(look(), *FILLS, balance=cash("97.76"), **pending)["cash"] == "agrees"


def test_their_pictures() -> None:
    """VIS-1: one of much, one of a single closing, one of nothing, which says so."""
    one = ledger(frame([fill(0, "yes", "1.00", "0.40")]), settled(settlement("yes", "1.00")))
    none = ledger(frame([]))
    bars = account().plot().figure.axes[0]
    assert [bar.get_width() for bar in bars.patches] == [6.0, -0.05, -4.1]
    curve = profit_and_loss(account()).plot().figure.axes[0].lines[1]
    assert list(curve.get_ydata())[-1] == pytest.approx(1.85)
    assert (
        profit_and_loss(one).plot().figure.axes[0].lines[1].get_marker() == "o"
        or profit_and_loss(one).equity.height > 1
    )
    assert "nothing is realised" in words(none.plot())
    assert "nothing has closed" in words(profit_and_loss(none).plot())
    assert "nothing to compare" in words(reconcile(frame([]), settled(), look().clear()).plot())
    legend = words(reconcile(frame(FILLS), settled(), look(fees_paid=D("0.25"))).plot())
    assert "unexplained" in legend


def words(picture: Any) -> str:
    """All that is written in a picture."""
    return " ".join(text.get_text() for text in picture.figure.findobj(Text))
