"""How well the offline judge does on the fixed sample, beside the majority and a rule of positive and negative words."""

from __future__ import annotations

import asyncio
import csv
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kalshi_lab.analysis.scores import wilson
from kalshi_lab.research.news import ByWords
from kalshi_lab.research.news.words import beyond, said

if TYPE_CHECKING:
    from collections.abc import Callable

with (Path(__file__).parent / "sample.tsv").open(encoding="utf-8", newline="") as file:
    SAMPLE = [(row["claim"], row["passage"], int(row["label"])) for row in csv.DictReader(file, delimiter="\t")]
CHOSEN_ON, REPORTED_ON = SAMPLE[::2], SAMPLE[1::2]
POSITIVE = {
    "agree", "agreed", "approve", "approved", "beat", "beats", "boost", "boosted", "cleared", "confident",
    "favourite", "gain", "gains", "good", "great", "growth", "high", "higher", "hope", "hopes", "lead", "progress",
    "recovery", "rise", "rises", "rose", "strong", "success", "support", "supported", "surge", "surged", "up", "win",
    "wins", "won",
}  # fmt: skip
NEGATIVE = {
    "bad", "block", "blocked", "collapse", "collapsed", "crisis", "cut", "decline", "delay", "denied", "deny",
    "doubt", "doubts", "down", "drop", "dropped", "fail", "failed", "fails", "fall", "falls", "fear", "fears", "fell",
    "lose", "loses", "loss", "lost", "low", "lower", "poor", "recession", "reject", "rejected", "risk", "warn",
    "warned", "weak",
}  # fmt: skip
NEGATORS = {"not", "no", "never", "without", "hardly"}


def by_keywords(_claim: str, text: str) -> int:
    """The earlier tool's rule: positive words less negative ones, a negator just before one cancels it; its word lists are not known."""
    words = [word.strip(".,;:!?'").lower() for word in text.split()]
    score = 0
    for place, word in enumerate(words):
        if place and words[place - 1] in NEGATORS:
            continue
        score += (word in POSITIVE) - (word in NEGATIVE)
    return (score > 0) - (score < 0)


def by_words(claim: str, text: str) -> int:
    score = asyncio.run(JUDGE.judge(claim, "", [text])).score or 0.0
    return (score > 0.05) - (score < -0.05)


JUDGE = ByWords()


def right(judge: Callable[[str, str], int], rows: list[tuple[str, str, int]]) -> float:
    return sum(judge(claim, text) == label for claim, text, label in rows) / len(rows)


def test_the_judge_beats_the_majority_and_the_keywords_on_the_half_that_it_was_not_chosen_on() -> None:
    """NW-3: accuracy towards YES, with its interval, beside the two it has to beat."""
    commonest = Counter(label for _, _, label in CHOSEN_ON).most_common(1)[0][0]
    majority = right(lambda _claim, _text: commonest, REPORTED_ON)
    keywords, words = right(by_keywords, REPORTED_ON), right(by_words, REPORTED_ON)
    low, high = wilson(words, len(REPORTED_ON), 0.95)
    print(
        f"majority {majority:.3f}, keywords {keywords:.3f}, words {words:.3f} [{low:.3f}, {high:.3f}] of {len(REPORTED_ON)}"
    )
    assert majority < 0.45
    assert low > keywords
    assert low > majority
    assert words > 0.75


@pytest.mark.parametrize(
    ("claim", "text", "lean"),
    [
        ("The US enters a recession", "The risk of recession falls.", -1),
        ("It rains on Friday", "Rain is not at all likely.", -1),
        ("The high is below 70", "The high is seen near 80.", -1),
        ("The high is below 70", "The high is seen near 60.", 1),
        ("Bitcoin is above 100,000", "Bitcoin surged past 104,000 in 2026.", 1),
    ],
)
def test_the_traps_of_prose_are_not_fallen_into(claim: str, text: str, lean: int) -> None:
    """NW-3: the earlier tool took the tone of prose for the outcome's odds."""
    assert by_words(claim, text) == lean


def test_what_says_nothing_is_unknown_and_not_neutral() -> None:
    """NW-4, NW-5: no sentence about the outcome is no judgement."""
    judged = asyncio.run(
        JUDGE.judge(
            "How warm is it?", "70 to 71 degrees", ["Analysts say that 60 to 61 degrees now looks less likely."]
        )
    )
    assert judged.score is None
    assert judged.certainty == 0
    named = asyncio.run(
        JUDGE.judge("How warm?", "60 to 61 degrees", ["Analysts say that 60 to 61 degrees now looks less likely."])
    )
    assert named.score == -0.5
    assert named.method == "words"
    assert asyncio.run(JUDGE.judge("x", "", [])).score is None


def test_figures_and_words_by_themselves() -> None:
    assert beyond("above 4 percent", "it jumped to 4.4 percent") == 1
    assert beyond("above 4 percent", "400 people came") == 0
    assert beyond("no strike", "4.4 percent") == 0
    assert said("support grew and doubts grew") == 0
