"""What every verb needs of the session."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from weakref import WeakSet

    from kalshi_lab.clock import Clock
    from kalshi_lab.exa import AsyncExa
    from kalshi_lab.ingest.collector import AsyncCollector
    from kalshi_lab.ingest.recorder import AsyncRecording
    from kalshi_lab.kalshi.client import AsyncKalshi
    from kalshi_lab.store import Store
    from kalshi_lab.store.spend import Spending


class Verbs:
    """The session's clients, store and clock, under which "now" is the exchange's, and what it began that goes on in the background.

    Whatever `exa` is asked is paid from `spending`.
    """

    kalshi: AsyncKalshi
    exa: AsyncExa
    spending: Spending
    store: Store
    clock: Clock
    _background: WeakSet[AsyncRecording | AsyncCollector]
