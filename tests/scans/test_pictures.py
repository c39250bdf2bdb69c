"""Pictures of scans draw nothing, one and ten thousand, and texts from outside as they are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

import kalshi_lab as kl
from tests.scans.test_movers import path, quotes
from tests.scans.test_scan import NOW, listing

PNG = b"\x89PNG"


@pytest.mark.parametrize("many", [0, 1, 10_000])
def test_a_scan_of_any_size(many: int) -> None:
    """VIS-1: empty results say so; of ten thousand the first are drawn."""
    rows = (
        listing(*({"ticker": f"KX$A_{place}^$", "title": "$x$"} for place in range(many)))
        if many
        else listing({}).clear()
    )
    made = kl.scan(rows, "close_race", now=NOW).plot()
    assert made.png().startswith(PNG)
    assert f"{many:,} of {many:,} market" in made.title


@pytest.mark.parametrize("many", [0, 1, 10_000])
def test_movers_of_any_number(many: int) -> None:
    """VIS-1: none, one, and the largest of ten thousand."""
    names = [f"$M{place}_" for place in range(many)]
    then, now = quotes(**dict.fromkeys(names, (0.2, 0.22))), quotes(**dict.fromkeys(names, (0.6, 0.62)))
    assert kl.movers(then, now, top=None).plot().png().startswith(PNG)


@pytest.mark.parametrize("rows", [(), ((1, 0.0, 1.0, 5),), ((1, 0.4, 0.5, 5), (2, 0.0, 1.0, 5), (3, 0.41, 0.5, 9))])
def test_metrics_with_gaps(rows: tuple[tuple[float, float, float, float], ...]) -> None:
    """MET-1: no quote at all, none that is real, and a hole in the middle."""
    start = datetime(2026, 11, 20, tzinfo=UTC)
    assert kl.metrics(path(*rows), "$A$", start=start, end=start + timedelta(hours=9)).plot().png().startswith(PNG)
