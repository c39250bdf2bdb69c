"""What is written for readers cannot rot: docstrings, the README's tables, files and commands, doctests, one version."""

from __future__ import annotations

import doctest
import inspect
import re
import shlex
import tomllib
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

import kalshi_lab as kl
from kalshi_lab.analysis.base import Result
from tests.house.measures import PACKAGE, ROOT, name, sources
from tests.house.verbs import README, table, verbs

if TYPE_CHECKING:
    from collections.abc import Iterator

COLUMNS = re.compile(r"[Cc]olumns?\b|Table:|fields of|rows? for each|[Ss]ee `|see the function")
UNITS = re.compile(
    r"Float64|Decimal|String|Int64|Boolean|Datetime|UTC|[Dd]ollar|fields of|columns of|[Ss]ee `|see there|see the function"
)
RAISES = re.compile(r"[Rr]aise|[Ss]ee `|see there|see the function|as in `|" + "|".join(
    rf"\b{called}\b" for called in kl.__all__ if isinstance(getattr(kl, called), type) and issubclass(getattr(kl, called), kl.LabError)
))  # fmt: skip
TAKE_ANYTHING = {
    "kl.run_here",
    "kl.guessed_category",
    "kl.why_not_tradeable",
    "lab.series",
    "lab.clear_answers",
    "lab.predictions",
}
DOCTESTS = 4


def text() -> str:
    return README.read_text("utf-8")


def public() -> Iterator[tuple[str, Any]]:
    """Public functions, and the methods of public classes and of what a lab holds that this library wrote."""
    for called in kl.__all__:
        value = getattr(kl, called)
        if inspect.isfunction(value):
            yield f"kl.{called}", value
        if inspect.isclass(value):
            yield from (
                (f"{called}.{method}", function)
                for method, function in inspect.getmembers(value, inspect.isfunction)
                if not method.startswith("_") and function.__module__.startswith("kalshi_lab")
            )
    yield from ((one.called, one.function) for one in verbs())


def test_every_public_callable_says_what_it_does() -> None:
    """DOC: the first line of each docstring is one plain sentence."""
    wrong = [called for called, one in public() if not re.fullmatch(r"[A-Z\"`'0-9(].*[.:]", first(one))]
    assert wrong == []


def first(one: Any) -> str:
    return (inspect.getdoc(one) or "").split("\n")[0]


def test_whoever_gives_a_frame_says_its_columns() -> None:
    """DOC: what returns a frame names its columns, with dtypes or units, or says where they stand."""
    wrong = []
    for called, one in public():
        if re.search(r"\bDataFrame\b", str(inspect.signature(one).return_annotation)):
            said = inspect.getdoc(one) or ""
            wrong += [called] if not (COLUMNS.search(said) and UNITS.search(said)) else []
    assert sorted(set(wrong)) == []


def test_what_can_be_refused_says_so() -> None:
    """DOC: a function or verb that takes more than flags tells its errors, itself, or its class where all its verbs have the same."""
    asked = [*((f"kl.{one}", getattr(kl, one)) for one in kl.__all__), *((one.called, one.function) for one in verbs())]
    wrong = []
    for called, one in asked:
        if inspect.isfunction(one) and called not in TAKE_ANYTHING:
            taken = inspect.signature(one).parameters.values()
            house = getattr(import_module(one.__module__), one.__qualname__.split(".")[0])
            said = (inspect.getdoc(one) or "") + (inspect.getdoc(house) or "")
            chosen = [part for part in taken if part.name != "self" and "bool" not in str(part.annotation)]
            wrong += [called] if chosen and not RAISES.search(said) else []
    assert wrong == []


def test_a_result_s_table_is_told_where_it_is_made() -> None:
    """DOC: for each public result, a class or function of that kind tells its table, or one verb does."""
    told = {called: inspect.getdoc(one) or "" for called, one in public()}
    wrong = []
    for called in kl.__all__:
        kind = getattr(kl, called)
        if inspect.isclass(kind) and issubclass(kind, Result):
            makers = [
                one
                for one, function in public()
                if re.search(rf"\b{called}\b", str(function.__annotations__.get("return")))
            ]
            docs = [inspect.getdoc(kind) or "", inspect.getdoc(kind.frame) or "", *(told[one] for one in makers)]
            wrong += [] if any(re.search(r"[Tt]able|[Cc]olumns|a row", one) for one in docs) else [called]
    assert wrong == []


