"""The house style: what every picture has in common.

matplotlib is loaded by the first picture, not by the import. Nothing here touches pyplot, so no figure is kept open or
shown by force, and every text that comes from outside is drawn literally: dollar signs are no formulas, and what the
font lacks is a box.
"""

from __future__ import annotations

import functools
import io
import textwrap
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from kalshi_lab.errors import UsageError, one_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import polars as pl
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

INK, MUTED, GRID = "#1d2330", "#68707f", "#e3e6ec"
BLUE, ORANGE, GREEN, RED, VIOLET = "#2f6fb5", "#d9822b", "#2e8b57", "#c23b3b", "#7a5ab8"
CYCLE = (BLUE, ORANGE, GREEN, VIOLET, RED)
STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10.0,
    "text.color": INK,
    "text.parse_math": False,
    "text.usetex": False,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 9.0,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "savefig.facecolor": "white",
    "savefig.transparent": False,
    "svg.hashsalt": "kalshi_lab",
}
DPI, WIDTH = 110, 8.0
FORMATS = ("png", "svg", "pdf")
MISSING = "\u25a1"
ROWS_SHOWN = 40


@dataclass(frozen=True, eq=False, repr=False)
class Picture:
    """A finished figure that shows itself in Jupyter, whatever backend is set; `figure` is open to changes."""

    figure: Figure
    title: str

    def png(self, dpi: int = DPI) -> bytes:
        """The picture as PNG."""
        return self._drawn("png", dpi)

    def save(self, path: str | Path) -> Path:
        """Write the picture and return its path; the suffix names the format: png, svg or pdf."""
        place = Path(path)
        kind = one_of("picture format", place.suffix.lower().lstrip("."), FORMATS)
        place.write_bytes(self._drawn(kind, 2 * DPI))
        return place

    def _drawn(self, kind: str, dpi: int) -> bytes:
        target = io.BytesIO()
        with style():
            self.figure.savefig(target, format=kind, dpi=dpi)
        return target.getvalue()

    def _repr_png_(self) -> bytes:
        return self.png()

    def __repr__(self) -> str:
        width, height = self.figure.get_size_inches()
        return f"<Picture {self.title!r}, {width:g} x {height:g} inches>"


def literal(text: object, longest: int) -> str:
    """Text from outside, fit to be drawn: one line of at most `longest` characters.

    Controls are dropped, and what the font lacks becomes a box, as matplotlib would draw it, but without its warning.
    A leading underscore would hide a label from the legend, so a space goes before it.
    """
    known = _glyphs()
    words = " ".join(str("" if text is None else text).split())
    shown = "".join(each if each in known else MISSING for each in words if each.isprintable())
    cut = shown if len(shown) <= longest else shown[: longest - 1].rstrip() + "\u2026"
    return f" {cut}" if cut.startswith("_") else cut


@functools.cache
def _glyphs() -> frozenset[str]:
    from matplotlib.font_manager import FontProperties, findfont, get_font

    faces = [get_font(findfont(FontProperties(family="DejaVu Sans", weight=weight))) for weight in ("normal", "bold")]
    return frozenset.intersection(*(frozenset(map(chr, face.get_charmap())) for face in faces))


@contextmanager
def style() -> Iterator[None]:
    """The house style for as long as the block lasts."""
    import matplotlib as mpl

    with mpl.rc_context(cast("Any", STYLE)):
        yield


