"""The key that requests are signed with: an id and a private key that is never shown, pickled or repeated in an error."""

from __future__ import annotations

import base64
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn, get_args

from kalshi_lab.errors import UsageError, one_of, unknown
from kalshi_lab.keyfile import dotenv_values, file_bytes, private_key
from kalshi_lab.settings import Environment, environment_values

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from kalshi_lab.keyfile import PrivateKey

    Taken = tuple[str, PrivateKey, Environment | None]

Kind = Literal["ed25519", "rsa"]
_PREFIXES = {"prod": "KALSHI_", "demo": "KALSHI_DEMO_"}
_SOURCES = ("PRIVATE_KEY_PATH", "PRIVATE_KEY", "PRIVATE_KEY_B64")
_SHOWN, _LONG_ENOUGH = 4, 12


class Credentials:
    """A key id and its private key, for one environment or (`environment` None) for any.

    `private_key` is PEM text, base64 of PEM text, either of them as bytes, or the path of a PEM file that only its owner can read (mode
    600): RSA in PKCS#1 or PKCS#8, or Ed25519. A `str` that looks like a path is one. `passphrase` opens an encrypted key.

    Raises UsageError, which says what was found and what to do and repeats nothing of the key.
    """

    __slots__ = ("__weakref__", "_environment", "_key", "_key_id")
    _environment: Environment | None
    _key: PrivateKey
    _key_id: str

    def __init__(
        self,
        key_id: str,
        private_key: str | bytes | Path,
        *,
        passphrase: str | bytes | None = None,
        environment: Environment | None = None,
    ) -> None:
        taken = _taken(key_id, private_key, passphrase, environment)
        del key_id, private_key, passphrase  # a traceback shows what its frames hold
        self._fill(taken)

    @classmethod
    def from_env(cls, environment: Environment | None = None, *, dotenv: str | Path | None = None) -> Self:
        """The key that the environment variables name, all of one set: KALSHI_... for prod, KALSHI_DEMO_... for demo.

        A set is KEY_ID, one of PRIVATE_KEY_PATH, PRIVATE_KEY (PEM text) and PRIVATE_KEY_B64, and PRIVATE_KEY_PASSPHRASE where the key is
        encrypted. Without `environment` it is KALSHI_ENVIRONMENT's, else prod. With `dotenv`, the path of a .env file, the set is read
        from that file alone, relative paths in it begin at its folder, and os.environ stays as it is; no .env is read unasked.

        Raises UsageError for a set that is not there, not whole, or has two keys, and as the constructor does.
        """
        where = environment or environment_values("KALSHI_ENVIRONMENT").get("KALSHI_ENVIRONMENT", "prod")
        return cls._of(_from_env(where, None if dotenv is None else Path(dotenv)))

    @classmethod
    def generate(cls, kind: Kind = "ed25519", *, key_id: str = "") -> Self:
        """A new key, for the sim, for tests, and to be registered with the exchange by its `public_pem`; its id is random if not given."""
        from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

        one_of("kind", kind, get_args(Kind))
        key = rsa.generate_private_key(65537, 2048) if kind == "rsa" else ed25519.Ed25519PrivateKey.generate()
        return cls._of((key_id or str(uuid.uuid4()), key, None))

    def with_key_id(self, key_id: str) -> Credentials:
        """The same private key under the id that the exchange gave to it."""
        return self._of((key_id, self._key, self._environment))

    @property
    def key_id(self) -> str:
        """The id by which the exchange knows the key."""
        return self._key_id

    @property
    def environment(self) -> Environment | None:
        """The environment that the key belongs to; None where nothing said so."""
        return self._environment

    @property
    def kind(self) -> Kind:
        """Either ed25519 or rsa."""
        return "rsa" if "RSA" in type(self._key).__name__ else "ed25519"

    @property
    def public_pem(self) -> str:
        """The public key, which may be shown to anybody, as PEM text."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        return self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def signature(self, text: str) -> str:
        """The signature of a text in base64: RSA-PSS with SHA-256 and a salt of 32 bytes, or plain Ed25519."""
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding, rsa

        if isinstance(self._key, rsa.RSAPrivateKey):
            salted = padding.PSS(padding.MGF1(hashes.SHA256()), salt_length=32)
            signed = self._key.sign(text.encode(), salted, hashes.SHA256())
        else:
            signed = self._key.sign(text.encode())
        return base64.b64encode(signed).decode()

    @classmethod
    def _of(cls, taken: Taken | UsageError) -> Self:
        made = cls.__new__(cls)
        made._fill(taken)  # noqa: SLF001 - of its own class
        return made

    def _fill(self, taken: Taken | UsageError) -> None:
        if isinstance(taken, UsageError):
            raise taken
        for name, value in zip(("_key_id", "_key", "_environment"), taken, strict=True):
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("credentials do not change; make new ones")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("credentials do not change; make new ones")

    def __repr__(self) -> str:
        if not hasattr(self, "_key_id"):  # as a debugger sees them while they are made
            return "<Credentials>"
        tail = f" …{self._key_id[-_SHOWN:]}" if len(self._key_id) >= _LONG_ENOUGH else ""
        return f"<Credentials {self._environment or 'any environment'} {self.kind}{tail}>"

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise UsageError(
            "credentials are not pickled, so that no key is written anywhere",
            hint="Make them in the process that uses them",
        )


def _taken(
    key_id: object, given: object, passphrase: str | bytes | None, environment: Any, *, only_text: bool = False
) -> Taken | UsageError:
    """Id, key and environment; what is wrong is returned, so that no frame that holds the key's text is in its traceback."""
    if environment is not None and environment not in get_args(Environment):
        return unknown("environment", str(environment), get_args(Environment))
    if not isinstance(key_id, str) or not key_id.strip() or not key_id.strip().isprintable():
        if isinstance(key_id, str) and "PRIVATE KEY" in key_id:
            return UsageError("the key id holds a private key", hint="The key id comes first, then the private key")
        return UsageError(
            "the key id is no text of one line", hint="Give the id that the exchange shows beside the key"
        )
    key = private_key(given, passphrase, only_text=only_text)
    return key if isinstance(key, UsageError) else (key_id.strip(), key, environment)


