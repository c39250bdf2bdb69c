"""The only way to the network: circuit breaker, attempts, rate budget, guard, connection pool, from outside in."""

from __future__ import annotations

from kalshi_lab.door.call import Call, Reply, segment
from kalshi_lab.door.host import Host
from kalshi_lab.door.transport import Door

__all__ = ["Call", "Door", "Host", "Reply", "segment"]
