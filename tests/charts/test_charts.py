"""Pictures: what they show, that they draw whatever comes, and that no text becomes a formula."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import polars as pl
import pytest
from matplotlib.collections import FillBetweenPolyCollection
from matplotlib.text import Text

from kalshi_lab import charts
from kalshi_lab.analysis.calibration import calibration
from kalshi_lab.charts.house import MISSING, literal
from kalshi_lab.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

PNG = b"\x89PNG\r\n\x1a\n"
START = datetime(2026, 7, 18, 12, tzinfo=UTC)
NASTY = [
    "$90,000 or $100,000",
    "GDP $-% up $",
    r"\alpha_{x^2} $\frac{1}{0}$ \\",
    "_hidden",
    "x" * 200,
    "WM" * 100,
    "word " * 60,
    "日本語 عربى 🎲 é ß",
    "line\nbreak\ttab\x00\x1b\u202e",
    "%s {} {0} 100%",
    "",
]


def texts(picture: charts.Picture) -> list[str]:
    return [text.get_text() for text in picture.figure.findobj(Text) if text.get_text()]


def path(count: int = 50, **more: Any) -> pl.DataFrame:
    middle = [0.4 + 0.001 * place for place in range(count)]
    columns = {
        "time": [START + timedelta(minutes=place) for place in range(count)],
        "bid": [each - 0.02 for each in middle],
        "ask": [each + 0.02 for each in middle],
    }
    schema = {"time": pl.Datetime("us", "UTC"), "bid": pl.Float64, "ask": pl.Float64}
    return pl.DataFrame(columns, schema=schema).with_columns(**more)


def ladder(labels: list[str]) -> pl.DataFrame:
    count = len(labels)
    schema = {"label": pl.String, "bid": pl.Float64, "ask": pl.Float64, "last": pl.Float64}
    return pl.DataFrame(
        {"label": labels, "bid": [0.2] * count, "ask": [0.25] * count, "last": [0.22] * count}, schema=schema
    )


def requests(names: list[str]) -> pl.DataFrame:
    each = {"attempts": 10, "retries": 2, "failures": 1, "latency_p50": 0.1, "latency_p95": 0.2, "latency_p99": 0.4}
    types = {name: pl.Float64 if name.startswith("latency") else pl.Int64 for name in each}
    frame = pl.DataFrame({"operation": names}, schema={"operation": pl.String})
    return frame.with_columns(pl.lit(value).cast(types[name]).alias(name) for name, value in each.items())


def priced(count: int = 200) -> pl.DataFrame:
    places = pl.int_range(count, eager=True)
    return pl.DataFrame({"price": (places % 10 * 10 + 5) / 100, "outcome": places % 3 == 0, "event": places % 40})


def test_reliability_draws_a_point_an_interval_and_a_bar_for_each_bin() -> None:
    """The diagonal, ten points, ten intervals, ten bars, the scores in the title, the conclusion below it."""
    result = calibration(priced(), cluster="event")
    picture = result.plot()
    top, bottom = picture.figure.axes
    assert len(top.collections[0].get_offsets()) == 10
    assert len(top.containers) == 1
    assert len(top.containers[0].lines[2][0].get_segments()) == 10
    assert [bar.get_height() for bar in bottom.patches] == [20] * 10
    assert [bar.get_x() for bar in bottom.patches] == pytest.approx([place / 10 for place in range(10)])
    assert top.lines[0].get_xydata().tolist() == [[0, 0], [1, 1]]
    assert top.get_xlim() == top.get_ylim() == (-0.02, 1.02)
    said = " ".join(texts(picture)).replace("\n", " ")
    assert f"Calibration of 200 forecasts: Brier {result.brier:.3f}, skill {result.skill:.3f}" in said
    assert result.conclusion in said


def test_reliability_draws_the_largest_groups_as_lines_that_the_legend_names() -> None:
    """Five at most, bins of a few forecasts left out, and a group called "_x" is not lost."""
    frame = priced(2003).with_columns(city=pl.int_range(2003) % 7, price=pl.col("price").replace({0.05: 0.95}))
    frame = frame.with_columns(price=pl.when(pl.int_range(2003) < 70).then(0.05).otherwise("price")).with_columns(
        pl.format("_{}$", "city").alias("city")
    )
    picture = charts.reliability(calibration(frame, by="city"))
    named = [text.get_text() for text in picture.figure.legends[0].get_texts()]
    assert [name for name in named if "$" in name] == [" _0$", " _1$", " _2$", " _3$", " _4$"]
    lines = [line for line in picture.figure.axes[0].lines if "$" in str(line.get_label())]
    assert [min(line.get_xdata()) for line in lines] == [0.15] * 5


@pytest.mark.parametrize("count", [0, 1])
def test_reliability_of_little_or_nothing(count: int) -> None:
    """No forecasts say so; a single one is a point without interval."""
    picture = charts.reliability(calibration(priced(count), cluster="event"))
    assert picture.png().startswith(PNG)
    assert ("no forecasts" in texts(picture)) == (count == 0)
    assert len(picture.figure.axes[0].collections[0].get_offsets()) == count


def test_a_price_path_shows_band_marks_and_volume() -> None:
    """Band, middle, trades, own probability, entry, alerts, contracts: each is there, with the words of the alerts."""
    frame = path(price=pl.lit(0.4), volume=pl.int_range(50))
    picture = charts.price_path(
        frame,
        title="Will it rain?",
        own=0.55,
        entry=(START + timedelta(minutes=5), 0.41),
        alerts=[START, (START + timedelta(minutes=70), "moved $5")],
    )
    top, bottom = picture.figure.axes
    named = [text.get_text() for text in picture.figure.legends[0].get_texts()]
    assert sorted(named) == ["alerts", "bid to ask", "entry at 0.41", "last trade", "middle", "own probability 0.55"]
    assert sum(isinstance(each, FillBetweenPolyCollection) for each in top.collections) == 1
    low, high = top.get_ylim()
    assert low < 0.38
    assert 0.55 < high < 0.6
    assert "moved $5" in texts(picture)
    assert "50 quotes, the last with both sides 0.429 bid, 0.469 ask" in texts(picture)
    assert len(bottom.collections[0].get_segments()) == 50
    left, right = bottom.get_xlim()
    edge = mpl.dates.date2num(START + timedelta(minutes=70))
    assert left < mpl.dates.date2num(START) < edge < right


def test_a_missing_side_breaks_the_band() -> None:
    """Nulls and NaN are gaps, never bridged and never zero; the last quote before a gap still leaves a mark."""
    gap = pl.int_range(50).is_between(20, 29)
    frame = path(
        bid=pl.when(gap).then(None).otherwise(pl.lit(0.3)), ask=pl.when(gap).then(float("nan")).otherwise(pl.lit(0.5))
    )
    top = charts.price_path(frame, title="gap").figure.axes[0]
    middle = next(line for line in top.lines if line.get_label() == "middle")
    drawn = middle.get_ydata()
    assert [place for place, each in enumerate(drawn) if each != each] == list(range(20, 30))  # noqa: PLR0124 - NaN
    assert min(top.get_ylim()) > 0.25
    ends = top.collections[-1].get_segments()
    assert [mpl.dates.num2date(segment[0][0]) for segment in ends] == [
        START + timedelta(minutes=place) for place in (19, 49)
    ]


def test_a_price_path_never_zooms_in_on_noise() -> None:
    """A quote that hardly moves is drawn flat: at least 4 cents are on the axis."""
    frame = path(bid=pl.lit(0.5), ask=pl.lit(0.5001))
    low, high = charts.price_path(frame, title="still").figure.axes[0].get_ylim()
    assert high - low == pytest.approx(0.04)


@pytest.mark.parametrize(
    "frame",
    [
        path(0),
        path(1),
        path(2),
        path(bid=pl.lit(None)),
        path(bid=pl.lit(None), ask=pl.lit(None)),
        path(time=pl.lit(None)),
    ],
    ids=["none", "one", "two", "no bid", "no quotes", "no times"],
)
@pytest.mark.parametrize("own", [None, 0.0, 1.0, Decimal("0.5")])
def test_a_price_path_of_little_or_nothing(frame: pl.DataFrame, own: float | None) -> None:
    """It draws, and says where there is nothing."""
    frame = frame.cast({"time": pl.Datetime("us", "UTC"), "bid": pl.Float64, "ask": pl.Float64})
    picture = charts.price_path(frame.with_columns(volume=pl.lit(None, pl.Float64)), title="little", own=own)
    assert picture.png().startswith(PNG)
    empty = frame.drop_nulls("time").select("bid", "ask").null_count().sum_horizontal().sum()
    nothing = frame.drop_nulls("time").is_empty() or empty == 2 * frame.height
    assert ("no quotes" in texts(picture)) == nothing
    low, high = picture.figure.axes[0].get_ylim()
    assert high - low >= 0.02


def test_quotes_draw_a_bar_for_two_sides_and_a_tick_for_one() -> None:
    """From the top in the frame's order, prices on [0, 1]."""
    frame = ladder(["a", "b", "c"]).with_columns(ask=pl.Series([0.25, None, 0.3]), last=pl.Series([None, None, 0.2]))
    picture = charts.quotes(frame, title="Highest temperature")
    axes = picture.figure.axes[0]
    assert [segment[0][1] for segment in axes.collections[0].get_segments()] == [0, 2]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b", "c"]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]
    assert axes.get_xlim() == (-0.02, 1.02)
    assert "2 of 3 markets with both sides, median spread 0.075 dollars" in texts(picture)


