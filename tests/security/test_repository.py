"""S7, S18: what the source may not do, and what watches over the repository; each search is tried on a sample that it must find."""

from __future__ import annotations

import ast
import json
import tomllib

import pytest

from tests.house.measures import ROOT, imported, name, sources, tree
from tests.house.test_rules import tracked

LOADERS = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "yaml", "ruamel"}
RUNNERS = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "os.execv", "os.spawnv", "pty.spawn"}
PROCESSES = {"kalshi_lab/sim/process.py"}  # starts this library's own module by this interpreter
TAKES_SQL = {"execute", "executemany", "sql", "query", "read", "select"}
WRITES_SQL = ("kalshi_lab/store/", "kalshi_lab/ingest/")  # table and column names of their own; values are bound


def dangerous(module: ast.Module) -> list[str]:
    """Calls that run text as code, or text as a command."""
    found = []
    for node in ast.walk(module):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            shell = any(word.arg == "shell" and ast.unparse(word.value) != "False" for word in node.keywords)
            found += [called] if called in RUNNERS or shell else []
    return found


def joined(value: ast.expr) -> list[ast.expr]:
    """The operands of a joined value; of one that is not joined, itself where it is an f-string."""
    if isinstance(value, ast.BinOp):
        return [part for side in (value.left, value.right) for part in (joined(side) or [side])]
    return [value] if isinstance(value, ast.JoinedStr) else []


def text(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def sql_from_text(module: ast.Module) -> list[str]:
    """Statements put together from text where they are executed."""
    found = []
    for node in ast.walk(module):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in TAKES_SQL
            and node.args
        ):
            first = node.args[0]
            formatted = isinstance(first, ast.Call) and ast.unparse(first.func).endswith(".format")
            if any(isinstance(part, ast.JoinedStr) or text(part) for part in joined(first)) or formatted:
                found.append(ast.unparse(node)[:80])
    return found


def test_no_module_runs_what_it_reads() -> None:
    """S18: nothing is unpickled, read as YAML, evaluated, or given to a shell; one module starts processes."""
    runs = {name(path): dangerous(tree(path)) for path in sources()}
    assert {place: calls for place, calls in runs.items() if calls} == {}
    assert [name(path) for path in sources() if LOADERS & imported(path)] == []
    assert {name(path) for path in sources() if "subprocess" in imported(path)} == PROCESSES


def test_statements_are_written_where_tables_are_known() -> None:
    """S7: outside of the store and what feeds it no statement is put together; there S608's waiver says what of."""
    elsewhere = [path for path in sources() if not name(path).startswith(WRITES_SQL)]
    assert {name(path): found for path in elsewhere if (found := sql_from_text(tree(path)))} == {}


@pytest.mark.parametrize(
    "sample",
    [
        "eval(x)",
        "exec(x)",
        "os.system(x)",
        "subprocess.run(x, shell=True)",
        "__import__(x)",
        "os.popen(x)",
        "run(x, shell=y)",
    ],
)
def test_what_runs_text_is_found(sample: str) -> None:
    """S18: the search bites."""
    assert dangerous(ast.parse(sample)) != []


@pytest.mark.parametrize(
    "sample",
    ['c.execute(f"DROP TABLE {x}")', 'c.sql("SELECT " + x)', 'c.execute("%s" % x)', 'store.read("{}".format(x))'],
)
def test_what_puts_statements_together_is_found(sample: str) -> None:
    """S7: the search bites."""
    assert sql_from_text(ast.parse(sample)) != []


def test_linters_and_hooks_watch() -> None:
    """S18: security rules are on for the package, secrets are looked for and notebooks stripped, by hand and in CI."""
    rules = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["ruff"]["lint"]
    assert rules["select"] == ["ALL"]
    assert not [rule for rule in rules["ignore"] if rule.startswith("S") and rule[1:2].isdigit()]
    waived = {
        rule for place, off in rules["per-file-ignores"].items() if place.startswith("kalshi_lab") for rule in off
    }
    assert {rule for rule in waived if rule.startswith("S") and rule[1:].isdigit()} <= {"S608", "S311"}
    for place in (".ci/run", ".pre-commit-config.yaml"):
        text = (ROOT / place).read_text("utf-8")
        assert "detect-secrets-hook --baseline .secrets.baseline" in text
        assert "nbstripout" in text
    baseline = json.loads((ROOT / ".secrets.baseline").read_text("utf-8"))
    assert {plugin["name"] for plugin in baseline["plugins_used"]} >= {"PrivateKeyDetector", "Base64HighEntropyString"}


def test_data_in_the_tree_are_plain() -> None:
    """S17, S18: no file that runs when it is read, no database, no key; cassettes are JSON."""
    kinds = {path.suffix for path in tracked()}
    assert not kinds & {
        ".pkl",
        ".pickle",
        ".npy",
        ".joblib",
        ".duckdb",
        ".sqlite",
        ".db",
        ".pem",
        ".key",
        ".env",
        ".so",
    }
    assert {path.suffix for path in (ROOT / "cassettes").iterdir()} == {".json"}
