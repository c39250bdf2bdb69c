"""From arguments to bodies, checked before anything is sent; what Exa has retired is refused by name, with what replaces it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final

from kalshi_lab.clock import When, moment
from kalshi_lab.errors import UsageError, one_of, unknown

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

TYPES: Final = ("auto", "lite", "deep", "deep-lite", "deep-reasoning", "fast", "instant", "neural")
DEEP: Final = frozenset({"deep", "deep-lite", "deep-reasoning"})
CATEGORIES: Final = ("news", "financial report", "publication", "personal site", "company", "people")
GONE: Final = {  # words of old, and what to say now
    "research paper": 'category="publication"', "pdf": 'category="publication"', "github": 'include_domains=["github.com"]',
    "tweet": 'include_domains=["x.com"]', "linkedin profile": 'category="people"', "keyword": 'type="auto"',
}  # fmt: skip
RETIRED: Final = {
    "livecrawl": "max_age_hours= (0 reads the page now, -1 never)",
    "start_crawl_date": "start_published_date=",
    "end_crawl_date": "end_published_date=",
    "use_autoprompt": "nothing in its place",
    "context": "highlights=True or text=True",
    "num_sentences": "highlights=True",
    "highlights_per_url": "highlights=True",
    "include_text": "the query's own words",
    "exclude_text": "the query's own words",
    "find_similar": "a search for the page's title",
}
NAMED: Final = frozenset({"company", "people"})  # categories that take no published dates and no exclude_domains
_LITE: Final = frozenset(
    ("query", "type", "numResults", "category", "includeDomains", "excludeDomains", "startPublishedDate")
) | {"endPublishedDate", "userLocation", "moderation", "contents", "userIdentifier", "compliance"}
_LITE_CONTENTS: Final = frozenset({"text", "highlights"})
_USER: Final = re.compile(r"^[A-Za-z0-9_-]{1,64}$")
_WIRE: Final = re.compile(r"_(\w)")
DEEPEST, MOST_PROPERTIES = 2, 10
EFFORTS: Final = ("minimal", "low", "medium", "high", "xhigh", "auto", "ultra")
METERED: Final = frozenset({"auto", "ultra"})
CONTENT: Final = (
    "text", "highlights", "summary", "max_age_hours", "livecrawl_timeout", "snapshot_as_of", "extras", "filter_empty_results",
)  # fmt: skip


def wire(name: str) -> str:
    """A name as Exa spells it."""
    return _WIRE.sub(lambda found: found[1].upper(), name)


def refused(older: Mapping[str, Any], allowed: Iterable[str]) -> None:
    """Refuse arguments that do not exist, with what replaces those that once did."""
    for name in older:
        if name in RETIRED:
            raise UsageError(f"Exa takes no {name} any more", hint=f"Use {RETIRED[name]}")
        raise unknown("argument", name, sorted(allowed))


def _between(low: int, high: int) -> Callable[[str, Any], int]:
    def check(name: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise UsageError(f"{name}={value!r} is no whole number from {low} to {high}")
        return value

    return check


def _text(most: int) -> Callable[[str, Any], str]:
    def check(name: str, value: Any) -> str:
        if not isinstance(value, str) or not 1 <= len(value.strip()) <= most:
            raise UsageError(f"{name}= is a text of 1 to {most:,} characters, not {str(value)[:40]!r}")
        return value

    return check


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise UsageError(f"{name}= is True or False, not {value!r}")
    return value


def _texts(most: int) -> Callable[[str, Any], list[str]]:
    def check(name: str, value: Any) -> list[str]:
        given = [value] if isinstance(value, str) else list(value) if isinstance(value, Iterable) else []
        if not 1 <= len(given) <= most or not all(isinstance(one, str) and one.strip() for one in given):
            raise UsageError(f"{name}= is a list of 1 to {most:,} texts")
        return given

    return check


def _word(what: str, allowed: tuple[str, ...]) -> Callable[[str, Any], str]:
    def check(_name: str, value: Any) -> str:
        if value in GONE:
            raise UsageError(f"Exa knows no {what} {value!r} any more", hint=f"Use {GONE[value]}")
        return one_of(what, value, allowed)

    return check


def _mapping(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise UsageError(f"{name}= is a mapping, not {type(value).__name__}")
    return dict(value)


def _option(name: str, value: Any) -> Any:
    """A kind of content: True, False, or its options by Exa's or by Python's names."""
    if isinstance(value, bool):
        return {} if value and name == "summary" else value  # Exa's own description takes an object for a summary
    made = {wire(str(key)): inner for key, inner in _mapping(name, value).items()}
    for key in made:
        refused({_snake(key): 0} if _snake(key) in RETIRED else {}, ())
    if "maxCharacters" in made:
        _between(1, 10_000)(f"{name}'s maxCharacters", made["maxCharacters"])
    return made


def _snake(name: str) -> str:
    return re.sub(r"[A-Z]", lambda found: f"_{found[0].lower()}", name)


def _user(name: str, value: Any) -> str:
    if not isinstance(value, str) or not _USER.match(value):
        raise UsageError(f"{name}= is 1 to 64 letters, digits, dashes and underscores, and names nobody")
    return value


def _location(name: str, value: Any) -> Any:
    if isinstance(value, Mapping) or (isinstance(value, str) and len(value) == 2 and value.isalpha()):  # noqa: PLR2004 - ISO 3166
        return value
    raise UsageError(f"{name}= is a country's two letters, or a mapping with country, or latitude and longitude")


def _schema(name: str, value: Any) -> dict[str, Any]:
    """A schema for a made output, within what Exa takes: two levels and ten properties."""
    given = _mapping(name, value)
    if given.get("type") not in {"text", "object"}:
        raise UsageError(f"{name}= begins with a type, text or object, not {given.get('type')!r}")
    depth, properties = _measure(given)
    if depth > DEEPEST or properties > MOST_PROPERTIES:
        said = f"{name}= has {properties} properties in {depth} levels"
        raise UsageError(said, hint=f"Exa takes {MOST_PROPERTIES} properties in {DEEPEST} levels at most")
    return given


def _measure(schema: Mapping[str, Any]) -> tuple[int, int]:
    inner = [one for one in (schema.get("properties") or {}).values() if isinstance(one, Mapping)]
    below = [_measure(_items(one)) for one in inner]
    return (1 if inner else 0) + max((depth for depth, _ in below), default=0), len(inner) + sum(n for _, n in below)


def _items(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a list holds; anything else itself."""
    found = schema.get("items")
    return found if isinstance(found, Mapping) else schema


