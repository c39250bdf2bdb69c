"""A research agent that shows its work: a plan with its price, steps with their costs, quotes that are really where they are said to be."""

from __future__ import annotations

from kalshi_lab.research.agent.report import Factor, Report, Step
from kalshi_lab.research.agent.synthesis import ByRules, Draft, Synthesiser

__all__ = ["ByRules", "Draft", "Factor", "Report", "Step", "Synthesiser"]
