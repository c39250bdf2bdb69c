"""The wheel and the sdist hold all that the package needs, and work in a fresh environment of each Python that is promised."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]  # environments are made and filled
ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
PROMISED = sorted(re.findall(r"Python :: (3\.\d+)", " ".join(PROJECT["classifiers"])))
LOOK = """
import sys
import kalshi_lab as kl
assert kl.__version__ == sys.argv[1], kl.__version__
assert "site-packages" in kl.__file__, kl.__file__
with kl.Lab("sim", home=sys.argv[2], world={"markets": 100}) as lab:
    markets = lab.markets(series="KXHIGHNY")
    lab.snapshot(series="KXHIGHNY")
    print(markets.height, lab.quotes().height, lab.alerts.add(kl.above(markets["ticker"][0], 0.5)))
"""


def done(*command: object, cwd: Path) -> str:
    ran = subprocess.run(
        [str(one) for one in command], cwd=cwd, capture_output=True, text=True, check=False, timeout=380
    )
    if ran.returncode and re.search(r"No matching distribution|Could not find a version|Connection", ran.stderr):
        pytest.skip("no package index can be reached")
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
    return ran.stdout


def python(version: str) -> str | None:
    """An interpreter of a version: on the path, or of pyenv; None where there is none that runs."""
    kept = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}*/bin/python"))
    for found in (shutil.which(f"python{version}"), *map(str, kept)):
        if found and not subprocess.run([found, "-c", "import venv"], capture_output=True, check=False).returncode:
            return found
    return None


def fresh(interpreter: str, folder: Path) -> Path:
    """The Python of a new environment."""
    subprocess.run([interpreter, "-m", "venv", str(folder)], check=True, capture_output=True)
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with both: the wheel is made of the sdist, so that that is whole."""
    folder = tmp_path_factory.mktemp("built")
    with_build = fresh(sys.executable, folder / "venv")
    done(with_build, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "build", cwd=folder)
    done(with_build, "-m", "build", "--outdir", folder / "dist", ROOT, cwd=folder)
    return folder / "dist"


def test_what_the_package_needs_is_inside(built: Path) -> None:
    """PKG: SQL, scripts, contract files, the type marker and the notebooks are in the wheel; the tests are in the sdist alone."""
    kept = {path.relative_to(ROOT).as_posix() for path in (ROOT / "kalshi_lab").rglob("*") if path.is_file()}
    kept = {one for one in kept if "__pycache__" not in one}
    inside = set(zipfile.ZipFile(next(built.glob("*.whl"))).namelist())
    assert kept - inside == set()
    assert {Path(one).suffix for one in kept} > {".py", ".sql", ".typed"}
    notebooks = {f"kalshi_lab/notebooks/{path.name}" for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert notebooks <= inside
    assert not [one for one in inside if one.startswith("tests/")]
    with tarfile.open(next(built.glob("*.tar.gz"))) as source:
        listed = {name.split("/", 1)[-1] for name in source.getnames()}
    assert {"README.md", "pyproject.toml", "tests/conftest.py", "cassettes"} <= {
        *listed,
        *(name.split("/")[0] for name in listed),
    }


@pytest.mark.parametrize("version", PROMISED)
def test_the_wheel_works_in_a_fresh_environment(built: Path, version: str, tmp_path: Path) -> None:
    """PKG: installed by itself it imports, looks at a simulated exchange, keeps quotes and arms an alert."""
    interpreter = python(version)
    if interpreter is None:
        pytest.skip(f"there is no Python {version} on this machine")
    inside = fresh(interpreter, tmp_path / "venv")
    wheel = next(built.glob("*.whl"))
    done(
        inside,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        wheel,
        "starlette",
        "uvicorn",
        cwd=tmp_path,
    )
    said = done(inside, "-c", LOOK, PROJECT["version"], tmp_path / "home", cwd=tmp_path)
    markets, quotes, alert = said.split()
    assert int(markets) == int(quotes) > 0
    assert alert == "a1"


def test_each_promised_python_is_looked_for() -> None:
    """PKG: the versions of the classifiers, from the oldest that is allowed."""
    assert PROMISED[0] == PROJECT["requires-python"].removeprefix(">=")
    assert len(PROMISED) >= 3
