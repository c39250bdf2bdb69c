"""From an opinion to its score, across a restart: thesis and alert, a move, a kernel that dies, a settlement."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from kalshi_lab.alerts import above
from tests.research.desk import Desk

if TYPE_CHECKING:
    from pathlib import Path

    from tests.research.desk import Exchange

FIRST, SECOND = "KXCPI-26DEC-T3", "KXCPI-26DEC-T4"
KERNEL = """
import json, os, sys
from pathlib import Path
from kalshi_lab.alerts import above
from tests.research.desk import Desk

desk = Desk(sys.argv[1], Path(sys.argv[2]))
desk.thesis("inflation stays", tickers=sys.argv[3:], probability=dict(zip(sys.argv[3:], (0.7, 0.2))), because="rents")
alert = desk.alerts.add(above(sys.argv[3], 0.6), label="CPI moves")
print(json.dumps([alert, desk.alerts.check().height]), flush=True)
sys.stdin.readline()
print(json.dumps(desk.alerts.check().get_column("alert_id").to_list()), flush=True)
os._exit(9)  # the kernel dies: nothing is closed
"""


@pytest.mark.long
def test_from_an_opinion_to_its_score(exchange: Exchange, tmp_path: Path) -> None:
    """An alert fires once even if its kernel dies right after; the thesis outlives it and is scored by the results."""
    exchange.quote(FIRST, "0.4000", "0.4200")
    exchange.quote(SECOND, "0.3000", "0.3400")
    command = [sys.executable, "-c", KERNEL, exchange.url, str(tmp_path), FIRST, SECOND]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as kernel:
        assert kernel.stdin is not None
        assert kernel.stdout is not None
        alert, fired = json.loads(kernel.stdout.readline())
        assert fired == 0
        exchange.quote(FIRST, "0.6500", "0.6700")
        kernel.stdin.write("moved\n")
        kernel.stdin.flush()
        assert json.loads(kernel.stdout.readline()) == [alert]
        assert kernel.wait(30) == 9
    desk = Desk(exchange.url, tmp_path)
    try:
        after_the_restart(desk, exchange, alert)
    finally:
        desk.close()


def after_the_restart(desk: Desk, exchange: Exchange, alert: str) -> None:
    desk.later(days=1)
    assert desk.alerts.check().is_empty()
    assert desk.alerts.list().select("alert_id", "state").rows() == [(alert, "fired")]
    assert desk.alerts.add(above(FIRST, 0.9)) != alert
    assert desk.thesis("inflation stays").status == "active"
    exchange.settle(FIRST, "yes", "1.0000")
    exchange.settle(SECOND, "no", "0.0000")
    done = desk.thesis("inflation stays")
    assert (done.status, done.version, done.because) == ("resolved", 2, "rents")
    score = done.score()
    assert score.brier == pytest.approx((0.3**2 + 0.2**2) / 2)
    assert score.market_brier == pytest.approx(((1 - 0.41) ** 2 + 0.32**2) / 2)
    assert "resolved" in done._repr_html_()
    assert desk.alerts.check().is_empty()
    assert desk.alerts.history().select("alert_id", "what").rows()[0] == (alert, "fired")
    assert desk.alerts.list().get_column("state").to_list() == ["fired", "ended"]
