"""S7 to S9, S11 to S13, S17, S19 and S20: what comes from outside is data; files are their owner's."""

from __future__ import annotations

import asyncio
import json
import os
from decimal import Decimal
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import duckdb
import papermill
import polars as pl

import kalshi_lab as kl
from kalshi_lab import markup
from kalshi_lab.charts import house
from kalshi_lab.errors import LabError, UsageError
from kalshi_lab.lab import session
from kalshi_lab.models import Market
from kalshi_lab.notebook import runs
from kalshi_lab.store import export, files, instance, store
from kalshi_lab.store.store import Store
from tests.cassettes.conftest import recorder
from tests.cassettes.scrub import Scrubber, leaks
from tests.demo.test_runs import notebook
from tests.door.raw_server import RawServer, reply
from tests.security.canary import ID, client, found, raised
from tests.security.guards import Guard, attribute, refused, rewritten, together

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

HOSTILE = (
    "<img src=x onerror=alert(1)>", '" onmouseover="alert(1)', "javascript:alert(1)", "</td></table><script>alert(1)</script>",
    "$x$ \\alpha", "\u202egnp.exe\u2066", "a\x00b\x1b[31m", "=HYPERLINK(1)", "'; DROP TABLE markets; --", "{a}{0}%s", "&lt;b&gt;",
)  # fmt: skip
NOT_ONE_SELECT = (
    "DROP TABLE markets", "SELECT 1; DROP TABLE markets", "COPY markets TO '{folder}/out.csv'",
    "ATTACH '{folder}/b.duckdb'",
    "SET enable_external_access = true", "INSTALL httpfs", "LOAD httpfs", "INSERT INTO meta VALUES ('a', 'b')", "PRAGMA database_list",
    "EXPORT DATABASE '{folder}/out'", "EXPLAIN ANALYZE DELETE FROM markets", "CREATE TABLE mine (a INTEGER)", "",
)  # fmt: skip
FILES = (
    "SELECT * FROM read_text('{secret}')", "SELECT * FROM read_csv('{secret}')", "SELECT * FROM '{secret}'",
    "SELECT * FROM glob('{secret}')",
    "SELECT * FROM query('SELECT * FROM read_text(''{secret}'')')", "SELECT * FROM sniff_csv('{secret}')",
    "SELECT content FROM read_blob('{secret}')", "SELECT getenv('HOME') AS a",
)  # fmt: skip