def test_quotes_say_how_many_are_not_drawn() -> None:
    """Forty of sixty, and the picture says so."""
    picture = charts.quotes(ladder([str(place) for place in range(60)]))
    assert len(picture.figure.axes[0].get_yticklabels()) == 40
    assert any("the first 40 of 60 markets" in text for text in texts(picture))
    assert "no markets" in texts(charts.quotes(ladder([])))


def test_stats_draw_counts_and_latencies_by_operation() -> None:
    """The busiest first; an operation without an answer has no latency."""
    frame = requests(["a", "b"]).with_columns(
        attempts=pl.Series([1, 1200]), latency_p50=pl.Series([None, 0.1]), latency_p99=pl.Series([None, 0.4])
    )
    picture = charts.stats(frame)
    left, right = picture.figure.axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["b", "a"]
    assert [bar.get_width() for bar in left.patches] == [1200, 1, 2, 2, 1, 1]
    assert [segment[:, 0].tolist() for segment in right.collections[0].get_segments()] == [[0.1, 0.4]]
    assert "1,201 attempts, 4 of them retries, 2 failed" in texts(picture)
    assert "no requests" in texts(charts.stats(frame.clear()))


@pytest.mark.parametrize("text", NASTY)
def test_texts_from_outside_are_drawn_as_they_are(text: str) -> None:
    """No formula, no format, no crash, no warning, inside the picture: as a title and as an alert."""
    picture = charts.price_path(path(), title=text, alerts=[(START, text)])
    drawn_plainly(picture)
    shown = "".join(picture.figure.texts[0].get_text().split())
    assert shown == "".join(literal(text, 140).split())


