"""Runs of the library's notebooks: a fresh kernel, checked parameters, the executed notebook kept."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kalshi_lab.errors import LabError, UsageError, unknown

if TYPE_CHECKING:
    from collections.abc import Mapping
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


def run(name: str, out: Path, parameters: Mapping[str, Any], *, progress: bool = True) -> Path:
    """Execute a notebook with parameters in a fresh kernel and keep the result as `out/<name>.ipynb`; its path.

    Raises UsageError for a parameter that the notebook does not declare and for a folder with braces in its name, before anything runs,
    and LabError for a cell that fails, with what it said; the executed part is kept then too.
    """
    papermill = _papermill()
    source = named(name)
    declared = papermill.inspect_notebook(str(source))
    for parameter in parameters:
        if parameter not in declared:
            raise unknown("parameter", parameter, declared)
    if {"{", "}"} & set(str(out)):
        raise UsageError(f"the folder {out} has braces in its name", hint="They would be filled in with parameters")
    out.mkdir(parents=True, exist_ok=True)
    target = out / source.name
    try:
        papermill.execute_notebook(
            str(source),
            str(target),
            dict(parameters),
            kernel_name="python3",
            progress_bar=progress,
            cwd=str(out),
            extra_arguments=_QUIET,
        )
    except papermill.exceptions.PapermillExecutionError as error:
        said = re.sub(r"\x1b\[[0-9;]*m", "", f"{error.ename}: {error.evalue}")
        raise LabError(
            f"{source.name}, cell {error.exec_count} failed: {said}", hint=f"What ran is in {target}"
        ) from None
    return target


def _papermill() -> Any:
    try:
        import papermill
    except ImportError:
        raise UsageError("running notebooks needs papermill", hint='pip install "kalshi_lab[demo]"') from None
    return papermill