@contextmanager
def canvas(
    title: str,
    note: str,
    *,
    rows: int = 1,
    columns: int = 1,
    height: float,
    ratios: Sequence[float],
    apart: bool = False,
) -> Iterator[tuple[Picture, list[Axes]]]:
    """An empty picture and its panels, laid out once at the end, so that a later change of style cannot reach it.

    Panels above one another share what is on the x axis, unless they are `apart`.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    with style():
        heading, below = textwrap.fill(literal(title, 140), 72), textwrap.fill(literal(note, 400), 118)
        above = 0.12 + 0.21 * (heading.count("\n") + 1) + 0.165 * (below.count("\n") + 1)
        whole = height + above
        engine = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.08, rect=(0, 0, 1, height / whole))
        figure = Figure(figsize=(WIDTH, whole), dpi=DPI, layout=engine)
        shares: Mapping[str, Any] = {"height_ratios": ratios} if rows > 1 else {"width_ratios": ratios}
        grid = figure.subplots(
            rows, columns, squeeze=False, sharex="col" if rows > 1 and not apart else "none", **shares
        )
        head = figure.text(0.012, 1 - 0.08 / whole, heading, va="top", fontsize=12, fontweight="bold")
        figure.text(0.012, height / whole, below, va="bottom", fontsize=9, color=MUTED)
        yield Picture(figure, literal(title, 140)), list(grid.flat)
        figure.draw_without_rendering()
        _fit(head)


def _fit(text: Text) -> None:
    """Shrink a title whose wide letters make it longer than its count of characters promises."""
    share = text.get_window_extent().width / (0.97 * WIDTH * DPI)
    if share > 1:
        text.set_fontsize(12 / share)


def legend(figure: Figure, *panels: Axes) -> None:
    """One legend below the panels for all that has a label in them."""
    found = [axes.get_legend_handles_labels() for axes in panels]
    handles = [handle for each, _ in found for handle in each]
    labels = [label for _, each in found for label in each]
    if handles:
        figure.legend(handles, labels, loc="outside lower left", ncols=6)


def counted(axes: Axes, which: str) -> None:
    """Whole numbers with thousands separators on an axis of counts."""
    from matplotlib.ticker import MaxNLocator

    axis = axes.yaxis if which == "y" else axes.xaxis
    axis.set_major_locator(MaxNLocator(nbins=4, integer=True))
    axis.set_major_formatter("{x:,.0f}")


def time_axis(axes: Axes, times: Sequence[datetime | None]) -> None:
    """An axis of UTC times that holds all of them."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    seen = sorted(time for time in times if time is not None)
    if not seen:
        axes.set_xticks([])
        return
    pad = (seen[-1] - seen[0]) / 50 or timedelta(minutes=1)
    locator = AutoDateLocator(maxticks=8)  # type: ignore[no-untyped-call]  # matplotlib.dates is untyped
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]  # as above
    axes.set(xlim=(seen[0] - pad, seen[-1] + pad), xlabel="time (UTC)")


def price_axis(axes: Axes) -> None:
    """Close to the data, but never closer than 4 cents, which would make noise look like news."""
    low, high = axes.dataLim.intervaly if axes.dataLim.height >= 0 else (0.0, 1.0)
    middle, half = (low + high) / 2, max((high - low) * 0.55, 0.02)
    axes.set(ylim=(max(middle - half, -0.02), min(middle + half, 1.02)), ylabel="price (dollars)")


def say(axes: Axes, words: str) -> None:
    """Words in the middle of a panel that has nothing to draw."""
    plain = {"facecolor": "white", "edgecolor": "none"}
    axes.text(0.5, 0.5, words, transform=axes.transAxes, ha="center", va="center", color=MUTED, fontsize=12, bbox=plain)


def need(frame: pl.DataFrame, *names: str) -> None:
    """Refuse a frame that lacks a column."""
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise UsageError(f"the frame lacks {', '.join(missing)}", hint=f"It needs the columns {', '.join(names)}")


def named_rows(axes: Axes, names: Sequence[str]) -> None:
    """A name for each row of a panel, the first one on top."""
    axes.set_yticks(range(len(names)), [literal(name, 64) for name in names])
    axes.set_ylim(max(len(names), 4) - 0.5, -0.5)
    axes.tick_params(axis="y", labelsize=8)


def legend_or_words(picture: Picture, axes: Axes, words: str, *, empty: bool) -> None:
    """The legend of a panel, or words where it has nothing to draw."""
    if empty:
        say(axes, words)
    else:
        legend(picture.figure, axes)


def rows_height(rows: int) -> float:
    """Inches for a panel of so many named rows."""
    return 1.2 + 0.27 * max(rows, 4)
