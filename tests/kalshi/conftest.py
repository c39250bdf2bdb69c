"""The scripted exchange as a fixture, and what its three pages hold when nothing is odd."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.kalshi.scripted import Answer, Asked, Scripted, pages, three

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import polars as pl


@pytest.fixture
def scripted() -> Iterator[Callable[[Callable[[Asked], Answer]], Scripted]]:
    """Start a scripted exchange; it is stopped after the test."""
    with ExitStack() as stack:
        yield lambda answer: stack.enter_context(Scripted(answer))


@pytest.fixture(scope="module")
def plain() -> pl.DataFrame:
    """The three pages as one exact frame, when nothing on them is odd."""
    with Scripted(pages(*three())) as server, server.client() as client:
        return client.markets.list().frame(exact=True)
