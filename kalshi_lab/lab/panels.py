"""Panels: the lab by mouse and keyboard, in a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakSet

from kalshi_lab.errors import LabError
from kalshi_lab.portal import Facade, blocking

if TYPE_CHECKING:
    from kalshi_lab.lab.session import AsyncLab
    from kalshi_lab.notebook.alert_board import AlertBoard
    from kalshi_lab.notebook.explorer import Explorer
    from kalshi_lab.notebook.house import Panel
    from kalshi_lab.notebook.live_book import LiveBook
    from kalshi_lab.notebook.status import Status
    from kalshi_lab.notebook.thesis_editor import ThesisEditor

Shown = TypeVar("Shown", bound="Panel")


class AsyncPanels:
    """Panels of one lab, as widgets: shown by the last line of a cell, live while the kernel runs, plain tables in a saved notebook."""

    def __init__(self, lab: AsyncLab) -> None:
        self._lab = lab
        self._made: WeakSet[Panel] = WeakSet()

    async def explorer(
        self,
        *,
        status: str | None = "open",
        series: str | None = None,
        event: str | None = None,
        limit: int | None = 10_000,
    ) -> Explorer:
        """Markets to search, filter and sort, with their last 7 days; a click, or Enter, opens a market and its book.

        status, series, event and limit choose which are asked for, as in `lab.markets`. Raises UsageError for what cannot be; what
        the exchange does not answer is told in the panel.
        """
        from kalshi_lab.notebook.explorer import Explorer

        asked: dict[str, Any] = {"status": status, "series": series, "event": event, "limit": limit}
        return await self._begun(Explorer(self._lab, asked))

    async def book(self, ticker: str) -> LiveBook:
        """The live order book of a market with its trades; it says when it is stale or disconnected. The stream needs credentials.

        Without a stream it shows the book of this moment, and why it stays so. Raises UsageError for what is no ticker.
        """
        from kalshi_lab.kalshi import params
        from kalshi_lab.notebook.live_book import LiveBook

        book: LiveBook = await self._begun(LiveBook(self._lab, params.ticker(ticker)))
        return book

    async def thesis(self, name: str | None = None) -> ThesisEditor:
        """A thesis as fields: written down, changed version by version, given evidence, and held against the market's price.

        name: of one that is kept; without it the fields are empty, for a new one. Nothing that is typed is lost by an error, and what
        somebody else kept meanwhile is not overwritten. Raises UsageError for a name that is not kept, with the nearest one.
        """
        from kalshi_lab.notebook.thesis_editor import ThesisEditor

        editor: ThesisEditor = await self._begun(ThesisEditor(self._lab, name or ""))
        return editor

    async def alerts(self) -> AlertBoard:
        """Alerts to add, remove, start and stop, with what fired and where it was told; it looks again by itself every 2 seconds."""
        from kalshi_lab.notebook.alert_board import AlertBoard

        board: AlertBoard = await self._begun(AlertBoard(self._lab))
        return board

    async def status(self) -> Status:
        """What goes on in the background, what failed, what was asked, what is held and how old it is; it looks again every 3 seconds."""
        from kalshi_lab.notebook.status import Status

        status: Status = await self._begun(Status(self._lab))
        return status

    async def _begun(self, panel: Shown) -> Shown:
        """The panel with its first look, which may fail: then it says so, and can be asked again."""
        self._made.add(panel)
        try:
            await panel.load()
        except ValueError:
            raise
        except LabError as error:
            panel.fail(error)
        return panel

    def stop(self) -> None:
        """End what the panels do by themselves."""
        for panel in tuple(self._made):
            panel.stop()


class Panels(Facade):
    """The blocking face of `AsyncPanels`."""

    _twin: AsyncPanels

    explorer = blocking(AsyncPanels.explorer)
    book = blocking(AsyncPanels.book)
    thesis = blocking(AsyncPanels.thesis)
    alerts = blocking(AsyncPanels.alerts)
    status = blocking(AsyncPanels.status)

    def stop(self) -> None:
        """End what the panels do by themselves."""
        self._twin.stop()
