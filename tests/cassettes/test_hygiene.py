"""What a cassette may hold: answers under one fixed address, and nothing of who asked; each family has one, and all of it is small."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from vcr.errors import CannotOverwriteExistingCassetteException  # type: ignore[import-untyped]  # it ships no types
from vcr.request import Request  # type: ignore[import-untyped]  # as above

import kalshi_lab as kl
from kalshi_lab.kalshi.operations import table
from tests.cassettes.conftest import FOLDER, recorder, source, unreachable
from tests.cassettes.scrub import ADDRESS, EXA, Scrubber, leaks, made_up_id
from tests.operations.server import operation_of

if TYPE_CHECKING:
    from collections.abc import Callable

CASSETTES = sorted(file.stem for file in FOLDER.iterdir())
HEAD, HOME = "PRIVATE KEY", "home"  # so that no line here looks like what is looked for
UUID = "6a58de36-9cb3-40ea-94eb-a2703fbeae69"


def recorded(name: str) -> str:
    return (FOLDER / f"{name}.json").read_text(encoding="utf-8")


def interactions(text: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(text)["interactions"]
    return found


def test_every_operation_of_every_family_is_recorded() -> None:
    """Lesson 49: raw answers of all families; of the operations, each one is in a cassette."""
    asked = [one["request"] for name in CASSETTES for one in interactions(recorded(name))]
    paths = [(one["method"], urlsplit(one["uri"]).path.removeprefix(urlsplit(ADDRESS).path)) for one in asked]
    found = {row.operation for method, path in paths if (row := operation_of(method, path))}
    assert sorted(table().keys() - found) == []


def test_they_are_small() -> None:
    """A few dozen kilobytes each."""
    sizes = {name: len(recorded(name)) for name in CASSETTES}
    assert {name: size for name, size in sizes.items() if not 500 < size < 50_000} == {}
    assert sum(sizes.values()) < 600_000


@pytest.mark.parametrize("name", CASSETTES)
def test_nothing_secret_is_in_it(name: str) -> None:
    """AUTH: no key, signature, cookie, agent, person or machine; few headers; one address."""
    assert leaks(recorded(name)) == []
    assert interactions(recorded(name))


PLANTED: dict[str, Callable[[dict[str, Any]], Any]] = {
    "a header with a signature": lambda one: one["request"]["headers"].update({"KALSHI-ACCESS-SIGNATURE": ["c2ln"]}),
    "a header with a time": lambda one: one["request"]["headers"].update(
        {"kalshi-access-timestamp": ["1790000000000"]}
    ),
    "a header with Exa's key": lambda one: one["request"]["headers"].update({"x-api-key": ["canary-exa-key"]}),
    "a webhook's secret": lambda one: answered(one, webhookSecret="whsec_0000000000000001"),
    "a cookie": lambda one: one["response"]["headers"].update({"Set-Cookie": ["session=1"]}),
    "a request id": lambda one: one["response"]["headers"].update({"X-Request-Id": ["1"]}),
    "the host that was asked": lambda one: one["request"].update(uri="https://api.elections.kalshi.com/trade-api/v2/x"),
    "a key id in a path": lambda one: one["request"].update(uri=f"{ADDRESS}/api_keys/{UUID}"),
    "a key id in an answer": lambda one: answered(one, api_key_id=UUID),
    "an account id in an answer": lambda one: answered(one, order={"user_id": UUID}),
    "an account id deep in a list": lambda one: answered(one, rows=[{"quotes": [{"rfq_creator_user_id": UUID}]}]),
    "an account id in a request": lambda one: one["request"].update(body=json.dumps({"buyer_user_id": UUID})),
    "an Ed25519 signature in a text": lambda one: answered(one, note=kl.Credentials.generate().signature("x")),
    "an RSA signature in a text": lambda one: answered(one, note=kl.Credentials.generate("rsa").signature("x")),
    "a private key": lambda one: answered(one, text=f"-----BEGIN {HEAD}-----\nMC4C\n-----END {HEAD}-----\n"),
    "a private key without its head": lambda one: answered(one, private_key="MC4CAQAwBQYDK2VwBCIEIA=="),
    "a public key": lambda one: answered(one, text=kl.Credentials.generate().public_pem),
    "a person's address": lambda one: answered(one, note="somebody@example.com"),
    "a path of a machine": lambda one: answered(one, note=f"/{HOME}/somebody/x"),
}


def answered(one: dict[str, Any], **fields: Any) -> None:
    one["response"]["body"]["string"] = json.dumps(fields)


@pytest.mark.parametrize("what", PLANTED)
def test_what_is_planted_is_found(what: str) -> None:
    """The check above bites: a cassette without fault has one as soon as anything private is put into it."""
    clean = json.loads(recorded("api_keys"))
    assert leaks(json.dumps(clean)) == []
    PLANTED[what](clean["interactions"][0])
    assert leaks(json.dumps(clean)) != []


def test_a_signed_request_is_written_without_its_signature() -> None:
    """The scrubbing bites: headers, host, key ids in paths and public keys are gone before anything is written."""
    key = kl.Credentials.generate()
    scrubber = Scrubber(key.key_id)
    headers = {
        "KALSHI-ACCESS-KEY": key.key_id,
        "KALSHI-ACCESS-SIGNATURE": key.signature("x"),
        "Accept": "application/json",
        "X-Request-Id": "1",
    }
    host = "https://external-api.kalshi.com/trade-api/v2"
    body = json.dumps({"name": "mine", "public_key": key.public_pem})
    written = scrubber.request(Request("POST", f"{host}/api_keys/{key.key_id}?limit=1", body.encode(), headers))
    assert written.uri == f"{ADDRESS}/api_keys/{made_up_id(1)}?limit=1"
    assert dict(written.headers) == {"Accept": "application/json"}
    assert json.loads(written.body) == {"name": "mine", "public_key": "(public, scrubbed)"}
    assert scrubber.request(Request("POST", "http://127.0.0.1:1/sim/advance", b"", {})) is None


def test_a_request_to_exa_is_written_without_its_key() -> None:
    """S1: the key goes in a header, which is not written, whichever Exa was asked."""
    headers = {"x-api-key": "canary-exa-key", "accept": "text/event-stream", "User-Agent": "x"}
    for address in ("https://api.exa.ai", "http://127.0.0.1:4711/exa"):
        written = Scrubber("canary-exa-key").request(Request("POST", f"{address}/search", b'{"query":"x"}', headers))
        assert (written.uri, dict(written.headers)) == (f"{EXA}/search", {"accept": "text/event-stream"})
        assert written.body == b'{"query":"x"}'


def test_an_answer_keeps_all_but_persons_and_keys() -> None:
    """Lesson 49: persons keep their relations under other names, and every other byte stays as it came, odd numbers too."""
    scrubber = Scrubber("mine")
    private = kl.Credentials.generate().public_pem.replace("PUBLIC", "PRIVATE")
    body = '{"a": 1.10,"user_id":"u-1", "creator_id": "u-2","keys":[{"api_key_id":"mine"}],"text":"u-10",  "empty":{"user_id":""}}'
    answer = {"headers": {"Set-Cookie": ["x"], "content-type": ["application/json"]}, "body": {"string": body.encode()}}
    written = scrubber.response(answer)
    assert written["headers"] == {"content-type": ["application/json"]}
    expected = body.replace('"u-1"', f'"{made_up_id(2)}"').replace('"u-2"', f'"{made_up_id(3)}"')
    assert written["body"]["string"].decode() == expected.replace('"mine"', f'"{made_up_id(1)}"')
    again = scrubber.response({**answer, "body": {"string": json.dumps({"buyer_user_id": "u-1"}).encode()}})
    assert json.loads(again["body"]["string"]) == {"buyer_user_id": made_up_id(2)}
    shown = scrubber.response({**answer, "body": {"string": json.dumps({"private_key": private}).encode()}})
    assert json.loads(shown["body"]["string"]) == {"private_key": "(private, scrubbed)"}


def test_another_request_has_no_answer() -> None:
    """A replay answers what was asked when it was recorded, to the last word of the body, and nothing else."""
    credentials = kl.Credentials.generate()
    settings, tape = source(ADDRESS, attempts=1), recorder(record=False).use_cassette(str(FOLDER / "api_keys.json"))
    with tape, kl.Kalshi(settings=settings, credentials=credentials, writable=True) as client:
        assert client.api_keys.create("own", credentials.public_pem, scopes=["read"]).api_key_id
        with pytest.raises(CannotOverwriteExistingCassetteException):
            client.api_keys.create("other", credentials.public_pem, scopes=["read"])


def test_without_the_real_exchange_live_is_one_line() -> None:
    """--live says in one line that nobody answers; no test runs then, and no cassette changes."""
    said = unreachable(kl.Settings(environment="sim", base_url=ADDRESS, attempts=1))
    assert re.fullmatch(
        r"--live: the exchange at http://127\.0\.0\.1:9/\S+ does not answer, nothing was recorded: [^\n]+", said
    )
