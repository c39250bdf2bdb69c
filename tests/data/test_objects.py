"""Objects are immutable, keep what they do not know, and show every text from outside as text."""

from __future__ import annotations

import pickle
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pydantic
import pytest

import kalshi_lab as kl
from kalshi_lab import markup, objects
from tests.data.wires import RECORDS, page

if TYPE_CHECKING:
    from kalshi_lab.models import Record

KEYS = ("id", "collection_ticker")
EVIL = "<img src=x onerror=alert(1)>\u202e $x$ \"'&\x07"
SHOWN = "&lt;img src=x onerror=alert(1)&gt;\\u202e &#36;x&#36; &quot;&#x27;&amp;\\u0007"


def market(**fields: Any) -> kl.Market:
    made: kl.Market = objects.one(kl.Market, {"ticker": "KXA-1", **fields})
    return made


def test_objects_cannot_be_changed() -> None:
    """Neither a field nor an unknown field of an object can be set."""
    made = market(yes_bid_dollars="0.42", brand_new=[1])
    for name in ("yes_bid", "brand_new", "other"):
        with pytest.raises(pydantic.ValidationError, match="frozen"):
            setattr(made, name, 1)
    assert (made.yes_bid, made.model_extra) == (Decimal("0.42"), {"brand_new": [1]})


def test_objects_travel_between_processes() -> None:
    """A pickled object is the same object, its unknown fields included."""
    made = market(yes_bid_dollars="0.42", brand_new=[1], price_ranges=[{"start": "0", "end": "1", "step": "0.01"}])
    again = pickle.loads(pickle.dumps(made))  # noqa: S301 - our own bytes
    assert again == made
    assert again.model_extra == {"brand_new": [1]}


@pytest.mark.parametrize(
    ("bid", "ask", "mid", "spread"),
    [
        ("0.4200", "0.4400", "0.43", "0.02"),
        ("0.4200", "0.4250", "0.4225", "0.005"),
        ("0.0000", "0.4400", None, None),
        ("0.4200", "1.0000", None, None),
        ("0.4400", "0.4400", None, None),
        ("0.4500", "0.4400", None, None),
        (None, "0.4400", None, None),
    ],
)
def test_a_price_needs_two_real_sides(bid: str | None, ask: str, mid: str | None, spread: str | None) -> None:
    """Middle and spread are exact, and None where a side is empty, equal or crossed."""
    made = market(yes_bid_dollars=bid, yes_ask_dollars=ask)
    assert made.mid == (None if mid is None else Decimal(mid))
    assert made.spread == (None if spread is None else Decimal(spread))
    assert made.is_priced is (mid is not None)


def test_one_line_and_one_card() -> None:
    """The repr is one short line that says quote or result; the card has the facts."""
    made = market(yes_bid_dollars="0.4200", yes_ask_dollars="0.4400", status="active", title="Warm?")
    assert repr(made) == "<Market KXA-1 active, 0.4200/0.4400>"
    assert repr(market(status="finalized", result="yes")) == "<Market KXA-1 finalized, result yes>"
    assert "0.4200 / 0.4400" in made._repr_html_()
    assert "Warm?" in made._repr_html_()


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_text_from_outside_is_never_markup(record: type[Record]) -> None:
    """Markup, formulas and characters that turn text around are shown, in every field and in unknown ones."""
    texts = dict.fromkeys(
        ("ticker", "event_ticker", "trade_id", "title", "category", "rules_primary", "brand_new", *KEYS), EVIL
    )
    known = {"end_period_ts": 1, "t": 1, "series_ticker": EVIL, "yes_sub_title": EVIL}
    made = objects.one(record, texts | known)
    shown = made._repr_html_()
    assert SHOWN in shown
    assert "<img" not in shown
    assert "$" not in shown.replace("&#36;", "")
    assert not any(char in shown for char in "\u202e\x07")


def test_nested_markets_are_escaped_in_the_card_of_their_event() -> None:
    """The table of an event's markets escapes too."""
    event = objects.one(kl.Event, {"event_ticker": "E", "markets": [{"ticker": "E-1", "yes_sub_title": EVIL}]})
    assert SHOWN in event._repr_html_()
    assert "<img" not in event._repr_html_()


