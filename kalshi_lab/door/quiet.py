"""What the HTTP libraries below log of our requests: warnings and no more.

Their INFO holds whole addresses, their DEBUG the headers of answers with their cookies. Other users of the same libraries in this
process log as they please.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

LOUD = ("httpx", "httpcore.connection", "httpcore.http11", "httpcore.http2", "httpcore.proxy", "httpcore.socks")
_ours: ContextVar[bool] = ContextVar("ours", default=False)


def _passes(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING or not _ours.get()


for _name in LOUD:
    logging.getLogger(_name).addFilter(_passes)


@contextmanager
def quiet() -> Iterator[None]:
    """For as long as the block lasts, and in its tasks, the libraries below log only warnings."""
    token = _ours.set(True)
    try:
        yield
    finally:
        with suppress(ValueError):  # an iterator that was left in the middle is closed from somewhere else
            _ours.reset(token)
