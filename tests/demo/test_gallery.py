"""The gallery, and what was weak about the notebooks before it (section 4 of the feature map)."""

from __future__ import annotations

import ast
import inspect
import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

import kalshi_lab as kl
from kalshi_lab.notebook import runs

ROOT = Path(__file__).parents[2]
NAMES = sorted(path.stem for path in runs.folder().glob("*.ipynb"))


def cells(name: str) -> list[dict[str, Any]]:
    return json.loads(runs.named(name).read_text("utf-8"))["cells"]


def source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def code(name: str) -> str:
    """The code of a notebook as one text."""
    return "\n".join(source(cell) for cell in cells(name) if cell["cell_type"] == "code")


def test_there_is_one_for_each_subsystem() -> None:
    """Section 4: the gallery goes from 00 to 10 without a hole."""
    assert [name[:2] for name in NAMES] == [f"{number:02}" for number in range(11)]


@pytest.mark.parametrize("name", NAMES)
def test_each_has_a_purpose_parameters_a_picture_and_a_conclusion(name: str) -> None:
    """Section 4 (1): under 25 cells, words that say what it is for, parameters first, a picture, and words at the end that it computed."""
    found = cells(name)
    assert len(found) < 25
    assert found[0]["cell_type"] == "markdown"
    title, _, purpose = source(found[0]).partition("\n")
    assert title.startswith("# ")
    assert len(purpose.split()) >= 20
    assert "parameters" in found[1]["metadata"]["tags"]
    assert source(found[1]).startswith('environment = "sim"')
    assert re.search(r"\.plot\(\)|kl\.charts\.", code(name))
    heading, last = found[-2:]
    assert heading["cell_type"] == "markdown"
    assert re.match(r"## (In short|What it shows)", source(heading))
    assert "print(" in source(last)


@pytest.mark.parametrize("name", NAMES)
def test_each_runs_on_what_the_library_installs(name: str) -> None:
    """Section 4 (3): no style, no patch of the event loop and no package that is not the library's own dependency."""
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    own = {re.match(r"[\w-]+", one)[0] for one in needed} | {"kalshi_lab"}  # type: ignore[index]
    tree = ast.parse(re.sub(r"^[%!].*$", "", code(name), flags=re.MULTILINE))
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    loaded = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    loaded |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    assert {one.partition(".")[0] for one in loaded} - set(sys.stdlib_module_names) <= own
    assert "nest_asyncio" not in code(name)


@pytest.mark.parametrize("name", NAMES)
def test_each_has_one_session(name: str) -> None:
    """Section 4 (4): one lab for all cells, so one client, one rate budget and one account of requests, closed or ended with the kernel."""
    assert code(name).count("kl.Lab(") == 1
    assert code(name).count("kl.AsyncLab(") == 0


@pytest.mark.parametrize("name", NAMES)
def test_each_keeps_no_machine_in_its_metadata(name: str) -> None:
    """Section 4 (8): a plain Python kernel, no path, no output, no name of an environment."""
    whole = json.loads(runs.named(name).read_text("utf-8"))
    assert whole["metadata"]["kernelspec"] == {"display_name": "Python 3", "language": "python", "name": "python3"}
    assert set(whole["metadata"]) <= {"kernelspec", "language_info"}
    assert not re.search(r"/(?:home|root|Users)/|site-packages", json.dumps(whole))


def test_what_is_shown_is_escaped_and_says_zero_where_it_is_zero() -> None:
    """Section 4 (5): text of the exchange is no markup, zero is no missing value, and a status is a word."""
    market = kl.Market(
        ticker="KXA-1", title="<img src=x onerror=alert(1)>", status="active", last_price="0.0000", volume="0.00"
    )
    html = market._repr_html_()
    assert "<img" not in html
    assert "&lt;img" in html
    assert "active" in html
    assert "Status." not in html
    assert re.search(r">0(\.0+)?<", html)


HANDLES = {"AsyncPages", "Pages", "Lake"}  # what is asked for a frame; nothing is read before that


def is_whole(frame: Any) -> bool:
    """Whether a frame needs nothing to be named: it is all of the result, not a part of a stream or a lake."""
    asked = list(inspect.signature(frame).parameters.values())[1:]
    return all(one.default is not one.empty for one in asked)


def test_every_result_shows_itself_and_is_a_frame(tmp_path: Path) -> None:
    """Section 4 (6): each public result with a frame has an HTML face, and each subsystem its verb on the one session."""
    public = [getattr(kl, name) for name in kl.__all__]
    results = [
        one for one in public if inspect.isclass(one) and callable(getattr(one, "frame", None)) and is_whole(one.frame)
    ]
    assert len(results) > 15
    assert {one.__name__ for one in results if not hasattr(one, "_repr_html_")} <= HANDLES
    with kl.Lab("prod", home=tmp_path) as lab:  # asks nobody anything
        for verb in (
            "candlesticks",
            "orderbook",
            "trades",
            "snapshot",
            "theses",
            "portfolio",
            "news",
            "alerts",
            "stream",
            "collect",
        ):
            assert hasattr(lab, verb), verb
