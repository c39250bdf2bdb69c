"""One execution of a notebook: in a kernel of its own, to its end or to what stopped it, and kept whole either way."""

from __future__ import annotations

import json
import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kalshi_lab.errors import LabError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
_QUIET = ["--IPKernelApp.log_level=40"]  # a kernel on loopback need not warn of eavesdroppers
INJECTED, MARKER = "injected-parameters", "papermill-error-cell-tag"
KERNEL = 'pip install "kalshi_lab[notebook]" into the environment that runs this'


def execute(
    source: Path,
    target: Path,
    parameters: Mapping[str, Any],
    *,
    kernel: str = "python3",
    progress: bool = True,
    timeout: float | None = None,
) -> None:
    """Execute a notebook in a fresh kernel; `target` is replaced in one step once it ended, well or not.

    timeout: seconds that one cell may take. Raises LabError with the cell and its error where one failed, took too long, or the kernel
    died; what ran is kept then too, under a first cell that says so. Where no kernel could be started nothing is kept.
    """
    engine = papermill()
    with tempfile.TemporaryDirectory(prefix=f".{source.stem}-", dir=target.parent) as folder:
        part = Path(folder) / source.name
        problem = "it was stopped"
        try:
            engine.execute_notebook(
                str(source), str(part), dict(parameters), kernel_name=kernel, progress_bar=progress, cwd=str(target.parent),
                extra_arguments=_QUIET, execution_timeout=timeout,
            )  # fmt: skip
            problem = ""
        except engine.exceptions.PapermillExecutionError as error:
            problem = re.sub(r"\x1b\[[0-9;]*m", "", f"{error.ename}: {error.evalue}").removesuffix(": ")
        except (OSError, RuntimeError, LookupError) as error:
            problem = _told(error, timeout)
        finally:
            place = _kept(part, target, problem)
    if problem:
        where = f"{source.name}, cell {place} failed" if place else f"{source.name} could not be run"
        raise LabError(f"{where}: {problem}", hint=f"What ran is in {target}" if place else KERNEL) from None


def _told(error: Exception, timeout: float | None) -> str:
    """What happened to a kernel that gave no answer."""
    kind = type(error).__name__
    if kind == "NoSuchKernel":
        return "this environment has no kernel for Python"
    if kind == "DeadKernelError":
        return "the kernel died: out of memory, or ended from outside"
    if kind == "CellTimeoutError":
        return f"it took longer than {timeout:g} seconds"
    return f"{kind}: {error}"


def _kept(part: Path, target: Path, problem: str) -> int | None:
    """Put what ran in its place; the number of the cell that it ended in, as the library's notebook counts, None where none began."""
    if not part.exists():
        return None
    notebook = json.loads(part.read_text("utf-8"))
    cells = [cell for cell in notebook["cells"] if MARKER not in cell["metadata"].get("tags", [])]
    begun = [cell for cell in cells if cell["metadata"].get("papermill", {}).get("start_time")]
    if problem and not begun:
        return None
    failed = [cell for cell in begun if cell["metadata"]["papermill"].get("exception")] or begun[-1:]
    own = [cell for cell in cells if INJECTED not in cell["metadata"].get("tags", [])]
    last = next((place for place, cell in enumerate(own, 1) if failed and cell is failed[0]), 1)
    if problem:
        words = f"# This run failed\n\nIts cell {last} ended with `{problem}`. What ran before is below; what comes after it did not run."
        told = {"cell_type": "markdown", "id": "failed", "metadata": {"tags": [MARKER]}, "source": words}
        notebook["metadata"]["kalshi_lab"] = {"state": "failed", "cell": last, "error": problem}
        cells.insert(0, told)
    notebook["cells"] = cells
    write(target, json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")
    return last


def write(target: Path, text: str) -> None:
    """Write a file whole or not at all."""
    handle, name = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        umask = os.umask(0)
        os.umask(umask)
        Path(name).chmod(0o666 & ~umask)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def papermill() -> Any:
    """The library that runs notebooks; UsageError where it is not installed."""
    try:
        import papermill
    except ImportError:
        raise UsageError("running notebooks needs papermill", hint='pip install "kalshi_lab[demo]"') from None
    return papermill
