"""What the simulated Exa asks of a request before it does anything, and how it says no."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from kalshi_lab.sim.wire import SECOND, moment

if TYPE_CHECKING:
    from collections.abc import Callable

BAD_BODY = "INVALID_REQUEST_BODY"
TYPES = frozenset({"auto", "lite", "deep", "deep-lite", "deep-reasoning", "fast", "instant", "neural"})
DEEP = frozenset({"deep", "deep-lite", "deep-reasoning"})
LITE = frozenset(
    ("query", "type", "numResults", "category", "includeDomains", "excludeDomains", "startPublishedDate")
) | {"endPublishedDate", "userLocation", "moderation", "contents", "userIdentifier"}
FETCHING = ("maxAgeHours", "livecrawlTimeout", "livecrawl", "subpages")
DEEPEST, MOST_PROPERTIES = 2, 10
_USER = re.compile(r"[A-Za-z0-9_-]{1,64}")
Body = dict[str, Any]


class Denied(Exception):  # noqa: N818 - an answer, not a fault of this program
    """A request that is answered with an error body."""

    def __init__(self, status: int, tag: str, text: str) -> None:
        super().__init__(text)
        self.status, self.tag, self.text = status, tag, text


def stamp(now: int) -> str:
    """A time in microseconds as Exa writes it."""
    return f"{moment(now)[:19]}.{now // 1000 % 1000:03d}Z"


def instant(text: object) -> int | None:
    """A time of a request or a page in microseconds; None where there is none. Raises Denied for what is no time."""
    if text is None or text == "":
        return None
    try:
        found = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        found = None
    if found is None:
        raise Denied(400, BAD_BODY, f"no date: {str(text)[:40]}")
    return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * SECOND)


def _not(name: str, expected: str, tag: str = BAD_BODY) -> Denied:
    return Denied(400, tag, f"{name}: expected {expected}")


def whole(name: str, value: Any, low: int, high: int) -> int:
    """A whole number within its limits."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise _not(name, f"a whole number from {low} to {high}")
    return value


def string(name: str, value: Any, most: int = 100_000) -> str:
    """A text that is not empty."""
    if not isinstance(value, str) or not 1 <= len(value) <= most:
        raise _not(name, f"a text of 1 to {most} characters")
    return value


def strings(name: str, value: Any, most: int) -> list[str]:
    """A list of texts."""
    if not isinstance(value, list) or len(value) > most or not all(isinstance(one, str) and one for one in value):
        raise _not(name, f"a list of at most {most} texts")
    return value


def boolean(name: str, value: Any) -> None:
    """Yes or no."""
    if not isinstance(value, bool):
        raise _not(name, "true or false")


def body(sent: Any) -> Body:
    """The object of a request, without its nulls, which mean the same as nothing."""
    if not isinstance(sent, dict):
        raise Denied(400, BAD_BODY, "the body: expected an object")
    return {name: value for name, value in sent.items() if value is not None}


def mapping(name: str, value: Any) -> Body:
    """An object."""
    if not isinstance(value, dict):
        raise _not(name, "an object")
    return value


def number_of_results(value: Any) -> None:
    """How many results, which has tags of its own."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise _not("numResults", "1 to 100", "INVALID_NUM_RESULTS")
    if value > 100:
        raise _not("numResults", "1 to 100", "NUM_RESULTS_EXCEEDED")


def schema(value: Any) -> None:
    """A schema of a search's output: a text, or an object of two levels and ten properties at most."""
    found = mapping("outputSchema", value)
    if found.get("type") not in ("text", "object"):
        raise _not("outputSchema.type", "text or object", "INVALID_JSON_SCHEMA")
    depth, properties = _measure(found)
    if depth > DEEPEST or properties > MOST_PROPERTIES:
        raise _not("outputSchema", f"{DEEPEST} levels and {MOST_PROPERTIES} properties at most", "INVALID_JSON_SCHEMA")


def _measure(value: Body) -> tuple[int, int]:
    properties = value.get("properties")
    inner = [one for one in properties.values() if isinstance(one, dict)] if isinstance(properties, dict) else []
    items = [one["items"] if isinstance(one.get("items"), dict) else one for one in inner]
    below = [_measure(one) for one in items]
    return bool(inner) + max((depth for depth, _ in below), default=0), len(inner) + sum(number for _, number in below)


def _user(name: str, value: Any) -> None:
    if not isinstance(value, str) or not _USER.fullmatch(value):
        raise _not(name, "1 to 64 letters, digits, dashes and underscores")


def _type(name: str, value: Any) -> None:
    if not isinstance(value, str) or value not in TYPES:
        raise _not(name, " | ".join(sorted(TYPES)))


