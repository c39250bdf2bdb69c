"""The public names: one sorted list that is exact, and an import that loads nothing heavy."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import kalshi_lab as kl

HEAVY = [
    "matplotlib",
    "ipywidgets",
    "papermill",
    "websockets",
    "starlette",
    "pandas",
    "duckdb",
    "uvicorn",
    "nest_asyncio",
]


def test_all_is_sorted_and_exact() -> None:
    """`__all__` is sorted, every name in it is there, and nothing else is offered."""
    assert kl.__all__ == sorted(kl.__all__, key=lambda one: (not one.isupper(), one)), "capitals alone come first"
    assert len(kl.__all__) == len(set(kl.__all__))
    assert dir(kl) == sorted(kl.__all__)
    for name in kl.__all__:
        assert getattr(kl, name) is not None
    with pytest.raises(AttributeError, match="module 'kalshi_lab' has no attribute 'Markt'"):
        _ = kl.Markt


def test_type_checkers_and_readers_see_the_same_names() -> None:
    """The names under TYPE_CHECKING are those that load at first use."""
    tree = ast.parse(Path(str(kl.__file__)).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    imported = {
        alias.asname or alias.name for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert imported | {"__version__"} == set(kl.__all__)


def test_the_import_is_light() -> None:
    """`import kalshi_lab` loads no plotting, no widgets, no server, no database, and opens no log handler."""
    code = (
        "import sys, json, logging, kalshi_lab; "
        "print(json.dumps([sorted({name.split('.')[0] for name in sys.modules}), len(logging.getLogger().handlers)]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    loaded, handlers = json.loads(done.stdout)
    assert not set(HEAVY) & set(loaded)
    assert not {"httpx", "polars", "pydantic"} & set(loaded), "what the first use needs can wait for it"
    assert handlers == 0


def test_the_version_is_the_project_file_s() -> None:
    """The version is said in one place."""
    import tomllib

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    assert kl.__version__ == project["project"]["version"]