class Tags(HTMLParser):
    """The elements of a page, each with the names of its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, list[str]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, [name for name, _ in attrs]))


def one_select_alone(tmp_path: Path) -> None:
    held = Store(tmp_path / "kalshi.duckdb")
    for sql in NOT_ONE_SELECT:
        error = raised(lambda text=sql: asyncio.run(held.select(text.format(folder=tmp_path))))
        assert isinstance(error, UsageError), sql
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(("out", "b.duckdb"))]


def no_files_by_sql(tmp_path: Path) -> None:
    held, secret = Store(tmp_path / "kalshi.duckdb"), tmp_path / "secret.csv"
    secret.write_text("word\ncanary-in-a-file\n")
    for sql in FILES:
        try:
            seen = str(asyncio.run(held.select(sql.format(secret=secret))).rows())
        except LabError as error:
            seen = str(error).replace(str(secret), "")
        assert "canary-in-a-file" not in seen, sql


def names_lead_nowhere(tmp_path: Path) -> None:
    for name in (
        "../up",
        "a/../../b",
        "CON",
        "nul.csv",
        "a\x00b",
        "{a}",
        "-rf",
        "x" * 300,
        "a\u202eb",
        "s3://bucket/x",
    ):
        refused(UsageError, files.checked, name, "path")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    refused(UsageError, files.checked, str(tmp_path / "link"), "path")


def a_series_is_no_path(tmp_path: Path) -> None:
    with kl.Lab("sim", base_url="http://127.0.0.1:9/trade-api/v2", home=tmp_path / "home") as lab:
        lab._twin.store  # noqa: B018 - made before the exchange is asked for anything
        row = {"ticker": "KX-1", "event_ticker": "KX", "series_ticker": "../../../escaped"}
        held = lab._twin.store
        asyncio.run(
            held.write(
                lambda c: c.execute(
                    "INSERT INTO events (event_ticker, series_ticker) VALUES ($1, $2)",
                    [row["event_ticker"], row["series_ticker"]],
                )
            )
        )
        what = export.chosen("events", None, None, None)
        asyncio.run(export.export(held, tmp_path / "lake", what, "parquet"))
    made = [path.relative_to(tmp_path) for path in tmp_path.rglob("*.parquet")]
    assert made
    assert all(path.parts[:2] == ("lake", "events") and ".." not in str(path) for path in made)


def folders_have_no_braces(tmp_path: Path) -> None:
    with _shelf(tmp_path) as ran:
        refused(UsageError, runs.run, "small", tmp_path / "{a}", {"a": "../escape"})
        assert ran == []


def names_of_parameters_are_declared(tmp_path: Path) -> None:
    with _shelf(tmp_path) as ran:
        for name in ("a=1;import os;b", "b", "__import__('os')"):
            refused(UsageError, runs.run, "small", tmp_path / "out", {name: 1})
        assert ran == []


class _shelf:  # noqa: N801 - used like a function
    """A folder of notebooks whose runs are only noted."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.ran = folder, []

    def __enter__(self) -> list[Any]:
        notebook(self.folder / "small.ipynb", "a = 'x'", "print(a)")
        self._kept = runs.folder, papermill.execute_notebook
        runs.folder = lambda: self.folder
        papermill.execute_notebook = lambda *given, **_: self.ran.append(given)
        return self.ran

    def __exit__(self, *_: object) -> None:
        runs.folder, papermill.execute_notebook = self._kept


def text_makes_no_element(_: Path) -> None:
    plain = Tags(_shown("x")).found
    for text in HOSTILE:
        page = _shown(text)
        assert Tags(page).found == plain, text
        assert not {"\u202e", "\x00", "\x1b"} & set(page)
        assert "$" not in page  # a notebook would set it as a formula


def _shown(text: str) -> str:
    return Market.model_construct(ticker=text, title=text, rules_primary=text, status=text)._repr_html_()


def markup_of_cells_does_nothing(_: Path) -> None:
    for text in (
        "<script>act()</script>",
        "<b onclick='act()'>x</b>",
        "<img src='http://act'>",
        "<a href='javascript:act()'>x</a>",
    ):
        assert "act" not in markup.cleaned(text), text


def links_are_https(_: Path) -> None:
    for url in ("javascript:alert(1)", "data:text/html,x", "http://example.com", " https://x", "//x"):
        assert Tags(markup.link("text", url)).found == []
    assert Tags(markup.link("text", 'https://x/"onclick="y')).found == [("a", ["href", "rel", "target"])]


def charts_draw_text_as_it_is(_: Path) -> None:
    texts = [*HOSTILE, "GDP $-% up $", "$90,000 or $100,000", "_hidden", "x" * 5_000, "\u65e5\u672c \U0001f4a5"]
    counts = {name: [1] * len(texts) for name in ("attempts", "retries", "failures")}
    times = {name: [0.1] * len(texts) for name in ("latency_p50", "latency_p95", "latency_p99")}
    for title in texts[-5], texts[-1]:
        try:
            assert kl.charts.stats(pl.DataFrame({"operation": texts, **counts, **times}), title=title).png(30)
        except (ValueError, Warning) as error:
            raise AssertionError(title) from error


def a_csv_runs_nothing(_: Path) -> None:
    texts = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "plain"]
    made = export.csv(pl.DataFrame({"title": texts, "price": [Decimal("-1.5")] * 7, "_place": ["x"] * 7}), header=True)
    cells = [row["title"] for row in pl.read_csv(made, infer_schema=False).iter_rows(named=True)]
    assert [cell for cell in cells if cell[:1] in {"=", "+", "-", "@", "\t", "\r"}] == []
    assert made.count(b"-1.5") == 7


