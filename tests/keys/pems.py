"""Keys of every kind, as people may come with them, made anew in each run."""

from __future__ import annotations

import datetime as dt
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

PASSPHRASE = "correct horse"  # noqa: S105 - of keys that live as long as a test run
FORMATS = {
    "pkcs1": PrivateFormat.TraditionalOpenSSL,
    "pkcs8": PrivateFormat.PKCS8,
    "openssh": PrivateFormat.OpenSSH,
}


@cache
def made(kind: str) -> Any:
    """One private key of a kind, the same for all tests of a run."""
    if kind == "rsa":
        return rsa.generate_private_key(65537, 2048)
    if kind == "ec":
        return ec.generate_private_key(ec.SECP256R1())
    return ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else x25519.X25519PrivateKey.generate()


def pem(kind: str, form: str = "pkcs8", passphrase: str = "", encoding: Encoding = Encoding.PEM) -> bytes:
    lock = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    content: bytes = made(kind).private_bytes(encoding, FORMATS[form], lock)
    return content


def public_pem(kind: str) -> bytes:
    content: bytes = made(kind).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return content


def certificate() -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "nobody")])
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    made_of = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(made("rsa").public_key())
    dated = made_of.serial_number(7).not_valid_before(start).not_valid_after(start + dt.timedelta(days=900))
    return dated.sign(made("rsa"), hashes.SHA256()).public_bytes(Encoding.PEM)
