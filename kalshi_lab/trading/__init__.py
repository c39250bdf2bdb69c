"""Orders behind rails: checks before, an audit row before and after, and an answer to what became of each.

Nothing imports this package but `lab.trading(...)`, so that a session that does not trade holds no code that could.
"""

from kalshi_lab.trading.executor import AsyncTrading
from kalshi_lab.trading.face import Trading
from kalshi_lab.trading.limits import Limits
from kalshi_lab.trading.situation import Attempt, Check, Proposal, Situation

__all__ = ["AsyncTrading", "Attempt", "Check", "Limits", "Proposal", "Situation", "Trading"]