def cassettes_hold_no_key(tmp_path: Path) -> None:
    with RawServer(reply({"balance": 1})) as server, recorder(record=True, keys=(ID,)).use_cassette(
        str(tmp_path / "signed.json")
    ), client(server.url) as kalshi:  # fmt: skip
        kalshi.portfolio.balance()
    text = (tmp_path / "signed.json").read_text()
    assert json.loads(text)["interactions"]
    assert leaks(text) == []
    assert found(text, *server.requests) == []


def files_are_their_owner_s(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        home = tmp_path / "above" / "home"
        with kl.Lab("sim", base_url="http://127.0.0.1:9/trade-api/v2", home=home) as lab:
            asyncio.run(lab._twin.store.write(lambda c: c.execute("SELECT 1")))
        files.publish(tmp_path / "made.csv", b"x")
        modes = {
            path: path.stat().st_mode & 0o777 for path in (home.parent, home, *home.rglob("*"), tmp_path / "made.csv")
        }
    finally:
        os.umask(before)
    assert modes[home / "kalshi.duckdb"] == 0o600
    assert {path: oct(mode) for path, mode in modes.items() if mode & 0o077} == {}


def long_texts_stay_small(_: Path) -> None:
    title = "<b>" * 350_000
    market = Market.model_construct(ticker=title, title=title, rules_primary=title)
    for shown in (market._repr_html_(), repr(market), repr(kl.explain(kl.BadRequest("x"))), markup.esc(title)):
        assert len(shown) < 500_000
    assert len(house.literal(title, 140)) <= 140


def unescaped(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(markup, "esc", lambda value: markup.Html("" if value is None else str(value)))


def any_statement(patch: pytest.MonkeyPatch) -> None:
    """DuckDB's parser, by which statements are told apart, takes every text for one SELECT."""
    one = SimpleNamespace(type=SimpleNamespace(name="SELECT"))
    patch.setattr(duckdb, "extract_statements", lambda _sql: [one])


GUARDS = [
    Guard("S7", "one SELECT", one_select_alone, any_statement),
    Guard("S7", "no files by SQL", no_files_by_sql, attribute(instance, "CLOSED", "SELECT 1")),
    Guard("S8", "names of files", names_lead_nowhere, attribute(files, "odd", lambda _: "")),
    Guard("S8", "series in paths", a_series_is_no_path, attribute(export, "TIDY", "(?s).*")),
    Guard("S8", "folders of runs", folders_have_no_braces, rewritten(runs, "_target", '{"{", "}"} & set(str(out))', "False")),
    Guard("S9", "names of parameters", names_of_parameters_are_declared,
          rewritten(runs, "run", "parameter not in declared", "False")),
    Guard("S11", "escaped text", text_makes_no_element, unescaped),
    Guard("S11", "links", links_are_https, rewritten(markup, "link", 'not url.startswith("https://")', "False")),
    Guard("S11", "markup of cells", markup_of_cells_does_nothing,
          together(attribute(markup, "_DROPPED", set()), attribute(markup, "_harmless", lambda *_: True))),
    Guard("S12", "no formulas in pictures", charts_draw_text_as_it_is,
          lambda patch: patch.setitem(house.STYLE, "text.parse_math", True)),
    Guard("S12", "literal text in pictures", charts_draw_text_as_it_is,
          attribute(house, "_glyphs", lambda: frozenset(map(chr, range(0x11000))))),
    Guard("S13", "formulas in CSV", a_csv_runs_nothing, attribute(export, "DANGEROUS", "^never$")),
    Guard("S17", "requests of cassettes", cassettes_hold_no_key, attribute(Scrubber, "request", lambda _self, request: request)),
    Guard("S19", "folders", files_are_their_owner_s,
          together(*(rewritten(one, "make_folder", "mode=0o700", "mode=0o777") for one in (store, session)))),
    Guard("S19", "the store's file", files_are_their_owner_s, rewritten(Store, "_prepare", "self.path.chmod(0o600)", "pass")),
    Guard("S20", "long texts", long_texts_stay_small, attribute(markup, "LONGEST", 10**9)),
]  # fmt: skip
