"""From arguments to bodies, checked before anything is sent; what Exa has retired is refused by name, with what replaces it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, timedelta
from decimal import Decimal
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
    "tweet": 'include_domains=["x.com"]', "linkedin profile": 'category="people"', "keyword": 'type="auto"', "max": 'effort="ultra"',
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
    "subpages": "contents(..., subpages=)",
    "subpage_target": "contents(..., subpage_target=)",
    "stream": "stream_search() or stream_answer()",
    "find_similar": "search() for the page's title, without its host",
    "find_similar_and_contents": "search() for the page's title, with highlights=True",
    "search_and_contents": "search() with text= or highlights=",
    "get_contents": "contents()",
    "research": "runs.create(), or a search of type deep with output_schema=",
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
OPTIONS: Final = {
    "text": {"maxCharacters", "includeHtmlTags", "verbosity", "includeSections", "excludeSections"},
    "highlights": {"query", "maxCharacters"}, "summary": {"query", "schema"},
}  # fmt: skip
EXTRAS: Final = ("links", "imageLinks", "richLinks", "richImageLinks", "codeBlocks")
CONTENT: Final = (
    "text", "highlights", "summary", "max_age_hours", "livecrawl_timeout", "snapshot_as_of", "extras", "filter_empty_results",
)  # fmt: skip


def wire(name: str) -> str:
    """A name as Exa spells it."""
    return _WIRE.sub(lambda found: found[1].upper(), name)


def refused(older: Iterable[str], allowed: Iterable[str]) -> None:
    """Refuse arguments that do not exist, with what replaces those that once did."""
    for name in older:
        if _snake(name) in RETIRED:
            raise UsageError(f"Exa takes no {name} here any more", hint=f"Use {RETIRED[_snake(name)]}")
        raise unknown("argument", name, sorted(allowed))


def only(given: Iterable[str], allowed: Iterable[str]) -> None:
    """Refuse arguments that are not among the allowed ones."""
    refused([name for name in given if name not in allowed], allowed)


class Gone(UsageError, AttributeError):  # noqa: N818 - a kind of UsageError
    """A call of Exa's older clients, which there is no more; to `hasattr` it is a name that is not there."""


def gone(owner: str, name: str) -> AttributeError:
    """The error for a name that a client does not have, with what replaces one that Exa's older clients had."""
    if name in RETIRED:
        return Gone(f"Exa has no {name} any more", hint=f"Use {RETIRED[name]}")
    return AttributeError(f"{owner!r} object has no attribute {name!r}")


def dollars(name: str, value: Any) -> Decimal:
    """An amount of dollars above zero."""
    try:
        found = Decimal(str(value))
    except ArithmeticError:
        found = Decimal(0)
    if not found.is_finite() or found <= 0:
        raise UsageError(
            f"{name}={value!r} is no amount of dollars", hint="What you are ready to spend on it, like 0.5"
        )
    return found


def _between(low: int, high: int) -> Callable[[str, Any], int]:
    def check(name: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise UsageError(f"{name}={value!r} is no whole number from {low} to {high}")
        return value

    return check


def text(most: int) -> Callable[[str, Any], str]:
    """A check for a text of so many characters at most."""

    def check(name: str, value: Any) -> str:
        if not isinstance(value, str) or not 1 <= len(value.strip()) <= most:
            raise UsageError(f"{name}= is a text of 1 to {most:,} characters, not {str(value)[:40]!r}")
        return value

    return check


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise UsageError(f"{name}= is True or False, not {value!r}")
    return value


def texts(most: int, longest: int = 2048) -> Callable[[str, Any], list[str]]:
    """A check for a list of texts, or one text: how many at most, and of how many characters."""

    def check(name: str, value: Any) -> list[str]:
        given = [value] if isinstance(value, str) else list(value) if isinstance(value, Iterable) else []
        if not 1 <= len(given) <= most or not all(
            isinstance(one, str) and one.strip() and len(one) <= longest for one in given
        ):
            raise UsageError(f"{name}= is a list of 1 to {most:,} texts of 1 to {longest:,} characters")
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
    only(map(_snake, made), sorted(map(_snake, OPTIONS[name])))
    if "maxCharacters" in made:
        _between(1, 10_000)(f"{name}'s maxCharacters", made["maxCharacters"])
    return made


def _extras(name: str, value: Any) -> dict[str, int]:
    made = {wire(str(key)): inner for key, inner in _mapping(name, value).items()}
    only(map(_snake, made), sorted(map(_snake, EXTRAS)))
    return {key: _between(0, 1000)(f"{name}'s {_snake(key)}", inner) for key, inner in made.items()}


def words(name: str, value: Any) -> dict[str, str]:
    """A mapping of texts to texts."""
    made = _mapping(name, value)
    if not all(isinstance(one, str) for pair in made.items() for one in pair):
        raise UsageError(f"{name}= is a mapping of texts to texts")
    return made


def _snake(name: str) -> str:
    return re.sub(r"[A-Z]", lambda found: f"_{found[0].lower()}", name)


def _user(name: str, value: Any) -> str:
    if not isinstance(value, str) or not _USER.match(value):
        raise UsageError(f"{name}= is 1 to 64 letters, digits, dashes and underscores, and names nobody")
    return value


def _location(name: str, value: Any) -> Any:
    place = dict(value) if isinstance(value, Mapping) else {"country": value}
    country = place.pop("country", None)
    here = [place.pop(one, None) for one in ("latitude", "longitude")]
    fits = country is None or (isinstance(country, str) and len(country) == 2 and country.isalpha())  # noqa: PLR2004 - ISO 3166
    if here != [None, None]:
        fits = fits and all(map(_degrees, here, (90, 180)))
    if fits and not place and (country is not None or here != [None, None]):
        return value
    raise UsageError(f"{name}= is a country's two letters, or a mapping with country, or latitude and longitude")


def _degrees(value: Any, most: int) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -most <= value <= most


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
    "query": text(20_000), "type": _word("search type", TYPES), "num_results": _between(1, 100), "category": _word("category", CATEGORIES),
    "include_domains": texts(1200), "exclude_domains": texts(1200), "user_location": _location, "moderation": _flag, "text": _option,
    "highlights": _option, "summary": _option, "max_age_hours": _between(-1, 720), "livecrawl_timeout": _between(1, 90_000),
    "extras": _extras, "filter_empty_results": _flag, "additional_queries": texts(5), "system_prompt": text(100_000),
    "output_schema": _schema, "objective": text(4096), "user_identifier": _user, "compliance": _word("compliance", ("hipaa",)),
    "subpages": _between(0, 100), "subpage_target": texts(100, 100), "model": _word("model", ("exa", "exa-pro")),
    "effort": _word("effort", EFFORTS), "metadata": words, "input": _mapping, "previous_run_id": text(200),
    "urls": texts(100), "ids": texts(100), "name": text(200),
}  # fmt: skip
DAY: Final = timedelta(days=1)
DATES: Final = ("start_published_date", "end_published_date", "snapshot_as_of")


