"""The types that users see, by both checkers that editors use."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from tests.house.measures import ROOT

if TYPE_CHECKING:
    from pathlib import Path

FILE = "tests/typing_api.py"


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
        timeout=280,
    )


@pytest.mark.long
@pytest.mark.timeout(300)
def test_mypy_infers_what_users_expect() -> None:
    """mypy --strict agrees with every line of the file, and every mistake in it is one."""
    done = run("mypy", "--strict", FILE)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.long
@pytest.mark.timeout(300)
def test_mypy_would_say_so(tmp_path: Path) -> None:
    """A wrong expectation fails: the check above is no formality."""
    wrong = tmp_path / "wrong.py"
    wrong.write_text(
        "import kalshi_lab as kl\n\nkl.Kalshi().markets.one(5)\nx: int = kl.Lab().markets()\n", encoding="utf-8"
    )
    done = run("mypy", "--strict", str(wrong), MYPYPATH=str(ROOT))
    assert done.returncode == 1
    assert "[arg-type]" in done.stdout
    assert "[assignment]" in done.stdout


@pytest.mark.timeout(300)
@pytest.mark.skipif(find_spec("pyright") is None, reason="pyright is not installed")
@pytest.mark.long
def test_pyright_infers_what_users_expect() -> None:
    """pyright in strict mode agrees, where its engine is on this machine."""
    done = run("pyright", "--pythonpath", sys.executable, "--outputjson", FILE, PYRIGHT_PYTHON_IGNORE_WARNINGS="1")
    if not done.stdout.lstrip().startswith("{"):
        pytest.skip("pyright's engine cannot be had offline")
    problems = json.loads(done.stdout)["generalDiagnostics"]
    assert [
        f"{one['range']['start']['line'] + 1}: {one['message']}" for one in problems if one["severity"] == "error"
    ] == []
