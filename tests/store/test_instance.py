"""One instance of DuckDB for a file, to which it is attached while somebody is at it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kalshi_lab.errors import UsageError
from kalshi_lab.store import Store
from kalshi_lab.store.instance import instance_of

FORKED = """
import asyncio, os, sys
from pathlib import Path
from kalshi_lab.store import Store
path = Path(sys.argv[1])
old = Store(path)
asyncio.run(old.write(lambda connection: None))
asyncio.run(old.read("SELECT 1"))
child = os.fork()
if not child:
    print(asyncio.run(Store(path).read("SELECT 7 AS n")).item(), flush=True)
    sys.exit(0)
print(os.waitpid(child, 0)[1], asyncio.run(old.read("SELECT 8 AS n")).item())
"""


def test_two_stores_of_a_file_share_it(tmp_path: Path) -> None:
    """Two instances of one process would take each other's lock away."""
    one, other = (Store(tmp_path / "kalshi.duckdb") for _ in range(2))
    assert one._for_reading is other._for_reading
    assert one._for_reading is not Store(tmp_path / "other.duckdb")._for_reading
    assert one._for_reading is not Store(tmp_path / "kalshi.duckdb", sql_memory=10**9)._for_reading


def test_nobody_at_the_store_nobody_has_its_file(store: Store) -> None:
    """The file is let go after each piece of work, also after one that failed: another process opens it at once."""
    code = f"import duckdb; duckdb.connect({str(store.path)!r}).execute('CHECKPOINT')"
    asyncio.run(store.write(lambda connection: connection.execute("UPDATE meta SET value = value")))
    with pytest.raises(UsageError, match="does not fit"):
        asyncio.run(store.read("SELECT nothing FROM nowhere"))
    folder = Path("/proc/self/fd")
    assert store.path not in ([link.resolve() for link in folder.iterdir()] if folder.is_dir() else [])
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_after_a_failure_the_instance_is_a_new_one(store: Store) -> None:
    """What a fatal error has left in an instance is nobody's to use."""
    asyncio.run(store.read("SELECT 1"))
    instance = store._for_reading
    before = instance._base
    with pytest.raises(UsageError):
        asyncio.run(store.read("SELECT nothing FROM nowhere"))
    assert asyncio.run(store.read("SELECT 2 AS n")).item() == 2
    assert before is not None
    assert instance._base is not before


def test_a_query_larger_than_its_memory_goes_to_disk(tmp_path: Path) -> None:
    """Readers reach no other file, and still sort what does not fit into memory beside the store."""
    small = Store(tmp_path / "kalshi.duckdb", sql_memory=60_000_000)
    assert (
        asyncio.run(
            small.select("SELECT count(*) FROM (SELECT md5(range::VARCHAR) AS text FROM range(1500000) ORDER BY text)")
        ).item()
        == 1_500_000
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_process_ends_in_peace(tmp_path: Path) -> None:
    """A child would die of ending an instance whose threads it does not have: none is alive while nobody is at the store."""
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKED, str(tmp_path / "kalshi.duckdb")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.stdout.split(), ended.stderr, ended.returncode) == (["7", "0", "8"], "", 0)


@pytest.mark.parametrize("closing", ["", "lab.close()", "lab.alerts.start()"])
def test_a_script_ends_without_a_word(tmp_path: Path, closing: str) -> None:
    """What a lab leaves behind when a script ends, closed or not, is nothing on the screen."""
    code = f"""
import kalshi_lab as kl
lab = kl.Lab("demo", home={str(tmp_path)!r})
lab.sql("SELECT 1")
lab.alerts.add(kl.above("KXA-1", 0.5))
{closing}
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.stdout, ended.stderr, ended.returncode) == ("", "", 0)


def test_an_odd_name_is_a_name(tmp_path: Path) -> None:
    """S8: a quote in a folder's name ends no statement."""
    odd = tmp_path / "it's"
    odd.mkdir()
    assert asyncio.run(Store(odd / "kalshi.duckdb").read("SELECT 3 AS n")).item() == 3
    assert instance_of(odd / "kalshi.duckdb", {}, writes=False)._inside == 0