def test_a_page_needs_nothing_from_elsewhere() -> None:
    """A report page has no script, loads nothing, and forbids both by its policy."""
    made = markup.page(EVIL, markup.card("Facts", {"a": EVIL}), markup.png(b"\x89PNG", EVIL), EVIL)
    assert made.startswith("<!doctype html>")
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in made
    assert "<script" not in made
    assert "http" not in made.replace('http-equiv="Content-Security-Policy"', "")
    assert made.count(SHOWN) == 5  # title, heading, fact, alternative text, section
    assert made.count("<img") == made.count('src="data:image/png;base64,') == 1


@pytest.mark.parametrize(
    "url", ["http://a.example", "javascript:alert(1)", "data:text/html,x", "//a.example", " https://a.example"]
)
def test_only_https_becomes_a_link(url: str) -> None:
    """An address of another kind is shown as its text."""
    assert markup.link("text", url) == "text"


def test_links_and_tags_escape_attributes() -> None:
    """An address or attribute cannot end its quotes."""
    assert 'href="https://a.example/&quot;&gt;"' in markup.link("<b>", 'https://a.example/">')
    assert markup.tag("p", None, 0, class_='"x"', data_a="1") == '<p class="&quot;x&quot;" data-a="1">0</p>'
    assert markup.esc(markup.esc("<")) == "&lt;"
    assert markup.table((), [("a", None)]).count("<tr>") == 1


def test_a_bad_field_of_an_object_names_it_and_hides_its_value() -> None:
    """The reason of a refused row names the field; the row itself is kept apart from the message."""
    _, (refused,) = objects.many(kl.Market, page([{"ticker": "A", "yes_bid_dollars": "secret-value-1"}]), "rows")
    assert "yes_bid_dollars" in refused.reason
    assert "secret-value-1" in refused.raw


def test_an_order_book_reads_any_empty_side() -> None:
    """Empty, null and absent sides are the same; asks are exact complements of the other side's bids."""
    sides: list[dict[str, Any]] = [{"no_dollars": []}, {"no_dollars": None}, {}]
    for side in sides:
        book = kl.Orderbook.from_wire("A", {"yes_dollars": [["0.0100", "1.00"], ["0.4250", "2.55"]], **side})
        assert (book.yes_bid, book.yes_ask, book.mid, book.spread) == (Decimal("0.4250"), None, None, None)
    both = kl.Orderbook.from_wire("A", {"yes_dollars": [["0.42", "1"]], "no_dollars": [["0.5550", "3"], ["0.57", "2"]]})
    assert both.asks == ((Decimal("0.43"), Decimal(2)), (Decimal("0.4450"), Decimal(3)))
    assert (both.mid, both.spread) == (Decimal("0.425"), Decimal("0.01"))
    frame = both.frame(exact=True)
    assert frame.rows() == [
        ("A", "bid", Decimal("0.42"), 1),
        ("A", "ask", Decimal("0.43"), 2),
        ("A", "ask", Decimal("0.445"), 3),
    ]
    assert both.frame().get_column("price").to_list() == [0.42, 0.43, 0.445]
    assert frame.schema == kl.Orderbook("A").frame(exact=True).schema
    assert "0.43" in both._repr_html_()
    assert repr(both) == "<Orderbook A bid 0.42 ask 0.43, 1+2 levels>"


def test_one_unreadable_market_costs_its_event_nothing_else() -> None:
    """Lesson 2: of an event's markets the one that cannot be read stands aside as it came; the event and the others are there."""
    markets = [{"ticker": "E-1"}, {"ticker": "E-2", "yes_bid_dollars": "much"}, {"yes_bid_dollars": "0.10"}]
    event: kl.Event = objects.one(kl.Event, {"event_ticker": "E", "markets": markets})
    assert [market.ticker for market in event.markets] == ["E-1"]
    assert (event.model_extra or {})["raw_markets"] == markets[1:]
