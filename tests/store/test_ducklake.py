"""What a team's store refuses before anything is asked of PostgreSQL."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

import pytest

import kalshi_lab as kl

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "words",
    [
        "host=db password=hunter2 dbname=x",
        "host=db PASSWORD = hunter2",
        "host=db passwd=hunter2",
        "host=db sslpassword=hunter2",
        "host=db user=ann hunter2",
        "host=db user='ann\\' password=hunter2'",
        "postgresql://ann:" + "hunter2@db/x",
        "postgresql://ann:" + "hunter2/x@db/x",
        "postgresql://db/x?pass%77ord=hunter2",
    ],
)
def test_a_password_is_refused_and_not_repeated(words: str, tmp_path: Path) -> None:
    """S1: it belongs where libpq looks for it, and is in no error."""
    with pytest.raises(kl.UsageError, match="pgpass") as told:
        kl.DuckLake(words, tmp_path)
    assert "hunter2" not in str(told.value)
    assert "hunter2" not in "".join(traceback.format_exception(told.value))


@pytest.mark.parametrize(
    "words", ["dbname=kalshi", " host = db  port=5432 dbname='my lab' user=ann sslmode=verify-full "]
)
def test_the_words_of_libpq_are_taken(words: str, tmp_path: Path) -> None:
    assert kl.DuckLake(words, tmp_path).catalogue == words


def test_odd_words_are_refused(tmp_path: Path) -> None:
    for words, data in (("kalshi", tmp_path), ("dbname=x", "../x"), ("dbname=x", "s3://bucket/x")):
        with pytest.raises(kl.UsageError):
            kl.DuckLake(words, data)
    with pytest.raises(kl.UsageError, match="is no store"):
        kl.Lab("sim", base_url="http://127.0.0.1:1", home=tmp_path, store="somewhere")  # type: ignore[arg-type]  # the mistake that is tried
