"""Keys, their scopes, and the check of a request's signature."""

from __future__ import annotations

import base64
import binascii
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

from kalshi_lab.sim.draws import words
from kalshi_lab.sim.queries import Refused
from kalshi_lab.sim.wire import uuid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kalshi_lab.sim.desk.ledger import Account

SCOPES = (
    "read", "write", "read::block_trade_accept", "read::portfolio_balance", "write::trade", "write::transfer", "write::fcm_risk",
    "write::block_trade_accept",
)  # fmt: skip
TOLERANCE = 5.0
_IDS = 0x4944
_PADDING = padding.PSS(padding.MGF1(hashes.SHA256()), salt_length=32)
PublicKey = rsa.RSAPublicKey | ed25519.Ed25519PublicKey


class Ids:
    """Identifiers that look random and are the same in each run."""

    def __init__(self, seed: int) -> None:
        self._seed, self._count = seed, 0

    def new(self) -> str:
        """The next one."""
        self._count += 1
        high, low = (int(words(self._seed, _IDS, half, self._count)[0]) for half in (1, 2))
        return uuid(high & 0xFFFFFFFF_FFFF0FFF | 0x4000, low & 0x3FFFFFFF_FFFFFFFF | 0x80000000_00000000)


@dataclass(frozen=True, slots=True, eq=False)
class Caller:
    """A key of an account: what it may do, and where (`subaccount`, None for all)."""

    key: str
    account: Account
    name: str = "default"
    scopes: tuple[str, ...] = ("read", "write")
    subaccount: int | None = None
    public: PublicKey | None = field(default=None, repr=False)

    @property
    def id(self) -> str:
        """The account's id."""
        return self.account.id

    def may(self, scope: str) -> bool:
        """Whether the key has a scope or the whole of which it is a part."""
        return scope in self.scopes or scope.partition("::")[0] in self.scopes

    def allowed(self, subaccount: int | None, default: int | None = None) -> int | None:
        """The subaccount that a request may use. Raises Refused for one that the key is not for or the account does not have."""
        wanted = self.subaccount if subaccount is None and self.subaccount is not None else subaccount
        wanted = default if wanted is None else wanted
        if self.subaccount is not None and wanted != self.subaccount:
            raise Refused(403, "forbidden", "forbidden", "the key is restricted to another subaccount")
        if wanted is not None and wanted not in self.account.subaccounts:
            raise Refused(400, "invalid_parameters", "invalid parameters", "unknown subaccount")
        return wanted


class Keyring:
    """All keys. `skew` seconds are added to this machine's clock, by which the time of a request is judged."""

    def __init__(self, ids: Ids, clock: Callable[[], float] = time.time) -> None:
        self.ids, self._clock, self.skew = ids, clock, 0.0
        self.callers: dict[str, Caller] = {}

    def now(self) -> float:
        """The time that the exchange believes, in Unix seconds."""
        return self._clock() + self.skew

    def add(
        self,
        account: Account,
        pem: str,
        *,
        name: str = "default",
        scopes: tuple[str, ...] = ("read", "write"),
        subaccount: int | None = None,
    ) -> Caller:
        """Register a public key. Raises Refused for text that is no RSA or Ed25519 key, or a key that is there already."""
        public = loaded(pem)
        raw = _raw(public)
        if any(caller.public is not None and _raw(caller.public) == raw for caller in self.callers.values()):
            raise Refused(409, "already_exists", "already exists", "the key exists")
        caller = Caller(self.ids.new(), account, name, scopes, subaccount, public)
        self.callers[caller.key] = caller
        return caller

    def verify(self, headers: Mapping[str, str], method: str, path: str) -> Caller | Refused:
        """Who signed a request: `path` begins at the host's root and has no query. Names of headers are in lower case."""
        key, stamp, signature = (headers.get(f"kalshi-access-{name}", "") for name in ("key", "timestamp", "signature"))
        if not (key and stamp and signature):
            return _unauthorized("authentication_error", "authentication headers are missing")
        caller = self.callers.get(key)
        if caller is None:
            return _unauthorized("NOT_FOUND", "unknown key")
        if not stamp.isascii() or not stamp.isdigit() or len(stamp) > 16:
            return _unauthorized("authentication_error", "the timestamp must be whole milliseconds")
        if abs(int(stamp) / 1000 - self.now()) > TOLERANCE:
            return _unauthorized("header_timestamp_expired", "the timestamp is too far from the exchange's clock")
        if not _signed(caller.public, signature, f"{stamp}{method.upper()}{path}".encode()):
            return _unauthorized("INCORRECT_API_KEY_SIGNATURE", "the signature does not fit the request")
        return caller


def loaded(pem: str) -> PublicKey:
    """The key in a PEM text. Raises Refused."""
    try:
        public = serialization.load_pem_public_key(pem.encode())
    except ValueError:
        public = None
    if not isinstance(public, rsa.RSAPublicKey | ed25519.Ed25519PublicKey):
        raise Refused(400, "invalid_parameters", "invalid parameters", "public_key is no RSA or Ed25519 key in PEM")
    return public


def generated(kind: str) -> tuple[str, str]:
    """A new private key and its public half, as PEM texts: RSA in PKCS#1, Ed25519 in PKCS#8."""
    private: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
    if kind == "rsa":
        private, form = rsa.generate_private_key(65537, 2048), serialization.PrivateFormat.TraditionalOpenSSL
    else:
        private, form = ed25519.Ed25519PrivateKey.generate(), serialization.PrivateFormat.PKCS8
    secret = private.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return secret.decode(), public.decode()


def _raw(public: PublicKey) -> bytes:
    return public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _signed(public: PublicKey | None, signature: str, text: bytes) -> bool:
    try:
        raw = base64.b64decode(signature, validate=True)
        if isinstance(public, rsa.RSAPublicKey):
            public.verify(raw, text, _PADDING, hashes.SHA256())
        elif isinstance(public, ed25519.Ed25519PublicKey):
            public.verify(raw, text)
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return public is not None


def _unauthorized(code: str, details: str) -> Refused:
    return Refused(401, code, code.lower().replace("_", " "), details)
