"""The rules of the house: sizes, annotations, docstrings, floors, who may touch what, and what never lies in the tree."""

from __future__ import annotations

import ast
import json
import re
import shutil
import statistics
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.house.measures import (
    PACKAGE,
    ROOT,
    docstrings,
    functions,
    imported,
    length,
    name,
    public,
    sources,
    texts,
    tree,
)

if TYPE_CHECKING:
    from pathlib import Path

TOP = ["README.md", "cassettes", "kalshi_lab", "notebooks", "pyproject.toml", "tests"]
EVERY_FILE = pytest.mark.parametrize("path", sources(), ids=name)


def tracked() -> list[Path]:
    """The files that git knows or would take."""
    listed = subprocess.run(
        [shutil.which("git") or "git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("this is no git checkout")
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]


def written() -> list[Path]:
    """The tracked files that people write."""
    return [
        path for path in tracked() if path.suffix in {".py", ".ipynb", ".md", ".toml", ".sql", ".json", ".yaml", ""}
    ]


def test_functions_are_short() -> None:
    """Half of all functions have at most 7 lines, nine in ten at most 25, none more than 60; docstrings apart."""
    sized = sorted(
        (length(function), f"{name(path)}:{function.name}") for path in sources() for function in functions(path)
    )
    sizes = [size for size, _ in sized]
    assert statistics.median(sizes) <= 7
    assert sizes[int(len(sizes) * 0.9)] <= 25
    assert [where for size, where in sized if size > 60] == []


@EVERY_FILE
def test_a_file_is_small_and_annotated(path: Path) -> None:
    """A file has at most 400 lines, says its types as text, and every function in it says what it gives and takes."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400
    bare = [one.name for one in functions(path) if one.returns is None or not all(annotated(one))]
    assert bare == []
    if any(True for _ in functions(path)):
        assert "from __future__ import annotations" in path.read_text(encoding="utf-8")


def annotated(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[bool]:
    taken = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    taken += [one for one in (function.args.vararg, function.args.kwarg) if one]
    return [one.annotation is not None for one in taken if one.arg not in {"self", "cls"}]


@EVERY_FILE
def test_everything_public_says_what_it_is(path: Path) -> None:
    """Modules, public classes, functions and methods have a docstring whose first line is one sentence."""
    wrong = []
    documented = [("module", tree(path)), *public(tree(path))]
    for said, node in documented:
        first = (ast.get_docstring(node) or "").split("\n")[0]
        if not re.fullmatch(r"[A-Z\"`'0-9(].*[.:]", first) and not overload(node):
            wrong.append(f"{said}: {first!r}")
    assert wrong == [] or path.read_text(encoding="utf-8").strip() == ""


def overload(node: ast.AST) -> bool:
    decorators = getattr(node, "decorator_list", [])
    return any(isinstance(one, ast.Name) and one.id == "overload" for one in decorators)


@EVERY_FILE
def test_names_are_the_field_s(path: Path) -> None:
    """No function is called get_this or set_that, and no file or class is a heap of helpers."""
    named = [one.name for one in functions(path)]
    assert [one for one in named if one.startswith(("get_", "set_"))] == []
    assert path.stem not in {"utils", "util", "helpers", "helper", "common", "misc", "manager"}
    classes = [node.name for node in ast.walk(tree(path)) if isinstance(node, ast.ClassDef)]
    assert [one for one in classes if one.endswith(("Manager", "Helper", "Utils"))] == []


@EVERY_FILE
def test_only_one_place_does_each_dangerous_thing(path: Path) -> None:
    """Only store/ imports duckdb, settings.py reads the environment, markup.py writes HTML, door/, sim/ and webhooks open sockets."""
    place, used = name(path), imported(path)
    if not place.startswith("kalshi_lab/store/"):
        assert "duckdb" not in used
    if place != "kalshi_lab/settings.py":
        reads = [ast.unparse(node) for node in ast.walk(tree(path)) if isinstance(node, ast.Attribute)]
        assert not {"os.environ", "os.getenv", "os.putenv"} & set(reads)
    if place != "kalshi_lab/markup.py":
        assert [
            text for text in texts(path) if re.search(r"<(div|table|tr|td|span|html|script|p|b|a)[\s>]", text)
        ] == []
    if not place.startswith(("kalshi_lab/door/", "kalshi_lab/sim/", "kalshi_lab/alerts/webhook.py")):
        assert not {"httpx", "requests", "urllib3", "aiohttp", "socket"} & used
    if not place.startswith(("kalshi_lab/store/", "kalshi_lab/clock.py", "kalshi_lab/sim/")):
        calls = {ast.unparse(node.func) for node in ast.walk(tree(path)) if isinstance(node, ast.Call)}
        assert not {"time.sleep", "random.random", "datetime.now", "datetime.utcnow", "date.today"} & calls or waived(
            path
        )


def waived(path: Path) -> bool:
    """The lab and the command line start the built-in exchange at this machine's time, which is its purpose."""
    return name(path) in {"kalshi_lab/lab/session.py", "kalshi_lab/__main__.py"}


def test_the_floors_hold() -> None:
    """Every module imports from lower floors only, as the contract in pyproject.toml draws them."""
    code = "from importlinter.cli import lint_imports; import sys; sys.exit(lint_imports(no_cache=True))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"[1-9]\d* kept, 0 broken", done.stdout)


def test_the_top_level_is_what_it_should_be() -> None:
    """Six entries and dotfiles."""
    top = {path.relative_to(ROOT).parts[0] for path in tracked()}
    assert sorted(entry for entry in top if not entry.startswith(".")) == TOP


def test_nothing_in_the_tree_promises_work_not_done() -> None:
    """No file says that something is still to be done, holds a path of one machine, or a key."""
    promise = re.compile("|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "NotImplemented" + "Error")))
    paths = re.compile(r"(^|[^A-Za-z.\w])/(work|farm|root|home|Users)/")
    key = re.compile(
        r"-----BEGIN [A-Z ]*PRIVATE" + r" KEY-----|eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}|AKIA[0-9A-Z]{16}"
    )
    found = []
    for path in written():
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            promised = path.suffix in {".py", ".ipynb", ".md"} and promise.search(line)
            if (
                promised
                or key.search(line)
                or (paths.search(line) and "/(?:home|root|Users)/" not in line and "(work|farm" not in line)
            ):
                found.append(f"{name(path)}:{number}")
    assert found == []


def stand_ins(source: str) -> list[str]:
    """What a test puts in the place of HTTP: packages that answer for a server, transports without a socket, replaced clients."""
    parsed = ast.parse(source)
    modules = {one.name for node in ast.walk(parsed) if isinstance(node, ast.Import) for one in node.names}
    modules |= {node.module or "" for node in ast.walk(parsed) if isinstance(node, ast.ImportFrom)}
    found = sorted(
        modules & {"unittest.mock", "mock", "respx", "pytest_httpx", "responses", "httpretty", "aioresponses"}
    )
    for node in ast.walk(parsed):
        if isinstance(node, ast.Attribute) and node.attr == "MockTransport":
            found.append(node.attr)
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("setattr") and REPLACED & words(node):
            found.append(ast.unparse(node))
    return found


REPLACED = {"__init__", "__new__", "Client", "AsyncClient", "KalshiClient", "handle_async_request", "request", "send"}


def words(call: ast.Call) -> set[str]:
    """The last name of each text among what a call is given."""
    return {
        one.value.rpartition(".")[2]
        for one in call.args
        if isinstance(one, ast.Constant) and isinstance(one.value, str)
    }


def test_tests_talk_to_servers() -> None:
    """Lesson 50: no test replaces a client, its constructor or its transport; those that break a guard to see it missed are apart."""
    tests = sorted(path for path in (ROOT / "tests").rglob("*.py") if path.parent.name != "security")
    assert len(tests) > 300
    assert {name(path): found for path in tests if (found := stand_ins(path.read_text(encoding="utf-8")))} == {}
    for bad in ("import respx", "from unittest.mock import patch", "httpx.MockTransport(answer)"):
        assert stand_ins(bad), bad
    for bad in (
        'patch.setattr("kalshi_lab.door.lanes.httpx.AsyncClient", made)',
        'patch.setattr(Lab, "__init__", made)',
    ):
        assert stand_ins(bad), bad


def test_the_guards_above_bite() -> None:
    """A path, a key and HTML in a module are seen by the patterns that look for them."""
    assert re.search(r"-----BEGIN [A-Z ]*PRIVATE" + r" KEY-----", "-----BEGIN RSA PRIVATE" + " KEY-----")
    sample = ast.parse("def get_it(x):\n    '''doc'''\n    return '<div>'\n").body[0]
    assert isinstance(sample, ast.FunctionDef)
    assert (length(sample), annotated(sample)) == (1, [False])
    assert docstrings(PACKAGE / "markup.py")


def notebooks() -> list[Path]:
    return sorted((ROOT / "notebooks").glob("*.ipynb"))


def test_notebooks_are_stripped() -> None:
    """There are at least two notebooks, each with parameters, and none holds an output or a count of its runs."""
    assert len(notebooks()) >= 2
    for path in notebooks():
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        code = [cell for cell in cells if cell["cell_type"] == "code"]
        assert [cell for cell in code if cell["outputs"] or cell["execution_count"] is not None] == []
        assert sum("parameters" in cell["metadata"].get("tags", []) for cell in code) == 1


def test_notebooks_use_public_names_only() -> None:
    """A notebook imports kalshi_lab as everybody does, and reaches for nothing private or below it."""
    for path in notebooks():
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
        assert "import kalshi_lab as kl" in text
        assert re.findall(r"from kalshi_lab\.|import kalshi_lab\.|\bkl\._|\blab\._", text) == []
