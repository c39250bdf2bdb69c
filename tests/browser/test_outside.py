"""Panels where there is no JupyterLab: in a saved page without a kernel, and under voila."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import START, under_voila, visited

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
GALLERY = ("00_first_look", "05_thesis", "09_live")
LAST = {"00_first_look": "open markets in"}
CELLS = """() => window.jupyterapp.shell.currentWidget.content.widgets.filter(one => one.model.type === 'code').map(one => ({
  ran: one.model.executionCount !== null,
  error: one.model.outputs.toJSON().filter(out => out.output_type === 'error').map(out => out.evalue).join('; '),
}))"""
pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def test_a_saved_notebook_is_a_page_that_shows_the_panel(
    notebook: Any, server: tuple[str, Path], browser: Any, pictures: Path
) -> None:
    """A notebook that JupyterLab saved, exported without being run: markets stand in a table, and nothing is fetched to show them."""
    from nbconvert import HTMLExporter

    with notebook("saved", "panel = lab.panels.explorer()\npanel", "print(panel.table.window['rows'][0][0])") as page:
        page.run(1)
        page.page.locator(".kl-grid").first.wait_for(timeout=60_000)
        page.run(2)
        page.page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")
        page.page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty", timeout=60_000)
    path = server[1] / "saved.ipynb"
    ticker = json.loads(path.read_text())["cells"][2]["outputs"][0]["text"][0].strip()
    (server[1] / "saved.html").write_text(HTMLExporter(template_name="lab").from_filename(str(path))[0])
    shown = browser.new_page(viewport={"width": 1400, "height": 1000}, offline=True)
    shown.goto((server[1] / "saved.html").as_uri())
    shown.locator("table td", has_text=ticker).first.wait_for(timeout=60_000)
    assert shown.get_by_text("As it was when the cell ran").is_visible()
    shown.screenshot(path=pictures / "saved-page.png")
    shown.close()


def at_home(name: str, folder: Path) -> Path:
    """A notebook of the gallery whose store is in a folder of its own."""
    text = (NOTEBOOKS / f"{name}.ipynb").read_text()
    moved, times = re.subn(r'home = \\"\\"', lambda _: f'home = \\"{folder / name}\\"', text)
    assert times == 1
    path = folder / f"{name}.ipynb"
    path.write_text(moved)
    return path


PANELS = {
    "explorer": "lab.panels.explorer()",
    "alerts": "lab.panels.alerts()",
    "status": "lab.panels.status()",
    "thesis": "lab.panels.thesis()",
}


def test_panels_open_under_voila_and_answer(browser: Any, tmp_path: Path, pictures: Path) -> None:
    """A page of four panels, served by voila: all are drawn, a filter works, and the console has no error."""
    sources = [
        START,
        *PANELS.values(),
        "lab.panels.book(lab.markets(status='open').sort('volume', descending=True)['ticker'][0])",
    ]
    cells = [
        {"cell_type": "code", "id": f"c{n}", "source": text, "metadata": {}, "outputs": [], "execution_count": None}
        for n, text in enumerate(sources)
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    path = tmp_path / "panels.ipynb"
    path.write_text(json.dumps({"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}))
    with under_voila(path, browser, pictures) as page:
        page.page.wait_for_function("() => document.querySelectorAll('.kl-panel').length === 5", timeout=120_000)
        page.page.locator(".kl-row").first.wait_for(timeout=60_000)
        page.page.get_by_placeholder("words of the title or ticker").fill("zzzz")
        page.shows("0 of")
        page.page.get_by_placeholder("words of the title or ticker").fill("")
        page.shows("540 of 540")
        page.page.screenshot(path=pictures / "voila.png", full_page=True)
        assert page.refused == []
        assert page.known_errors == []


@pytest.mark.parametrize("name", GALLERY)
def test_a_notebook_of_the_gallery_runs_in_jupyterlab(
    server: tuple[str, Path], browser: Any, pictures: Path, name: str
) -> None:
    """Run from its first cell to its last: each has run, none shows an error, and the console has none of ours."""
    at_home(name, server[1])
    with visited(server[0], name, browser, pictures) as page:
        assert page.page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')") is not False
        cells = page.page.evaluate(CELLS)
        assert [one["error"] for one in cells if one["error"]] == []
        assert all(one["ran"] for one in cells)
        assert page.ours == []
        page.picture(f"gallery-{name}")


@pytest.mark.parametrize("name", GALLERY[:1])
def test_a_notebook_of_the_gallery_is_a_page_of_voila(browser: Any, tmp_path: Path, pictures: Path, name: str) -> None:
    """Every cell has run when the page is there, and none failed."""
    with under_voila(at_home(name, tmp_path), browser, pictures) as page:
        page.page.locator("img").first.wait_for(timeout=120_000)
        page.page.locator(f"text={LAST[name]}").first.wait_for(timeout=120_000)
        assert page.page.get_by_text("Traceback").count() == 0
        assert page.page.get_by_text("There was an error when executing cell").count() == 0
        assert page.known_errors == []
        page.page.screenshot(path=pictures / f"voila-{name}.png", full_page=True)
