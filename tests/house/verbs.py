"""The verbs of the lab from their docstrings: the README's table, and a page for each.

`python -m tests.house.verbs` writes the table of README.md anew; `python -m tests.house.verbs FOLDER` writes the pages there.
"""

from __future__ import annotations

import inspect
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import kalshi_lab as kl
from kalshi_lab.alerts import Alerts
from kalshi_lab.lab.portfolio import LabPortfolio
from kalshi_lab.research.news import News
from kalshi_lab.trading.face import Trading

if TYPE_CHECKING:
    from collections.abc import Iterator

README = Path(__file__).parents[2] / "README.md"
BEGIN, END = "<!-- verbs: python -m tests.house.verbs -->\n", "<!-- end of verbs -->\n"
WORDS = ("Look", "Keep", "Ask", "Think", "Act")
ROOMS: dict[str, tuple[str, Any]] = {
    "lab.store": ("Keep", kl.Store),
    "lab.portfolio": ("Ask", LabPortfolio),
    "lab.news": ("Think", News),
    "lab.alerts": ("Act", Alerts),
    "lab.trading(...)": ("Act", Trading),
}


class Verb(NamedTuple):
    """A verb: what it does (look, keep, ask, think, act), how it is called, and the function behind it."""

    word: str
    called: str
    function: Any

    @property
    def sentence(self) -> str:
        """The first line of its docstring."""
        return (inspect.getdoc(self.function) or "").split("\n")[0]

    @property
    def page(self) -> str:
        """Its page: signature, docstring."""
        signature = inspect.signature(self.function)
        taken = [one for one in signature.parameters.values() if one.name != "self"]
        shown = signature.replace(parameters=taken)
        return f"# {self.called}\n\n```py\n{self.called}{shown}\n```\n\n{inspect.getdoc(self.function)}\n"


def rooms() -> dict[str, tuple[str, Any]]:
    """What the lab holds beside its own verbs; panels where they are installed."""
    try:
        panels = {"lab.panels": ("Look", import_module("kalshi_lab.lab.panels").Panels)}
    except ImportError:
        panels = {}
    return {**ROOMS, **panels}


def own(kind: Any) -> Iterator[tuple[str, Any]]:
    """The public verbs of a class, in the order in which they stand, without its properties."""
    for base in kind.__mro__[:-1]:
        for name, value in vars(base).items():
            if (
                not name.startswith("_")
                and not isinstance(value, property)
                and (callable(value) or hasattr(value, "_method"))
            ):
                yield name, getattr(value, "_method", value)


def verbs() -> list[Verb]:
    """Every verb, by word; those of the lab itself first."""
    found = []
    for base in kl.AsyncLab.__mro__:
        word = (base.__doc__ or "").split(":")[0]
        if word in WORDS:
            mine = [name for name in vars(base) if not name.startswith("_")]
            found += [Verb(word, f"lab.{name}", getattr(kl.AsyncLab, name)) for name in mine]
    for called, (word, kind) in rooms().items():
        found += [Verb(word, f"{called}.{name}", value) for name, value in own(kind)]
    return sorted(found, key=lambda one: WORDS.index(one.word))


def table() -> str:
    """The table of the README."""
    lines = ["| | verb | what it does |", "|---|---|---|"]
    before = ""
    for one in verbs():
        word, before = ("" if one.word == before else one.word.lower()), one.word
        lines.append(f"| {word} | `{one.called}` | {one.sentence.replace('|', chr(92) + '|')} |")
    return BEGIN + "\n" + "\n".join(lines) + "\n\n" + END


def main() -> None:
    """Write the README's table anew, or the pages."""
    if len(sys.argv) > 1:
        folder = Path(sys.argv[1])
        folder.mkdir(parents=True, exist_ok=True)
        for one in verbs():
            (folder / f"{one.called.replace('(...)', '')}.md").write_text(one.page, "utf-8")
        return
    text = README.read_text("utf-8")
    head, rest = text.split(BEGIN)
    README.write_text(head + table() + rest.split(END)[1], "utf-8")


if __name__ == "__main__":
    main()
