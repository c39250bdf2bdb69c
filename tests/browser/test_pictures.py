"""The README's pictures of the panels: `KALSHI_LAB_ARTIFACTS=notebooks/img pytest -m browser tests/browser/test_pictures.py` makes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
MOST = 80_000  # bytes
PREPARE = """
import polars as pl
open_now = lab.markets(status="open")
deep = open_now.sort("volume", descending=True)["ticker"][0]
ticker = lab.markets(series="KXHIGHNY").sort("volume", descending=True)["ticker"][1]
lab.thesis("rain today", tickers=ticker, probability="0.62", because="Two of three models agree, and the front is an hour ahead.")
lab.alerts.send_to(kl.ToFile("alarms.jsonl", name="file"))
lab.alerts.add(kl.above(ticker, 0.02), label="it trades", to="file")
lab.alerts.add(kl.edge_above(ticker, 0.1, thesis="rain today") | kl.settles(ticker), label="worth a look", expires="7d")
lab.alerts.check()
lab.sync("markets", status="open", series="KXHIGHNY")
"""
TRADES = """
for number, (price, count) in enumerate((("0.0410", "12.00"), ("0.0370", "40.00"), ("0.0410", "3.50"))):
    trade = {"trade_id": f"t{number}", "market_ticker": deep, "yes_price_dollars": price, "no_price_dollars": str(1 - float(price)),
             "count_fp": count, "taker_outcome_side": "no" if number == 1 else "yes", "ts_ms": 1_795_356_000_000 + 7_000 * number}
    lab.simulated.publish("trade", "trade", trade, market=deep)
"""
PANELS = {
    "explorer": "panel = lab.panels.explorer()\npanel",
    "book": "book = lab.panels.book(deep)\nbook",
    "thesis": "lab.panels.thesis('rain today')",
    "alerts": "lab.panels.alerts()",
    "status": "lab.panels.status()",
}


def test_a_picture_of_each_panel_is_small(notebook: Any, pictures: Path) -> None:
    """Each is drawn whole, in the light theme, with fewer than 80 kB."""
    with notebook("pictures", PREPARE, *PANELS.values(), TRADES) as page:
        page.page.set_viewport_size({"width": 1500, "height": 1500})
        page.page.evaluate("void window.jupyterapp.commands.execute('application:toggle-left-area')")
        page.run(1)
        for number, name in enumerate(PANELS):
            page.run(2 + number)
            panel = page.page.locator(".kl-panel").nth(number)
            panel.locator(".kl-grid").first.wait_for(timeout=60_000)
            if name == "explorer":
                panel.get_by_label("Series").select_option("KXHIGHNY")
                panel.get_by_text("6 of 540 markets").wait_for(timeout=60_000)
                panel.locator(".kl-row").nth(1).click()
                panel.locator("section svg polyline").first.wait_for(state="attached", timeout=60_000)
                panel.locator(".kl-row polyline").nth(3).wait_for(state="attached", timeout=60_000)
            if name == "book":
                page.run(2 + len(PANELS))
                panel.locator(".kl-grid[aria-label^='Trades'] .kl-row").nth(2).wait_for(timeout=60_000)
            path = pictures / f"panel_{name}.png"
            panel.screenshot(path=path)
            Image.open(path).convert("RGB").quantize(64).save(path, optimize=True)
            assert path.stat().st_size < MOST
        assert page.ours == []
