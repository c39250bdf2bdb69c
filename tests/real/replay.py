"""A loopback server that answers with recorded bodies under the paths at which the exchange gave them.

The recordings wrap bodies in their capturers' own notes; here they are unwrapped. Where a lab asks for more than was recorded, the
least that fits is answered: a market with nothing but its ticker and its life (`bare`), empty historical listings, fixed cutoffs.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.kalshi.scripted import Answer, Asked, Scripted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Row = dict[str, Any]
CUTOFFS = dict.fromkeys(("market_settled_ts", "trades_created_ts", "orders_updated_ts"), "2025-01-01T00:00:00Z")


class Recorded:
    """What was recorded from the current exchange, unwrapped."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "rest-current"
        nested = self._load("cockpit/events_mlb_props_nested.json")["events_by_series"]
        games = self._load("cockpit/events_nfl_preseason.json")
        self.events: dict[str, list[Row]] = nested | {games["series_ticker"]: games["events"]}
        self.settled: list[Row] = self._load("cockpit/markets_settled.json")["markets"]
        self.single: Row = self._load("cockpit/market_single.json")
        combos = self._load("cockpit/combo_priced_markets.json")
        self.combos: list[Row] = combos["combos"]
        self.legs: list[Row] = list(combos["legs"].values())
        self.candles, self.old_candles = self._candles()
        self.books = self._books()
        self.trades: Row = self._load("money_maker/trades.json")
        self.status: Row = self._load("money_maker/exchange_status.json")
        self.series: dict[str, Row] = self._load("cockpit/series_fee_fields.json")["payloads"]
        self.errors: list[Row] = self._load("errors.json")

    def _load(self, name: str) -> Any:
        return json.loads((self._folder / name).read_text(encoding="utf-8"))

    def _candles(self) -> tuple[dict[str, Row], dict[str, Row]]:
        """Candlesticks by market, with their interval: of live markets, and of historical ones."""
        found = {
            ticker: {"minutes": row["period_interval"], "rows": row["candlesticks"]}
            for ticker, row in self._load("cockpit/candlesticks_mlb.json")["markets"].items()
        }
        for name, minutes in (("fairline/candlesticks_weather.json", 60), ("money_maker/candlesticks.json", 1)):
            body = self._load(name)
            found[body["ticker"]] = {"minutes": minutes, "rows": body["candlesticks"]}
        old = self._load("fairline/historical_candlesticks.json")
        return found, {old["ticker"]: {"minutes": 1440, "rows": old["candlesticks"]}}

    def _books(self) -> dict[str, Row]:
        books: dict[str, Row] = {
            row["ticker"]: row["orderbook_fp"] for row in self._load("cockpit/combo_orderbooks.json")
        }
        named = {"KXUNNAMED-1": "fairline/orderbook.json", "KXUNNAMED-2": "money_maker/orderbook.json"}
        books |= {ticker: self._load(name)["orderbook_fp"] for ticker, name in named.items()}
        return books | {self.single["ticker"]: self.single["orderbook"]["orderbook_fp"]}

    @property
    def markets(self) -> dict[str, Row]:
        """Every market that was recorded alone."""
        return {
            row["ticker"]: row for row in (*self.settled, *self.combos, *self.legs, self.single["single"]["market"])
        }

    def error(self, status: int) -> Row:
        """The recorded body of an error."""
        body: Row = next(error["body"] for error in self.errors if error["status"] == status)
        return body

    def server(self) -> Scripted:
        """The server; start it with `with`."""
        return Scripted(self.answer)

    def answer(self, asked: Asked) -> Answer:
        """What was recorded at a path, 404 where nothing was."""
        family, *rest = asked.path.strip("/").split("/")
        routes: dict[str, Callable[[list[str], dict[str, str]], Any]] = {
            "events": self._events,
            "markets": self._markets,
            "series": self._series,
            "historical": self._historical,
            "exchange": lambda _rest, _params: self.status,
        }
        found = routes[family](rest, asked.params)
        if isinstance(found, Answer):
            return found
        return Answer(found) if found is not None else Answer(self.error(404), 404)

    def _events(self, rest: list[str], params: dict[str, str]) -> Row | None:
        if rest:
            one = [row for rows in self.events.values() for row in rows if row["event_ticker"] == rest[0]]
            return {"event": one[0]} if one else None
        rows = self.events.get(params.get("series_ticker", ""), [])
        if params.get("with_nested_markets") != "true":
            rows = [{name: value for name, value in row.items() if name != "markets"} for row in rows]
        return {"cursor": "", "events": rows, "milestones": []}

    def _markets(self, rest: list[str], params: dict[str, str]) -> Any:
        match rest:
            case []:
                return self._listing(params)
            case ["trades"]:
                wanted = params.get("ticker")
                rows = [] if params.get("cursor") else self.trades["trades"]
                cursor = "" if params.get("cursor") else self.trades["cursor"]
                return {"cursor": cursor, "trades": [row for row in rows if wanted in {None, row["ticker"]}]}
            case ["candlesticks"]:
                ticker = params["market_tickers"]
                return {"markets": [{"market_ticker": ticker, **self._window(self.candles[ticker], params)}]}
            case ["orderbooks"]:
                tickers = params["tickers"].split(",")
                return {"orderbooks": [{"ticker": one, "orderbook_fp": self.books[one]} for one in tickers]}
            case [ticker, "orderbook"]:
                return {"orderbook_fp": self.books[ticker]}
        return {"market": self.markets[rest[0]]} if rest[0] in self.markets else None

    def _listing(self, params: dict[str, str]) -> Any:
        if params.get("status") == "finalized":
            return Answer(self.error(400), 400)
        series, tickers = params.get("series_ticker"), params.get("tickers")
        if tickers:
            known = [self.markets.get(one) or bare(one) for one in tickers.split(",") if one not in self.old_candles]
            return {"cursor": "", "markets": known}
        rows = [row for row in self.settled if params.get("mve_filter") != "only" and row["status"] == "finalized"]
        return {"cursor": "", "markets": [row for row in rows if row["ticker"].split("-")[0] == series]}

    def _series(self, rest: list[str], params: dict[str, str]) -> Row | None:
        match rest:
            case []:
                return {"series": [payload["series"] for payload in self.series.values()]}
            case [_, "markets", ticker, "candlesticks"] if ticker in self.candles:
                return {"ticker": ticker, **self._window(self.candles[ticker], params)}
            case [ticker]:
                return self.series.get(ticker)
        return None

    def _historical(self, rest: list[str], params: dict[str, str]) -> Row | None:
        match rest:
            case ["cutoff"]:
                return CUTOFFS
            case ["markets"]:
                tickers = params.get("tickers", "").split(",")
                rows = [bare(one, settled="2024-02-14T15:00:00Z") for one in tickers if one in self.old_candles]
                return {"cursor": "", "markets": rows}
            case ["trades"]:
                return {"cursor": "", "trades": []}
            case ["markets", ticker, "candlesticks"] if ticker in self.old_candles:
                return {"ticker": ticker, **self._window(self.old_candles[ticker], params)}
        return None

    def _window(self, candles: Row, params: dict[str, str]) -> Row:
        """The candlesticks whose period ends in the window; none of another interval."""
        first, last, minutes = (int(params[name]) for name in ("start_ts", "end_ts", "period_interval"))
        rows = candles["rows"] if minutes == candles["minutes"] else []
        return {"candlesticks": [row for row in rows if first <= row["end_period_ts"] <= last]}


def bare(ticker: str, settled: str | None = None) -> Row:
    """A market of which only candlesticks or trades were recorded."""
    life = {"open_time": "2024-01-01T00:00:00Z", "close_time": settled or "2027-01-01T00:00:00Z"}
    row = {"ticker": ticker, "event_ticker": ticker.rpartition("-")[0], "status": "active", **life}
    return row | ({"settlement_ts": settled, "status": "finalized", "result": "no"} if settled else {})
