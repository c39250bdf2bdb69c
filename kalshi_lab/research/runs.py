"""Paid runs that survive their process: written down before they are created, found again by what was written down.

Exa charges for a run when it is created, whoever waits for it. So the store first keeps what is wanted under the hash of the task; the
run carries that hash as its metadata; and whoever asks for the same task later takes up the run that is there, wherever the first process
ended: before the creation, between it and the answer, or while it waited.
"""

from __future__ import annotations

import hashlib
import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from kalshi_lab.errors import LabError
from kalshi_lab.exa.records import Run
from kalshi_lab.store import paid
from kalshi_lab.store.paid import PaidRun

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from kalshi_lab.clock import Clock
    from kalshi_lab.exa import AsyncExa
    from kalshi_lab.store import Store

MARK: Final = "kalshi_lab_task"
CLAIMED: Final = "claimed by "
LISTED: Final = 100  # runs of the list in which a lost one is looked for
IN_FLIGHT: Final = timedelta(seconds=90)  # for which another process may still be creating what it wrote down


def key_of(question: str, asked: Mapping[str, Any]) -> str:
    """The hash of a task: 64 hexadecimal digits."""
    told = [" ".join(question.split()), {name: value for name, value in asked.items() if value is not None}]
    return hashlib.sha256(msgspec.json.encode(told, order="deterministic")).hexdigest()


async def run(
    exa: AsyncExa, store: Store, clock: Clock, question: str, asked: Mapping[str, Any], *, wait: float
) -> Run:
    """The finished run of a task; one that failed or was cancelled is given as it ended, and forgotten, so that it can be begun anew."""
    key = key_of(question, asked)
    mine = PaidRun(key, question, "", clock.now(), None, f"{CLAIMED}{os.getpid()}", None, None)
    known = await paid.claimed(store, mine)
    if known.body is not None and known.status == "completed":
        return Run.model_validate(msgspec.json.decode(known.body), by_name=True)  # kept by our names
    if known.run_id is None:
        known = await _begun(exa, store, clock, known, asked, own=known == mine)
    found = await exa.runs.wait(str(known.run_id), reservation=known.reservation, seconds=wait)
    await _ended(store, key, found, clock.now())
    return found


async def _begun(
    exa: AsyncExa, store: Store, clock: Clock, known: PaidRun, asked: Mapping[str, Any], *, own: bool
) -> PaidRun:
    """The task with its run: the one that a process began which then died, else a new one."""
    if not own:
        found = await _lost(exa, known.key)
        while found is None and _at_it(known) and clock.now() - known.created_at < IN_FLIGHT:
            await clock.sleep(1.0)
            known = await paid.claimed(store, known)
            if known.run_id is not None:
                return known
            found = await _lost(exa, known.key)
        if found is not None:
            return await _named(store, clock, known, found, known.reservation)
    return await _create(exa, store, clock, known, asked)


def _at_it(known: PaidRun) -> bool:
    """Whether the process that wrote a task down still lives, and so may be creating its run."""
    holder = known.status.removeprefix(CLAIMED)
    try:
        os.kill(int(holder), 0)
    except (ValueError, ProcessLookupError):
        return False
    except OSError:
        return True  # somebody else's process
    return True


async def _create(exa: AsyncExa, store: Store, clock: Clock, known: PaidRun, asked: Mapping[str, Any]) -> PaidRun:
    try:
        made, reservation = await exa.runs.create(known.task, metadata={MARK: known.key}, **asked)
    except LabError as error:
        if not getattr(error, "may_have_happened", False):
            await paid.forgotten(store, known.key)  # it surely was not created
        raise
    return await _named(store, clock, known, made, reservation)


async def _named(store: Store, clock: Clock, known: PaidRun, made: Run, reservation: str) -> PaidRun:
    await paid.noted(store, known.key, clock.now(), run_id=made.id, status=str(made.status), reservation=reservation)
    return PaidRun(known.key, known.task, reservation, known.created_at, made.id, str(made.status), None, None)


async def _lost(exa: AsyncExa, key: str) -> Run | None:
    """The run of a task among the newest ones, by the mark that it carries."""
    for one in await exa.runs.list(limit=LISTED):
        if isinstance(one.metadata, dict) and one.metadata.get(MARK) == key:
            return one
    return None


async def _ended(store: Store, key: str, found: Run, now: datetime) -> None:
    if found.status != "completed":
        await paid.forgotten(store, key)
        return
    body = msgspec.json.encode(found.model_dump(mode="json", by_alias=False)).decode()
    await paid.noted(store, key, now, run_id=found.id, status="completed", body=body)
