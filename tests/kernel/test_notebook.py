"""The lab in a real kernel: calls inside a running loop, the stop button, and what the notebook shows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from kalshi_lab.sim import Exchange
    from tests.kernel.conftest import Notebook

UP = "<ExchangeStatus up, trading on>"


@pytest.mark.parametrize(
    "code",
    [
        "print(lab.status())",
        "async def ask():\n    return lab.status()\nprint(await ask())",
        "async def ask():\n    return await asyncio.to_thread(lab.status)\nprint(await ask())",
        "async def ask():\n    return (await asyncio.gather(*(asyncio.to_thread(lab.status) for _ in range(4))))[3]\nprint(await ask())",
        "print(await alab.status())",
        (
            "import threading\nfound = []\nthread = threading.Thread(target=lambda: found.append(lab.status()))\n"
            "thread.start(); thread.join(); print(found[0])"
        ),
        "print(kl.run_here(alab.status()))",
        "async def ask():\n    return kl.run_here(alab.status())\nprint(await ask())",
    ],
    ids=["cell", "coroutine", "to_thread", "threads", "awaited", "thread", "run_here", "run_here in a coroutine"],
)
def test_calls_work_wherever_they_are_made(kernel: Notebook, code: str) -> None:
    """A blocking call works in a cell, a coroutine and a thread although the kernel's loop is running; run_here serves an AsyncLab."""
    cell = kernel.run(code)
    assert (cell.error, cell.said.strip()) == ("", UP)


def test_the_cell_goes_on_after_run_here(kernel: Notebook) -> None:
    """run_here leaves the kernel's loop as it was: other tasks went on, and later cells await as before."""
    code = "beats = []\nasync def beat():\n    for _ in range(5):\n        beats.append(1); await asyncio.sleep(0.01)\n"
    cell = kernel.run(code + "task = asyncio.ensure_future(beat())\nkl.run_here(asyncio.sleep(0.2))\nprint(len(beats))")
    assert (cell.error, cell.said.strip()) == ("", "5")
    assert kernel.run("await asyncio.sleep(0); print('on')").said.strip() == "on"


@pytest.mark.parametrize(
    "code", ["lab.status()", "lab.sync('series', progress=False)", "lab.snapshot(progress=False)", "lab.markets()"]
)
def test_the_stop_button_ends_a_call(kernel: Notebook, simulated: Exchange, code: str) -> None:
    """A call that waits for the exchange ends at once, not with the answer after 30 s, and the next cell's call works."""
    simulated.faults("*", "slow", seconds=30.0, times=1)
    cell = kernel.run(code, interrupt_after=0.7)
    simulated.faults()
    assert (cell.error, cell.seconds < 10) == ("KeyboardInterrupt", True), (cell, code)
    assert kernel.run("print(lab.status())").said.strip() == UP
    assert kernel.run(f"done = {code}; print('worked')").said.strip() == "worked"


def test_the_stop_button_ends_a_query(kernel: Notebook) -> None:
    """A query that would run for hours ends at once, and the next query works."""
    assert kernel.run("print(lab.sql('SELECT 1 AS n').item())").said.strip() == "1"
    cell = kernel.run("lab.sql('SELECT count(*) FROM range(10000000) a, range(10000000) b')", interrupt_after=0.7)
    assert (cell.error, cell.seconds < 10) == ("KeyboardInterrupt", True), cell
    assert kernel.run("print(lab.sql('SELECT 2 AS n').item())").said.strip() == "2"
    assert kernel.run("print(lab.sync('series', progress=False).received)").said.strip() == "14"


def test_inspection_shows_parameters_and_words(kernel: Notebook) -> None:
    """Shift-tab on a verb shows its parameters with their defaults, and its docstring."""
    shown = re.sub(r"\x1b\[[0-9;]*m", "", kernel.inspected("lab.markets"))
    assert "Signature:" in shown
    for word in ("status", "'open'", "series", "combos", "exact", "Markets as they stand now", "Float64 dollars"):
        assert word in shown
    assert "self" not in shown.split("Docstring")[0]
    assert "P.args" not in shown
    assert "Bring a dataset into the store" in kernel.inspected("lab.sync")


def test_a_failure_is_short_and_names_its_request(kernel: Notebook, simulated: Exchange) -> None:
    """The last line of a failure says what failed and which request it was, which `lab.stats()` counts."""
    simulated.faults("/exchange/status", "status", status=404, times=1)
    cell = kernel.run("lab.status()")
    assert cell.error == "NotFound", cell
    assert "/exchange/status" in cell.message
    assert (
        kernel.run("print(lab.stats().filter(operation='get_exchange_status')['failures'][0] > 0)").said.strip()
        == "True"
    )


def test_objects_show_themselves(kernel: Notebook) -> None:
    """A cell that ends in an object shows it as HTML and as text."""
    for code in (
        "lab",
        "lab.status()",
        "lab.markets(limit=2)",
        "lab.sync('series', progress=False)",
        "lab.snapshot(progress=False)",
    ):
        (shown,) = kernel.run(code).shown
        assert {"text/plain", "text/html"} <= set(shown), code


def test_a_bar_is_shown_in_the_cell_that_syncs(kernel: Notebook) -> None:
    """Long work shows its progress in its own cell, also when other cells used the lab before, and warns of nothing."""
    cell = kernel.run("done = lab.sync('series')")
    assert cell.error == ""
    assert "sync series" in cell.said or cell.shown
    assert "Warning" not in cell.said
    assert kernel.run("print('quiet')").said.strip() == "quiet"


def test_the_last_failure_is_explained_in_the_next_cell(kernel: Notebook) -> None:
    """`kl.explain()` needs no name for the error of the cell before, and shows the advice as HTML."""
    assert kernel.run("lab.one_series('KXNOSUCH')").error == "NotFound"
    shown = kernel.run("kl.explain()")
    assert shown.error == ""
    (data,) = shown.shown
    assert set(data) == {"text/plain", "text/html"}
    assert "The exchange does not know this ticker or id" in data["text/plain"]
