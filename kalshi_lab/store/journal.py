"""The journal: what was acknowledged, in a text file beside the store, so that a damaged database cannot deny it.

A line for each page, snapshot and batch of a recording, written and flushed after its COMMIT returned and before the caller is told. Every
line carries a checksum; a torn or damaged one is left out and counted. Lines are added while the store is held for writing, so that one
process at a time adds them. When the file has doubled, ended runs and recordings are folded to a line for each walk, which bounds it by
their number.
"""

from __future__ import annotations

import errno
import logging
import os
import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from kalshi_lab.errors import DiskFull, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from kalshi_lab.store.writes import Page

log = logging.getLogger(__name__)
PAGE, FOLDED, SNAPSHOT, BATCH, LOST, START = "page", "folded", "snapshot", "batch", "lost", "start"
SMALL = 4_000_000  # bytes below which nothing is folded


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """One line.

    page: a page of a walk, or with an empty walk the end of its run; folded: the pages 1 to `page` of a walk; snapshot: a look at a
    listing; batch: a recording up to the frame `page`; lost: an entry of that name is known to be lost and is not asked for any more;
    start: the size of the file when it was last folded, in `page`.
    """

    kind: str
    run_id: str = ""
    dataset: str = ""
    scope: str = ""
    walk: str = ""
    page: int = 0
    received: int = 0
    stored: int = 0
    sha256: str = ""
    time: datetime = datetime.fromtimestamp(0, UTC)

    @property
    def key(self) -> tuple[str, str, int]:
        """What the ledger calls it."""
        return self.run_id, self.walk, self.page


@dataclass(slots=True)
class Read:
    """What a journal says: its entries in order, how many lines were damaged, and whether the last one was cut off."""

    entries: list[Entry] = field(default_factory=list)
    damaged: int = 0
    torn: bool = False


def pages(entered: Iterable[Page]) -> list[Entry]:
    """The lines for pages of the ledger."""
    return [
        Entry(
            PAGE, one.run_id, one.dataset, one.scope, one.walk, one.page, one.received, one.stored, one.sha256, one.time
        )
        for one in entered
    ]


class Journal:
    """The journal beside a store's file."""

    def __init__(self, store: Path) -> None:
        self.path = store.with_name(store.name + ".journal")

    def add(self, entries: Sequence[Entry]) -> None:
        """Write lines and flush them to the disk; the store is held for writing. Raises DiskFull, with the file as it was."""
        if not entries:
            return
        try:
            size = self._append(b"".join(line(one) for one in entries))
        except OSError as error:
            raise _failed(error, self.path) from None
        if size > SMALL and size > 2 * self._start():
            try:
                self.fold()
            except OSError as error:  # the lines are kept; the next ones try again
                log.warning("the journal %s could not be folded: %s", self.path, error.strerror)

    def read(self) -> Read:
        """Every line whose checksum is right."""
        try:
            text = self.path.read_bytes()
        except FileNotFoundError:
            return Read()
        except OSError as error:
            raise _failed(error, self.path) from None
        *rows, last = text.split(b"\n")
        found = [parsed(row) for row in rows if row]
        end = parsed(last)
        entries = [one for one in (*found, end) if one is not None]
        return Read(entries, found.count(None), torn=bool(last) and end is None)

    def fold(self) -> None:
        """Write the file anew with a line for each walk of the ended runs and one for each recording; the store is held for writing."""
        kept = folded(self.read().entries)
        body = b"".join(line(one) for one in kept)
        part = self.path.with_name(self.path.name + ".part")
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            _write(descriptor, line(Entry(START, page=len(body))) + body)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        part.replace(self.path)
        sync_folder(self.path.parent)

    def _append(self, text: bytes) -> int:
        """Add text in one write, after a line end where the last line was cut off; the size that the file has now."""
        is_new = not self.path.exists()
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            size = os.lseek(descriptor, 0, os.SEEK_END)
            if size:
                os.lseek(descriptor, size - 1, os.SEEK_SET)
                text = text if os.read(descriptor, 1) == b"\n" else b"\n" + text
            try:
                _write(descriptor, text)
                os.fsync(descriptor)
            except OSError:
                os.ftruncate(descriptor, size)
                raise
        finally:
            os.close(descriptor)
        if is_new:
            sync_folder(self.path.parent)
        return size + len(text)

    def _start(self) -> int:
        """The size of the file when it was last folded."""
        with self.path.open("rb") as file:
            first = parsed(file.readline().rstrip(b"\n"))
        return first.page if first is not None and first.kind == START else 0


def line(entry: Entry) -> bytes:
    """An entry as a line: checksum and JSON."""
    text = msgspec.json.encode(entry)
    return b"%08x %s\n" % (zlib.crc32(text), text)


def parsed(row: bytes) -> Entry | None:
    """The entry of a line; None where the checksum or the form is wrong."""
    checksum, _, text = row.partition(b" ")
    if checksum != b"%08x" % zlib.crc32(text):
        return None
    try:
        return msgspec.json.decode(text, type=Entry)
    except msgspec.MsgspecError:
        return None


def folded(entries: Iterable[Entry]) -> list[Entry]:
    """The same said in fewer lines: a line for each walk of a run that ended, the last batch of each recording, the rest as it is."""
    last = {_name(one): one for one in entries if one.kind != START}
    ended = {one.run_id for one in last.values() if one.kind == PAGE and not one.walk}
    made: dict[tuple[object, ...], Entry] = {}
    for key, one in last.items():
        foldable = one.kind == FOLDED or (one.kind == PAGE and one.walk and one.run_id in ended)
        name = (FOLDED, one.run_id, one.walk) if foldable else key
        before = made.get(name)
        made[name] = _joined(before, one) if foldable else one
    return list(made.values())


def _name(entry: Entry) -> tuple[object, ...]:
    return (BATCH, entry.run_id) if entry.kind == BATCH else (entry.kind, *entry.key)


def _joined(before: Entry | None, page: Entry) -> Entry:
    """The folded line of a walk with one more page; a page that it has already was fetched again and adds nothing."""
    if before is None:
        return msgspec.structs.replace(page, kind=FOLDED, sha256="")
    if page.page <= before.page:
        return before
    return msgspec.structs.replace(
        before,
        page=page.page,
        received=before.received + page.received,
        stored=before.stored + page.stored,
        time=max(before.time, page.time),
    )


def _write(descriptor: int, text: bytes) -> None:
    """All of it in one call; less is an error, which only a full disk makes of a file."""
    if os.write(descriptor, text) != len(text):
        raise OSError(errno.ENOSPC, "no space left")


def sync_folder(folder: Path) -> None:
    """Make a new name in a folder last; where folders cannot be flushed (Windows) nothing is done."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _failed(error: OSError, path: Path) -> StoreError:
    if error.errno in {errno.EFBIG, errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}:
        return DiskFull(
            f"the journal {path} could not be written: the disk is full", hint="Free some space and do it again"
        )
    return StoreError(f"the journal {path} cannot be used: {error.strerror}", hint="Look at the folder's permissions")
