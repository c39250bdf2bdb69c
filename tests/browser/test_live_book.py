"""The live book in a real browser: it moves with the stream, and says so when the exchange is gone."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def test_the_live_book_moves_and_says_when_the_network_is_cut(notebook: Any) -> None:
    """The ladder follows the stream; with the exchange gone the panel says disconnected, and which request found it so."""
    cells = (
        (
            "ticker = lab.markets(status='open').sort('volume', descending=True)['ticker'][0]\n"
            "panel = lab.panels.book(ticker)\npanel"
        ),
        "lab.simulated.stir(100, [ticker])",
        "lab._twin._started.stop()",
    )
    with notebook("book", *cells) as page:
        page.run(1)
        ladder = page.page.locator(".kl-grid").first
        ladder.wait_for(timeout=60_000)
        before = ladder.inner_text()
        page.picture("book-light")
        page.run(2)
        page.page.wait_for_function(
            "was => document.querySelector('.kl-grid').innerText !== was", arg=before, timeout=60_000
        )
        page.theme("JupyterLab Dark")
        page.picture("book-dark")
        page.run(3)
        page.shows("disconnected")
        page.page.get_by_role("alert").filter(has_text="request").first.wait_for(timeout=60_000)
        page.picture("book-network-gone")
        assert page.ours == []
