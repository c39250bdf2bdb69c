"""What all panels share: work in the lab's own loop, errors shown with their request, and something to see where no kernel runs."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from kalshi_lab import markup
from kalshi_lab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from concurrent.futures import Future

    from kalshi_lab.notebook.table import Table

log = logging.getLogger(__name__)
WIDE = {"width": "min(100%, 60em)"}


class Panel(widgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """A panel of a lab: a title, a place for what went wrong, and its parts.

    It is made inside the lab's loop, and its callbacks only begin work there, so that a cell can run meanwhile. `stop()` ends what it
    does by itself; `lab.close()` does that too.
    """

    def __init__(self, lab: Any, title: str, label: str = "") -> None:
        self.lab, self.title = lab, title
        self._loop = asyncio.get_running_loop()
        self._running: set[Future[None]] = set()
        self.heading = widgets.HTML(markup.tag("div", title, style="font-weight:600;font-size:15px"))
        self.trouble, self.word = widgets.HTML(), widgets.HTML()
        super().__init__(layout=widgets.Layout(width="100%"))
        self._dom_classes = ("kl-panel",)
        self.label = label or title

    def compose(self, *parts: Any) -> None:
        """Put the parts below the title."""
        self.children = (self.heading, self.trouble, *parts, self.word)

    def begin(self, work: Coroutine[Any, Any, object]) -> None:
        """Run work in the lab's loop, and return at once; what goes wrong is shown."""
        running = asyncio.run_coroutine_threadsafe(self._guarded(work), self._loop)
        self._running.add(running)
        running.add_done_callback(self._running.discard)

    async def _guarded(self, work: Coroutine[Any, Any, object]) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001 - a callback has nobody else to tell
            self.fail(error)

    def fail(self, error: Exception) -> None:
        """Show an error: what happened, to which request, and what to do."""
        if not isinstance(error, LabError):
            log.error("a panel failed", exc_info=error)
        self.trouble.value = markup.warning(told(error))

    def say(self, text: str) -> None:
        """Show how it went; what was wrong before is over."""
        self.trouble.value = ""
        self.word.value = markup.tag("div", text, role="status") if text else ""

    async def load(self) -> None:
        """The first look, and each that is asked for."""

    def every(self, seconds: float, work: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """Do it again and again until the panel is stopped, as long as a browser shows the panel."""

        async def again() -> None:
            seen, failed = -1, ""
            while True:
                await asyncio.sleep(seconds)
                pings = sum(table.pings for table in self.tables)
                if pings == seen:
                    continue
                try:
                    await work()
                except LabError as error:
                    failed = str(error)
                    self.fail(error)
                else:
                    self.trouble.value, failed = ("", "") if failed else (self.trouble.value, "")

        self.begin(again())

    @property
    def tables(self) -> Sequence[Table]:
        """The tables in it."""
        return ()

    def stop(self) -> None:
        """End what goes on."""
        for one in tuple(self._running):
            one.cancel()

    def close(self) -> None:
        """End what goes on, and take it and its parts from the page and out of memory: ipywidgets keeps each until it is closed."""
        self.stop()
        for part in _within(self):
            part.close()
        self.layout.close()
        super().close()

    def still(self) -> markup.Html:
        """What a saved notebook shows of it."""
        note = "As it was when the cell ran; run the cell for a live panel."
        tables = (table.still() for table in self.tables)
        notes = (markup.Html(one.value) for one in self.children[1:] if isinstance(one, widgets.HTML))
        return markup.tag("div", markup.card(self.title, {}), *notes, *tables, markup.tag("div", note))

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        shown: dict[str, Any] = dict(super()._repr_mimebundle_(**options))
        return {**shown, "text/plain": f"<{type(self).__name__} panel: {self.title}>", "text/html": str(self.still())}


def _within(box: Any) -> list[Any]:
    """All widgets in a box and in the boxes that it holds, each with its layout and style."""
    parts = list(getattr(box, "children", ()))
    looks = [getattr(part, name) for part in parts for name in ("layout", "style") if hasattr(part, name)]
    return [*looks, *parts, *(inner for part in parts for inner in _within(part))]


def told(error: Exception) -> str:
    """An error in words: of ours its message, hint and request, of any other its kind too."""
    return str(error) if isinstance(error, LabError) else f"{type(error).__name__}: {error}"


def bare(one: object) -> str:
    """How something says that it is, without its brackets and the name of its class."""
    return repr(one).strip("<>").partition(" ")[2]


def button(text: str, does: Callable[[], object], *, hint: str = "", style: str = "") -> Any:
    """A button that does it."""
    made = widgets.Button(description=text, tooltip=hint or text, button_style=style)
    made.on_click(lambda _: does())
    return made


def line(label: str, *, hint: str = "", value: str = "", width: str = "22em") -> Any:
    """A line to type into, with its label."""
    return widgets.Text(
        value=value, description=label, placeholder=hint, continuous_update=True, layout=widgets.Layout(width=width),
        style={"description_width": "7em"},
    )  # fmt: skip


def choice(label: str, options: Sequence[Any], *, width: str = "16em") -> Any:
    """One of several."""
    return widgets.Dropdown(
        options=options, description=label, layout=widgets.Layout(width=width), style={"description_width": "7em"}
    )


def row(*parts: Any) -> Any:
    """Parts side by side, in a new line where there is no room."""
    return widgets.HBox(parts, layout=widgets.Layout(flex_flow="row wrap", align_items="center"))
