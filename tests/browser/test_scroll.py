"""Ten thousand rows in a real browser: few of them are in the page at any time, and each is there soon after it is scrolled to."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

ROWS = 10_000
TABLE = f"""
import polars as pl
from kalshi_lab.notebook.table import Table
frame = pl.DataFrame({{"number": range({ROWS}), "name": [f"market {{n}} <b>" for n in range({ROWS})]}})
picked = []
table = Table(frame, label="Ten thousand", on_pick=lambda row: picked.append(row["number"]))
table
"""
JUMP = """async row => {
  const body = document.querySelector('.kl-body'), began = performance.now();
  body.scrollTop = row * 26;
  while (!document.querySelector(`.kl-row[aria-rowindex="${row + 2}"] .kl-cell + .kl-cell`)) {
    if (performance.now() - began > 30000) return null;
    await new Promise(requestAnimationFrame);
  }
  return {row, milliseconds: Math.round(performance.now() - began), drawn: document.querySelectorAll('.kl-row').length,
          text: document.querySelector(`.kl-row[aria-rowindex="${row + 2}"]`).innerText};
}"""
WATCH = """() => {
  window.klLong = [];
  const keep = list => window.klLong.push(...list.getEntries().map(one => Math.round(one.duration)));
  new PerformanceObserver(keep).observe({type: 'longtask'});
}"""


def test_ten_thousand_rows_are_scrolled_with_few_in_the_page(notebook: Any) -> None:
    """Wherever it is scrolled to, that row comes, and no more rows are in the page than are in sight."""
    with notebook("scroll", TABLE, "picked") as page:
        page.run(1)
        page.page.locator(".kl-row").first.wait_for(timeout=60_000)
        page.page.evaluate(WATCH)
        jumps = [page.page.evaluate(JUMP, row) for row in (40, 500, 9_000, 120, 5_000, 7_777, 30, 9_980)]
        steps = [page.page.evaluate(JUMP, row) for row in range(1_000, 1_400, 8)]
        assert None not in jumps + steps
        for found in jumps + steps:
            assert found["drawn"] <= 20
            assert f"market {found['row']} <b>" in found["text"]
        kept = {"jumps": jumps, "steps": steps, "long_tasks": page.page.evaluate("window.klLong")}
        (page.pictures / "scroll.json").write_text(json.dumps(kept, indent=1))
        page.picture("scroll-light")
        assert page.ours == []


def test_a_table_of_ten_thousand_rows_is_used_by_keyboard_alone(notebook: Any) -> None:
    """End, Page Up, Home and Enter go where they say, and the row that is picked is the one that is marked."""
    with notebook("keys", TABLE, "picked") as page:
        page.run(1)
        page.page.locator(".kl-row").first.wait_for(timeout=60_000)
        page.page.locator(".kl-grid").focus()
        marked = page.page.locator(".kl-row[aria-selected='true']")
        for key, wanted in (("End", ROWS - 1), ("PageUp", ROWS - 12), ("Home", 0), ("PageDown", 11), ("ArrowUp", 10)):
            page.page.keyboard.press(key)
            page.page.locator(f".kl-row[aria-selected='true'][aria-rowindex='{wanted + 2}']").wait_for(timeout=30_000)
            assert marked.count() == 1
        page.page.keyboard.press("Enter")
        page.run(2)
        page.shows("[10]")
        page.theme("JupyterLab Dark")
        page.picture("keys-dark")
        assert page.ours == []
