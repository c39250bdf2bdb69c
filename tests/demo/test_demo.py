"""The demo and the README's first cell, as a newcomer runs them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from kalshi_lab import __main__
from kalshi_lab.errors import LabError
from kalshi_lab.notebook import runs

pytestmark = pytest.mark.timeout(300)  # a run of several notebooks
ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted(ROOT / "notebooks" / f"{name}.ipynb" for name in (*__main__.NOTEBOOKS, *__main__.SIGNED))


def run(*arguments: str, home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own, with the store in `home`."""
    given = {**os.environ, "KALSHI_LAB_HOME": str(home), **environment}
    return subprocess.run(  # noqa: PLW1510 - the exit code is what is looked at
        [sys.executable, *arguments], capture_output=True, text=True, timeout=300, env=given, cwd=home
    )


def printed(executed: Path) -> str:
    """What the cells of an executed notebook printed."""
    outputs = [
        output for cell in json.loads(executed.read_text("utf-8"))["cells"] for output in cell.get("outputs", [])
    ]
    return "".join("".join(output["text"]) for output in outputs if output.get("name") == "stdout")


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """One run of the demo, also where several processes share the tests."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    home, said = shared / "demo", shared / "demo.json"
    with FileLock(shared / "demo.lock"):
        if not said.exists():
            home.mkdir()
            done = run("-m", "kalshi_lab", "demo", "--home", str(home), home=home)
            said.write_text(json.dumps([done.returncode, done.stdout, done.stderr]), "utf-8")
    return home, subprocess.CompletedProcess("demo", *json.loads(said.read_text("utf-8")))


@pytest.mark.long
def test_the_demo_ends_well(demo: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    """The demo ends with exit code 0, tells its numbers, and where its page is."""
    home, done = demo
    assert done.returncode == 0, done.stderr
    for figure in ("markets in the store", "quotes kept", "settled markets", "Brier score", "alerts that fired: 1"):
        assert figure in done.stdout
    assert re.search(r"changes of live books recorded: [\d,]{2,}, gaps 0\n", done.stdout)
    assert re.search(rf"Report with ([89]|1\d) pictures: {re.escape(str(home))}", done.stdout)
    assert "leaked" not in done.stderr, "the process ends without noise"


@pytest.mark.long
def test_the_report_is_self_contained(demo: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    """The page embeds the pictures of four notebooks, runs no script and fetches nothing."""
    page = (demo[0] / "report.html").read_text("utf-8")
    assert page.count('src="data:image/png;base64,') >= 8
    for words in ("Live books, kept", "Practice: orders, fills and fees"):
        assert words in page
    assert "<script" not in page
    assert not re.findall(r'(?:src|href)="(?!data:|https://)[^"]*"', page)
    assert "default-src 'none'" in page


@pytest.mark.long
def test_the_notebooks_ran_to_their_conclusions(demo: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    """All that the demo runs are kept, each with a picture and without an error in it; `test_notebooks.py` runs the others."""
    assert sorted(path.name for path in demo[0].glob("*.ipynb")) == sorted(path.name for path in NOTEBOOKS)
    for path in NOTEBOOKS:
        executed = (demo[0] / path.name).read_text("utf-8")
        assert '"output_type": "error"' not in executed
        assert "image/png" in executed


@pytest.mark.long
def test_the_live_notebook_found_its_book_again(demo: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    """What it records in time lapse moves, has no gap, and holds the book that was live, level by level."""
    said = printed(demo[0] / "09_live.ipynb")
    changes = re.search(r"([\d,]+) changes of [1-4] books were kept in \d+:\d\d:\d\d of its time, with no gap", said)
    assert changes is not None
    assert int(changes[1].replace(",", "")) > 50
    assert "is in the recording, level by level" in said


@pytest.mark.long
def test_the_practice_notebook_paid_what_was_computed(demo: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    """Computed and charged fees are the same to the last decimal, the balance agrees, and a refused write is shown."""
    said = printed(demo[0] / "10_practice.ipynb")
    assert "TradingOff: create_order_v2 writes" in said
    assert "exactly that" in said
    assert re.search(r"Fee computed (\d\.\d+), fee charged \1: they differ by 0\.0+ dollars, as it must be", said)


@pytest.mark.parametrize("environment", ["prod", "Sim", ""])
def test_the_practice_notebook_refuses_real_money(tmp_path: Path, environment: str) -> None:
    """Anywhere but in sim and demo it stops before it has a lab, and says why."""
    with pytest.raises(LabError, match=f"does not trade on {environment}.*There it would be real money"):
        runs.run("10_practice", tmp_path, {"environment": environment, "home": str(tmp_path)}, progress=False)
    assert not list(tmp_path.glob("*.duckdb"))


def test_without_a_network_it_says_so_in_one_line(tmp_path: Path) -> None:
    """Against an exchange that cannot be reached, the demo ends with one line and exit code 1."""
    nowhere = {"KALSHI_LAB_BASE_URL": "http://127.0.0.1:9/trade-api/v2", "KALSHI_LAB_ALLOW_UNSAFE_HOST": "true"}
    done = run("-m", "kalshi_lab", "demo", "--environment", "prod", "--home", str(tmp_path), home=tmp_path, **nowhere)
    assert done.returncode == 1
    assert done.stdout == ""
    assert re.fullmatch(r"kalshi_lab: no connection to the exchange .*\n", done.stderr)


def blocks() -> list[str]:
    """The README's Python, block by block."""
    return re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)


