"""A table for the notebook: any number of rows, of which the browser is sent those in sight, sorted by its headers, usable by keyboard."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from importlib import resources
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import anywidget
import polars as pl
import traitlets

from kalshi_lab import markup

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

WINDOW = 120  # rows that are sent at once
STILL = 20  # rows that a saved notebook shows
Kind = Literal["text", "number", "minute", "price", "spark", "bid", "ask"]
SIZED = {"bid", "ask"}


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name in the frame, its header, how it is shown, and its width as CSS has it (empty: a share of the room).

    kind: text, number (to the right), minute (a time without its seconds), price (in the middle), spark (a list of numbers as a line),
    bid and ask (a number on a bar).
    """

    name: str
    label: str
    kind: Kind = "text"
    width: str = ""
    sortable: bool = True


class Table(anywidget.AnyWidget):
    """A frame as a table in the notebook.

    columns: which, and how (None: all). sort: the column it is sorted by at first, descending where it begins with "-". on_pick:
    called with the row, as a mapping, that was clicked or chosen with Enter. `rows` is the frame, and may be replaced at any time.
    label: what a screen reader calls it; caption: whether it stands above the table too. alive: whether it says by itself when the
    kernel no longer answers. on_sight: called with the rows that are being sent, to fill in what is not known of them yet.
    """

    _esm: ClassVar[str] = resources.files(__package__).joinpath("table.js").read_text("utf-8")
    _css: ClassVar[str] = resources.files(__package__).joinpath("table.css").read_text("utf-8")
    columns: traitlets.List[dict[str, Any]] = traitlets.List().tag(sync=True)
    total = traitlets.Int().tag(sync=True)
    window: traitlets.Dict[str, Any] = traitlets.Dict({"first": 0, "rows": []}).tag(sync=True)
    sort: traitlets.List[Any] = traitlets.List(["", False]).tag(sync=True)
    version = traitlets.Int().tag(sync=True)
    keep = traitlets.Bool(default_value=False).tag(sync=True)
    foot = traitlets.Unicode().tag(sync=True)
    label = traitlets.Unicode().tag(sync=True)
    caption = traitlets.Bool(default_value=False).tag(sync=True)
    height = traitlets.Int(320).tag(sync=True)
    alive = traitlets.Bool(default_value=False).tag(sync=True)

    def __init__(
        self,
        frame: pl.DataFrame,
        *,
        columns: Sequence[Column] | None = None,
        sort: str = "",
        on_pick: Callable[[dict[str, Any]], object] | None = None,
        on_sight: Callable[[pl.DataFrame], object] | None = None,
        label: str = "Table",
        caption: bool = False,
        height: int = 320,
        alive: bool = False,
    ) -> None:
        self._chosen = tuple(columns or (Column(name, name, _kind(kind)) for name, kind in frame.schema.items()))
        self._frame, self._sorted = frame, frame
        self._on_pick, self._on_sight = on_pick, on_sight
        self.pings = 0
        super().__init__(
            columns=[asdict(one) for one in self._chosen], label=label, caption=caption, height=height, alive=alive
        )
        self.sort = [sort.removeprefix("-"), sort.startswith("-")]
        self.on_msg(self._heard)
        self.rows = frame

    @property
    def rows(self) -> pl.DataFrame:
        """The frame, as it was given."""
        return self._frame

    @rows.setter
    def rows(self, frame: pl.DataFrame) -> None:
        """Another frame."""
        self._show(frame, keep=frame.height == self._frame.height)

    def fill(self, frame: pl.DataFrame) -> None:
        """The same rows with more known of them: nothing moves, and a click that is under way still finds its row."""
        self._show(frame, keep=True, same=True)

    def _show(self, frame: pl.DataFrame, *, keep: bool, same: bool = False) -> None:
        first = self.window["first"] if keep else 0
        self._frame = frame
        self._arrange()
        with self.hold_sync():
            self.keep = keep
            self.total = frame.height
            self.version += not same
            self._send_rows(first)

    def _arrange(self) -> None:
        by, down = self.sort
        known = by in self._frame.columns
        self._sorted = (
            self._frame.sort(by, descending=down, nulls_last=True, maintain_order=True) if known else self._frame
        )

    def _send_rows(self, first: int) -> None:
        shown = self._sorted.slice(first, WINDOW)
        self.window = {"first": first, "rows": self._cells(shown), "version": self.version}
        if self._on_sight is not None and shown.height:
            self._on_sight(shown)

    def _cells(self, frame: pl.DataFrame) -> list[list[Any]]:
        most = {one.name: self._frame[one.name].cast(pl.Float64).max() for one in self._chosen if one.kind in SIZED}
        return [
            [_cell(one, row.get(one.name), most.get(one.name)) for one in self._chosen]
            for row in frame.iter_rows(named=True)
        ]

    def _heard(self, _widget: object, message: dict[str, Any], _buffers: object) -> None:
        """What the browser asks. A wrong question is left alone: the page may be older than the table."""
        match message:
            case {"do": "ping", "number": int(number)}:
                self.pings += 1
                self.send({"pong": number})
            case {"do": "window", "first": int(first)} if first >= 0:
                self._send_rows(min(first, max(0, self.total - 1)))
            case {"do": "sort", "column": str(name)} if any(one.name == name and one.sortable for one in self._chosen):
                self._sort(name)
            case {"do": "pick", "row": int(row), "version": self.version} if 0 <= row < self.total:
                if self._on_pick is not None:
                    self._on_pick(self._sorted.row(row, named=True))

    def _sort(self, name: str) -> None:
        by, down = self.sort
        self.sort = [name, not down if by == name else self._frame.schema[name].is_numeric()]
        self._show_anew()

    def _show_anew(self) -> None:
        self._arrange()
        with self.hold_sync():
            self.keep = False
            self.version += 1
            self._send_rows(0)

    def still(self) -> markup.Html:
        """The first rows as they stand, for a saved notebook."""
        shown = [one for one in self._chosen if one.kind != "spark"]
        right = {place for place, one in enumerate(shown) if one.kind in {"number", "price", "bid"}}
        rows = [
            [_said(one, row.get(one.name)) for one in shown] for row in self._sorted.head(STILL).iter_rows(named=True)
        ]
        more = f"and {self.total - STILL:,} rows more" if self.total > STILL else ""
        foot = "; ".join(part for part in (more, self.foot) if part)
        name = [markup.tag("div", self.label, style="font-weight:600;margin-top:.6em")] if self.caption else []
        return markup.tag(
            "div", *name, markup.table([one.label for one in shown], rows, right=right), markup.tag("div", foot)
        )


def _kind(dtype: pl.DataType) -> Kind:
    return "number" if dtype.is_numeric() else "text"


def _cell(column: Column, value: Any, most: Any) -> Any:
    if column.kind == "spark":
        return list(value) if value is not None else None
    if column.kind in SIZED:
        return None if value is None else {"text": _plain(value), "share": round(100 * float(value) / float(most or 1))}
    return None if value is None else _said(column, value)


def _said(column: Column, value: Any) -> str:
    """A value in words, as its column has them."""
    return f"{value:%Y-%m-%d %H:%M}" if column.kind == "minute" and isinstance(value, datetime) else _plain(value)


def _plain(value: Any) -> str:
    """A value in words; nothing for what is not known."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.4f}".rstrip("0").rstrip(".") if abs(value) < 1 else f"{value:,.2f}".removesuffix(".00")
    if isinstance(value, int):
        return f"{value:,}"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
