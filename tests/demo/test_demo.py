"""The demo and the README's first cell, as a newcomer runs them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*arguments: str, home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own, with the store in `home`."""
    given = {**os.environ, "KALSHI_LAB_HOME": str(home), **environment}
    return subprocess.run(  # noqa: PLW1510 - the exit code is what is looked at
        [sys.executable, *arguments], capture_output=True, text=True, timeout=110, env=given, cwd=home
    )


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """One run of the demo."""
    home = tmp_path_factory.mktemp("demo")
    return home, run("-m", "kalshi_lab", "demo", "--home", str(home), home=home)


def test_the_demo_ends_well(demo: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    """The demo ends with exit code 0, tells its five numbers, and where its page is."""
    home, done = demo
    assert done.returncode == 0, done.stderr
    for figure in ("markets in the store", "quotes kept", "settled markets", "Brier score", "alerts that fired: 1"):
        assert figure in done.stdout
    assert re.search(rf"Report with [5-9] pictures: {re.escape(str(home))}", done.stdout)
    assert "leaked" not in done.stderr, "the process ends without noise"


def test_the_report_is_self_contained(demo: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    """The page embeds at least four pictures, runs no script and fetches nothing."""
    page = (demo[0] / "report.html").read_text("utf-8")
    assert page.count('src="data:image/png;base64,') >= 4
    assert "<script" not in page
    assert not re.findall(r'(?:src|href)="(?!data:|https://)[^"]*"', page)
    assert "default-src 'none'" in page


def test_the_notebooks_ran_to_their_conclusions(demo: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    """Both executed notebooks are kept, without an error in them."""
    for name in ("00_first_look", "01_calibration"):
        executed = (demo[0] / f"{name}.ipynb").read_text("utf-8")
        assert '"output_type": "error"' not in executed
        assert "image/png" in executed


def test_without_a_network_it_says_so_in_one_line(tmp_path: Path) -> None:
    """Against an exchange that cannot be reached, the demo ends with one line and exit code 1."""
    nowhere = {"KALSHI_LAB_BASE_URL": "http://127.0.0.1:9/trade-api/v2", "KALSHI_LAB_ALLOW_UNSAFE_HOST": "true"}
    done = run("-m", "kalshi_lab", "demo", "--environment", "prod", "--home", str(tmp_path), home=tmp_path, **nowhere)
    assert done.returncode == 1
    assert done.stdout == ""
    assert re.fullmatch(r"kalshi_lab: no connection to the exchange .*\n", done.stderr)


def test_the_first_cell_of_the_readme_runs(tmp_path: Path) -> None:
    """The README's first cell runs as it stands."""
    cell = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    assert cell is not None
    assert len(cell[1].strip().splitlines()) <= 12
    done = run("-c", cell[1], home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "yes" in done.stdout
