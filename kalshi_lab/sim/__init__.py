"""A Kalshi-compatible exchange on this machine, over a made-up world whose truth is known.

`sim.start()` runs it in a process of its own, `Exchange.account()` opens an account there to practise with; `sim.World` is the world
alone, without a server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kalshi_lab.sim.process import Exchange, start

if TYPE_CHECKING:
    from kalshi_lab.sim.world import World as World

__all__ = ["Exchange", "World", "start"]


def __getattr__(name: str) -> object:
    if name == "World":
        from kalshi_lab.sim.world import World

        return World
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