CHECKS: Final[dict[str, Callable[[str, Any], Any]]] = {
    "query": _text(20_000), "type": _word("search type", TYPES), "num_results": _between(1, 100), "category": _word("category", CATEGORIES),
    "include_domains": _texts(1200), "exclude_domains": _texts(1200), "user_location": _location, "moderation": _flag, "text": _option,
    "highlights": _option, "summary": _option, "max_age_hours": _between(-1, 720), "livecrawl_timeout": _between(1, 90_000),
    "extras": _mapping, "filter_empty_results": _flag, "additional_queries": _texts(5), "system_prompt": _text(100_000),
    "output_schema": _schema, "objective": _text(4096), "user_identifier": _user, "compliance": _word("compliance", ("hipaa",)),
    "subpages": _between(0, 100), "subpage_target": _texts(100), "model": _word("model", ("exa", "exa-pro")),
    "effort": _word("effort", EFFORTS), "metadata": _mapping, "input": _mapping, "previous_run_id": _text(200),
    "urls": _texts(100), "ids": _texts(100), "name": _text(200),
}  # fmt: skip
DATES: Final = ("start_published_date", "end_published_date", "snapshot_as_of")


def checked(given: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """The arguments that were given, each checked, under Exa's names; times as UTC text."""
    made = {}
    for name, value in given.items():
        if value is not None:
            made[wire(name)] = _stamp(value, now, name) if name in DATES else CHECKS[name](name, value)
    return made


def _stamp(value: When, now: datetime, name: str) -> str:
    return moment(value, now=now, what=name).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def search_body(given: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """The body of a search: what is wanted of the pages goes below `contents`."""
    made = checked({name: value for name, value in given.items() if name not in CONTENT}, now)
    contents = checked({name: given.get(name) for name in CONTENT}, now)
    if contents:
        made["contents"] = contents
    _together(made)
    return made


def _together(made: Mapping[str, Any]) -> None:
    """Refuse what Exa refuses, or drops without a word, when it comes together."""
    kind, category = made["type"], made.get("category")
    if "includeDomains" in made and "excludeDomains" in made:
        raise UsageError("include_domains= and exclude_domains= exclude one another")
    if "startPublishedDate" in made and made["startPublishedDate"] >= made.get("endPublishedDate", "9"):
        raise UsageError("start_published_date= is not before end_published_date=")
    if category in NAMED and ({"startPublishedDate", "endPublishedDate", "excludeDomains"} & made.keys()):
        raise UsageError(f"the category {category!r} takes no published dates and no exclude_domains=")
    if "additionalQueries" in made and kind not in DEEP:
        raise UsageError(f"additional_queries= is for the deep types, not for {kind!r}", hint='type="deep"')
    if kind == "lite":
        odd = sorted((made.keys() - _LITE) | (made.get("contents", {}).keys() - _LITE_CONTENTS))
        if odd:
            raise UsageError(f"a lite search takes no {_snake(odd[0])}=", hint='type="auto" does')


def contents_body(given: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """The body of a request for pages, whose content options stand at the top."""
    if (given.get("urls") is None) == (given.get("ids") is None):
        raise UsageError("give urls or ids=, one of the two")
    made = checked(given, now)
    if any(not 1 <= len(url) <= 2048 for url in made.get("urls", ())):  # noqa: PLR2004 - Exa's limit
        raise UsageError("an address has 1 to 2,048 characters")
    return made


def run_body(given: Mapping[str, Any], max_cost: float | str | None, now: datetime) -> dict[str, Any]:
    """The body of an agent run; the metered efforts only with a cap, since theirs would be Exa's."""
    schema = given.get("output_schema")
    made = checked({name: value for name, value in given.items() if name != "output_schema"}, now)
    if schema is not None:
        made["outputSchema"] = _mapping("output_schema", schema)
    metered = made["effort"] in METERED
    if metered and max_cost is None:
        said = f"the effort {made['effort']!r} is metered, up to {20 if made['effort'] == 'ultra' else 5} dollars"
        raise UsageError(said, hint="Give max_cost= in dollars, or a fixed effort like 'low'")
    if max_cost is not None:
        made["budget"] = {"maxCostDollars": _cap(max_cost, metered=metered)}
    return made


def _cap(max_cost: float | str, *, metered: bool) -> float:
    if not metered:
        raise UsageError("max_cost= is for the metered efforts, auto and ultra; the others have a fixed price")
    value = float(max_cost)
    if not 1 <= value <= 100:  # noqa: PLR2004 - Exa's limits
        raise UsageError(f"max_cost={max_cost} is not from 1 to 100 dollars")
    return value
