"""Private keys as people keep them: a file, PEM text, base64 of it, a .env file; and what is wrong with one, in plain words.

Nothing here raises while it holds a key's text, and no message repeats any of it: what is wrong is returned as a UsageError, to be
raised where the text is out of reach of a traceback.
"""

from __future__ import annotations

import base64
import binascii
import logging
import os
import re
import stat
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kalshi_lab.errors import UsageError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    PrivateKey = RSAPrivateKey | Ed25519PrivateKey

log = logging.getLogger(__name__)
FORMS = "Give the PEM text, base64 of it, or the path of its file"
DOWNLOAD = "Use the private key that the exchange showed when the key was made: RSA or Ed25519, as PEM"
_LABEL = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----")
_BASE64 = re.compile(rb"[A-Za-z0-9+/\s]{64,}={0,2}\s*")
_DOTENV = re.compile(
    r"""[ \t]*(?:export[ \t]+)?([A-Za-z_]\w*)[ \t]*=[ \t]*("(?:[^"\\]|\\.)*"|'[^']*'|[^\s"'#][^\n]*|)[ \t]*(?:\#[^\n]*)?(?:\n|$)""",
    re.ASCII,
)
_SKIPPED = re.compile(r"[ \t]*(?:\#[^\n]*)?\n")
_LARGEST = 64 * 1024
_LONGEST_PATH = 1024
_OTHERS = 0o077


def private_key(given: object, passphrase: str | bytes | None, *, only_text: bool = False) -> PrivateKey | UsageError:
    """The key from what was given (not from a file with `only_text`), or what is wrong with it."""
    if isinstance(given, os.PathLike) or (not only_text and isinstance(given, str) and _names_a_file(given)):
        read = file_bytes(Path(given), "key file")
        return read if isinstance(read, UsageError) else _loaded(read, passphrase)
    if isinstance(given, str):
        return _loaded(given.replace("\\n", "\n").encode("utf-8", "replace"), passphrase)
    if isinstance(given, bytes | bytearray):
        return _loaded(bytes(given), passphrase)
    return UsageError(f"private_key is of type {type(given).__name__}", hint=FORMS)


def _names_a_file(text: str) -> bool:
    """Whether a text is meant as a path: anything that could be a key's own text is not, so that no message repeats it."""
    if len(text) > _LONGEST_PATH or "\n" in text or "-----" in text:
        return False
    if _BASE64.fullmatch(text.encode("utf-8", "replace")):
        return Path(text).is_file()
    return bool(re.search(r"[/\\]|\.\w{1,10}$|^~", text)) or Path(text).is_file()


def file_bytes(path: Path, what: str, *, private: bool = True) -> bytes | UsageError:
    """What a file holds, if it is a plain file that (for a private one) nobody else can read, nor will in a repository."""
    try:
        path = path.expanduser()
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (OSError, ValueError, RuntimeError) as error:
        return _unopened(path, what, error)
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            return UsageError(f"the {what} {path} is no file", hint="Give the path of the file itself")
        if private and (problem := _exposed(path, what, found.st_mode)):
            return problem
        if found.st_size > _LARGEST:
            return UsageError(f"the {what} {path} is larger than any key", hint=DOWNLOAD)
        return os.read(handle, _LARGEST)
    finally:
        os.close(handle)


def _exposed(path: Path, what: str, mode: int) -> UsageError | None:
    if os.name != "posix":
        return None
    if path.is_symlink():
        log.warning("the %s %s is a link; what it leads to is %s", what, path, path.resolve())
    if any((folder / ".git").exists() for folder in path.resolve().parents):
        said = f"the {what} {path} lies in a git work tree, from where it is easily published"
        return UsageError(said, hint="Move it out of the repository, to a folder that only you can read")
    if not mode & _OTHERS:
        return None
    said = f"the {what} {path} can be read by others on this machine (mode {stat.S_IMODE(mode):o})"
    return UsageError(said, hint=f"Run: chmod 600 '{path}'")


def _unopened(path: Path, what: str, error: Exception) -> UsageError:
    if not isinstance(error, FileNotFoundError):
        reason = error.strerror if isinstance(error, OSError) else "no path"
        return UsageError(f"the {what} {path} cannot be read: {reason}")
    if not path.parent.is_dir():
        return UsageError(f"there is no {what} {path}", hint=f"There is no folder {path.parent} either")
    try:
        names = [entry.name for entry in path.parent.iterdir() if entry.is_file()]
    except OSError:
        names = []
    near = get_close_matches(path.name, names, n=1, cutoff=0.3)
    return UsageError(f"there is no {what} {path}", hint=f"Did you mean {near[0]!r} in that folder?" if near else "")


