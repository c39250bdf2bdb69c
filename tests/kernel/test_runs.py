"""A notebook that runs another one: from a cell of a real kernel, blocking, in a thread, and failing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.kernel.conftest import Notebook

SOURCE = "import kalshi_lab as kl\nwith kl.Lab('sim', base_url=base_url, home=home) as lab:\n    print(lab.status(), 10 // n)"


@pytest.fixture
def desk(kernel: Notebook, tmp_path: Path) -> Notebook:
    """The kernel, with a shelf of one small notebook, and where to put what was executed."""
    cells = [
        {
            "cell_type": "code",
            "id": "a",
            "metadata": {"tags": ["parameters"]},
            "source": "base_url = ''\nhome = ''\nn = 1",
        },
        {"cell_type": "code", "id": "b", "metadata": {}, "source": SOURCE},
    ]
    made = [{**cell, "execution_count": None, "outputs": []} for cell in cells]
    spec = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    notebook = {"cells": made, "metadata": spec, "nbformat": 4, "nbformat_minor": 5}
    (tmp_path / "small.ipynb").write_text(json.dumps(notebook), "utf-8")
    code = (
        f"import pathlib\nfrom kalshi_lab.notebook import runs\nshelf = pathlib.Path({str(tmp_path)!r})\nruns.folder = lambda: shelf\n"
        "words = {'base_url': lab.simulated.url, 'home': str(shelf / 'home')}\nout = shelf / 'out'"
    )
    assert kernel.run(code).error == ""
    return kernel


@pytest.mark.long
def test_a_cell_runs_a_notebook_and_goes_on(desk: Notebook) -> None:
    """A run blocks its cell, shows its progress there and nothing else, leaves the lab as it was, and shows itself."""
    cell = desk.run("ran = kl.run_notebook('small', words, n=5, out=out)\nran")
    assert (cell.error, cell.message) == ("", "")
    assert "Warning" not in cell.said
    assert "<ExchangeStatus up, trading on> 2" in cell.shown[-1]["text/plain"] + cell.shown[-1]["text/html"].replace(
        "&lt;", "<"
    ).replace("&gt;", ">")
    assert desk.run("print(lab.status()); await asyncio.sleep(0)").said.strip() == "<ExchangeStatus up, trading on>"


@pytest.mark.long
def test_a_run_in_a_thread_lets_other_cells_work_go_on(desk: Notebook) -> None:
    """`await asyncio.to_thread(kl.run_notebook, ...)` blocks nothing: a task of the kernel's loop beats meanwhile."""
    code = (
        "beats = []\nasync def beat():\n    while True:\n        beats.append(1); await asyncio.sleep(0.01)\n"
        "task = asyncio.ensure_future(beat())\n"
        "ran = await asyncio.to_thread(kl.run_notebook, 'small', words, out=out, progress=False)\n"
        "task.cancel()\nprint(ran.conclusion, len(beats) > 20)"
    )
    cell = desk.run(code)
    assert (cell.error, cell.said.strip()) == ("", "<ExchangeStatus up, trading on> 10 True")


@pytest.mark.long
def test_a_failed_run_is_one_error_in_its_cell(desk: Notebook) -> None:
    """F32: the cell that ran the notebook ends with the error of the cell that failed, and the next cell works."""
    cell = desk.run("kl.run_notebook('small', words, n=0, out=out, progress=False)")
    assert cell.error == "LabError"
    assert "small.ipynb, cell 2 failed: ZeroDivisionError" in cell.message
    assert "What ran is in" in cell.message
    assert desk.run("kl.run_notebook('small', words, n='x', out=out)").error == "UsageError"
    assert desk.run("print(lab.status())").said.strip() == "<ExchangeStatus up, trading on>"


def test_frames_are_polars_in_utc_and_what_was_cut_is_told(kernel: Notebook) -> None:
    """Section 4 (7): one kind of frame, one kind of time, and a listing that was cut says that there was more."""
    code = (
        "frame = lab.markets(limit=3)\nimport polars as pl\n"
        "times = [kind for kind in frame.dtypes if isinstance(kind, pl.Datetime)]\n"
        "pages = lab.kalshi.markets.list(limit=3); cut = pages.frame().height\n"
        "print(type(frame).__module__.split('.')[0], {one.time_zone for one in times}, len(times) > 3, cut, pages.truncated)"
    )
    cell = kernel.run(code)
    assert (cell.error, cell.said.strip()) == ("", "polars {'UTC'} True 3 True")
