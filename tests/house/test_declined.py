"""What was declined is not there in name alone: no verb promises what nothing behind it does."""

from __future__ import annotations

import pytest

import kalshi_lab as kl


@pytest.mark.parametrize("word", ["suggest", "polymarket", "tweets", "sportsbook", "reddit", "rss"])
def test_no_verb_promises_what_was_declined(word: str) -> None:
    """TH-6, FUTURE-003 to 006: ideas from a template and other venues are left out, with the reason in the table of rows."""
    names = {*dir(kl.AsyncLab), *dir(kl.Lab), *kl.__all__}
    assert not [name for name in names if word in name.lower()]
