"""The panels in a real browser: by mouse and keyboard, in both themes, while things go wrong."""

from __future__ import annotations

import re
from typing import Any

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def test_the_explorer_searches_sorts_and_opens_a_market(notebook: Any) -> None:
    """A stranger finds a market by words, sorts by a header, and opens it by a click or by Enter; nothing of ours is in the console."""
    with notebook(
        "explorer", "panel = lab.panels.explorer()\npanel", "panel.picked, panel.table.total, panel.table.sort"
    ) as page:
        page.run(1)
        grid = page.page.locator(".kl-grid").first
        grid.wait_for(timeout=60_000)
        page.shows("markets")
        page.picture("explorer-light")
        first = grid.locator(".kl-row").first.inner_text()
        page.page.get_by_title("Sort by ticker").click()
        page.page.wait_for_function(
            "was => document.querySelector('.kl-row').innerText !== was", arg=first, timeout=30_000
        )
        grid.focus()
        for key in ("ArrowDown", "ArrowDown", "Enter"):
            page.page.keyboard.press(key)
        page.page.locator("section[aria-label^='KX']").first.wait_for(timeout=30_000)
        page.page.locator("section svg polyline").first.wait_for(state="attached", timeout=30_000)
        page.page.get_by_label("quoted on both sides").check()
        page.theme("JupyterLab Dark")
        page.picture("explorer-dark")
        search = page.page.get_by_placeholder("words of the title or ticker")
        search.fill("zzzz")
        page.shows("0 of")
        search.fill("")
        assert page.ours == []


def test_the_alert_board_adds_and_fires_from_the_stream(notebook: Any) -> None:
    """An alert is added in the form, watched, and fires from the simulated exchange's own stream; the board shows it by itself."""
    move = (
        "import polars as pl\nticker = lab.markets(status='open').filter(pl.col('yes_bid') > 0.2)['ticker'][0]\n"
        "near = float(lab.market(ticker).mid)\n"
        "lab.alerts.add(kl.above(ticker, near + 0.002) | kl.below(ticker, near - 0.002), label='it moved')"
    )
    cells = ("board = lab.panels.alerts()\nboard", move, "for _ in range(40): lab.simulated.advance(600)")
    with notebook("alerts", *cells) as page:
        page.run(1)
        page.page.locator(".kl-grid").first.wait_for(timeout=60_000)
        page.page.get_by_placeholder("a market, or KXHIGHNY-*").first.fill("KXNOWHERE-1")
        page.page.locator(".kl-panel").get_by_role("button", name="Add").click()
        page.shows("give the dollars")
        page.picture("alerts-refused-light")
        page.page.get_by_placeholder("dollars, like 0.62").first.fill("0.62")
        page.page.get_by_label("A second").select_option("or")
        page.page.get_by_placeholder("a market, or KXHIGHNY-*").nth(1).fill("KXNOWHERE-2")
        page.page.get_by_placeholder("dollars, like 0.62").nth(1).fill("0.2")
        page.page.get_by_text("Options").click()
        page.page.get_by_label("Fires").select_option("again and again")
        page.page.get_by_label("Cooldown").fill("15m")
        page.picture("alerts-form-light")
        page.page.locator(".kl-panel").get_by_role("button", name="Add").click()
        page.shows("a1 waits for: KXNOWHERE-1 above 0.62 or KXNOWHERE-2 above 0.2")
        page.run(2)
        page.page.get_by_role("button", name="Start watching").click()
        page.shows("it is watched in the background")
        page.run(3)
        page.page.locator(".kl-grid[aria-label='What fired'] .kl-row").first.wait_for(timeout=60_000)
        page.shows("it moved")
        page.picture("alerts-light")
        page.theme("JupyterLab Dark")
        page.picture("alerts-dark")
        assert page.ours == []


def test_a_lost_network_is_told_with_its_request(notebook: Any) -> None:
    """With the exchange gone, the panel says so with the request's id, and goes on when it is back."""
    with notebook(
        "network",
        "panel = lab.panels.explorer()\npanel",
        "lab.simulated.faults('*', 'status', status=503, times=50)",
        "lab.simulated.faults()",
    ) as page:
        page.run(1)
        page.page.locator(".kl-grid").first.wait_for(timeout=60_000)
        page.run(2)
        page.page.locator(".kl-panel").get_by_role("button", name="Refresh").click()
        told = page.page.get_by_role("alert").filter(has_text="request").first
        told.wait_for(timeout=60_000)
        assert re.search(r"request \w{8,}", told.inner_text())
        page.picture("network-gone")
        page.run(3)
        page.page.locator(".kl-panel").get_by_role("button", name="Refresh").click()
        told.wait_for(state="detached", timeout=60_000)


def test_a_stopped_kernel_is_told(notebook: Any) -> None:
    """When the kernel is gone the panel says so by itself, and that what it shows is old."""
    with notebook("kernel", "panel = lab.panels.status()\npanel") as page:
        page.run(1)
        page.page.locator(".kl-grid").first.wait_for(timeout=60_000)
        page.shows("no attempt failed")
        page.picture("status-light")
        page.page.evaluate("void window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
        page.page.locator(".kl-gone").filter(has_text="kernel").first.wait_for(timeout=60_000)
        page.picture("kernel-gone")