def _loaded(data: bytes, passphrase: str | bytes | None) -> PrivateKey | UsageError:
    data = data.strip()
    if not data:
        return UsageError("the private key is empty", hint=FORMS)
    if not _LABEL.search(data):
        data, binary = _unwrapped(data)
        if not _LABEL.search(data):
            return _no_pem(binary=binary)
    labels = [label.decode() for label in _LABEL.findall(data)]
    label = next((label for label in labels if label.endswith("PRIVATE KEY")), labels[0])
    return _wrong_label(label) or _parsed(data, label, passphrase)


def _unwrapped(data: bytes) -> tuple[bytes, bool]:
    """What base64 text stands for (other data as they are), and whether the data are bytes that no text has."""
    try:
        decoded = base64.b64decode(b"".join(data.split()), validate=True)
    except binascii.Error:
        return data, data[:1] == b"\x30"
    return (decoded, decoded[:1] == b"\x30") if decoded else (data, False)


def _no_pem(*, binary: bool) -> UsageError:
    if binary:
        return UsageError(
            "this is a key in binary form (DER), not PEM",
            hint="Convert it: openssl pkey -inform DER -in FILE -out FILE.pem",
        )
    return UsageError("this is no private key: it has no line '-----BEGIN ... PRIVATE KEY-----'", hint=FORMS)


def _wrong_label(label: str) -> UsageError | None:
    if label == "OPENSSH PRIVATE KEY":
        return UsageError("this is a key in OpenSSH's own format, not PEM", hint=DOWNLOAD)
    if label.endswith("PUBLIC KEY"):
        return UsageError("this is a public key; requests are signed with the private one", hint=DOWNLOAD)
    if "CERTIFICATE" in label:
        return UsageError("this is a certificate, not a private key", hint=DOWNLOAD)
    if not label.endswith("PRIVATE KEY"):
        return UsageError(f"this is PEM, but of {label.lower()[:40]}, not of a private key", hint=DOWNLOAD)
    return None


def _parsed(data: bytes, label: str, passphrase: str | bytes | None) -> PrivateKey | UsageError:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    password = passphrase.encode("utf-8", "replace") if isinstance(passphrase, str) else passphrase
    encrypted = label.startswith("ENCRYPTED") or b"ENCRYPTED" in data
    if encrypted and not password:
        hint = "Give it as passphrase=, or in KALSHI_PRIVATE_KEY_PASSPHRASE"
        return UsageError("the private key is encrypted, and there is no passphrase for it", hint=hint)
    if password and not encrypted:
        return UsageError(
            "there is a passphrase, but the private key is not encrypted", hint="Leave the passphrase out"
        )
    try:
        key: Any = load_pem_private_key(data, password)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        if encrypted:
            return UsageError("the passphrase does not open the private key", hint="Check it; or the key is damaged")
        return UsageError(
            "the private key is damaged or cut: its PEM lines are there, its content is no key", hint=DOWNLOAD
        )
    return _of_a_kind(key)


def _of_a_kind(key: Any) -> PrivateKey | UsageError:
    from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

    if isinstance(key, rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey):
        return key
    kind = "EC" if "Elliptic" in type(key).__name__ else type(key).__name__.removesuffix("PrivateKey").lstrip("_")
    return UsageError(f"this is a private key of the kind {kind}, which the exchange does not know", hint=DOWNLOAD)


def dotenv_values(path: Path) -> dict[str, str] | UsageError:
    """The values of a .env file: NAME=value lines, `export` before them, comments, values in quotes over several lines."""
    read = file_bytes(path, ".env file", private=False)
    if isinstance(read, UsageError):
        return read
    text = read.decode("utf-8-sig", "replace").replace("\r\n", "\n")
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        match = _SKIPPED.match(text, at) or _DOTENV.match(text, at)
        if match is None or match.end() == at:
            if not text[at:].strip() or text[at:].lstrip().startswith("#"):
                break
            return UsageError(f"line {text.count(chr(10), 0, at) + 1} of {path} is no NAME=value")
        if match.re is _DOTENV:
            found[match[1]] = _unquoted(match[2])
        at = match.end()
    return found


def _unquoted(value: str) -> str:
    if value[:1] == '"':
        return re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], value[1:-1])
    return value[1:-1] if value[:1] == "'" else re.sub(r"\s+#.*$", "", value).strip()
