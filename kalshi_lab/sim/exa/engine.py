"""The search: pages by the words that they share with a query, and what is made of them."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from functools import cached_property
from typing import TYPE_CHECKING, Any

from kalshi_lab.sim.exa.stories import Stories

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kalshi_lab.sim.exa.stories import Leaf
    from kalshi_lab.sim.world import World

    Grounds = list[tuple[str, list[Leaf]]]

_WORD = re.compile(r"[a-z0-9]+(?:\.\d+)?")
EVENTS = 40  # that a query looks at
_COMMON = frozenset(
    _WORD.findall("the a an of on in at by to is be will it that and or for what how do does with from this")
)
FABRICATED = "An official said in confidence that the outcome is certain."


def tokens(text: str) -> set[str]:
    """The words of a text that tell something."""
    return set(_WORD.findall(text.lower())) - _COMMON


class Engine:
    """Finds and reads the pages of one world as they are at a moment. `lies` puts a passage into answers that no page has."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.stories = Stories(world)
        self.lies = False

    @cached_property
    def _index(self) -> dict[str, list[int]]:
        """The events that name each word; made at the first search."""
        found: dict[str, list[int]] = defaultdict(list)
        names = self._world.names
        for event in range(len(self._world.events)):
            spec, text = names.spec(event), names.event(event)
            if spec.shape != "combo":
                for word in tokens(
                    f"{text.title} {text.sub_title} {spec.title} {spec.category} {text.ticker.replace('-', ' ')}"
                ):
                    found[word].append(event)
        return found

    def _events(self, words: set[str]) -> list[tuple[float, int]]:
        """The events that share most with a query, weighted by how rare the shared words are."""
        scores: dict[int, float] = defaultdict(float)
        total = max(len(self._world.events), 2)
        for word in sorted(words):
            events = self._index.get(word, ())
            for event in events:
                scores[event] += math.log(total / len(events))
        return sorted(((score, event) for event, score in scores.items()), key=lambda one: (-one[0], one[1]))[:EVENTS]

    def search(self, query: str, now: int) -> list[Leaf]:
        """The pages that are out by now, the most fitting first, of equal ones the newest."""
        words = tokens(query)
        ranked = [
            (score + len(words & tokens(leaf.title)) + 0.25 * len(words & tokens(leaf.text)), leaf)
            for score, event in self._events(words)
            for leaf in self.stories.leaves(event)
            if leaf.time <= now
        ]
        ranked += [
            (1.0 * len(words & tokens(leaf.title)), leaf)
            for leaf in self.stories.papers()
            if words & tokens(leaf.title)
        ]
        return [leaf for _, leaf in sorted(ranked, key=lambda one: (-one[0], -one[1].time, one[1].url))]

    def read(self, url: str, now: int) -> Leaf | None:
        """A page that is out by now."""
        leaf = self.stories.find(url)
        return leaf if leaf is not None and leaf.time <= now else None

    def passages(self, leaf: Leaf, query: str, most: int = 2) -> list[str]:
        """The sentences of a page that share most with a query, as they stand there."""
        words = tokens(query)
        ranked = sorted(enumerate(leaf.sentences[1:]), key=lambda one: (-len(words & tokens(one[1])), one[0]))
        return [sentence for _, sentence in ranked[:most]]

    def lean(self, leaves: Sequence[Leaf]) -> float:
        """How the reports lean on the whole."""
        known = [leaf.lean for leaf in leaves if leaf.kind == "news"]
        return sum(known) / len(known) if known else 0.0

    def filled(self, schema: Any, leaves: Sequence[Leaf], query: str, root: str = "") -> tuple[Any, Grounds]:
        """A value for a schema, made of the pages, and for each part of it the pages that it rests on."""
        grounds: Grounds = []
        value = self._value(root, schema if isinstance(schema, dict) else {}, list(leaves), query, grounds)
        return value, grounds

    def _value(self, path: str, schema: dict[str, Any], leaves: list[Leaf], query: str, grounds: Grounds) -> Any:
        kind = schema.get("type", "string")
        kind = next((one for one in kind if one != "null"), "null") if isinstance(kind, list) else kind
        properties, items = schema.get("properties"), schema.get("items")
        if kind == "object":
            inner = properties if isinstance(properties, dict) else {}
            return {
                key: self._value(
                    f"{path}.{key}".lstrip("."), one if isinstance(one, dict) else {}, leaves, query, grounds
                )
                for key, one in inner.items()
            }
        if kind == "array":
            most = schema.get("maxItems")
            each = leaves[: most if isinstance(most, int) else 5]
            plain = items if isinstance(items, dict) else {}
            return [self._value(f"{path}[{n}]", plain, [leaf], query, grounds) for n, leaf in enumerate(each)]
        grounds.append((path or "content", leaves[:5]))
        return self._single(path.rpartition(".")[2], schema, kind, leaves, query)

    def _single(self, name: str, schema: dict[str, Any], kind: Any, leaves: list[Leaf], query: str) -> Any:
        lean, allowed = self.lean(leaves), schema.get("enum")
        if isinstance(allowed, list) and allowed:
            return allowed[min(len(allowed) - 1, int((1 - lean) / 2 * len(allowed)))]
        if kind in ("number", "integer"):
            value = 0.5 + lean / 2 if "prob" in name else lean
            return round(value, 4) if kind == "number" else round(value)
        if kind == "boolean":
            return lean > 0
        return None if kind == "null" else self._text(name, leaves, query)

    def _text(self, name: str, leaves: list[Leaf], query: str) -> str:
        if not leaves:
            return ""
        if "url" in name:
            return leaves[0].url
        if "title" in name:
            return leaves[0].title
        if self.lies and name in {"quote", "passage"}:
            return FABRICATED
        return (self.passages(leaves[0], query, 1) or [""])[0]

    def said(self, leaves: Sequence[Leaf], query: str) -> str:
        """An answer in a sentence or two."""
        news = [leaf for leaf in leaves if leaf.kind == "news"]
        if not news:
            return "No report says anything about it."
        lean = self.lean(news)
        side = "in its favour" if lean > 0.05 else "against it" if lean < -0.05 else "neither way"
        quoted = FABRICATED if self.lies else (self.passages(news[0], query, 1) or [""])[0]
        return f"{len(news)} reports lean {side} on the whole. {quoted}"