def checked(given: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """The arguments that were given, each checked, under Exa's names; times as UTC text."""
    made = {}
    for name, value in given.items():
        refused(() if name in CHECKS or name in DATES else (name,), (*CHECKS, *DATES))
        if value is not None:
            made[wire(name)] = _stamp(value, now, name) if name in DATES else CHECKS[name](name, value)
    return made


def _stamp(value: When, now: datetime, name: str) -> str:
    """A time as UTC text. One told from now on is cut to its hour, or minute within a day, so that asking twice is asking the same."""
    found = moment(value, now=now, what=name).astimezone(UTC)
    if found != moment(value, now=now - DAY, what=name):
        found = found.replace(minute=0 if now - found >= DAY else found.minute, second=0)
    return found.strftime("%Y-%m-%dT%H:%M:%S.000Z")


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
    _stored(made.get("contents", {}))
    if kind == "lite":
        odd = sorted((made.keys() - _LITE) | (made.get("contents", {}).keys() - _LITE_CONTENTS))
        if odd:
            raise UsageError(f"a lite search takes no {_snake(odd[0])}=", hint='type="auto" does')


def _stored(options: Mapping[str, Any]) -> None:
    """Refuse to read pages anew, or pages below them, together with a stored version of the past."""
    if "snapshotAsOf" in options:
        for name in ("maxAgeHours", "livecrawlTimeout", "subpages"):
            if name in options:
                raise UsageError(f"snapshot_as_of= reads stored pages alone, so it takes no {_snake(name)}=")


def contents_body(given: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """The body of a request for pages, whose content options stand at the top."""
    if (given.get("urls") is None) == (given.get("ids") is None):
        raise UsageError("give urls or ids=, one of the two")
    made = checked(given, now)
    _stored(made)
    return made


def answer_body(given: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """The body of a question; any schema will do, since no limits of it are known."""
    made = checked({name: value for name, value in given.items() if name != "output_schema"}, now)
    if given.get("output_schema") is not None:
        made["outputSchema"] = _mapping("output_schema", given["output_schema"])
    return made


def run_body(
    given: Mapping[str, Any], max_cost: float | str | None, max_seconds: int | None, now: datetime
) -> dict[str, Any]:
    """The body of an agent run; the metered efforts only with a cap, since theirs would be Exa's."""
    made = answer_body(given, now)
    effort = made["effort"]
    if effort in METERED and max_cost is None:
        said = f"the effort {effort!r} is metered, up to {20 if effort == 'ultra' else 5} dollars"
        raise UsageError(said, hint="Give max_cost= in dollars, or a fixed effort like 'low'")
    if max_cost is not None:
        made["budget"] = {"maxCostDollars": _cap(max_cost, metered=effort in METERED)}
    if max_seconds is not None:
        if effort != "ultra":
            raise UsageError(f"max_seconds= is for the effort 'ultra', not for {effort!r}")
        made["budget"]["maxDurationSeconds"] = _between(300, 10_800)("max_seconds", max_seconds)
    return made


def _cap(max_cost: float | str, *, metered: bool) -> float:
    if not metered:
        raise UsageError("max_cost= is for the metered efforts, auto and ultra; the others have a fixed price")
    value = dollars("max_cost", max_cost)
    if not 1 <= value <= 100:  # noqa: PLR2004 - Exa's limits
        raise UsageError(f"max_cost={max_cost} is not from 1 to 100 dollars")
    return float(value)
