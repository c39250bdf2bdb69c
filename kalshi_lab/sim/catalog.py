"""The series of the simulated exchange: what each asks, how it trades, who pays which fee. All texts are this project's own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Shape = Literal["ladder", "above", "game", "binary", "combo"]
Grid = Literal["linear_cent", "deci_cent", "tapered_deci_cent"]

GRIDS: dict[Grid, tuple[tuple[str, str, str], ...]] = {
    "linear_cent": (("0.0000", "1.0000", "0.0100"),),
    "deci_cent": (("0.0000", "1.0000", "0.0010"),),
    "tapered_deci_cent": (
        ("0.0000", "0.1000", "0.0010"),
        ("0.1000", "0.9000", "0.0100"),
        ("0.9000", "1.0000", "0.0010"),
    ),
}
WEATHER_SERVICE = ("National Weather Service", "https://www.weather.gov/")


@dataclass(frozen=True, slots=True)
class Spec:
    """One series: `trades` is the mean number of trades in a market's life, `rounding` the unit of the published value."""

    ticker: str
    shape: Shape
    title: str
    category: str
    subject: str
    source: tuple[str, str]
    tags: tuple[str, ...] | None = None
    frequency: str = "daily"
    fee_type: str = "quadratic"
    fee_multiplier: float = 1
    grid: Grid = "linear_cent"
    timer: int = 1800
    lag: int = 300
    trades: float = 20.0
    rounding: float = 1.0
    decimals: int = 0
    shard: int = 0
    league: str = ""
    prohibitions: tuple[str, ...] | None = ("Employees of the source agency",)
    categories: tuple[str, ...] = field(default=())


def _weather(code: str, city: str, tags: tuple[str, ...] | None) -> Spec:
    return Spec(
        ticker=f"KXHIGH{code}", shape="ladder", title=f"Daily high temperature in {city}", category="Climate and Weather", subject=city,
        source=WEATHER_SERVICE, tags=tags, lag=9 * 3600, trades=42.0, categories=("Climate and Weather",),
    )  # fmt: skip


def _league(code: str, sport: str, noun: str, fee: float) -> tuple[Spec, Spec]:
    players = ("Players, coaches and officials of the league",)
    game = Spec(
        ticker=f"KX{code}GAME", shape="game", title=f"{noun} winner", category="Sports", subject=noun, source=("ESPN", "https://www.espn.com"),
        tags=(sport,), frequency="custom", fee_type="quadratic_with_maker_fees", fee_multiplier=fee, timer=120, lag=180, trades=60.0,
        shard=3 if sport == "Basketball" else 0, league=sport.lower(), prohibitions=players, categories=("Sports",),
    )  # fmt: skip
    total = Spec(
        ticker=f"KX{code}TOTAL", shape="above", title=f"{noun} total points", category="Sports", subject=noun, source=game.source,
        tags=(sport,), frequency="custom", fee_multiplier=fee, timer=120, lag=180, trades=10.0, rounding=0.0, decimals=1,
        shard=game.shard, league=sport.lower(), prohibitions=players, categories=("Sports",),
    )  # fmt: skip
    return game, total


WEATHER = (
    _weather("NY", "New York City", ("Daily temperature", "NYC")),
    _weather("CHI", "Chicago", ("Daily temperature",)),
    _weather("MIA", "Miami", ("Daily temperature",)),
    _weather("AUS", "Austin", None),
)
LEAGUES = (
    _league("NBA", "Basketball", "professional basketball game", 1),
    _league("NFL", "Football", "professional football game", 1),
    _league("NHL", "Hockey", "professional hockey game", 0.5),
)
BITCOIN = Spec(
    ticker="KXBTCD", shape="above", title="Bitcoin price at a set hour", category="Crypto", subject="Bitcoin",
    source=("CF Benchmarks", "https://www.cfbenchmarks.com/"),
    tags=("BTC", "Hourly"), frequency="daily", grid="tapered_deci_cent", timer=60, lag=120, trades=45.0, rounding=0.01, decimals=2, shard=2,
    prohibitions=(), categories=("Crypto", "Financials"),
)  # fmt: skip
INFLATION = Spec(
    ticker="KXCPI", shape="above", title="Monthly change of consumer prices", category="Economics", subject="consumer prices",
    source=("Bureau of Labor Statistics", "https://www.bls.gov/"), tags=("Inflation",), frequency="monthly", grid="deci_cent",
    timer=3600, lag=420, trades=70.0, rounding=0.1, decimals=1, categories=("Economics",),
)  # fmt: skip
POLITICS = Spec(
    ticker="KXBILLVOTE", shape="binary", title="Bills that pass a chamber", category="Politics", subject="bill", source=("Congress", "https://www.congress.gov/"),
    tags=("Congress",), frequency="one-off", timer=3600, lag=3600, trades=30.0, prohibitions=None, categories=("Politics",),
)  # fmt: skip
COMBO = Spec(
    ticker="KXMVECROSSCATEGORY", shape="combo", title="Combinations of markets", category="Exotics", subject="combination",
    source=("The legs' own sources", "https://kalshi.com/"), tags=None, frequency="custom", fee_type="quadratic_with_combo_maker_fees",
    grid="deci_cent",
    timer=5, lag=120, trades=1.5, shard=1, prohibitions=(),
)  # fmt: skip
COLLECTION = f"{COMBO.ticker}-R"

SERIES: tuple[Spec, ...] = (*WEATHER, BITCOIN, INFLATION, POLITICS, *(spec for pair in LEAGUES for spec in pair), COMBO)
NUMBER = {spec.ticker: number for number, spec in enumerate(SERIES)}

TEAMS: tuple[tuple[str, str], ...] = (
    ("ATL", "Atlanta"), ("AUS", "Austin"), ("BAL", "Baltimore"), ("BOS", "Boston"), ("BUF", "Buffalo"), ("CHI", "Chicago"),
    ("CIN", "Cincinnati"), ("CLE", "Cleveland"), ("COL", "Columbus"), ("DAL", "Dallas"), ("DEN", "Denver"), ("DET", "Detroit"),
    ("HOU", "Houston"), ("IND", "Indianapolis"), ("KAN", "Kansas City"), ("LVE", "Las Vegas"), ("LOS", "Los Angeles"),
    ("MEM", "Memphis"), ("MIA", "Miami"), ("MIL", "Milwaukee"), ("MIN", "Minneapolis"), ("NAS", "Nashville"), ("NOR", "New Orleans"),
    ("NYC", "New York"), ("OAK", "Oakland"), ("ORL", "Orlando"), ("PHI", "Philadelphia"), ("PHX", "Phoenix"), ("PIT", "Pittsburgh"),
    ("POR", "Portland"),
)  # fmt: skip


def pairing(day: int, game: int) -> tuple[int, int]:
    """The two teams, home last, of one game of a day: rounds of the circle method, so the first 15 games of a day share no team."""
    count = len(TEAMS)
    turn, place = (day + game // (count // 2)) % (count - 1), game % (count // 2)
    ring = count - 1
    first = ring if place == 0 else (turn + place) % ring
    return first, (turn - place) % ring


GAMES_A_DAY = len(TEAMS) // 2 * (len(TEAMS) - 1)
