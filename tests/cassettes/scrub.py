"""What is taken out of recorded HTTP before it is written, and what finds whatever stayed in.

Persons and keys get made-up ids, each the same one wherever it stands, so that what belongs together still does; everything else stays
byte for byte as it came.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vcr.request import Request  # type: ignore[import-untyped]  # it ships no types

ADDRESS = "http://127.0.0.1:9/trade-api/v2"  # nobody listens there: what is not in a cassette fails
EXA = "http://127.0.0.1:9/exa"
EXA_HOST = "api.exa.ai"
KEPT_HEADERS = {"request": {"accept"}, "response": {"content-type"}}
PEOPLE = re.compile(r"(\w+_)?(user_id|creator_id|api_key_id|communications_id|subtrader_id|account_id)")
KEYS = {
    "private_key": "(private, scrubbed)",
    "public_key": "(public, scrubbed)",
    "webhookSecret": "(webhook's, scrubbed)",
}
MADE_UP = "00000000-0000-4000-8000-{:012d}"
_MADE_UP = re.compile(r"00000000-0000-4000-8000-\d{12}|")
SECRET = re.compile(
    r"KALSHI-ACCESS[\w-]*|(?:PRIVATE|PUBLIC) KEY|MII[\w+/]{40,}|(?:authorization|cookie|x-api-key|x-request-id|user-agent)\W{0,3}:"
    r"|bearer [\w.-]{16,}"
    r"|AKIA[0-9A-Z]{16}|eyJ[\w-]{10,}\.eyJ|[\w.+-]+@[\w-]+\.\w{2,}|/(?:home|root|Users)/"
    r"|(?<![\w+/])(?:[\w+/]{86}==|[\w+/]{342}==)(?!=)",  # signatures: Ed25519, RSA of 2,048 bits
    re.IGNORECASE,
)
_KEY_IN_PATH = re.compile(r"/api_keys/(?!generate)([^/?]+)")


def made_up_id(number: int) -> str:
    """The made-up id of the number-th person or key."""
    return MADE_UP.format(number)


class Scrubber:
    """Scrubs the traffic of one cassette; the ids of `keys`, which sign it, get the first made-up ids."""

    def __init__(self, *keys: str) -> None:
        self._made_up = {key: made_up_id(number) for number, key in enumerate(keys, 1)}

    def request(self, request: Request) -> Request | None:
        """The request under the fixed address, without headers but Accept; None for what is neither the exchange's API nor Exa's."""
        parts = urlsplit(request.uri)
        where = placed(parts.hostname, parts.path)
        if where is None:
            return None
        request.uri = self._named(where + (f"?{parts.query}" if parts.query else ""))
        request.headers = {
            name: value for name, value in request.headers.items() if name.lower() in KEPT_HEADERS["request"]
        }
        if request.body:
            request.body = self._text(request.body.decode()).encode()
        return request

    def response(self, response: dict[str, Any]) -> dict[str, Any]:
        """The response without headers but its type."""
        kept = {name: value for name, value in response["headers"].items() if name.lower() in KEPT_HEADERS["response"]}
        body = self._text(response["body"]["string"].decode()).encode()
        return {**response, "headers": kept, "body": {"string": body}}

    def _text(self, text: str) -> str:
        """A JSON text with its people and keys replaced; nothing else in it moves."""
        try:
            found = list(private(json.loads(text)))
        except ValueError:
            return text
        for name, value in found:
            if name in KEYS:
                text = text.replace(json.dumps(value), json.dumps(KEYS[name]))
            elif not _MADE_UP.fullmatch(value):
                self._made_up.setdefault(value, made_up_id(len(self._made_up) + 1))
        for real, made_up in self._made_up.items():
            text = text.replace(json.dumps(real), json.dumps(made_up))
        return text

    def _named(self, uri: str) -> str:
        for real, made_up in self._made_up.items():
            uri = re.sub(rf"(?<=[/=,]){re.escape(real)}(?=[/?&,]|$)", made_up, uri)
        return uri


def placed(host: str | None, path: str) -> str | None:
    """The fixed address of what is asked of the exchange or of Exa, real or simulated; None for anything else."""
    if host == EXA_HOST:
        return EXA + path
    for address in (ADDRESS, EXA):
        prefix = urlsplit(address).path
        if path.startswith(f"{prefix}/"):
            return address + path.removeprefix(prefix)
    return None


def private(value: Any) -> Iterator[tuple[str, str]]:
    """The fields of a JSON value that name a person, an account or a key, or hold a key."""
    if isinstance(value, dict):
        for name, item in value.items():
            if isinstance(item, str) and (name in KEYS or PEOPLE.fullmatch(name)):
                yield name, item
            yield from private(item)
    elif isinstance(value, list):
        for item in value:
            yield from private(item)


def leaks(text: str) -> list[str]:
    """What a cassette must not hold, and does."""
    found = SECRET.findall(text)
    for one in json.loads(text)["interactions"]:
        asked, answered = one["request"], one["response"]
        found += _headers("request", asked["headers"]) + _headers("response", answered["headers"])
        found += [] if asked["uri"].startswith((f"{ADDRESS}/", f"{EXA}/")) else [asked["uri"]]
        found += [key for key in _KEY_IN_PATH.findall(asked["uri"]) if not _MADE_UP.fullmatch(key)]
        for body in (asked["body"], answered["body"]["string"]):
            found += _people(body)
    return found


def _headers(kind: str, headers: dict[str, Any]) -> list[str]:
    return [name for name in headers if name.lower() not in KEPT_HEADERS[kind]]


def _people(body: str | None) -> list[str]:
    try:
        named = list(private(json.loads(body or "null")))
    except ValueError:
        return []
    return [f"{name}={value}" for name, value in named if not _MADE_UP.fullmatch(value) and value != KEYS.get(name)]