def test_many_texts_from_outside_are_drawn_as_they_are() -> None:
    """The same as labels, operations and groups."""
    cities = [priced().with_columns(city=pl.lit(text)) for text in NASTY]
    drawn_plainly(charts.quotes(ladder(NASTY), title=NASTY[0]))
    drawn_plainly(charts.stats(requests(NASTY), title=NASTY[1]))
    drawn_plainly(charts.reliability(calibration(pl.concat(cities), by="city")))


def drawn_plainly(picture: charts.Picture) -> None:
    drawn = [each for each in picture.figure.findobj(Text) if each.get_text() and each.get_visible()]
    assert not any(each.get_parse_math() for each in drawn)
    heading = picture.figure.texts[0].get_window_extent()
    assert heading.x0 >= 0
    assert heading.x1 <= picture.figure.bbox.width
    assert picture.png(40).startswith(PNG)


def test_literal_text_is_one_line_of_known_letters() -> None:
    """What it keeps, what it replaces, where it cuts."""
    assert literal("$90,000 or $100,000", 30) == "$90,000 or $100,000"
    assert literal("  a\n b\x00\u202ec ", 30) == "a bc"
    assert literal("日é", 30) == f"{MISSING}é"
    assert literal("_x", 30) == " _x"
    assert literal("x" * 40, 30) == "x" * 29 + "\u2026"
    assert literal(None, 30) == ""


def test_a_picture_shows_itself_and_saves_by_suffix(tmp_path: Path) -> None:
    """PNG for notebooks on white, files in three formats, a refusal for others, nothing kept by pyplot."""
    picture = charts.quotes(ladder(["a"]), title="Two $ signs $")
    assert repr(picture).startswith("<Picture 'Two $ signs $', 8 x ")
    assert picture._repr_png_() == picture.png()
    image = mpl.image.imread(picture.save(tmp_path / "a.png"))
    assert image[0, 0].tolist() == [1, 1, 1, 1]
    assert image[..., 3].min() == 1
    assert picture.save(str(tmp_path / "a.SVG")).read_bytes().startswith(b"<?xml")
    assert picture.save(tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")
    with pytest.raises(UsageError, match=r"unknown picture format 'jpg'.*png"):
        picture.save(tmp_path / "a.jpg")


def test_a_dark_style_of_the_user_changes_nothing() -> None:
    """The house style is a context: it neither takes from the user's settings nor leaves anything in them."""
    plain = charts.quotes(ladder(["a"])).png()
    mine = {"figure.facecolor": "black", "text.color": "white", "axes.facecolor": "black", "text.usetex": False}
    with mpl.rc_context(mine):
        assert charts.quotes(ladder(["a"])).png() == plain
        assert mpl.rcParams["figure.facecolor"] == "black"


@pytest.mark.parametrize(
    ("draw", "frame"),
    [
        (charts.price_path, path().drop("ask")),
        (charts.quotes, ladder(["a"]).drop("last")),
        (charts.stats, requests(["a"]).drop("retries")),
    ],
    ids=["price_path", "quotes", "stats"],
)
def test_a_frame_without_its_columns_is_refused(draw: Any, frame: pl.DataFrame) -> None:
    """The missing column is named."""
    with pytest.raises(UsageError, match=r"the frame lacks (ask|last|retries).*It needs the columns"):
        draw(frame, title="x")


def test_importing_charts_loads_no_matplotlib_and_drawing_loads_no_pyplot() -> None:
    """The import is free; a picture costs matplotlib, and never opens a window."""
    script = (
        "import sys, polars as pl\n"
        "from kalshi_lab import charts\n"
        "assert 'matplotlib' not in sys.modules\n"
        "frame = pl.DataFrame({'label': ['a'], 'bid': [.1], 'ask': [.2], 'last': [.1]})\n"
        "assert charts.quotes(frame).png()\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
