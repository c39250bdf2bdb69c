"""What a team's store refuses before anything is asked of PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import kalshi_lab as kl

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "words", ["host=db password=hunter2 dbname=x", "postgresql://ann:" + "hunter2@db/x", "host=db PASSWORD = hunter2"]
)
def test_a_password_is_refused_and_not_repeated(words: str, tmp_path: Path) -> None:
    """S1: it belongs where libpq looks for it, and is in no error."""
    with pytest.raises(kl.UsageError, match="pgpass") as told:
        kl.DuckLake(words, tmp_path)
    assert "hunter2" not in str(told.value)


def test_odd_words_are_refused(tmp_path: Path) -> None:
    for words, data in (("kalshi", tmp_path), ("dbname=x", "../x"), ("dbname=x", "s3://bucket/x")):
        with pytest.raises(kl.UsageError):
            kl.DuckLake(words, data)
    with pytest.raises(kl.UsageError, match="is no store"):
        kl.Lab("sim", base_url="http://127.0.0.1:1", home=tmp_path, store="somewhere")  # type: ignore[arg-type]  # the mistake that is tried
