"""Every notebook, run as cron would: other parameters than its own, a fresh kernel, an empty folder, no network."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

import kalshi_lab as kl
from kalshi_lab.notebook import runs

if TYPE_CHECKING:
    from pathlib import Path

# Parameters, what is shown because of them, and what would be shown without them.
OTHERS: dict[str, tuple[dict[str, Any], str, str]] = {
    "00_first_look": ({"series": "KXHIGHCHI"}, r"combos left out.*open markets in KXHIGHCHI.*Chicago", "KXHIGHNY"),
    "01_calibration": (
        {"series": "KXHIGHCHI", "horizon": "6h", "price": "last"},
        r"KXHIGHCHI-.*horizon 6h before the end, at the last price",
        "KXHIGHNY",
    ),
    "02_microstructure": ({"series": "KXHIGHMIA", "since": "12d"}, r"KXHIGHMIA-", "KXHIGHNY"),
    "03_scan_and_arbitrage": ({"series": "KXHIGHCHI", "also": ["KXCPI"], "capital": 40}, r"close races: ", "KXHIGHNY"),
    "04_ladders": (
        {"series": "KXHIGHCHI", "thresholds": "KXBTCD", "since": "2d"},
        r"KXHIGHCHI-\S+: \d+ middles.*KXBTCD-\S+: the median",
        "KXHIGHNY|KXCPI",
    ),
    "05_thesis": ({"probability": 0.37, "budget": 0.11}, r"0\.37.*spent 0\.\d+ dollars", "0[.]25 dollars"),
    "06_backtest": (
        {"series": "KXHIGHCHI", "since": "20d", "every": "12h", "longshot": 0.1, "stake": 10},
        r"KXHIGHCHI-.*against longshots: ",
        "KXHIGHNY",
    ),
    "07_portfolio": ({"method": "lifo", "zone": "UTC", "markets": 4}, r"lifo|4 positions", "fifo"),
    "08_daily_report": (
        {"series": "KXHIGHCHI", "since": "12h", "top": 2, "zone": "UTC"},
        r"report KXHIGHCHI-\S+: you 0\.\d\d, market .*alerts that fired: \d.*account: made .*data: ",
        "KXHIGHNY",
    ),
    "09_live": (
        {"series": "KXHIGHCHI", "seconds": 2, "contracts": 25},
        r"of 25 contracts.*buying 25 contracts",
        "KXHIGHNY|100 contracts",
    ),
    "10_practice": ({"series": "KXHIGHMIA", "contracts": 7}, r"of KXHIGHMIA-\S+ bought", "KXHIGHNY|40 contracts"),
}


def shown(executed: Path) -> str:
    """All text that the cells of an executed notebook show, words that were drawn excepted."""
    cells = json.loads(executed.read_text("utf-8"))["cells"]
    outputs = [one for cell in cells for one in cell.get("outputs", [])]
    texts = [
        one.get("text") or one.get("data", {}).get(kind, "") for one in outputs for kind in ("text/plain", "text/html")
    ]
    return "\n".join("".join(text) for text in texts)


def test_every_notebook_is_run_with_other_parameters() -> None:
    """None is left out, and each value differs from the notebook's own."""
    assert sorted(OTHERS) == sorted(path.stem for path in runs.folder().glob("*.ipynb"))
    for name, (parameters, _, _) in OTHERS.items():
        own = runs.defaults(runs.named(name))
        assert [word for word, value in parameters.items() if own[word] == value] == [], name


@pytest.mark.long
@pytest.mark.timeout(400)
@pytest.mark.parametrize("name", OTHERS)
def test_a_notebook_does_what_its_parameters_say(name: str, tmp_path: Path) -> None:
    """Section 4 (1, 2, 8): it runs offline to its end without error or warning, and shows what was asked for, not its defaults."""
    parameters, told, untold = OTHERS[name]
    ran = kl.run_notebook(
        name, parameters, home=str(tmp_path / "home"), out=tmp_path / "out", html=True, progress=False, timeout="5m"
    )
    cells = json.loads(ran.path.read_text("utf-8"))["cells"]
    outputs = [one for cell in cells for one in cell.get("outputs", [])]
    assert [one for one in outputs if one["output_type"] == "error" or one.get("name") == "stderr"] == []
    assert all(cell["outputs"] for cell in cells[-1:]), "the last cell says what was found"
    assert ran.conclusion
    assert ran.pictures
    assert all(one.startswith(b"\x89PNG") and len(one) > 5_000 for one in ran.pictures)
    text = shown(ran.path)
    assert re.search(told, text, re.DOTALL), text[-3_000:]
    assert not re.search(untold, text), re.findall(f".*(?:{untold}).*", text)[:5]
    page = ran.page
    assert page is not None
    assert page.read_text("utf-8").count('src="data:image/png;base64,') >= len(ran.pictures)
    assert "<script" not in page.read_text("utf-8")
