"""What a server sees of a signed request, checked with the public key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.keys.test_credentials import verifies

if TYPE_CHECKING:
    from kalshi_lab.credentials import Credentials

SIGNED = ("kalshi-access-key", "kalshi-access-timestamp", "kalshi-access-signature")


def headers(request: bytes) -> dict[str, str]:
    head = request.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    return {name.lower(): value for name, _, value in (line.partition(": ") for line in head)}


def target(request: bytes) -> tuple[str, str]:
    """Method, and path with query, as sent."""
    method, path, _ = request.decode("latin-1").split("\r\n", 1)[0].split(" ")
    return method, path


def stamp(request: bytes, credentials: Credentials) -> int:
    """The milliseconds that a request was signed at, once its signature is verified over what was sent."""
    seen = headers(request)
    method, path = target(request)
    text = seen["kalshi-access-timestamp"] + method + path.partition("?")[0]
    assert verifies(credentials.public_pem, text, seen["kalshi-access-signature"]), text
    assert seen["kalshi-access-key"] == credentials.key_id
    return int(seen["kalshi-access-timestamp"])


def unsigned(request: bytes) -> bool:
    return not any(name in headers(request) for name in SIGNED)
