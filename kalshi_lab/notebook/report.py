"""Executed notebooks as one self-contained page: their words, tables and pictures, nothing fetched from elsewhere."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any

from kalshi_lab import markup
from kalshi_lab.notebook import execution

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path
POLICY = "default-src 'none'"  # by which a page of this library is known


def write(path: Path, title: str, figures: Mapping[str, object], notebooks: Sequence[Path]) -> int:
    """Write the page; how many pictures are on it."""
    cells = [cell for notebook in notebooks for cell in json.loads(notebook.read_text("utf-8"))["cells"]]
    shown = [part for cell in cells for part in _cell(cell)]
    execution.write(path, markup.page(title, markup.table((), figures.items()), *shown))
    return sum(part.count("<img ") for part in shown)


def _cell(cell: dict[str, Any]) -> Iterable[markup.Html]:
    if cell["cell_type"] == "markdown":
        yield from _words("".join(cell["source"]))
    for output in cell.get("outputs", []):
        yield from _output(output)


def _words(text: str) -> Iterable[markup.Html]:
    """The little Markdown that the notebooks use: headings and paragraphs."""
    for block in re.split(r"\n\s*\n", text.strip()):
        heading = re.match(r"#+ ", block)
        words = block.removeprefix(heading[0]) if heading else block
        yield markup.tag("h2" if heading else "p", words.replace("**", "").replace("`", ""))


def _output(output: dict[str, Any]) -> Iterable[markup.Html]:
    """What a cell showed, in its richest form that needs no script."""
    data = output.get("data", {})
    plain = _text(output.get("text") or data.get("text/plain") or "")
    if "image/png" in data:
        yield markup.png(base64.b64decode(data["image/png"]), plain)
    elif "text/html" in data:
        yield markup.cleaned(_text(data["text/html"]))
    elif plain and "application/vnd.jupyter.widget-view+json" not in data and output.get("name") != "stderr":
        yield markup.tag("pre", plain)


def _text(source: str | Sequence[str]) -> str:
    return source if isinstance(source, str) else "".join(source)
