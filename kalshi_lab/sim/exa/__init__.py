"""The simulated Exa: a search engine over made-up pages about the simulated world, whose leanings are known."""

from __future__ import annotations

from kalshi_lab.sim.exa.service import PREFIX, Service, refusal

__all__ = ["PREFIX", "Service", "refusal"]
