"""Milestones, targets, incentives, collections and live data have the structure that others recorded.

The recordings of collections are of August 2026, the others of January 2026, before some keys were added or renamed.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.sim.test_recordings import _leaf

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.recordings

# put in, or renamed, after the recordings were made
ADDED = {
    "milestone": {"source_ids"},
    "target": {"source_ids"},
    "program": {"market_id", "incentive_description", "max_reward_per_account", "target_size_fp"},
    "collection": {"price_level_structure", "price_ranges"},
}
GONE = {"program": {"target_size"}, "collection": {"_truncated_from"}}


@pytest.fixture(scope="module")
def golden(recordings: Path) -> Callable[[str], Any]:
    def read(name: str) -> Any:
        path = recordings / "rest-legacy" / "golden" / f"{name}_response.json"
        return json.loads(path.read_text(encoding="utf-8"))["response"]

    return read


def _alike(mine: dict[str, Any], theirs: dict[str, Any], kind: str) -> None:
    """The same keys but for those that came or went, and a value of the same kind under each."""
    assert set(mine) - ADDED.get(kind, set()) == set(theirs) - GONE.get(kind, set())
    for key, value in theirs.items():
        if key in mine and value is not None and mine[key] is not None:
            assert _leaf(mine[key]) == _leaf(value), key


def test_collections(recordings: Path, get: Callable[..., Any]) -> None:
    """Against sixteen collections of August 2026, and the events in them."""
    path = recordings / "rest-current" / "cockpit" / "combo_collections.json"
    recorded = json.loads(path.read_text(encoding="utf-8")).values()
    (mine,) = get("/multivariate_event_collections")["multivariate_contracts"]
    for theirs in recorded:
        _alike(mine, theirs, "collection")
    (shape,) = {frozenset(one) for one in mine["associated_events"]}
    assert shape in {frozenset(one) for theirs in recorded for one in theirs["associated_events"]}
    assert mine["associated_event_tickers"] == [one["ticker"] for one in mine["associated_events"]]


def test_milestones_and_their_live_data(golden: Callable[[str], Any], get: Callable[..., Any]) -> None:
    """A basketball game, before it and while it ran."""
    (mine,) = get("/milestones", limit=1, type="basketball_game")["milestones"]
    theirs = golden("milestone_single")["milestone"]
    _alike(mine, theirs, "milestone")
    assert set(mine["details"]) < set(theirs["details"])
    live, recorded = get(f"/live_data/milestone/{mine['id']}")["live_data"], golden("live_data_milestone")["live_data"]
    _alike(live, recorded, "live")
    assert set(live["details"]) == set(recorded["details"])


def test_targets(golden: Callable[[str], Any], get: Callable[..., Any]) -> None:
    """A basketball team among five kinds of targets."""
    (mine,) = get("/structured_targets", page_size=1, type="basketball_team")["structured_targets"]
    recorded = golden("structured_targets_list")["structured_targets"]
    team = next(theirs for theirs in recorded if theirs["type"] == mine["type"])
    _alike(mine, team, "target")
    assert set(mine["details"]) < set(team["details"])
    assert {frozenset(theirs) for theirs in recorded} == {frozenset(mine) - ADDED["target"]}


def test_incentives(golden: Callable[[str], Any], get: Callable[..., Any]) -> None:
    """Programs that reward liquidity, and the name of their cursor."""
    page, recorded = get("/incentive_programs", type="liquidity", limit=1), golden("incentive_programs")
    assert set(page) == set(recorded)
    for theirs in recorded["incentive_programs"]:
        _alike(page["incentive_programs"][0], theirs, "program")


def test_words_of_search(golden: Callable[[str], Any], get: Callable[..., Any]) -> None:
    """Sports with their competitions and scopes; a category without tags has null."""
    mine, theirs = get("/search/filters_by_sport")["filters_by_sports"], golden("filters_by_sport")["filters_by_sports"]
    assert mine["All sports"].keys() == theirs["All sports"].keys()
    assert {"Basketball", "Football", "Hockey"} <= set(mine) <= set(theirs)
    kinds = {type(tags) for tags in get("/search/tags_by_categories")["tags_by_categories"].values()}
    assert kinds == {type(tags) for tags in golden("tags_by_categories")["tags_by_categories"].values()}
