"""Credentials take a key in every form in which people have one, say plainly what is wrong with it, and never show it."""

from __future__ import annotations

import base64
import copy
import json
import os
import pickle
import stat
import traceback
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_public_key

import kalshi_lab as kl
from tests.keys.pems import PASSPHRASE, certificate, pem, public_pem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CANARY = "canary-passphrase"
KEY_ID = "3f0c2a8e-1111-4222-8333-canarykey9d41"


def verifies(public: bytes | str, text: str, signature: str) -> bool:
    key: Any = load_pem_public_key(public if isinstance(public, bytes) else public.encode())
    raw = base64.b64decode(signature, validate=True)
    try:
        if isinstance(key, rsa.RSAPublicKey):
            salted = padding.PSS(padding.MGF1(hashes.SHA256()), salt_length=32)
            key.verify(raw, text.encode(), salted, hashes.SHA256())
        else:
            assert isinstance(key, ed25519.Ed25519PublicKey)
            key.verify(raw, text.encode())
    except InvalidSignature:
        return False
    return True


def kept(folder: Path, content: bytes, mode: int = 0o600, name: str = "kalshi.pem") -> Path:
    path = folder / name
    path.write_bytes(content)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("form", ["pkcs1", "pkcs8"])
@pytest.mark.parametrize(
    "wrapped", ["text", "bytes", "base64", "base64 in lines", "escaped lines", "path", "path text"]
)
def test_a_key_in_any_form_signs(form: str, wrapped: str, tmp_path: Path) -> None:
    """AUTH-1: RSA in PKCS#1 and PKCS#8 as PEM text, bytes, base64, text with escaped line ends, or a path."""
    content = pem("rsa", form)
    path = kept(tmp_path, content)
    given: dict[str, Any] = {
        "text": content.decode(),
        "bytes": content,
        "base64": base64.b64encode(content).decode(),
        "base64 in lines": base64.encodebytes(content),
        "escaped lines": content.decode().replace("\n", "\\n"),
        "path": path,
        "path text": str(path),
    }
    made = kl.Credentials(KEY_ID, given[wrapped])
    assert (made.kind, made.key_id, made.public_pem.encode()) == ("rsa", KEY_ID, public_pem("rsa"))
    assert verifies(
        public_pem("rsa"),
        "1703123456789GET/trade-api/v2/portfolio/balance",  # pragma: allowlist secret
        made.signature("1703123456789GET/trade-api/v2/portfolio/balance"),  # pragma: allowlist secret
    )


def test_rsa_is_salted_and_ed25519_is_plain() -> None:
    """AUTH-1: PSS differs each time and verifies with a salt of 32 bytes; Ed25519 over the same text is the same each time."""
    for kind, distinct in (("rsa", 2), ("ed25519", 1)):
        made = kl.Credentials(KEY_ID, pem(kind))
        signed = {made.signature("text") for _ in range(2)}
        assert len(signed) == distinct
        assert all(verifies(public_pem(kind), "text", one) for one in signed)
        assert not verifies(public_pem(kind), "another text", signed.pop())


@pytest.mark.parametrize(("kind", "form"), [("rsa", "pkcs8"), ("rsa", "pkcs1"), ("ed25519", "pkcs8")])
def test_an_encrypted_key_opens_with_its_passphrase(kind: str, form: str) -> None:
    """AUTH-1 ⚠: encrypted PEM works; without the passphrase, or with another, the error says so."""
    locked = pem(kind, form, PASSPHRASE)
    for passphrase in (PASSPHRASE, PASSPHRASE.encode()):
        assert verifies(public_pem(kind), "x", kl.Credentials(KEY_ID, locked, passphrase=passphrase).signature("x"))
    with pytest.raises(kl.UsageError, match=r"is encrypted, and there is no passphrase.*passphrase="):
        kl.Credentials(KEY_ID, locked)
    with pytest.raises(kl.UsageError, match="does not open the private key"):
        kl.Credentials(KEY_ID, locked, passphrase=PASSPHRASE[::-1])
    with pytest.raises(kl.UsageError, match=r"not encrypted.*Leave"):
        kl.Credentials(KEY_ID, pem(kind), passphrase=PASSPHRASE)


def _cut() -> bytes:
    lines = pem("rsa").splitlines()
    return b"\n".join([*lines[:5], lines[-1]])


