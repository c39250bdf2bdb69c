"""Runs of notebooks: checked before anything starts, told when a cell fails."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

import kalshi_lab as kl
from kalshi_lab import __main__
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


TYPES = "n = 1\nrate = 0.5\non = False\nname = ''\nalso = ['a']"


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"n": "two"}, "int, like 1"),
        ({"n": True}, "int, like 1"),
        ({"rate": "0.5"}, "float, like 0.5"),
        ({"on": 1}, "bool, like False"),
        ({"name": 7}, "str, like ''"),
        ({"also": "b"}, "list, like"),
        ({"also": [1]}, "list, like"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_before_anything_runs(
    shelf: Path, wrong: dict[str, object], expected: str
) -> None:
    """What type is expected is said, and not even the folder is made."""
    notebook(shelf / "typed.ipynb", TYPES, "print(n)")
    with pytest.raises(UsageError, match=expected):
        kl.run_notebook("typed", wrong, out=shelf / "out")
    assert not (shelf / "out").exists()


def test_a_run_stays_in_its_folder(shelf: Path) -> None:
    """A name cannot leave the notebooks' folder, the source is never overwritten, and a link at the target is not followed."""
    notebook(shelf / "small.ipynb", "n = 1", "print(n)")
    elsewhere = shelf / "elsewhere"
    elsewhere.write_text("mine")
    (shelf / "out").mkdir()
    (shelf / "out" / "small.ipynb").symlink_to(elsewhere)
    before = (shelf / "small.ipynb").read_bytes()
    for name, out in (("../small", "there"), ("/etc/passwd", "there"), ("small", "out"), ("small", ".")):
        with pytest.raises(UsageError):
            kl.run_notebook(name, out=shelf / out)
    assert (shelf / "small.ipynb").read_bytes() == before
    assert elsewhere.read_text() == "mine"
    with pytest.raises(UsageError, match="n given twice"):
        kl.run_notebook("small", {"n": 1}, n=2, out=shelf / "there")


def test_a_run_tells_its_conclusion_also_where_a_loop_runs(shelf: Path) -> None:
    """As in a notebook's kernel: parameters arrive, the text printed last is the conclusion, its markup is escaped."""
    notebook(shelf / "small.ipynb", TYPES, "print('first')", "print('<b>', n + 1, rate, also, name, '</b>')")

    async def inside() -> kl.NotebookRun:
        return kl.run_notebook("small", {"n": 4}, rate=2, also=["x"], name="y", out=shelf / "out", progress=False)

    ran = asyncio.run(inside())
    assert ran.conclusion == "<b> 5 2 ['x'] y </b>"
    assert ran.path == shelf / "out" / "small.ipynb"
    assert ran.seconds > 0
    assert "&lt;b&gt; 5 2" in ran._repr_html_()
    assert "<b>" not in ran._repr_html_()


def test_the_command_runs_a_notebook_and_says_how_it_ended(shelf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """0 and one line for a run, with a page that fetches nothing; 2 for a wrong word, 1 for a failed cell."""
    notebook(shelf / "small.ipynb", TYPES, "print(10 // n, name, on, '<script>')")
    out = ["--out", str(shelf / "out")]
    assert __main__.main(["run", "small", "-p", "n", "5", "-p", "name", "7", "-p", "on", "True", *out, "--html"]) == 0
    page = (shelf / "out" / "small.html").read_text("utf-8")
    assert capsys.readouterr().out.count("\n") == 1
    assert "2 7 True &lt;script&gt;" in page
    assert "<script" not in page
    assert "default-src 'none'" in page
    for words in (["small", "-p", "nn", "5"], ["small", "-p", "n", "five"], ["smal"], ["small", "-p", "on", "yes"]):
        assert __main__.main(["run", *words, *out]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert __main__.main(["run", "small", "-p", "n", "0", *out]) == 1
    assert "ZeroDivisionError" in capsys.readouterr().err
