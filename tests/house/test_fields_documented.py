"""The field table is told in the docstrings."""

from __future__ import annotations

import pytest

import kalshi_lab as kl
from kalshi_lab import frames
from kalshi_lab.models.fields import SHOWN, columns


def test_dtypes_shown_are_those_of_the_frames() -> None:
    """The dtype that a docstring names is the one that the frame has."""
    assert SHOWN.keys() == frames.DTYPES.keys()
    for kind, shown in SHOWN.items():
        assert shown.startswith(frames.DTYPES[kind].__class__.__name__), kind


@pytest.mark.parametrize("record", [kl.Market, kl.Event, kl.Series, kl.Trade, kl.Candlestick])
def test_every_column_is_in_the_docstring_with_its_meaning(record: type) -> None:
    """`kl.Market?` lists every column of the frame, with dtype and meaning."""
    for column in columns(record):
        assert f"    {column.name} ({SHOWN[column.kind]}): {column.doc}" in (record.__doc__ or "")
        assert column.doc
