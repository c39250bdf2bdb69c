"""A real browser on a real JupyterLab, with a real kernel and the simulated exchange behind it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OURS = ("kl-", "anywidget", "table.js")
PATIENCE = 60_000  # milliseconds
START = (  # frozen, so that what moves is what a test moves
    "import kalshi_lab as kl, tempfile\nfrom datetime import UTC, datetime\n"
    'lab = kl.Lab("sim", home=tempfile.mkdtemp(), world={"start": datetime(2026, 11, 22, 14, tzinfo=UTC), "clock": "frozen",'
    ' "markets": 600}, attempts=2)'
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where there is no browser, these are skipped; where CI says that there must be one, that fails."""
    missing = [name for name in ("jupyterlab", "playwright", "anywidget", "voila") if find_spec(name) is None]
    missing += [] if CHROMIUM else ["chromium"]
    for item in items:
        if missing and os.environ.get("KALSHI_LAB_BROWSER") != "required" and item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.skip(reason=f"needs {', '.join(missing)}"))


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def answers(place: str, log: Path) -> None:
    """Wait until a server answers, whatever it says."""
    end = time.monotonic() + 90
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{place}", timeout=2):
                return
        except urllib.error.HTTPError:
            return
        except OSError:
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.2)


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots go: the folder that KALSHI_LAB_ARTIFACTS names, else a temporary one."""
    named = os.environ.get("KALSHI_LAB_ARTIFACTS")
    folder = Path(named) if named else tmp_path_factory.mktemp("artifacts")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


class Page:
    """One notebook in the browser."""

    def __init__(self, page: Any, pictures: Path) -> None:
        self.page, self.pictures = page, pictures
        self.errors: list[str] = []
        self.refused: list[str] = []  # what this machine was asked for and had not
        page.on(
            "response",
            lambda got: self.refused.append(got.url) if got.status >= 400 and "127.0.0.1" in got.url else None,
        )
        page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(f"{error}"))

    @property
    def ours(self) -> list[str]:
        """Errors of the console that are ours."""
        return [text for text in self.errors if any(word in text for word in OURS)]

    @property
    def known_errors(self) -> list[str]:
        """All errors of the console, but that voila and JupyterLab may look for letters and formulas where there is no network."""
        return [text for text in self.errors if "ERR_NAME_NOT_RESOLVED" not in text]

    def run(self, number: int) -> None:
        """Run a cell, and wait until it has ended."""
        cell = self.page.locator(".jp-Notebook .jp-CodeCell").nth(number)
        cell.locator(".jp-InputPrompt").click()
        self.page.evaluate("void window.jupyterapp.commands.execute('notebook:run-cell')")
        self.page.wait_for_function(
            "n => /\\[\\d+\\]/.test(document.querySelectorAll('.jp-Notebook .jp-CodeCell')[n].querySelector('.jp-InputPrompt').innerText)",
            arg=number, timeout=PATIENCE,
        )  # fmt: skip

    def shows(self, text: str, timeout: int = PATIENCE) -> None:
        """Wait until the page shows a text."""
        self.page.get_by_text(text).first.wait_for(timeout=timeout)

    def picture(self, name: str) -> Path:
        """A screenshot."""
        path = self.pictures / f"{name}.png"
        self.page.screenshot(path=path)
        return path

    def theme(self, name: str) -> None:
        """JupyterLab's own light or dark theme."""
        self.page.evaluate("name => window.jupyterapp.commands.execute('apputils:change-theme', {theme: name})", name)
        light = "true" if "Light" in name else "false"
        self.page.wait_for_selector(f"body[data-jp-theme-light='{light}']", state="attached", timeout=PATIENCE)
        self.page.locator("#jupyterlab-splash").wait_for(state="detached", timeout=PATIENCE)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A JupyterLab on this machine, in a folder of its own."""
    folder = tmp_path_factory.mktemp("jupyter")
    port = free_port()
    words = [
        "--no-browser", "--allow-root", f"--port={port}", "--ServerApp.port_retries=0", "--IdentityProvider.token=",
        "--ServerApp.ip=127.0.0.1", "--ServerApp.disable_check_xsrf=True", "--LabApp.expose_app_in_browser=True",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate", "--LabApp.news_url=None",
    ]  # fmt: skip
    config = {
        name: str(folder / name.lower())
        for name in ("JUPYTER_CONFIG_DIR", "JUPYTERLAB_SETTINGS_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    }
    quiet = Path(
        config["JUPYTERLAB_SETTINGS_DIR"], "@jupyterlab", "apputils-extension", "notification.jupyterlab-settings"
    )
    quiet.parent.mkdir(parents=True)
    quiet.write_text('{"fetchNews": "false", "checkForUpdates": false}')
    with (folder / "lab.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *words],
            cwd=folder,
            env=os.environ | config,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        answers(f"{port}/api", folder / "lab.log")
        yield f"http://127.0.0.1:{port}", folder
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def notebook(server: tuple[str, Path], browser: Any, pictures: Path) -> Any:
    """Opens a notebook of these cells, the first of which makes `lab`, with its kernel ready."""
    url, folder = server

    @contextmanager
    def opened(name: str, *cells: str) -> Iterator[Page]:
        rows = [
            {"cell_type": "code", "id": f"c{n}", "source": text, "metadata": {}, "outputs": [], "execution_count": None}
            for n, text in enumerate((START, *cells))
        ]
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        (folder / f"{name}.ipynb").write_text(
            json.dumps({"cells": rows, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5})
        )
        with visited(url, name, browser, pictures) as made:
            made.run(0)
            yield made

    return opened


@contextmanager
def visited(url: str, name: str, browser: Any, pictures: Path) -> Iterator[Page]:
    """A notebook of the server in JupyterLab's light theme, with its kernel ready; the kernel is ended with it."""
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    made = Page(page, pictures)
    page.goto(f"{url}/lab/tree/{name}.ipynb?reset")
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=PATIENCE)
    page.wait_for_function(
        "() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'",
        timeout=PATIENCE,
    )
    try:
        made.theme("JupyterLab Light")
        yield made
    except BaseException:
        made.picture(f"failed-{name}")
        raise
    finally:
        page.evaluate("void window.jupyterapp?.shell.currentWidget?.sessionContext?.shutdown()")
        page.close()


@contextmanager
def under_voila(path: Path, browser: Any, pictures: Path) -> Iterator[Page]:
    """A notebook as a page of voila."""
    port, log = free_port(), path.with_suffix(".log")
    words = ["--no-browser", f"--port={port}", "--Voila.ip=127.0.0.1", "--token=", str(path)]
    with log.open("w") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "voila", *words],
            cwd=path.parent,
            env=os.environ | {"IPYTHONDIR": str(path.parent)},
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
    try:
        answers(f"{port}/static/", log)
        made = Page(browser.new_page(viewport={"width": 1400, "height": 1000}), pictures)
        made.page.goto(f"http://127.0.0.1:{port}/", timeout=2 * PATIENCE)
        yield made
        made.page.close()
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)