def test_both_faces_say_the_same() -> None:
    """DOC: a blocking verb has the docstring and the parameters of its awaited twin."""
    for one in (one for one in verbs() if one.called.count(".") == 1):
        called = one.called.removeprefix("lab.")
        blocking = inspect.getattr_static(kl.Lab, called)
        assert (blocking.__doc__ or "").split("\n")[0] == first(one.function), called


def test_the_readme_has_every_verb() -> None:
    """DOC: the table of verbs is what their docstrings say (`python -m tests.house.verbs` writes it anew)."""
    assert table() in text()


def test_a_page_for_each_verb() -> None:
    """DOC: a verb's page is its call with every parameter, and its docstring."""
    assert len(verbs()) > 100
    for one in verbs():
        for parameter in inspect.signature(one.function).parameters:
            assert parameter == "self" or parameter in one.page
        assert one.sentence in one.page


def test_every_file_that_the_readme_names_is_there() -> None:
    """DOC: rooms, files and notebooks of the tour exist."""
    inside = text().split("## The map of the house")[1]
    named = set(re.findall(r"`((?:[a-z_]+/)+(?:[a-z_0-9]+\.\w+)?|[a-z_]+\.py)`", inside))
    absent = [one for one in named if not ((PACKAGE / one).exists() or (ROOT / one).exists())]
    assert len(named) > 20
    assert absent == []
    notebooks = set(re.findall(r"`(\d\d_[a-z_]+)`", text()))
    assert [one for one in notebooks if not (ROOT / "notebooks" / f"{one}.ipynb").exists()] == []
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text())
    assert pictures
    assert [one for one in pictures if not (ROOT / one).exists()] == []


def test_every_name_that_the_readme_uses_is_there() -> None:
    """DOC: kl.this and lab.that of the README exist, and every module of the package is in a room of the map."""
    assert [one for one in set(re.findall(r"\bkl\.([A-Za-z_]\w*)", text())) if not hasattr(kl, one)] == []
    held = {"store", "kalshi", "exa", "alerts", "news", "portfolio", "settings", "simulated", "panels"}
    assert [
        one for one in set(re.findall(r"\blab\.([a-z_]\w*)", text())) if not hasattr(kl.Lab, one) and one not in held
    ] == []
    rooms = {path.relative_to(PACKAGE).parts[0] for path in sources()} - {"__init__.py"}
    inside = text().split("## The map of the house")[1]
    assert [room for room in rooms if f"`{room}`" not in inside and f"`{room}/`" not in inside] == []


def test_every_command_of_the_readme_can_be_typed() -> None:
    """DOC: each shell line is a command with options that it has, and each extra that it installs is one."""
    from kalshi_lab.__main__ import _parser as parser

    blocks = re.findall(r"^```(\w*)\n(.*?)^```", text(), re.DOTALL | re.MULTILINE)
    lines = [line for kind, block in blocks if kind in {"", "sh"} for line in block.strip().splitlines()]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for extras in re.findall(r"\.?\[([a-z,]+)\]\"", text()):
        assert set(extras.split(",")) <= set(project["optional-dependencies"])
    typed = [part.strip() for line in lines for part in line.split("&&") if "kalshi_lab " in part]
    assert len(typed) >= 3
    for part in typed:
        words = shlex.split(part)
        assert words[:3] == ["python", "-m", "kalshi_lab"]
        parser().parse_args(words[3:])


def test_one_place_says_the_version() -> None:
    """DOC: pyproject.toml alone has the version; the package asks its metadata, the README's changes begin with it."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert kl.__version__ == version
    assert [name(path) for path in sources() if f'"{version}"' in path.read_text("utf-8")] == []
    changes = text().split("## Changes\n")[1]
    assert re.search(r"^### (\S+)", changes, re.MULTILINE)[1] == version


@pytest.mark.parametrize("path", [one for one in sources() if ">>>" in one.read_text("utf-8")], ids=name)
def test_examples_in_docstrings_run(path: Any) -> None:
    """DOC: doctests give what they show."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    tried = doctest.testmod(import_module(".".join(parts)), optionflags=doctest.ELLIPSIS, extraglobs={"kl": kl})
    assert tried.attempted
    assert tried.failed == 0


def test_there_are_examples() -> None:
    """DOC: the check above has something to check."""
    assert sum(">>>" in one.read_text("utf-8") for one in sources()) >= DOCTESTS
