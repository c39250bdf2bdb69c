"""Runs of the library's notebooks: a fresh kernel, checked parameters, the executed notebook kept."""

from __future__ import annotations

import ast
import base64
import json
import time
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kalshi_lab import markup
from kalshi_lab.clock import span
from kalshi_lab.errors import LabError, UsageError, unknown
from kalshi_lab.notebook import execution, report

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import timedelta


def folder() -> Path:
    """Where the notebooks are: inside the installed package, or beside it in a checkout."""
    installed = Path(str(resources.files("kalshi_lab"))) / "notebooks"
    return installed if installed.is_dir() else installed.parent.parent / "notebooks"


def named(name: str) -> Path:
    """The notebook of a name, with or without its suffix; UsageError with the nearest where there is none."""
    known = {path.stem: path for path in sorted(folder().glob("*.ipynb"))}
    stem = name.removesuffix(".ipynb")
    if stem not in known:
        raise unknown("notebook", stem, known)
    return known[stem]


@dataclass(frozen=True)
class NotebookRun:
    """A notebook that ran to its end.

    `path` of what was executed, `page` where one was asked for, `seconds` it took,
    `conclusion` (the text printed last, "" where none was) and `pictures` (PNG, in their order).
    """

    path: Path
    seconds: float
    conclusion: str
    pictures: tuple[bytes, ...] = field(repr=False)
    page: Path | None = None

    def _repr_html_(self) -> str:
        facts = {"notebook": self.path, "page": self.page, "seconds": f"{self.seconds:.1f}"}
        shown = [markup.png(one, f"picture {place}") for place, one in enumerate(self.pictures, 1)]
        told = {name: value for name, value in facts.items() if value is not None}
        return markup.card(self.path.stem, told, markup.tag("pre", self.conclusion), *shown)


def run_notebook(
    notebook: str,
    parameters: Mapping[str, Any] | None = None,
    /,
    *,
    out: str | Path,
    html: bool = False,
    progress: bool = True,
    timeout: timedelta | str | None = None,
    **named_parameters: Any,
) -> NotebookRun:
    """Run one of the library's notebooks in a fresh kernel and keep it as `out/<notebook>.ipynb`; with `html`, a page beside it.

    Parameters come as a mapping, as keywords, or both; which there are stands in the notebook's first cell (one that has the name of a
    word here goes into the mapping). It blocks, also inside a running kernel; `await asyncio.to_thread(kl.run_notebook, ...)` does not.
    timeout: what one cell may take at most ("30m"; None: for ever). A page holds words, tables and pictures, runs no script and fetches
    nothing. An earlier run in the folder is replaced, in one step; any other file of that name is left alone, with a UsageError.

    Raises UsageError before anything runs (an unknown notebook or parameter, a value of another type than the default has, a parameter
    given twice, a folder that cannot be used), and LabError for a cell that fails or takes too long, a kernel that dies or is not there:
    with the cell, its error, and where what ran is kept, marked as failed (the page, too).
    """
    twice = sorted(set(parameters or {}) & set(named_parameters))
    if twice:
        raise UsageError(f"{', '.join(twice)} given twice", hint="Once, in the mapping or as a keyword")
    began = time.monotonic()
    given = {**(parameters or {}), **named_parameters}
    path = run(notebook, Path(out), given, progress=progress, html=html, timeout=timeout)
    cells = json.loads(path.read_text("utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    printed = ["".join(one["text"]) for one in outputs if one.get("name") == "stdout"]
    drawn = ["".join(one["data"]["image/png"]) for one in outputs if "image/png" in one.get("data", {})]
    page = path.with_suffix(".html") if html else None
    conclusion = printed[-1].strip() if printed else ""
    return NotebookRun(path, time.monotonic() - began, conclusion, tuple(map(base64.b64decode, drawn)), page)


def run(
    name: str,
    out: Path,
    parameters: Mapping[str, Any],
    *,
    progress: bool = True,
    html: bool = False,
    timeout: timedelta | str | None = None,
) -> Path:
    """Execute a notebook with parameters in a fresh kernel and keep the result as `out/<name>.ipynb`; its path.

    See `run_notebook` for what is refused before anything runs, and for what a failure leaves.
    """
    source = named(name)
    declared = defaults(source)
    for parameter, value in parameters.items():
        if parameter not in declared:
            raise unknown("parameter", parameter, declared)
        _check(parameter, value, declared.get(parameter))
    seconds = None if timeout is None else span(timeout, what="timeout").total_seconds()
    target = _target(source, out)
    page = _own(target.with_suffix(".html"), report.POLICY) if html else None
    try:
        execution.execute(source, target, parameters, progress=progress, timeout=seconds)
    except LabError:
        if page is not None and target.exists():
            report.write(page, target.stem, {}, [target])
        raise
    if page is not None:
        report.write(page, target.stem, {}, [target])
    return target


def _target(source: Path, out: Path) -> Path:
    """Where the executed notebook is kept, in a folder that is made if need be."""
    if {"{", "}"} & set(str(out)):
        raise UsageError(f"the folder {out} has braces in its name", hint="They would be filled in with parameters")
    out = out.expanduser().resolve()
    if out / source.name == source.resolve():
        raise UsageError(f"{source} is the notebook itself", hint="Choose another folder for the executed one")
    target = _own(out / source.name, '"papermill"')
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"the folder {out} cannot be used: {error.strerror}", hint="Choose another one") from None
    return target


def defaults(source: Path) -> dict[str, Any]:
    """The parameters of a notebook with their defaults; None for a default that is no plain value."""
    found = execution.papermill().inspect_notebook(str(source))
    return {name: _plain(one["default"]) for name, one in found.items()}


def read(name: str, given: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Parameters of a notebook from the words of a command line, each of the type of its default; UsageError where it is not."""
    declared = defaults(named(name))
    parameters: dict[str, Any] = {}
    for parameter, word in given:
        if parameter not in declared:
            raise unknown("parameter", parameter, declared)
        if parameter in parameters:
            raise UsageError(f"{parameter} given twice", hint="Once")
        value = word if isinstance(declared[parameter], str) else _plain(word)
        parameters[parameter] = word if value is None else value
    return parameters


def _plain(text: str) -> Any:
    """The value that a literal stands for; None for anything else."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return None


def _check(parameter: str, value: object, default: object) -> None:
    """Refuse a value of another type than the default; a whole number is as good as one with a point."""
    kinds = (int, float) if isinstance(default, float) else (type(default),)
    fits = default is None or type(value) in kinds
    if fits and isinstance(value, list) and isinstance(default, list) and default:
        fits = all(type(one) is type(default[0]) for one in value)
    if not fits:
        wanted = f"{type(default).__name__}, like {default!r}"
        raise UsageError(
            f"parameter {parameter} is {value!r}, of type {type(value).__name__}", hint=f"Expected: {wanted}"
        )


def _own(path: Path, sign: str) -> Path:
    """A place in the folder that was asked for: free, or held by an earlier run, which its sign tells; no link to another."""
    if path.is_symlink():
        raise UsageError(f"{path} is a link to somewhere else", hint="Remove it, or choose another folder")
    if path.exists() and not (path.is_file() and sign in path.read_text("utf-8", errors="replace")):
        raise UsageError(f"{path} is there and no earlier run", hint="Move it away, or choose another folder")
    return path