@pytest.mark.long
def test_the_first_cell_of_the_readme_runs(tmp_path: Path) -> None:
    """The README's first cell runs as it stands."""
    cell = blocks()[0]
    assert len(cell.strip().splitlines()) <= 12
    done = run("-c", cell, home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "yes" in done.stdout


NEWCOMER = ("A first cell", "Theses, news, and an agent that shows its work", "Be told when it happens")


@pytest.mark.long
def test_a_newcomer_comes_to_a_thesis_with_an_alert_that_fired(tmp_path: Path) -> None:
    """Three parts of the README, pasted one after the other: a thesis stands, an alert fired, and it is in the file."""
    text = (ROOT / "README.md").read_text("utf-8")
    parts = [text.split(f"## {name}\n", 1)[1].split("\n## ", 1)[0] for name in NEWCOMER]
    pasted = [block for part in parts for block in re.findall(r"```python\n(.*?)```", part, re.DOTALL)]
    told = "lab.close()\nprint(lab.settings.folder / 'alarms.jsonl')"
    done = run(
        "-c",
        "\n".join([*pasted, "print(lab.theses()['name'].to_list(), lab.alerts.history()['what'].to_list())", told]),
        home=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    *_, kept, place = done.stdout.splitlines()
    assert kept.startswith("['cold week'] ['fired'")
    assert json.loads(Path(place).read_text("utf-8").splitlines()[0])["what"] == "fired"


@pytest.mark.long
@pytest.mark.timeout(400)
def test_every_block_of_the_readme_runs(tmp_path: Path) -> None:
    """The README's blocks run one after the other, with a key in the environment as it tells, and print what they promise."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = tmp_path / "key.pem"
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    key.touch(mode=0o600)
    key.write_bytes(pem)
    named = {"KALSHI_KEY_ID": "11111111-2222-3333-4444-555555555555", "KALSHI_PRIVATE_KEY_PATH": str(key)}
    done = run("-c", "\n".join(blocks()), home=tmp_path, **named)
    assert done.returncode == 0, done.stderr
    for words in ("<BookSnapshot", "<Credentials prod ed25519", "<KeyCheck sim ok", "<OrderResult", "<AccountLimits"):
        assert words in done.stdout
    assert pem.decode().splitlines()[1] not in done.stdout + done.stderr
