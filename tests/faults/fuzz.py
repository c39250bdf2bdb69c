"""Random answers of an exchange: whole ones with damage in them, by seed, so that a case can be had again."""

from __future__ import annotations

import copy
import gzip
import json
import random
from typing import Any

from tests.door.raw_server import CLOSE, Answer
from tests.operations.calls import CALLS
from tests.operations.contract import BY_NAME, answer
from tests.operations.server import UNVERIFIED

NAMES = sorted(CALLS)
WORDS = (
    "",
    "yes",
    "active",
    "0.5600",
    "56",
    "-1",
    "1e9",
    "NaN",
    "2026-11-22T14:00:00Z",
    "2026-13-45",
    "\x00",
    "\u202e",
    "é" * 50,
    "A" * 3000,
    "null",
)
NUMBERS = (0, -1, 7, 2**31, 2**63, 10**30, 0.1, 1e308, -0.0, 1.23456789)
HEADERS = (
    "Retry-After",
    "Date",
    "Location",
    "Content-Encoding",
    "Content-Type",
    "Set-Cookie",
    "Transfer-Encoding",
    "Content-Length",
    "X-Odd",
)
VALUES = (
    "0",
    "-1",
    "nan",
    "1e400",
    "gzip",
    "chunked",
    "text/html",
    "application/json; charset=utf-16",
    "Sun, 22 Nov 2026 14:00:07 GMT",
    "\x7f",
    "a" * 900,
)


def anything(dice: random.Random, depth: int = 0) -> Any:
    """Any JSON value."""
    roll = dice.random()
    if depth > 3 or roll < 0.3:
        return dice.choice(WORDS)
    if roll < 0.5:
        return dice.choice(NUMBERS)
    if roll < 0.65:
        return dice.choice((None, True, False))
    if roll < 0.8:
        return [anything(dice, depth + 1) for _ in range(dice.randrange(4))]
    return {dice.choice(WORDS): anything(dice, depth + 1) for _ in range(dice.randrange(4))}


def damaged(dice: random.Random, made: Any) -> Any:
    """A whole answer of which one to three values, wherever they stand, are gone or something else."""
    whole = {"": copy.deepcopy(made)}
    for _ in range(dice.randint(1, 3)):
        here, key = whole, ""
        while isinstance(here[key], dict | list) and here[key] and dice.random() < 0.8:
            here = here[key]
            key = dice.choice(list(here)) if isinstance(here, dict) else dice.randrange(len(here))
        if isinstance(here, dict) and key and dice.random() < 0.3:
            del here[key]
        else:
            here[key] = anything(dice)
        if "" not in whole:
            break
    return whole.get("")


def body_of(dice: random.Random, name: str) -> bytes:
    """The bytes of an answer to an operation, more or less."""
    made = answer(name) if name in BY_NAME else UNVERIFIED.get(name, {})
    roll = dice.random()
    if roll < 0.5:
        made = damaged(dice, made)
    elif roll < 0.75 and isinstance(made, dict):
        made = {key: anything(dice) for key in made}
    elif roll < 0.85:
        made = anything(dice)
    text = json.dumps(made).encode()
    if dice.random() < 0.1 and text:
        cut = dice.randrange(len(text))
        text = dice.choice(
            (
                text[:cut],
                text[:cut] + bytes([dice.randrange(256)]) + text[cut + 1 :],
                text + text[cut:],
                text[:cut] + b"\xff\xfe" + text[cut:],
            )
        )
    return text


def response(seed: int) -> tuple[str, Answer]:
    """The operation that is asked and the bytes that come back, in case number `seed`."""
    dice = random.Random(seed)
    name = dice.choice(NAMES)
    body = body_of(dice, name)
    usual = (201, 204, 206, 301, 400, 401, 402, 404, 409, 418, 429, 500, 503)
    status = dice.choice((*[200] * 40, *usual, dice.randrange(100, 1000)))
    headers = [b"Content-Type: application/json"]
    if dice.random() < 0.15:
        body = gzip.compress(body)[: dice.choice((None, -4, 20))]
        headers.append(b"Content-Encoding: gzip")
    if dice.random() < 0.8:
        headers.append(b"Content-Length: %d" % (len(body) + dice.choice((*[0] * 20, 1, -1, 500)) if body else 0))
    more = dice.choice((0, 0, 0, 0, 0, 1, 2))
    headers += [f"{dice.choice(HEADERS)}: {dice.choice(VALUES)}".encode("latin-1") for _ in range(more)]
    start = (
        b"HTTP/1.1 %d So" % status
        if dice.random() < 0.95
        else dice.choice((b"HTTP/9 x", b"200 OK", b"", bytes(range(40))))
    )
    whole = b"\r\n".join([start, *headers, b"", b""]) + body
    return name, [whole if dice.random() < 0.9 else whole[: dice.randrange(len(whole))] or b"\r\n", CLOSE]