def _from_env(environment: str, dotenv: Path | None) -> Taken | UsageError:
    if environment not in _PREFIXES:
        if environment in get_args(Environment):
            return UsageError(f"{environment} has no key in the environment", hint="Use kl.Credentials.generate()")
        return unknown("environment", environment, _PREFIXES)
    prefix = _PREFIXES[environment]
    names = [prefix + name for name in ("KEY_ID", *_SOURCES, "PRIVATE_KEY_PASSPHRASE")]
    found = environment_values(*names) if dotenv is None else dotenv_values(dotenv)
    if isinstance(found, UsageError):
        return found
    present = [prefix + name for name in _SOURCES if found.get(prefix + name)]
    problem = _incomplete(environment, found, present, dotenv) or _exposed(dotenv, present, prefix)
    return problem or _from_set(environment, found, present[0], dotenv)


def _from_set(environment: str, found: Mapping[str, str], source: str, dotenv: Path | None) -> Taken | UsageError:
    prefix = _PREFIXES[environment]
    key: str | Path = found[source]
    if source.endswith("_PATH"):
        named = Path(found[source])
        key = named if dotenv is None or found[source].startswith("~") else dotenv.parent / named
    passphrase = found.get(f"{prefix}PRIVATE_KEY_PASSPHRASE") or None
    taken = _taken(found[f"{prefix}KEY_ID"], key, passphrase, environment, only_text=True)
    return UsageError(f"{source}: {taken.message}", hint=taken.hint) if isinstance(taken, UsageError) else taken


def _incomplete(
    environment: str, found: Mapping[str, str], present: list[str], dotenv: Path | None
) -> UsageError | None:
    prefix = _PREFIXES[environment]
    key_id, place = f"{prefix}KEY_ID", str(dotenv) if dotenv else "the environment variables"
    if len(present) > 1:
        return UsageError(
            f"{' and '.join(present)} are both set in {place}: one key, please", hint="Remove all but one"
        )
    if not found.get(key_id) and not present:
        hint = f"Set {key_id} and one of {', '.join(prefix + name for name in _SOURCES)}"
        return UsageError(f"{place} hold no key for {environment}{_elsewhere(environment, dotenv)}", hint=hint)
    if not found.get(key_id):
        return UsageError(f"{present[0]} is set in {place}, but {key_id} is not", hint="Both belong to one key")
    if not present:
        hint = f"Set one of {', '.join(prefix + name for name in _SOURCES)}"
        return UsageError(f"{key_id} is set in {place}, but its private key is not", hint=hint)
    return None


def _elsewhere(environment: str, dotenv: Path | None) -> str:
    """A word on the other environment's key, which is never taken instead."""
    other = next(name for name in _PREFIXES if name != environment)
    there = dotenv is None and environment_values(f"{_PREFIXES[other]}KEY_ID")
    return f" (there is one for {other}, which does not work here)" if there else ""


def _exposed(dotenv: Path | None, present: list[str], prefix: str) -> UsageError | None:
    """A .env file that holds a key itself is a key file."""
    if dotenv is None or present == [f"{prefix}PRIVATE_KEY_PATH"]:
        return None
    read = file_bytes(dotenv, ".env file")
    return read if isinstance(read, UsageError) else None