WRONG: dict[str, tuple[Callable[[], object], str]] = {
    "an EC key": (lambda: pem("ec"), "kind EC"),
    "an EC key of old": (lambda: pem("ec", "pkcs1"), "kind EC"),
    "a key for agreement only": (lambda: pem("x25519"), "kind X25519"),
    "a public key": (lambda: public_pem("rsa"), "public key"),
    "a certificate": (certificate, "certificate"),
    "OpenSSH's own format": (lambda: pem("ed25519", "openssh"), "OpenSSH"),
    "binary": (lambda: pem("rsa", encoding=Encoding.DER), "binary form"),
    "binary in base64": (lambda: base64.b64encode(pem("rsa", encoding=Encoding.DER)).decode(), "binary form"),
    "a request": (lambda: b"-----BEGIN DH PARAMETERS-----\nAAAA\n-----END DH PARAMETERS-----", "of dh parameters"),
    "a key that was cut": (_cut, "damaged or cut"),
    "PEM without its first line": (
        lambda: pem("rsa").split(b"\n", 1)[1].decode(),  # noqa: PLW0108 - made when it is needed
        "no private key",
    ),
    "nothing": (str, "is empty"),
    "a word": (lambda: "swordfish", "no private key"),
    "bytes that are no text": (lambda: b"\xff\xfe\x00", "no private key"),
    "base64 of a word": (lambda: base64.b64encode(b"swordfish" * 9).decode(), "no private key"),
    "a number": (lambda: 42, "of type int"),
    "None": (lambda: None, "of type NoneType"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_key_is_named(name: str) -> None:
    """AUTH-1 ⚠: EC and public keys, certificates, OpenSSH, binary, cut and empty ones are each named, and nothing of them repeated."""
    make, said = WRONG[name]
    given = make()
    with pytest.raises(kl.UsageError, match=said) as caught:
        kl.Credentials(KEY_ID, given)  # type: ignore[arg-type]
    shown = str(caught.value)
    assert caught.value.hint
    text = given.decode("latin-1") if isinstance(given, bytes) else str(given)
    pieces = [line[:24] for line in text.splitlines() if len(line) >= 24 and "-----" not in line]
    assert not [piece for piece in [*pieces, "swordfish"] if piece in shown]


def in_frames(error: BaseException) -> Iterator[str]:
    """What a traceback with the values of its variables shows, of this package's own frames."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if "kalshi_lab" in frame.f_globals.get("__name__", "") and "tests" not in frame.f_code.co_filename:
            yield from (repr(value) for value in frame.f_locals.values())


@pytest.mark.parametrize("given", [_cut(), pem("ec"), pem("rsa", "pkcs8", PASSPHRASE)], ids=["cut", "ec", "locked"])
@pytest.mark.parametrize("by", ["constructor", "environment"])
def test_a_refused_key_stays_out_of_the_traceback(given: bytes, by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """S1: a traceback that shows the values of variables shows nothing of the key, its passphrase or its id."""
    monkeypatch.setenv("KALSHI_KEY_ID", KEY_ID)
    monkeypatch.setenv("KALSHI_PRIVATE_KEY", given.decode())
    monkeypatch.setenv("KALSHI_PRIVATE_KEY_PASSPHRASE", CANARY)
    make = kl.Credentials.from_env if by == "environment" else partial(kl.Credentials, KEY_ID, given, passphrase=CANARY)
    with pytest.raises(kl.UsageError) as caught:
        make()
    shown = "".join(in_frames(caught.value)) + "".join(traceback.format_exception(caught.value))
    secrets = [KEY_ID, CANARY, given.decode().splitlines()[2][:30]]
    assert [secret for secret in secrets if secret in shown] == []
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


def test_credentials_show_a_kind_and_four_letters() -> None:
    """S1: repr, str, format, vars, json and pickle show or hold neither the id nor the key; a short id not even its end."""
    made = kl.Credentials(KEY_ID, pem("ed25519"), environment="demo")
    assert repr(made) == str(made) == f"{made}" == "<Credentials demo ed25519 …9d41>"
    assert "key-id" not in repr(kl.Credentials("key-id", pem("rsa")))
    assert "Key object" in repr(made._key) or "Ed25519PrivateKey" in repr(made._key)
    for give_away in (vars, pickle.dumps, json.dumps, lambda one: pickle.dumps({"key": one}), lambda one: one.__dict__):
        with pytest.raises((TypeError, AttributeError, kl.UsageError)):
            give_away(made)
    with pytest.raises(kl.UsageError, match="not pickled"):
        pickle.dumps(made)
    assert copy.copy(made) is made is copy.deepcopy([made])[0]


def test_credentials_do_not_change() -> None:
    """Nothing of them can be replaced, added or removed."""
    made = kl.Credentials.generate()
    for name in ("_key_id", "_key", "anything"):
        with pytest.raises(AttributeError):
            setattr(made, name, "x")
    with pytest.raises(AttributeError):
        del made._key
    with pytest.raises(AttributeError):
        made.key_id = "x"  # type: ignore[misc]


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_a_generated_key_takes_the_id_that_it_is_given(kind: Any) -> None:
    """A new key has a random id and a public half, and keeps its key under the id that an exchange gives to it."""
    made = kl.Credentials.generate(kind)
    named = made.with_key_id("given-by-the-exchange")
    assert len(made.key_id) == 36
    assert made.key_id != kl.Credentials.generate(kind).key_id
    assert (named.key_id, named.kind, named.public_pem) == ("given-by-the-exchange", kind, made.public_pem)
    assert verifies(made.public_pem, "x", named.signature("x"))
    with pytest.raises(kl.UsageError, match="ed25519, rsa"):
        kl.Credentials.generate("dsa")  # type: ignore[arg-type]


@pytest.mark.parametrize("key_id", ["", "  ", "a\nb", None, 7])
def test_a_key_id_is_one_line(key_id: Any) -> None:
    """An id that is empty, of several lines or no text is refused, and so is the key in its place."""
    with pytest.raises(kl.UsageError, match="one line"):
        kl.Credentials(key_id, pem("ed25519"))
    with pytest.raises(kl.UsageError, match="comes first") as caught:
        kl.Credentials(pem("ed25519").decode(), KEY_ID)
    assert "MC4" not in str(caught.value)
    with pytest.raises(kl.UsageError, match="Did you mean 'demo'"):
        kl.Credentials(KEY_ID, pem("ed25519"), environment="demoo")  # type: ignore[arg-type]


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o666, 0o601])
def test_a_key_file_that_others_can_read_is_refused(mode: int, tmp_path: Path) -> None:
    """S2: the error names the mode and the command that mends it; then it works."""
    path = kept(tmp_path, pem("ed25519"), mode)
    with pytest.raises(kl.UsageError, match=f"mode {mode:o}.*chmod 600"):
        kl.Credentials(KEY_ID, path)
    path.chmod(0o400)
    assert kl.Credentials(KEY_ID, path).kind == "ed25519"


@pytest.mark.skipif(os.name != "posix", reason="links and pipes as POSIX has them")
def test_the_file_itself_is_judged(tmp_path: Path) -> None:
    """S2: a link counts as the file that it leads to; a pipe and a folder are no file, and nobody waits for them."""
    link = tmp_path / "link.pem"
    link.symlink_to(kept(tmp_path, pem("ed25519"), 0o644))
    with pytest.raises(kl.UsageError, match="mode 644"):
        kl.Credentials(KEY_ID, link)
    os.mkfifo(tmp_path / "pipe.pem", 0o600)
    for name in ("pipe.pem", "."):
        with pytest.raises(kl.UsageError, match="is no file"):
            kl.Credentials(KEY_ID, tmp_path / name)
    with pytest.raises(kl.UsageError, match="larger than any key"):
        kl.Credentials(KEY_ID, kept(tmp_path, b"x" * 70_000))


def test_a_missing_file_names_the_nearest(tmp_path: Path) -> None:
    """The error names a file of that folder with a similar name, or says that the folder is missing."""
    kept(tmp_path, pem("ed25519"), name="kalshi-prod.pem")
    with pytest.raises(kl.UsageError, match=r"Did you mean 'kalshi-prod\.pem'"):
        kl.Credentials(KEY_ID, str(tmp_path / "kalshi_prod.pem"))
    with pytest.raises(kl.UsageError, match="no folder"):
        kl.Credentials(KEY_ID, tmp_path / "absent" / "key.pem")
    with pytest.raises(kl.UsageError, match=r"key file ~nobody-of-this-name/key.pem cannot be read"):
        kl.Credentials(KEY_ID, "~nobody-of-this-name/key.pem")
    assert stat.S_IMODE((tmp_path / "kalshi-prod.pem").stat().st_mode) == 0o600


@pytest.mark.skipif(os.name != "posix", reason="as above")
def test_a_key_in_a_git_work_tree_is_refused(tmp_path: Path) -> None:
    """S2: neither a key file nor a .env file with a key in it is read from where it is easily published; one that names a file is."""
    (tmp_path / "repository" / ".git").mkdir(parents=True)
    inside = kept(tmp_path / "repository", pem("ed25519"))
    with pytest.raises(kl.UsageError, match="lies in a git work tree"):
        kl.Credentials(KEY_ID, inside)
    dotenv = tmp_path / "repository" / ".env"
    text = pem("ed25519").decode().replace("\n", "\\n")
    dotenv.write_text(f'KALSHI_KEY_ID=a\nKALSHI_PRIVATE_KEY="{text}"\n')
    dotenv.chmod(0o600)
    with pytest.raises(kl.UsageError, match="lies in a git work tree"):
        kl.Credentials.from_env("prod", dotenv=dotenv)
    outside = kept(tmp_path, pem("ed25519"))
    dotenv.write_text(f"KALSHI_KEY_ID=a\nKALSHI_PRIVATE_KEY_PATH={outside}\n")
    assert kl.Credentials.from_env("prod", dotenv=dotenv).kind == "ed25519"


@pytest.mark.skipif(os.name != "posix", reason="as above")
def test_a_link_to_elsewhere_is_mentioned(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """S2: a link to a key works, and the log says where it leads."""
    link = tmp_path / "link.pem"
    link.symlink_to(kept(tmp_path, pem("ed25519")))
    assert kl.Credentials(KEY_ID, link).kind == "ed25519"
    assert "is a link" in caplog.text
