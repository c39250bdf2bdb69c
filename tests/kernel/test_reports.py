"""The README's loop: a report for each thesis that is active, on the store and the exchange of the session."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import kalshi_lab as kl

ROOT = Path(__file__).parents[2]
LOOP = r"```py\n([^`]*?kl\.run_notebook.*?)```"


@pytest.mark.long
@pytest.mark.timeout(400)
def test_the_readme_s_loop_writes_one_report_for_each_active_thesis(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TH-3: two active theses give two reports with their evidence; what is a draft or given up gets none, and no probability changes."""
    (loop,) = re.findall(LOOP, (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    with kl.Lab("sim", home=tmp_path / "home", world={"markets": 600, "clock": "frozen"}) as lab:
        lab.simulated.advance(7 * 86_400)
        quoted = lab.markets(series="KXBILLVOTE").filter(priced())["ticker"].to_list()[:2]
        for name, ticker in zip(("first", "second"), quoted, strict=True):
            lab.thesis(name, tickers=ticker, probability=0.6, because="x")
        lab.thesis("third", tickers=quoted[0], probability=0.6, because="x", status="draft")
        lab.thesis("fourth", tickers=quoted[0], probability=0.6, because="x")
        lab.thesis("fourth", status="abandoned")
        exec(compile(loop, "README", "exec"), {"lab": lab, "kl": kl})  # noqa: S102 - what a reader pastes
        after = {name: lab.thesis(name) for name in ("first", "second")}
    reports = tmp_path / "reports"
    assert sorted(path.name for path in reports.iterdir()) == ["first", "second"]
    for name, thesis in after.items():
        shown = outputs(json.loads((reports / name / "05_thesis.ipynb").read_text("utf-8")))
        assert not [one for one in shown if one["output_type"] == "error"]
        assert any("image/png" in one.get("data", {}) for one in shown)
        assert name in json.dumps(shown)
        assert "<script" not in (reports / name / "05_thesis.html").read_text("utf-8")
        assert [str(one.probability.normalize()) for one in thesis.markets] == ["0.6"]
        assert thesis.evidence
        assert {one.source for one in thesis.evidence} == {"exa"}


def priced() -> Any:
    import polars as pl

    return (pl.col("yes_bid") > 0) & (pl.col("yes_ask") < 1)


def outputs(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for cell in notebook["cells"] for one in cell.get("outputs", [])]
