"""Where alarms go: the notebook, a file, a webhook, and through apprise the desktop and a hundred services."""

from __future__ import annotations

import asyncio
import json
import os
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from kalshi_lab import markup
from kalshi_lab.errors import StoreError, TimedOut, Unavailable, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from kalshi_lab.alerts.alarm import Alarm

PATIENCE = 30.0  # seconds that a service may take
SHOWN = 50  # alarms that a notebook shows


class Sink(Protocol):
    """Something that alarms can be sent to. Its `name` is kept in the store with every delivery, so it holds no secret."""

    @property
    def name(self) -> str:
        """What it is called in `to=` and in `deliveries`."""

    async def send(self, alarm: Alarm) -> None:
        """Hand an alarm on; an error of this library where that failed, which is tried again."""


class ToNotebook:
    """Shows alarms in the notebook's output, or prints them where there is none; `alarms` are the newest."""

    def __init__(self, *, show: Callable[[Any], object] | None = None) -> None:
        self.name = "notebook"
        self.alarms: deque[Alarm] = deque(maxlen=SHOWN)
        self._show = show or _display()

    async def send(self, alarm: Alarm) -> None:
        """Show it."""
        self.alarms.append(alarm)
        self._show(Shown(alarm))

    def _repr_html_(self) -> str:
        rows = [(one.time, one.label, one.message) for one in self.alarms]
        return markup.card(f"{len(rows)} alarms", {}, markup.table(("time", "label", "message"), rows))

    def __repr__(self) -> str:
        return f"<ToNotebook: {len(self.alarms)} alarms>"


class Shown:
    """An alarm as a notebook shows it, and as it is printed."""

    def __init__(self, alarm: Alarm) -> None:
        self._alarm = alarm

    def _repr_html_(self) -> str:
        return markup.warning(self._alarm.text)

    def __repr__(self) -> str:
        return self._alarm.text


class ToFile:
    """Appends alarms to a file, one JSON object a line, on the disk before it counts as sent; several processes may share it."""

    def __init__(self, path: str | Path, *, name: str | None = None) -> None:
        self._path = Path(path).expanduser()
        if self._path.is_dir() or not self._path.parent.is_dir():
            raise UsageError(f"{self._path} is no file in a folder that there is", hint='Give one like "alarms.jsonl"')
        self.name = name or f"file {self._path.name}"

    async def send(self, alarm: Alarm) -> None:
        """Append it. Raises StoreError where it cannot be written."""
        try:
            await asyncio.to_thread(self._append, json.dumps(alarm.row()).encode() + b"\n")
        except OSError as error:
            raise StoreError(f"{self._path} cannot be written: {error.strerror}") from None

    def _append(self, line: bytes) -> None:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, line)  # one call, so that lines of several processes do not mix
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def __repr__(self) -> str:
        return f"<ToFile {self._path}>"


class ToApprise:
    """Sends alarms by apprise (the extra `alerts`): mail, chats, telephones, and the desktop with "dbus://" or "macosx://".

    url: one of apprise's addresses, which is a secret: it is nowhere shown, and the store has the name alone. Raises UsageError for an
    address that apprise does not know.
    """

    def __init__(self, url: str, *, name: str | None = None) -> None:
        try:
            import apprise
        except ImportError:
            raise UsageError("apprise is not installed", hint="pip install 'kalshi_lab[alerts]'") from None
        self._service = apprise.Apprise()
        scheme = urlsplit(url).scheme
        if not self._service.add(url):
            raise UsageError(f"apprise knows no such address, which begins with {scheme[:20] or 'nothing'!r}")
        self.name = name or f"apprise {scheme}"

    async def send(self, alarm: Alarm) -> None:
        """Hand it to the service. Raises Unavailable where that did not take it, TimedOut after half a minute."""
        title = f"Kalshi: {alarm.label or alarm.condition}"
        work = asyncio.to_thread(self._service.notify, title=title, body=alarm.text)
        try:
            took = await asyncio.wait_for(work, PATIENCE)
        except TimeoutError:
            raise TimedOut(f"{self.name} took more than {PATIENCE:.0f} s") from None
        if not took:
            raise Unavailable(f"{self.name} did not take it")

    def __repr__(self) -> str:
        return f"<ToApprise {self.name}>"


def _display() -> Callable[[Any], object]:
    """The notebook's own way to show things, where this runs in one."""
    from contextlib import suppress

    with suppress(ImportError, NameError):
        from IPython import get_ipython
        from IPython.display import display

        if get_ipython() is not None:
            return display
    return print
