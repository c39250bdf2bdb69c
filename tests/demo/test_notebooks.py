"""The notebooks that the demo leaves out, each run to its conclusion on an exchange of its own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from kalshi_lab import __main__
from kalshi_lab.notebook import runs

if TYPE_CHECKING:
    from pathlib import Path

DEMO = {*__main__.NOTEBOOKS, *__main__.SIGNED}
APART = sorted(path.stem for path in runs.folder().glob("*.ipynb") if path.stem not in DEMO)


@pytest.mark.long
@pytest.mark.timeout(400)
@pytest.mark.parametrize("name", APART)
def test_a_notebook_ends_with_a_picture_and_a_conclusion(name: str, tmp_path: Path) -> None:
    """Run with nothing but a folder: offline on the sim, no error in it, pictures drawn, and the last cell says what was found."""
    cells = json.loads(runs.run(name, tmp_path, {"home": str(tmp_path / "home")}, progress=False).read_text("utf-8"))[
        "cells"
    ]
    outputs = [list(cell.get("outputs", [])) for cell in cells]
    shown = [one for several in outputs for one in several]
    assert not [one for one in shown if one["output_type"] == "error"]
    assert any("image/png" in one.get("data", {}) for one in shown)
    assert "".join("".join(one["text"]) for one in outputs[-1] if one.get("name") == "stdout").strip()
