"""Runs of notebooks: checked before anything starts, told when a cell fails."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any

import pytest

import kalshi_lab as kl
from kalshi_lab import __main__
from kalshi_lab.errors import LabError, UsageError
from kalshi_lab.notebook import execution, report, runs

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


def kept(path: Path) -> dict[str, Any]:
    """An executed notebook that is whole, in a folder that holds nothing unfinished."""
    assert [one.name for one in path.parent.iterdir() if one.name.startswith(".")] == []
    return json.loads(path.read_text("utf-8"))


FAILURES = [
    ("print('begun')\n1 / 0", "ZeroDivisionError: division by zero"),
    ("print('begun', flush=True)\nimport os, time\ntime.sleep(1)\nos.kill(os.getpid(), 9)", "the kernel died"),
    ("print('begun', flush=True)\nimport time\ntime.sleep(60)", "it took longer than 4 seconds"),
]


@pytest.mark.parametrize(("code", "told"), FAILURES, ids=["error", "death", "timeout"])
def test_what_ran_before_a_failure_is_kept_and_marked(shelf: Path, code: str, told: str) -> None:
    """F32: a cell error, a dead kernel and a cell without end are one error each, with the cell; what ran is kept, whole and marked."""
    notebook(shelf / "bad.ipynb", "n = 1", "print(n)", code, "print('never')")
    with pytest.raises(LabError, match=rf"bad\.ipynb, cell 3 failed: {told}.*What ran is in .*bad\.ipynb") as raised:
        kl.run_notebook("bad", n=7, out=shelf / "out", html=True, progress=False, timeout="4s")
    assert not isinstance(raised.value, UsageError)
    executed = kept(shelf / "out" / "bad.ipynb")
    first, *others = executed["cells"]
    assert "This run failed" in first["source"]
    assert "cell 3" in first["source"]
    assert executed["metadata"]["kalshi_lab"]["state"] == "failed"
    shown = json.dumps([one.get("outputs") for one in others])
    assert "7" in shown
    assert "begun" in shown
    assert "never" not in shown
    assert "This run failed" in (shelf / "out" / "bad.html").read_text("utf-8")


def test_a_failure_leaves_no_mark_on_the_next_run(shelf: Path) -> None:
    """F32: a later run that goes well replaces what the failure left."""
    notebook(shelf / "bad.ipynb", "n = 0", "print(10 // n)")
    with pytest.raises(LabError, match="ZeroDivisionError"):
        kl.run_notebook("bad", out=shelf / "out", progress=False)
    assert kl.run_notebook("bad", n=2, out=shelf / "out", progress=False).conclusion == "5"
    assert "failed" not in json.dumps(kept(shelf / "out" / "bad.ipynb"))


def test_a_missing_kernel_is_told_before_anything_is_kept(shelf: Path) -> None:
    """F32: where no kernel can be started the error says how to get one, and an earlier run stays as it was."""
    source = notebook(shelf / "small.ipynb", "n = 1", "print(n)")
    target = shelf / "out" / "small.ipynb"
    target.parent.mkdir()
    target.write_text('{"papermill": "earlier"}')
    with pytest.raises(LabError, match=r"small\.ipynb could not be run: this environment has no kernel.*pip install"):
        execution.execute(source, target, {}, kernel="no-such-kernel", progress=False)
    assert kept(target) == {"papermill": "earlier"}


def test_a_file_that_is_no_earlier_run_is_left_alone(shelf: Path) -> None:
    """Only what a run left is replaced by a run: neither another notebook of that name nor another page is."""
    notebook(shelf / "small.ipynb", "n = 1", "print(n)")
    (shelf / "out").mkdir()
    for name in ("small.ipynb", "small.html"):
        (shelf / "out" / name).write_text("mine")
        with pytest.raises(UsageError, match=rf"{name} is there and no earlier run"):
            kl.run_notebook("small", out=shelf / "out", html=True, progress=False)
        assert (shelf / "out" / name).read_text() == "mine"
        (shelf / "out" / name).unlink()


EVIL = """<table border="1" class="x"><tr onclick="x()"><td style="color:red">a &lt;b&gt;<td>two</table></body>
<script>alert(1)</script><style>body{display:none}</style><img src="https://evil.example/x.png" onerror="alert(2)">
<meta http-equiv="refresh" content="0;url=https://evil.example"><base href="https://evil.example/">
<iframe srcdoc="<script>alert(3)</script>"></iframe><form action="https://evil.example"><input name="password"></form>
<a href="javascript:alert(4)">link</a><svg onload="alert(5)"><text>six</text></svg><div style="position:fixed;top:0">over</div>
<div style="background:url(https://evil.example)">under</div><!--[if IE]><script>alert(7)</script><![endif]--><b><i>open"""


def test_markup_of_a_cell_is_built_anew_on_the_page(tmp_path: Path) -> None:
    """Of what a cell showed as HTML, words and tables stay; scripts, forms, frames, addresses and what would cover the page do not."""
    cell = {
        "cell_type": "code",
        "source": "",
        "outputs": [{"output_type": "display_data", "data": {"text/html": EVIL}}],
    }
    after = {"cell_type": "markdown", "source": "the end"}
    executed = tmp_path / "n.ipynb"
    executed.write_text(json.dumps({"cells": [cell, after]}), "utf-8")
    report.write(tmp_path / "page.html", "page", {}, [executed])
    page = (tmp_path / "page.html").read_text("utf-8")
    body = page.partition("<h1>")[2]
    for word in (
        "alert",
        "evil.example",
        "<script",
        "<style",
        "<iframe",
        "<form",
        "<input",
        "<svg",
        "<meta",
        "<base",
        "onclick",
        "fixed",
    ):
        assert word not in body, word
    for word in (
        '<table border="1">',
        '<td style="color:red">a &lt;b&gt;',
        "<td>two",
        "over",
        "link",
        "<b><i>open</i></b><p>the end</p>",
    ):
        assert word in body, word
    assert page.count("</body>") == 1
    assert "form-action 'none'" in page


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


@pytest.mark.long
def test_cron_hears_of_failures_alone(shelf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--quiet is silent where it went well; the log has a line for each run with its code, and what cannot be written is told."""
    notebook(shelf / "small.ipynb", "n = 1", "print(10 // n)")
    out, log = ["--out", str(shelf / "out"), "--quiet"], shelf / "runs.log"
    assert __main__.main(["run", "small", *out, "--log", str(log)]) == 0
    assert capsys.readouterr() == ("", "")
    assert __main__.main(["run", "small", "-p", "n", "0", *out, "--log", str(log)]) == 1
    assert __main__.main(["run", "small", "-p", "m", "0", *out, "--log", str(log), "--timeout", "30m"]) == 2
    assert capsys.readouterr().err.count("\n") == 2
    lines = log.read_text("utf-8").splitlines()
    assert [line.split()[1] for line in lines] == ["0", "1", "2"]
    assert re.match(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ 0 small ran in ", lines[0])
    assert "ZeroDivisionError" in lines[1]
    assert __main__.main(["run", "small", *out, "--log", str(shelf / "nowhere" / "runs.log")]) == 1
    assert "cannot be written" in capsys.readouterr().err
    assert __main__.main(["run", "small", *out, "--timeout", "soon"]) == 2
