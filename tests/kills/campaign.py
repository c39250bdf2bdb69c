"""Kills, stop buttons, full disks and damaged logs by the hundred: nothing acknowledged is lost, nothing is there twice.

Run as `python tests/kills/campaign.py --kills 200 --presses 25 --fulls 20 --logs 60 [--seed N] [--home FOLDER]`. Every number comes
from the seed; the evidence is the journal beside the store, and the last word has the comparison with a run that nobody disturbed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[2]))

from kalshi_lab.errors import StoreCorrupt
from kalshi_lab.sim import process
from kalshi_lab.store import Store
from tests.kills import checker
from tests.kills.child import RECORDED

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl

    from kalshi_lab.sim import Exchange

SEED = 20261123
SINCE = "2d"
POINTS = ("begun", "rows", "ledger", "written", "committed", "journalled")
ONE_HOME = 10  # kills in a store, one after the other, before it is completed and compared
SMALL = "24m"  # a disk that is filled


class Campaign:
    """One exchange, what an undisturbed run makes of it, and a folder for the stores."""

    def __init__(self, exchange: Exchange, base: Path, seed: int) -> None:
        self.exchange, self.base, self.draw = exchange, base, random.Random(seed)
        self.wanted: dict[str, pl.DataFrame] = checker.undisturbed(exchange, base / "undisturbed", SINCE)
        self.lasts = checker.run_time(exchange, base / "measured", SINCE, "everything")

    def kills(self, count: int) -> str:
        """Kill at a point of a commit and at a moment in turn, several times in one store."""
        reached, pages, opened, number = Counter[tuple[str, int]](), 0, 0.0, 0
        while number < count:
            home = self.base / f"kills-{number // ONE_HOME}"
            killed = self._kill(home, at_a_point=number % 2 == 0)
            if killed.finished:
                continue  # it was done before its time came: not one of the kills
            reached[killed.last, killed.points] += 1
            began = time.process_time()  # a machine that is busy with others says nothing about this
            asyncio.run(Store(home / "kalshi.duckdb").read("SELECT 1"))
            opened = max(opened, time.process_time() - began)
            assert opened < 1, "the store opens at once"
            pages += checker.sound(home).acknowledged
            number += 1
            if number % ONE_HOME == 0 or number == count:
                checker.completed(self.exchange, home, SINCE, self.wanted)
                shutil.rmtree(home)
                print(f"{number} kills at {len(reached)} distinct points", flush=True)
        kinds = Counter(last for last, _ in reached)
        return (
            f"{count} kills at {len(reached)} distinct points (last point reached, points before it), by last point {dict(kinds)}: "
            f"{pages:,} acknowledged entries checked, opened with {opened:.2f} s of work at most"
        )

    def _kill(self, home: Path, *, at_a_point: bool) -> checker.Killed:
        if at_a_point:
            point, nth = self.draw.choice(POINTS), self.draw.randint(1, 12)
            return checker.killed_at(self.exchange, home, SINCE, point, nth, how="everything")
        return checker.killed_after(self.exchange, home, SINCE, self.draw.uniform(0, self.lasts), how="everything")

    def presses(self, count: int) -> str:
        """Press the stop button while everything runs, or a query that would take hours; the next call works."""
        ended = Counter[str]()
        for number in range(count):
            home = self.base / f"presses-{number // ONE_HOME}"
            how = "query" if number % 4 == 3 else "press"
            child = checker.started(self.exchange, home, SINCE, how)
            assert child.stdout is not None
            assert child.stdout.readline() == "listening\n"
            wait = self.draw.uniform(0.1, 0.5) if how == "query" else self.draw.uniform(0, self.lasts)
            timer = threading.Timer(wait, child.send_signal, [signal.SIGINT])
            began = time.monotonic()
            timer.start()
            said, _ = child.communicate(timeout=120)
            lines = said.splitlines()
            assert child.returncode == 0, (number, lines[-5:])
            assert any(line.startswith("next ") for line in lines), "the next call works"
            ended["interrupted" if "interrupted" in lines else "through"] += 1
            if how == "query":
                assert "interrupted" in lines
                assert time.monotonic() - began < wait + 10
            checker.sound(home)
            if number % ONE_HOME == ONE_HOME - 1 or number == count - 1:
                checker.completed(self.exchange, home, SINCE, self.wanted)
                shutil.rmtree(home)
        return f"{count} presses of the stop button: {dict(ended)}; rows whole, the next call worked each time"

    def fulls(self, count: int) -> str:
        """Fill the disk at a point, by a small disk where one can be mounted and else by a bound on files; free it, and go on."""
        said, disks, tries = Counter[str](), Counter[str](), 0
        while said["DiskFull"] < count:
            # before the commit, before the journal, before the checkpoint
            point, tries = ("rows", "committed", "journalled")[said["DiskFull"] % 3], tries + 1
            with small_disk(self.base / f"full-{tries}") as (home, kind):
                child = checker.started(self.exchange, home, SINCE, "full", point, str(self.draw.randint(1, 5)))
                lines = child.communicate(timeout=120)[0].splitlines()
                assert (child.returncode, lines[-1]) == (0, "done"), (tries, point, lines[-5:])
                (outcome,) = [line for line in lines if line.startswith(("failed", "through"))]
                assert outcome in {"failed DiskFull", "through"}, outcome
                assert tries < 3 * count + 9, said
                checker.sound(home)
                checker.completed(self.exchange, home, SINCE, self.wanted)
            if outcome == "through":
                continue  # the point did not come so often: not one of the full disks
            said.update(("DiskFull", point))
            disks[kind] += 1
        return f"{count} full disks ({dict(disks)}): {dict(said)}; nothing acknowledged lost"

    def logs(self, count: int) -> str:
        """Cut or flip the log of a killed run; the store opens with what came before, or says that it is damaged."""
        template = self.base / "with-a-log"
        self._leave_a_log(template)
        size = (template / "kalshi.duckdb.wal").stat().st_size
        outcomes, missing = Counter[str](), 0
        for number in range(count):
            home = self.base / f"log-{number}"
            shutil.copytree(template, home)
            how = "cut" if number % 2 == 0 else "flipped"
            damage(home / "kalshi.duckdb.wal", self.draw.randrange(size), how)
            outcome, lost = self._after_damage(home)
            outcomes[f"{how}: {outcome}"] += 1
            missing += lost
            shutil.rmtree(home)
        return f"{count} damaged logs of {size:,} bytes: {dict(outcomes)}; {missing:,} missing pages named, each time made good by sync"

    def _leave_a_log(self, home: Path) -> None:
        """A store whose last transactions are in its log: one transaction a page, as on a slow network."""
        for nth in (7, 6, 5, 4):
            shutil.rmtree(home, ignore_errors=True)
            killed = checker.killed_at(self.exchange, home, SINCE, "journalled", nth)
            if not killed.finished and (home / "kalshi.duckdb.wal").exists():
                return
        raise AssertionError("no log was left")

    def _after_damage(self, home: Path) -> tuple[str, int]:
        path, outcome = home / "kalshi.duckdb", "opened"
        promised = checker.promised(home)
        try:
            asyncio.run(Store(path).read("SELECT 1"))
        except StoreCorrupt:
            outcome = "StoreCorrupt"
            assert not asyncio.run(Store(path).verify()).ok
            done = asyncio.run(Store(path).recover())
            assert [one.name.startswith("kalshi.duckdb.wal.quarantine-") for one in done.aside] == [True]
        held = asyncio.run(Store(path).read("SELECT run_id, walk, page FROM ledger"))
        found = asyncio.run(Store(path).verify())
        named = {(row["run_id"], row["walk"], row["page"]) for row in found.missing.to_dicts()}
        assert named == promised - set(held.iter_rows()), "exactly the pages that are gone are named"
        assert {one.kind for one in found.faults} <= {"missing"}, "what is there is a consistent prefix"
        checker.completed(self.exchange, home, SINCE, self.wanted)
        return f"{outcome}, {'pages missing' if named else 'whole'}", len(named)


def damage(log: Path, place: int, how: str) -> None:
    """Cut a file at a place, or flip a bit there."""
    data = log.read_bytes()
    log.write_bytes(data[:place] if how == "cut" else data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :])


@contextmanager
def small_disk(home: Path) -> Iterator[tuple[Path, str]]:
    """A folder on a disk of its own where this process may mount one, else a plain folder."""
    home.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SMALL},mode=0700", "tmpfs", str(home)]
    mounted = (
        sys.platform == "linux"
        and os.geteuid() == 0
        and not subprocess.run(mount, capture_output=True, check=False).returncode
    )
    try:
        yield home, "a small disk" if mounted else "a bound on files"
    finally:
        if mounted:
            subprocess.run(["umount", str(home)], check=True)  # noqa: S607 - wherever the system has it
        shutil.rmtree(home)


@contextmanager
def running(base: Path, seed: int = SEED) -> Iterator[Campaign]:
    """A campaign with an exchange of its own, whose answers take a moment and whose streams flow."""
    with process.start(markets=300, clock="frozen", delay_ms=15) as exchange:
        exchange.stir(200, recorded(exchange))
        yield Campaign(exchange, base, seed)


def recorded(exchange: Exchange) -> list[str]:
    """Markets that are recorded, whose books may move since nothing else is read of them."""
    from kalshi_lab import Lab

    with tempfile.TemporaryDirectory() as home, Lab("sim", base_url=exchange.url, home=home) as lab:
        return lab.markets(series=RECORDED, status="open")["ticker"].to_list()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, size in (("kills", 200), ("presses", 25), ("fulls", 20), ("logs", 60)):
        parser.add_argument(f"--{name}", type=int, default=size)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--home", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, running(asked.home or Path(folder), asked.seed) as campaign:
        print(f"seed {asked.seed}; a run takes {campaign.lasts:.1f} s", flush=True)
        for name in ("kills", "presses", "fulls", "logs"):
            count, began = getattr(asked, name), time.monotonic()
            if count:
                told = getattr(campaign, name)(count)
                print(f"{told}; {time.monotonic() - began:.0f} s, load {os.getloadavg()[0]:.1f}", flush=True)


if __name__ == "__main__":
    main()
