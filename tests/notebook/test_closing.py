"""What is left of a panel that is over: nothing."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref
from typing import TYPE_CHECKING, Any

import pytest
from ipywidgets.widgets import widget

from tests.notebook.conftest import until

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = """
import sys
import kalshi_lab as kl
lab = kl.Lab("sim", base_url=sys.argv[1], home=sys.argv[2])
panels = [lab.panels.explorer(), lab.panels.alerts(), lab.panels.status(), lab.panels.thesis()]
panels[0].begin(panels[0].load())
"""


@pytest.mark.long
def test_a_closed_panel_ends_its_work_and_leaves_no_widget(lab: Any) -> None:
    """ipywidgets keeps every widget that is not closed: rows of ten thousand markets would stay until the kernel ends."""
    before = set(widget._instances)
    for make in (lab.panels.explorer, lab.panels.alerts, lab.panels.status, lab.panels.thesis):
        panel = make()
        running = set(panel._running)
        assert len(set(widget._instances) - before) > 8
        panel.close()
        until(lambda running=running: all(one.done() for one in running))
        assert [type(one).__name__ for key, one in widget._instances.items() if key not in before] == []
        gone = weakref.ref(panel)
        del panel, running
        until(
            lambda gone=gone: gc.collect() >= 0 and gone() is None
        )  # the loop lets go of what was cancelled in its next turn


@pytest.mark.long
def test_a_script_with_panels_ends_silently(lab: Any, tmp_path: Path) -> None:
    """Panels that nobody closed, one of them at work: no word at the end, whatever goes first."""
    words = [sys.executable, "-c", SCRIPT, lab.settings.url, str(tmp_path)]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    assert ended.stderr == ended.stdout == ""
