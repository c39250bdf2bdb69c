"""Runs of notebooks: checked before anything starts, told when a cell fails."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from kalshi_lab.errors import LabError, UsageError
from kalshi_lab.notebook import report, runs

if TYPE_CHECKING:
    from pathlib import Path


def notebook(path: Path, *sources: str) -> Path:
    """A notebook whose first cell declares the parameters."""
    cells = [
        {
            "cell_type": "code",
            "id": f"c{place}",
            "metadata": {"tags": ["parameters"]} if place == 0 else {},
            "execution_count": None,
            "outputs": [],
            "source": source,
        }
        for place, source in enumerate(sources)
    ]
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    path.write_text(json.dumps({"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}), "utf-8")
    return path


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of notebooks of this test's own."""
    monkeypatch.setattr(runs, "folder", lambda: tmp_path)
    return tmp_path


def test_a_notebook_that_does_not_exist_is_refused() -> None:
    """A misspelt notebook gets the nearest name."""
    with pytest.raises(UsageError, match=r"unknown notebook '01_calibraton'\. Did you mean '01_calibration'"):
        runs.named("01_calibraton")


def test_a_parameter_that_is_not_declared_is_refused(shelf: Path, tmp_path: Path) -> None:
    """A parameter that the notebook does not declare stops the run before it starts; code in a name is no parameter."""
    notebook(shelf / "small.ipynb", "series = 'KXHIGHNY'", "print(series)")
    for name in ("serie", "a=1;import os;b"):
        with pytest.raises(UsageError, match="unknown parameter"):
            runs.run("small", tmp_path / "out", {name: "x"})
    assert not (tmp_path / "out").exists()


def test_a_failed_cell_is_told_with_its_error(shelf: Path) -> None:
    """A cell that fails ends the run with its error, and what ran is kept."""
    notebook(shelf / "bad.ipynb", "n = 1", "n / 0")
    out = shelf / "out"
    out.mkdir()
    with pytest.raises(LabError, match=r"bad\.ipynb, cell \d+ failed: ZeroDivisionError: division by zero"):
        runs.run("bad", out, {"n": 2}, progress=False)
    assert "ZeroDivisionError" in (out / "bad.ipynb").read_text("utf-8")


def test_text_of_a_notebook_is_shown_not_obeyed(tmp_path: Path) -> None:
    """Words and plain outputs of a notebook cannot become markup of the page."""
    evil = "<img src=x onerror=alert(1)>"
    cells = [
        {"cell_type": "markdown", "source": f"# {evil}\n\n{evil}"},
        {"cell_type": "code", "source": "", "outputs": [{"output_type": "stream", "name": "stdout", "text": evil}]},
    ]
    executed = tmp_path / "n.ipynb"
    executed.write_text(json.dumps({"cells": cells}), "utf-8")
    assert report.write(tmp_path / "page.html", evil, {evil: evil}, [executed]) == 0
    assert "<img" not in (tmp_path / "page.html").read_text("utf-8")