def _kind(name: str, value: Any) -> None:
    """A kind of content: whether it is wanted, or how."""
    if isinstance(value, bool):
        return
    options = mapping(name, value)
    if options.get("maxCharacters") is not None:
        whole(f"{name}.maxCharacters", options["maxCharacters"], 1, 10_000)
    if options.get("query") is not None:
        string(f"{name}.query", options["query"])
    if options.get("schema") is not None:
        mapping(f"{name}.schema", options["schema"])


def _extras(name: str, value: Any) -> None:
    for key, number in mapping(name, value).items():
        whole(f"{name}.{key}", number, 0, 1000)


def _instant(_name: str, value: Any) -> None:
    instant(value)


def _ranged(low: int, high: int) -> Callable[[str, Any], object]:
    return lambda name, value: whole(name, value, low, high)


def _listed(most: int) -> Callable[[str, Any], object]:
    return lambda name, value: strings(name, value, most)


CONTENTS: dict[str, Callable[[str, Any], object]] = {
    "text": _kind, "highlights": _kind, "summary": _kind, "maxAgeHours": _ranged(-1, 720), "livecrawlTimeout": _ranged(1, 90_000),
    "snapshotAsOf": _instant, "subpages": _ranged(0, 100), "extras": _extras, "filterEmptyResults": boolean,
}  # fmt: skip
SEARCH: dict[str, Callable[[str, Any], object]] = {
    "query": string, "type": _type, "category": string, "includeDomains": _listed(1200), "excludeDomains": _listed(1200),
    "startPublishedDate": _instant, "endPublishedDate": _instant, "moderation": boolean, "additionalQueries": _listed(10),
    "systemPrompt": string, "outputSchema": lambda _name, value: schema(value), "objective": lambda name, value: string(name, value, 4096),
    "stream": boolean, "userIdentifier": _user, "numResults": lambda _name, value: number_of_results(value),
}  # fmt: skip
ANSWER: dict[str, Callable[[str, Any], object]] = {
    "query": string, "text": boolean, "stream": boolean, "outputSchema": mapping, "systemPrompt": string, "userIdentifier": _user,
}  # fmt: skip


def _checked(given: Body, checks: dict[str, Callable[[str, Any], object]], where: str = "") -> None:
    for name, check in checks.items():
        if name in given:
            check(f"{where}{name}", given[name])


def search(sent: Any) -> Body:
    """The body of a search, checked."""
    given = body(sent)
    if not given.get("query"):
        raise _not("query", "a text")
    _checked(given, SEARCH)
    given["contents"] = contents = body(given.get("contents", {}))
    _options(contents, "contents.")
    _together(given, contents)
    return given


def _together(given: Body, contents: Body) -> None:
    if given.get("type") == "lite" and (
        odd := sorted((given.keys() - LITE) | (contents.keys() - {"text", "highlights"}))
    ):
        raise Denied(400, BAD_BODY, f"{odd[0]}: not with the type lite")
    if given.get("category") in {"company", "people"}:
        for name in ("startPublishedDate", "endPublishedDate", "excludeDomains"):
            if name in given:
                raise Denied(400, BAD_BODY, f"{name}: not with the category {given['category']}")
    if "additionalQueries" in given and given.get("type") not in DEEP:
        raise Denied(400, BAD_BODY, "additionalQueries: only with the deep types")


def _options(contents: Body, where: str) -> None:
    _checked(contents, CONTENTS, where)
    if "livecrawl" in contents and "maxAgeHours" in contents:
        raise Denied(400, BAD_BODY, f"{where}livecrawl: not with maxAgeHours")
    for name in FETCHING:
        if "snapshotAsOf" in contents and name in contents:
            raise Denied(400, BAD_BODY, f"{where}{name}: not with snapshotAsOf")


def contents(sent: Any) -> tuple[Body, list[str]]:
    """The body of a request for pages, checked, and which pages."""
    given = body(sent)
    if ("urls" in given) == ("ids" in given):
        raise Denied(400, "INVALID_REQUEST", "urls, ids: expected one of the two")
    wanted = given["urls"] if "urls" in given else given["ids"]
    if (
        not isinstance(wanted, list)
        or not 1 <= len(wanted) <= 100
        or not all(isinstance(one, str) and 1 <= len(one) <= 2048 for one in wanted)
    ):
        raise _not("urls", "1 to 100 addresses", "INVALID_URLS")
    _options(given, "")
    return given, wanted


def answer(sent: Any) -> Body:
    """The body of a question, checked."""
    given = body(sent)
    if not given.get("query"):
        raise _not("query", "a text")
    _checked(given, ANSWER)
    return given
