"""Panels where there is no JupyterLab: in a saved page without a kernel, and under voila."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.conftest import START, Page, answers, free_port

if TYPE_CHECKING:
    from pathlib import Path

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
    port = free_port()
    words = ["--no-browser", f"--port={port}", "--Voila.ip=127.0.0.1", "--token=", str(path)]
    with (tmp_path / "voila.log").open("w") as log:
        process = subprocess.Popen([sys.executable, "-m", "voila", *words], cwd=tmp_path, env=os.environ | {"IPYTHONDIR": str(tmp_path)},
                                   stdout=log, stderr=log, start_new_session=True)  # fmt: skip
    try:
        answers(f"{port}/static/", tmp_path / "voila.log")
        page = Page(browser.new_page(viewport={"width": 1400, "height": 1000}), pictures)
        page.page.goto(f"http://127.0.0.1:{port}/", timeout=120_000)
        page.page.wait_for_function("() => document.querySelectorAll('.kl-panel').length === 5", timeout=120_000)
        page.page.locator(".kl-row").first.wait_for(timeout=60_000)
        page.page.get_by_placeholder("words of the title or ticker").fill("zzzz")
        page.shows("0 of")
        page.page.get_by_placeholder("words of the title or ticker").fill("")
        page.shows("540 of 540")
        page.page.screenshot(path=pictures / "voila.png", full_page=True)
        assert page.refused == []
        assert [
            text for text in page.errors if "ERR_NAME_NOT_RESOLVED" not in text
        ] == []  # voila's own look for letters elsewhere
        page.page.close()
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)
