"""`python -m kalshi_lab demo`: the library at work, from an empty folder to a page with pictures."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import webbrowser
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kalshi_lab.errors import LabError
from kalshi_lab.lab import Lab
from kalshi_lab.notebook import report, runs
from kalshi_lab.settings import Environment, Settings

SERIES = "KXHIGHNY"
MARKETS = 5_000
APART = 6 * 3600  # seconds between the two snapshots in the simulated world
NOTEBOOKS = ("00_first_look", "01_calibration")
SIGNED = ("02_live", "03_practice")  # need a key, which only the simulated exchange gives to everybody


def main(arguments: list[str] | None = None) -> int:
    """Run a command; 0 when it did what it says, 1 when it could not, 2 for a wrong word, 130 when it was stopped."""
    parser = argparse.ArgumentParser(prog="python -m kalshi_lab", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser("demo", help="sync, snapshot, run the notebooks, write one page")
    demo.add_argument("--home", type=Path, help="the folder for store and page; a temporary one where none is given")
    demo.add_argument(
        "--environment", choices=["sim", "demo", "prod"], default="sim", help="sim, on this machine, needs no network"
    )
    demo.add_argument("--series", default=SERIES, help=f"the series that the notebooks look at ({SERIES})")
    demo.add_argument("--open", action="store_true", help="show the page in a browser")
    chosen = parser.parse_args(arguments)
    try:
        page = show(chosen.environment, chosen.home, chosen.series)
    except LabError as error:
        print(f"kalshi_lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("kalshi_lab: stopped", file=sys.stderr)
        return 130
    if chosen.open:
        webbrowser.open(page.as_uri())
    return 0


def show(environment: Environment, home: Path | None, series: str) -> Path:
    """The demo; the path of its page."""
    began = time.monotonic()
    home = (home or Path(tempfile.mkdtemp(prefix="kalshi_lab-"))).expanduser().resolve()
    with _exchange(environment) as exchange:
        options = {"base_url": exchange.url} if exchange else {}
        with Lab(settings=Settings(environment=environment, home=home, **options)) as lab:
            print(f"{lab.status()} at {lab.settings.url}")
            _keep(lab, exchange, series)
            ran = [_run(name, lab, series) for name in (*NOTEBOOKS, *(SIGNED if exchange else ()))]
            figures = _figures(lab, series)
    page = home / "report.html"
    pictures = report.write(page, "kalshi_lab: a first look", figures, ran)
    for name, value in figures.items():
        print(f"  {name}: {value}")
    print(f"Report with {pictures} pictures: {page} ({time.monotonic() - began:.0f} s)")
    return page


def _exchange(environment: str) -> AbstractContextManager[Any]:
    """The simulated exchange, at the hour that it is now; nothing where a real one is asked for."""
    if environment != "sim":
        return nullcontext()
    from kalshi_lab.sim.process import start

    return start(markets=MARKETS, start=datetime.now(UTC).replace(minute=0, second=0, microsecond=0))


def _keep(lab: Lab, exchange: Any, series: str) -> None:
    """Fill the store: what is traded, what is asked, two looks at every quote."""
    print(lab.sync("series", progress=False))
    print(lab.sync("events", series=series, progress=False))
    print(lab.sync("markets", status="open", progress=False))
    print(lab.snapshot(progress=False))
    if exchange:
        exchange.advance(APART)
    print(lab.snapshot(progress=False))


def _run(name: str, lab: Lab, series: str) -> Path:
    print(f"running {name}.ipynb")
    given = {
        "environment": lab.settings.environment,
        "base_url": lab.settings.base_url,
        "home": str(lab.settings.folder),
        "series": series,
    }
    return runs.run(name, lab.settings.folder, given)


def _figures(lab: Lab, series: str) -> dict[str, object]:
    """The numbers that matter."""
    counted = lab.sql(
        "SELECT (SELECT count(*) FROM markets), (SELECT count(*) FROM quotes), (SELECT count(*) FROM book_changes), "
        "(SELECT count(*) FROM gaps)"
    ).row(0)
    found = lab.calibration(series=series)
    fired = lab.alerts.history().height
    score = "none" if found.brier is None else f"{found.brier:.3f}, skill {found.skill or 0:+.2f} against the base rate"
    return {
        "markets in the store": f"{counted[0]:,}",
        "quotes kept, changes only": f"{counted[1]:,}",
        f"settled markets of {series} with a price a day before": f"{found.n:,}",
        "Brier score of those prices": score,
        "alerts that fired": fired,
        "changes of live books recorded": f"{counted[2]:,}, gaps {counted[3]}",
    }


if __name__ == "__main__":
    sys.exit(main())
