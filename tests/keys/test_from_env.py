"""Where settings and keys come from: arguments, then the environment, then defaults; a key's parts from one set only."""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING

import pytest

import kalshi_lab as kl
from kalshi_lab.keyfile import dotenv_values
from tests.keys.pems import PASSPHRASE, pem

if TYPE_CHECKING:
    from pathlib import Path

PROD, DEMO = "prod-key-id-0001", "demo-key-id-0002"
NAMES = ("KEY_ID", "PRIVATE_KEY_PATH", "PRIVATE_KEY", "PRIVATE_KEY_B64", "PRIVATE_KEY_PASSPHRASE")


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for prefix in ("KALSHI_", "KALSHI_DEMO_"):
        for name in NAMES:
            monkeypatch.delenv(prefix + name, raising=False)


def put(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    for name, value in values.items():
        monkeypatch.setenv(f"KALSHI_{name}", value)


@pytest.mark.parametrize("prefix", ["", "DEMO_"])
@pytest.mark.parametrize("source", ["PRIVATE_KEY_PATH", "PRIVATE_KEY", "PRIVATE_KEY_B64"])
def test_each_source_of_a_key(prefix: str, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CFG-3: the key comes from a path, from text or from base64, encrypted or not, for prod and for demo."""
    content = pem("rsa", "pkcs8", PASSPHRASE)
    path = tmp_path / "key.pem"
    path.write_bytes(content)
    path.chmod(0o600)
    given = {
        "PRIVATE_KEY_PATH": str(path),
        "PRIVATE_KEY": content.decode(),
        "PRIVATE_KEY_B64": base64.b64encode(content).decode(),
    }
    put(monkeypatch, **{f"{prefix}KEY_ID": PROD, f"{prefix}{source}": given[source]})
    put(monkeypatch, **{f"{prefix}PRIVATE_KEY_PASSPHRASE": PASSPHRASE})
    environment = "demo" if prefix else "prod"
    made = kl.Credentials.from_env(environment)  # type: ignore[arg-type]
    assert (made.key_id, made.kind, made.environment) == (PROD, "rsa", environment)


def test_a_demo_id_never_meets_a_prod_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """CFG-3 ⚠: the set is one: a demo id beside prod's key is an error, and so is a prod set where demo is asked for."""
    put(monkeypatch, KEY_ID=PROD, PRIVATE_KEY=pem("rsa").decode(), DEMO_KEY_ID=DEMO)
    with pytest.raises(
        kl.UsageError, match=r"KALSHI_DEMO_KEY_ID is set .*private key is not.*KALSHI_DEMO_PRIVATE_KEY_PATH"
    ):
        kl.Credentials.from_env("demo")
    assert kl.Credentials.from_env("prod").key_id == PROD
    monkeypatch.delenv("KALSHI_DEMO_KEY_ID")
    with pytest.raises(kl.UsageError, match=r"no key for demo .there is one for prod, which does not work here"):
        kl.Credentials.from_env("demo")
    put(monkeypatch, DEMO_PRIVATE_KEY=pem("rsa").decode())
    with pytest.raises(kl.UsageError, match=r"KALSHI_DEMO_PRIVATE_KEY is set .* KALSHI_DEMO_KEY_ID is not"):
        kl.Credentials.from_env("demo")


def test_two_keys_at_once_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """CFG-3: the error names both variables; an empty one counts as absent."""
    put(monkeypatch, KEY_ID=PROD, PRIVATE_KEY=pem("rsa").decode(), PRIVATE_KEY_PATH="/somewhere/key.pem")
    with pytest.raises(kl.UsageError, match="KALSHI_PRIVATE_KEY_PATH and KALSHI_PRIVATE_KEY are both set"):
        kl.Credentials.from_env()
    put(monkeypatch, PRIVATE_KEY_PATH="")
    assert kl.Credentials.from_env().kind == "rsa"


def test_no_key_names_what_to_set() -> None:
    """CFG-3: the error names the variables; the sim has none, and a wrong environment is answered with the right ones."""
    with pytest.raises(kl.UsageError, match="Set KALSHI_KEY_ID and one of KALSHI_PRIVATE_KEY_PATH"):
        kl.Credentials.from_env()
    with pytest.raises(kl.UsageError, match="Set KALSHI_DEMO_KEY_ID"):
        kl.Credentials.from_env("demo")
    with pytest.raises(kl.UsageError, match="generate"):
        kl.Credentials.from_env("sim")
    with pytest.raises(kl.UsageError, match="Did you mean 'prod'"):
        kl.Credentials.from_env("prd")  # type: ignore[arg-type]


def test_a_bad_variable_is_named_and_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """AUTH-1: bad text in a variable is an error that names the variable; text is never taken for a path."""
    put(monkeypatch, KEY_ID=PROD, PRIVATE_KEY="/not/a/path/canary.pem")
    with pytest.raises(kl.UsageError, match=r"^KALSHI_PRIVATE_KEY: this is no private key") as caught:
        kl.Credentials.from_env()
    assert "canary" not in str(caught.value)
    put(monkeypatch, PRIVATE_KEY="", PRIVATE_KEY_B64="!canary!")
    with pytest.raises(kl.UsageError, match=r"^KALSHI_PRIVATE_KEY_B64: ") as caught:
        kl.Credentials.from_env()
    assert "canary" not in str(caught.value)
    put(monkeypatch, PRIVATE_KEY_B64="", PRIVATE_KEY_PATH="/absent/key.pem")
    with pytest.raises(kl.UsageError, match=r"^KALSHI_PRIVATE_KEY_PATH: there is no key file /absent/key.pem"):
        kl.Credentials.from_env()


def test_the_environment_is_an_argument_then_a_variable_then_prod(monkeypatch: pytest.MonkeyPatch) -> None:
    """CFG-2: explicit argument, then KALSHI_ENVIRONMENT, then prod; a wrong value is an error, never a silent default."""
    put(monkeypatch, DEMO_KEY_ID=DEMO, DEMO_PRIVATE_KEY=pem("rsa").decode())
    put(monkeypatch, KEY_ID=PROD, PRIVATE_KEY=pem("rsa").decode())
    assert (kl.Settings().environment, kl.Credentials.from_env().key_id) == ("prod", PROD)
    put(monkeypatch, ENVIRONMENT="demo")
    assert (kl.Settings().environment, kl.Credentials.from_env().key_id) == ("demo", DEMO)
    assert (kl.Settings(environment="prod").environment, kl.Credentials.from_env("prod").key_id) == ("prod", PROD)
    put(monkeypatch, ENVIRONMENT="production")
    with pytest.raises(kl.UsageError, match="production"):
        kl.Settings()
    with pytest.raises(kl.UsageError, match="production"):
        kl.Credentials.from_env()


def test_settings_are_values_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CFG-1 ⚠ and CFG-5 ⚠: no settings are shared or changed under a client's feet, and no folder depends on where Python was started."""
    first = kl.Settings(environment="demo")
    put(monkeypatch, ENVIRONMENT="prod")
    assert (first.environment, kl.Settings().environment) == ("demo", "prod")
    with pytest.raises(ValueError, match="frozen"):
        first.environment = "prod"
    before = kl.Settings().folder
    monkeypatch.chdir(tmp_path)
    assert kl.Settings().folder == before
    assert before.is_absolute()


def test_environments_have_their_addresses() -> None:
    """CFG-1: prod and demo each have an address of requests and one of streams, the shared hosts their own."""
    found = {
        kl.Settings(environment=name, base_url=url).url: kl.Settings(environment=name, base_url=url).stream_url
        for name, url in (
            ("prod", ""),
            ("prod", "https://api.elections.kalshi.com/trade-api/v2"),
            ("demo", ""),
            ("demo", "https://demo-api.kalshi.co/trade-api/v2"),
            ("sim", "http://127.0.0.1:8123/trade-api/v2"),
            ("sim", ""),
        )
    }
    assert found == {
        "https://external-api.kalshi.com/trade-api/v2": "wss://external-api-ws.kalshi.com/trade-api/ws/v2",
        "https://api.elections.kalshi.com/trade-api/v2": "wss://api.elections.kalshi.com/trade-api/ws/v2",
        "https://external-api.demo.kalshi.co/trade-api/v2": "wss://external-api-ws.demo.kalshi.co/trade-api/ws/v2",
        "https://demo-api.kalshi.co/trade-api/v2": "wss://demo-api.kalshi.co/trade-api/ws/v2",
        "http://127.0.0.1:8123/trade-api/v2": "ws://127.0.0.1:8123/trade-api/ws/v2",
        "": "",
    }


def test_a_tier_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """CFG-4: KALSHI_LAB_TIER names the tier, an argument wins over it, and a tier that does not exist is an error."""
    put(monkeypatch, LAB_TIER="expert")
    assert (kl.Settings().tier, kl.Settings(tier="basic").tier) == ("expert", "basic")
    put(monkeypatch, LAB_TIER="gold")
    with pytest.raises(kl.UsageError, match="gold"):
        kl.Settings()


DOTENV = """\
# keys of the desk
export KALSHI_KEY_ID = 'prod-key-id-0001'   # the id
KALSHI_PRIVATE_KEY="{pem}"

OTHER="a \\"quoted\\" word"
EMPTY=
PLAIN=a b # said here
"""


def test_a_dotenv_file_is_read_when_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CFG-2 and CFG-3: the named file alone gives the whole set, and os.environ stays as it is; unnamed, a .env is not read."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / ".env"
    path.write_text(DOTENV.format(pem=pem("rsa").decode()))
    path.chmod(0o600)
    with pytest.raises(kl.UsageError, match="hold no key for prod"):
        kl.Credentials.from_env()
    before = dict(os.environ)
    made = kl.Credentials.from_env(dotenv=path)
    assert (made.key_id, made.kind, made.environment) == (PROD, "rsa", "prod")
    assert dict(os.environ) == before
    put(monkeypatch, KEY_ID="another-key-id", PRIVATE_KEY=pem("ed25519").decode())
    assert kl.Credentials.from_env(dotenv=".env").kind == "rsa"
    found = dotenv_values(path)
    assert isinstance(found, dict)
    assert (found["OTHER"], found["EMPTY"], found["PLAIN"]) == ('a "quoted" word', "", "a b")


def test_a_dotenv_file_with_a_key_is_a_key_file(tmp_path: Path) -> None:
    """S2: it must be its owner's alone; one that only names a path need not, and the path begins at its folder."""
    path = tmp_path / "desk.env"
    path.write_text(f'KALSHI_KEY_ID={PROD}\nKALSHI_PRIVATE_KEY="{pem("rsa").decode()}"\n')
    path.chmod(0o644)
    with pytest.raises(kl.UsageError, match="chmod 600"):
        kl.Credentials.from_env(dotenv=path)
    path.write_text(f"KALSHI_KEY_ID={PROD}\r\nKALSHI_PRIVATE_KEY_PATH=keys/prod.pem\r\n")
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "prod.pem").write_bytes(pem("ed25519"))
    (tmp_path / "keys" / "prod.pem").chmod(0o600)
    assert kl.Credentials.from_env(dotenv=path).kind == "ed25519"


@pytest.mark.parametrize("text", ["KALSHI_KEY_ID", "A=1\ncanary words\n", 'A="canary', "1A=canary", "A='canary"])
def test_a_broken_dotenv_file_names_the_line(text: str, tmp_path: Path) -> None:
    """A line that is no NAME=value is named by its number, and not repeated."""
    path = tmp_path / ".env"
    path.write_text(text)
    with pytest.raises(kl.UsageError, match=r"line \d of .* is no NAME=value") as caught:
        kl.Credentials.from_env(dotenv=path)
    assert "canary" not in str(caught.value)
    with pytest.raises(kl.UsageError, match=r"no \.env file"):
        kl.Credentials.from_env(dotenv=tmp_path / "absent.env")
