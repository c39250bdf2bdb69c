"""`kl.explain(error)`: every branch of the tree has words and advice of its own, and none of them is about something that is not there."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest

import kalshi_lab as kl
from kalshi_lab import errors
from kalshi_lab.explanations import ADVICE, FOREIGN, NOTHING_SENT
from kalshi_lab.lab.traffic import HOSTS
from tests.door.raw_server import RawServer, reply
from tests.fakes import FakeClock

if TYPE_CHECKING:
    from pathlib import Path

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.LabError)]
WORDS = [text for said, steps in (*ADVICE.values(), *FOREIGN.values()) for text in (said, *steps)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_class_has_words_of_its_own(kind: type[errors.LabError]) -> None:
    """Each class of the tree says what happened and what to do in words that no other class has."""
    found = kl.explain(kind("it failed", hint="Do this"))
    others = [said for other, (said, _) in ADVICE.items() if other is not kind]
    assert found.happened not in others
    assert found.happened.endswith(".")
    assert found.next[0] == "Do this"
    assert len(found.next) >= 2
    assert (found.kind, found.said) == (kind.__name__, "it failed")
    for shown in (repr(found), re.sub(r"<[^>]+>", " ", found._repr_html_())):
        assert "it failed" in shown
        assert "Do this" in shown


def test_nothing_is_explained_that_does_not_exist() -> None:
    """The tables hold the tree and Python's own errors, and nothing else."""
    assert set(ADVICE) == set(KINDS)
    assert not [kind for kind in FOREIGN if kind.__module__ != "builtins"]


@pytest.mark.parametrize("text", [word for word in WORDS if re.search(r"\b(kl|lab|kalshi)\.\w", word)])
def test_advice_names_what_is_there(text: str, tmp_path: Path) -> None:
    """What the advice tells to call exists, with the settings that it names."""
    with kl.Lab("prod", home=tmp_path) as lab:
        known: dict[str, Any] = {"kl": kl, "lab": lab, "kalshi": lab.kalshi}
        for path in re.findall(r"\b(?:kl|lab|kalshi)(?:\.\w+)+", text):
            found = known[path.partition(".")[0]]
            for name in path.split(".")[1:]:
                found = getattr(found, name)
    for setting in re.findall(r"(\w+)=", "".join(re.findall(r"kl\.Settings\(([^)]*)\)", text))):
        assert setting in kl.Settings.model_fields
    assert {"breaker", "until", "tokens"} <= set(HOSTS)


def test_a_request_that_failed_is_told_whole() -> None:
    """Which request, how often it was tried, with which answer, and how to see each attempt."""
    with RawServer(reply({}, 503)) as server, kl.Kalshi(
        environment="prod", base_url=server.url, allow_unsafe_host=True, clock=FakeClock(roll=0.0)
    ) as kalshi, pytest.raises(kl.Unavailable) as caught:  # fmt: skip
        kalshi.exchange.status()
    found = kl.explain(caught.value)
    assert found.request == f"GET /exchange/status, request {caught.value.request_id}"
    assert found.tried.startswith("4 times in ")
    assert "status 503" in found.tried
    assert f"lab.stats(request='{caught.value.request_id}')" in repr(found)


def test_what_this_very_error_knows_comes_first() -> None:
    """The wait, the time, the holder, the client id and the doubt of one error are in its advice."""
    limited = errors.RateLimited("slow")
    limited.retry_after = 7.0
    resting = errors.CircuitOpen("resting", attempts=0)
    resting.until = datetime(2026, 11, 22, 14, 5, tzinfo=UTC)
    skewed = errors.ClockSkew("off")
    skewed.offset = 30.0
    busy = errors.StoreBusy("busy")
    busy.holder = "PID 7"
    lost = errors.OrderUnknown("lost")
    lost.client_order_id = "mine-1"
    doubtful = errors.TimedOut("late")
    doubtful.may_have_happened = True
    told = {
        limited: "Wait 7 s",
        resting: "Try again after 14:05:00 UTC",
        skewed: "This clock is 30 s behind",
        busy: "The store is held by PID 7",
        lost: "Look for client_order_id mine-1",
        doubtful: "It may have been carried out all the same: look before you send it again",
    }
    for error, first in told.items():
        assert kl.explain(error).next[0] == first
    assert kl.explain(resting).tried == NOTHING_SENT
    assert kl.explain(errors.RateLimited("slow")).next[0] != ""


@pytest.mark.parametrize(
    "error", [KeyError("x"), PermissionError(13, "no"), ModuleNotFoundError("papermill"), RuntimeError("?")]
)
def test_errors_of_others_are_explained_too(error: Exception) -> None:
    """Errors that a user may hold beside ours get plain words; the rest are said to be no words of ours."""
    found = kl.explain(error)
    assert found.kind == type(error).__name__
    assert found.next
    assert (found.request, found.tried) == ("", "")


def test_without_an_error_it_is_the_last_cell_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a notebook `kl.explain()` in the next cell is enough; where nothing failed, or for what is no error, it says so."""
    monkeypatch.setattr(sys, "last_value", kl.DiskFull("the disk is full"), raising=False)
    assert kl.explain().kind == "DiskFull"
    monkeypatch.delattr(sys, "last_value")
    with pytest.raises(kl.UsageError, match="nothing has failed yet"):
        kl.explain()
    with pytest.raises(kl.UsageError, match="not str"):
        kl.explain("timed out")  # type: ignore[arg-type]  # that is the mistake


def test_words_from_outside_are_shown_and_not_obeyed() -> None:
    """S11: what the exchange says in an error is text in the HTML of its explanation."""
    seen: list[str] = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            seen.append(tag)
            assert not [name for name, _ in attrs if name.startswith("on")]

    error = kl.BadRequest("<img src=x onerror=alert(1)> \u202e", request_id='"><script>', method="GET", path="/x")
    page = kl.explain(error)._repr_html_()
    Tags().feed(page)
    assert not {"img", "script"} & set(seen)
    assert "\u202e" not in page
