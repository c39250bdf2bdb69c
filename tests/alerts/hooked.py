"""A webhook's server on this machine, with a certificate of the name that the webhook asks for."""

from __future__ import annotations

import ssl
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import kalshi_lab as kl
from kalshi_lab.alerts import webhook
from tests.door.raw_server import RawServer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pytest

HOST, PLACE = "hooks.example.com", "T0SECRET/B0TOKEN"
ALARM = kl.Alarm(
    "a1:1",
    "a1",
    "CPI",
    "KXA-1 above 0.62",
    datetime(2026, 11, 22, 14, tzinfo=UTC),
    "fired",
    "KXA-1",
    None,
    None,
    "KXA-1 above 0.62: fired",
)


def certificate(folder: Path, host: str = HOST) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context with a certificate for a name, and a client's that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = folder / f"{host}.pem"
    path.write_bytes(pem + made.public_bytes(serialization.Encoding.PEM))
    server, trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context(cafile=path)
    server.load_cert_chain(path)
    return server, trust


class Resolver:
    """Answers one list of addresses after the other, the last for ever, and counts the questions."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers, self.asked = list(answers), 0

    async def __call__(self, _host: str, _port: int) -> list[str]:
        self.asked += 1
        return list(self.answers[min(self.asked, len(self.answers)) - 1])


@contextmanager
def hook(
    folder: Path, patch: pytest.MonkeyPatch, *answers: Any, host: str = HOST, loopback: bool = True, **options: Any
) -> Iterator[tuple[kl.ToWebhook, RawServer, Resolver]]:
    """A webhook, its server, and what its host's addresses are; with `loopback` this machine counts as public, which it never does."""
    server_side, trust = certificate(folder, host)
    resolver = Resolver(["127.0.0.1"])
    patch.setattr(webhook, "addresses_of", resolver)
    if loopback:
        real = webhook.public
        patch.setattr(webhook, "public", lambda address: address == "127.0.0.1" or real(address))
    with RawServer(*answers, tls=server_side) as server:
        yield (
            kl.ToWebhook(f"https://{HOST}:{server.port}/{PLACE}?x=1", allow=(HOST,), trust=trust, **options),
            server,
            resolver,
        )
