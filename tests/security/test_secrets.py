"""S1, S17: one canary key, driven through every failure and every way to keep something; no part of it is on any surface."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

import kalshi_lab as kl
from kalshi_lab.notebook import report, runs
from tests.cassettes.conftest import recorder
from tests.demo.test_runs import notebook
from tests.door.raw_server import RawServer, reply
from tests.security import canary
from tests.security.canary import ID, KEY, every_log, found, objects, pem, told

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kalshi_lab.sim import Exchange

Surfaces = dict[str, list[tuple[str | bytes, list[bytes]]]]


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory, exchange: Exchange) -> Surfaces:
    """All surfaces, each with what was on it."""
    made: Surfaces = defaultdict(list)
    for surface, text, requests in canary.failures():
        made[surface].append((text, list(requests)))
    for surface, text in objects(tmp_path_factory.mktemp("lab")):
        made[surface].append((text, []))
    for surface, text in (*files(tmp_path_factory.mktemp("files"), exchange), *run(tmp_path_factory.mktemp("run"))):
        made[surface].append((text, []))
    made["cassette"].append((cassette(tmp_path_factory.mktemp("cassette")), []))
    return made


def files(home: Path, exchange: Exchange) -> Iterator[tuple[str, str | bytes]]:
    """Whatever a session with a key leaves on the disk: the store, its log, what is exported, pictures."""
    with kl.Lab("sim", base_url=exchange.url, home=home / "home", credentials=KEY) as lab, every_log() as log:
        lab.sync("trades", since="2h")
        lab.snapshot()
        canary.refused(lab.kalshi)
        (home / "home" / "frame.csv").write_text(lab.stats("attempt").write_csv())
        lab.stats().write_parquet(home / "home" / "stats.parquet")
        kl.charts.stats(lab.stats()).save(home / "home" / "stats.svg")
        for path in sorted((home / "home").rglob("*")):
            if path.is_file():
                yield "CSV" if path.suffix == ".csv" else "files of the store", path.read_bytes()
        yield "CSV", str(lab.table("ledger").select(pl.exclude(pl.Object)))
    yield "log at DEBUG", log.getvalue()


def run(folder: Path) -> Iterator[tuple[str, str | bytes]]:
    """A notebook whose cell fails under %xmode Verbose with every log open, executed, and the page made of it."""
    (folder / "key.pem").touch(mode=0o600)
    (folder / "key.pem").write_bytes(pem())
    (folder / "id").write_text(ID)
    cells = (
        "url = ''\nfolder = ''",
        "%xmode Verbose\nimport logging; logging.basicConfig(level='DEBUG', force=True)\nimport kalshi_lab as kl",
        "key = kl.Credentials(open(folder + '/id').read(), folder + '/key.pem')\nkey",
        "kalshi = kl.Kalshi(environment='sim', base_url=url, credentials=key, attempts=1)\nkalshi",
        "kalshi.portfolio.balance()",
    )
    shelf = notebook(folder / "failing.ipynb", *cells)
    with pytest.MonkeyPatch.context() as patch, RawServer(reply(b"{}", 503)) as server:
        patch.setattr(runs, "folder", lambda: folder)
        with pytest.raises(kl.LabError) as caught:
            runs.run(shelf.stem, folder / "out", {"url": server.url, "folder": str(folder)}, progress=False)
        assert "Unavailable" in str(caught.value)
        assert b"access-signature" in server.requests[0].lower()
        assert found(server.requests[0], *server.requests)  # the notebook did sign, with the canary
    executed = folder / "out" / "failing.ipynb"
    assert "Unavailable" in executed.read_text("utf-8")
    yield "executed notebook", executed.read_bytes()
    report.write(folder / "page.html", "A run", {}, [executed])
    yield "page of a run", (folder / "page.html").read_bytes()
    yield from told(caught.value).items()


def cassette(folder: Path) -> bytes:
    """A signed request as the recorder of the tests writes it."""
    with RawServer(reply({"balance": 1})) as server, recorder(record=True, keys=(ID,)).use_cassette(
        str(folder / "signed.json")
    ), canary.client(server.url) as kalshi:  # fmt: skip
        kalshi.portfolio.balance()
    assert json.loads((folder / "signed.json").read_text())["interactions"]
    return (folder / "signed.json").read_bytes()


SURFACES = (
    "str and repr", "fields", "traceback", "traceback with locals", "%xmode Verbose", "pickle of an error", "copy of an error",
    "explanation", "frames of stats", "log at DEBUG", "objects", "pickles and copies", "files of the store", "CSV", "executed notebook",
    "page of a run", "cassette",
)  # fmt: skip


@pytest.mark.parametrize("surface", SURFACES)
def test_no_part_of_the_key_is_on_it(surface: str, shown: Surfaces) -> None:
    """S1: of id, PEM, signatures and a newly made key, nothing; and the surface was not empty."""
    assert set(shown) == set(SURFACES)
    assert sum(len(text) for text, _ in shown[surface]) > 100
    betrayed = {part for text, requests in shown[surface] for part in found(text, *requests)}
    assert betrayed == set()


def leak(key: kl.Credentials) -> None:
    """A frame that holds what none may hold."""
    held: Any = {"id": key.key_id, "pem": pem().decode().splitlines()[3]}
    raise ValueError(len(held))


def test_a_leak_is_found_on_every_surface_that_shows_it() -> None:
    """The search finds a key in a frame, in a message, in a pickle and in a log: none of the surfaces above is blind."""
    shown = told(canary.raised(leak, KEY))
    for surface in ("traceback with locals", "%xmode Verbose"):
        assert len(found(shown[surface])) >= 3, surface
    careless = kl.LabError(f"cannot sign with {ID}", hint=pem().decode())
    for surface, text in told(careless).items():
        assert found(text), surface
