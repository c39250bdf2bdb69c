"""The verbs that take things along, awaited."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from kalshi_lab import AsyncLab, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from kalshi_lab.sim import Exchange


def test_the_awaited_verbs_do_the_same(exchange: Exchange, tmp_path: Path) -> None:
    """DB-9, DB-12, S8: search, export, archive and import_file of AsyncLab find, write, refuse and bring in as the blocking ones do."""

    async def story() -> None:
        async with AsyncLab("sim", base_url=exchange.url, home=tmp_path / "one") as lab:
            await lab.snapshot(series="KXHIGHNY", progress=False)
            found = await lab.search("temperature", limit=2)
            assert found.height == 2
            wrote = await lab.export(tmp_path / "lake", "quotes")
            assert wrote["rows"].sum() == (await lab.table("quotes")).height
            with pytest.raises(UsageError, match="upwards"):
                await lab.export(f"{tmp_path}/../x", "quotes")
            await lab.archive(tmp_path / "a.zip")
            async with AsyncLab("sim", base_url=exchange.url, home=tmp_path / "two") as other:
                await other.import_file(tmp_path / "a.zip")
                assert (await other.search("temperature", limit=2)).equals(found)

    asyncio.run(story())
