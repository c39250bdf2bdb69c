"""Runs of the library's notebooks: a fresh kernel, checked parameters, the executed notebook kept."""

from __future__ import annotations

import ast
import base64
import json
import re
import time
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kalshi_lab import markup
from kalshi_lab.errors import LabError, UsageError, unknown
from kalshi_lab.notebook import report

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
_QUIET = ["--IPKernelApp.log_level=40"]  # a kernel on loopback need not warn of eavesdroppers


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
    **named_parameters: Any,
) -> NotebookRun:
    """Run one of the library's notebooks in a fresh kernel and keep it as `out/<notebook>.ipynb`; with `html`, a page beside it.

    Parameters come as a mapping, as keywords, or both; which there are stands in the notebook's first cell. It blocks, also inside
    a running kernel; `await asyncio.to_thread(kl.run_notebook, ...)` does not. A page holds words, tables and pictures, runs no
    script and fetches nothing. Raises UsageError before anything runs (an unknown notebook or parameter, a value of another type
    than the default has, a parameter given twice, a folder that cannot be used) and LabError for a cell that fails.
    """
    twice = sorted(set(parameters or {}) & set(named_parameters))
    if twice:
        raise UsageError(f"{', '.join(twice)} given twice", hint="Once, in the mapping or as a keyword")
    began = time.monotonic()
    path = run(notebook, Path(out), {**(parameters or {}), **named_parameters}, progress=progress)
    cells = json.loads(path.read_text("utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    printed = ["".join(one["text"]) for one in outputs if one.get("name") == "stdout"]
    drawn = ["".join(one["data"]["image/png"]) for one in outputs if "image/png" in one.get("data", {})]
    page = path.with_suffix(".html") if html else None
    if page is not None:
        report.write(_own(page), path.stem, {}, [path])
    conclusion = printed[-1].strip() if printed else ""
    return NotebookRun(path, time.monotonic() - began, conclusion, tuple(map(base64.b64decode, drawn)), page)


def run(name: str, out: Path, parameters: Mapping[str, Any], *, progress: bool = True) -> Path:
    """Execute a notebook with parameters in a fresh kernel and keep the result as `out/<name>.ipynb`; its path.

    Raises UsageError for a parameter that the notebook does not declare, for a value of another type than its default, and for a
    folder that cannot be used, before anything runs, and LabError for a cell that fails; the executed part is kept then too.
    """
    source = named(name)
    declared = defaults(source)
    for parameter, value in parameters.items():
        if parameter not in declared:
            raise unknown("parameter", parameter, declared)
        _check(parameter, value, declared.get(parameter))
    if {"{", "}"} & set(str(out)):
        raise UsageError(f"the folder {out} has braces in its name", hint="They would be filled in with parameters")
    out = out.expanduser().resolve()
    target = _own(out / source.name)
    if target == source.resolve():
        raise UsageError(f"{target} is the notebook itself", hint="Choose another folder for the executed one")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"the folder {out} cannot be used: {error.strerror}", hint="Choose another one") from None
    _execute(source, target, dict(parameters), progress)
    return target


def defaults(source: Path) -> dict[str, Any]:
    """The parameters of a notebook with their defaults; None for a default that is no plain value."""
    found = _papermill().inspect_notebook(str(source))
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


def _own(path: Path) -> Path:
    """A place in the folder that was asked for, and no link to another."""
    if path.is_symlink():
        raise UsageError(f"{path} is a link to somewhere else", hint="Remove it, or choose another folder")
    return path


def _execute(source: Path, target: Path, parameters: dict[str, Any], progress: bool) -> None:
    papermill = _papermill()
    try:
        papermill.execute_notebook(
            str(source),
            str(target),
            parameters,
            kernel_name="python3",
            progress_bar=progress,
            cwd=str(target.parent),
            extra_arguments=_QUIET,
        )
    except papermill.exceptions.PapermillExecutionError as error:
        said = re.sub(r"\x1b\[[0-9;]*m", "", f"{error.ename}: {error.evalue}")
        raise LabError(
            f"{source.name}, cell {error.exec_count} failed: {said}", hint=f"What ran is in {target}"
        ) from None


def _papermill() -> Any:
    try:
        import papermill
    except ImportError:
        raise UsageError("running notebooks needs papermill", hint='pip install "kalshi_lab[demo]"') from None
    return papermill
