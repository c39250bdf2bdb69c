"""The thesis editor in a real browser: typed by keyboard, refused beside the field, kept in the store."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def test_a_thesis_typed_in_the_browser_is_in_the_store(notebook: Any) -> None:
    """A wrong probability is told beside its field and nothing typed is lost; mended, it is kept, and a cell reads it from the store."""
    pick = "import polars as pl\nticker = lab.markets(status='open').filter(pl.col('yes_bid') > 0.2)['ticker'][0]\n"
    cells = (
        pick + "panel = lab.panels.thesis()\npanel.markets.value = ticker + ' 62'\npanel",
        "print('kept at', lab.thesis('rain today').markets[0].probability, lab.thesis('rain today').because)",
    )
    with notebook("thesis", *cells) as page:
        page.run(1)
        page.page.locator(".kl-grid").first.wait_for(timeout=60_000)
        page.page.get_by_label("Name").fill("rain today")
        page.page.get_by_label("Because").fill("<script>alert(1)</script> the models agree")
        page.page.get_by_role("button", name="Save", exact=True).click()
        page.shows("Did you mean 0.62?")
        page.picture("thesis-refused-light")
        markets = page.page.get_by_label("Markets", exact=True).and_(page.page.locator("textarea"))
        markets.fill(markets.input_value().replace(" 62", " 0.62"))
        page.page.get_by_role("button", name="Save", exact=True).focus()
        page.page.keyboard.press("Enter")
        page.shows("kept as version 1")
        page.theme("JupyterLab Dark")
        page.picture("thesis-dark")
        page.run(2)
        page.shows("kept at 0.620000 <script>alert(1)</script> the models agree")
        assert page.ours == []
