"""Files written for others: checked paths, readable by their owner alone, there whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import unicodedata
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from kalshi_lab.errors import DiskFull, StoreError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
LONGEST = 200  # bytes of a name; file systems take 255, and a temporary file's name is longer
_ODD = set('<>:"|?*{}\\')
_RESERVED = {"CON", "PRN", "AUX", "NUL", *(f"{port}{number}" for port in ("COM", "LPT") for number in range(10))}
_BEGUN = ".part"


def checked(path: str | os.PathLike[str], what: str) -> Path:
    """A path that means one place on every system: no way upwards, no odd names, no link at its end. Raises UsageError."""
    text = os.fspath(path)
    hint = "Give a plain path, such as exports/2026"
    if not isinstance(text, str) or not text.strip() or "://" in text:
        lake = isinstance(text, str) and text.startswith("s3://")
        raise UsageError(
            f"{what} {text!r} is no path to a file or folder on this machine",
            hint=f"A lake on object storage is kl.Lake({text!r})" if lake else hint,
        )
    made = Path(text)
    parts = made.parts[1:] if made.anchor else made.parts
    if not parts or len(os.fsencode(text.encode("utf-8", "replace"))) > 2000:  # noqa: PLR2004 - half of what systems take
        raise UsageError(f"{what} {text[:80]!r} names no file or folder", hint=hint)
    for part in parts:
        wrong = odd(part)
        if wrong:
            raise UsageError(f"{what} {text[:200]!r} has {wrong} in it", hint=hint)
    if made.is_symlink():
        raise UsageError(f"{what} {text!r} is a link to somewhere else", hint="Give the place itself")
    return made


def odd(part: str) -> str:
    """What is wrong with one name of a path; empty where nothing is."""
    if part == "..":
        return "a way upwards (..)"
    if any(unicodedata.category(c)[0] == "C" for c in part):
        return "a character that is not shown"
    if set(part) & _ODD or part[-1] in " ." or part.startswith("-"):
        return f"the odd name {part!r}"
    if part.split(".", maxsplit=1)[0].upper() in _RESERVED:
        return f"the reserved name {part!r}"
    return f"a name longer than {LONGEST} bytes" if len(part.encode()) > LONGEST else ""


def make_folders(base: Path, *names: str) -> Path:
    """Make a folder and those below it, for their owner alone; none below it may be a link. Raises StoreError, DiskFull."""
    with told(base):
        base.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in names:
            base = base / name
            if base.is_symlink():
                raise StoreError(f"{base} is a link to somewhere else", hint="Remove it, or export to another folder")
            base.mkdir(mode=0o700, exist_ok=True)
    return base


@contextmanager
def writing(path: Path, check: Callable[[Path], object] | None = None) -> Iterator[BinaryIO]:
    """A file to write that takes its place once all of it is on disk; until then, and after an error, the old one stands.

    `check` looks at it before that, and may raise. Raises DiskFull or StoreError.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}{_BEGUN}")
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    with told(path):
        descriptor = os.open(part, flags, 0o600)
        try:
            with os.fdopen(descriptor, "w+b") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            if check is not None:
                check(part)
            part.replace(path)
        except BaseException:
            with suppress(OSError):
                part.unlink()
            raise
        sync_folder(path.parent)


def publish(path: Path, data: bytes, check: Callable[[Path], object] | None = None) -> None:
    """Write a small file: whole, or not at all; `check` as in `writing`."""
    with writing(path, check) as file:
        file.write(data)


def sweep(folder: Path) -> None:
    """Remove what writers that were killed left behind; call it while nobody else may write there."""
    for left in folder.rglob(f".*{_BEGUN}"):
        left.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on disk, where the system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def told(path: Path) -> Iterator[None]:
    """The system's errors as ours."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise DiskFull(
                f"the disk is full: {path} was not written", hint="Free some space; what was there before is as it was"
            ) from None
        raise StoreError(f"{path} could not be used: {error.strerror or error}", hint="Give another path") from None
