"""The command line.

`demo` shows the library at work, from an empty folder to a page with pictures; `collect` keeps a store up to date; `watch` looks after
its alerts; `run` runs one notebook with parameters.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
import tempfile
import time
import webbrowser
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kalshi_lab.alerts.sinks import ToApprise, ToFile, ToNotebook
from kalshi_lab.errors import LabError, UsageError
from kalshi_lab.lab import AsyncLab, Lab
from kalshi_lab.notebook import report, runs
from kalshi_lab.settings import Environment, Settings, environment_values

if TYPE_CHECKING:
    from kalshi_lab.ingest.collector import CollectorStatus

SERIES = "KXHIGHNY"
WHERE = ("sim", "demo", "prod")
MARKETS = 5_000
APART = 6 * 3600  # seconds between the two snapshots in the simulated world
NOTEBOOKS = ("00_first_look", "01_calibration")
SIGNED = ("09_live", "10_practice")  # need a key, which only the simulated exchange gives to everybody


def main(arguments: list[str] | None = None) -> int:
    """Run a command; 0 when it did what it says, 1 when it could not, 2 for a wrong word, 130 when it was stopped."""
    chosen = _parser().parse_args(arguments)
    try:
        return int(chosen.run(chosen))
    except LabError as error:
        print(f"kalshi_lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("kalshi_lab: stopped", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m kalshi_lab", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser("demo", help="sync, snapshot, run the notebooks, write one page")
    demo.add_argument("--home", type=Path, help="the folder for store and page; a temporary one where none is given")
    demo.add_argument("--environment", choices=WHERE, default="sim", help="sim, on this machine, needs no network")
    demo.add_argument("--series", default=SERIES, help=f"the series that the notebooks look at ({SERIES})")
    demo.add_argument("--open", action="store_true", help="show the page in a browser")
    demo.set_defaults(run=_demo)
    collect = commands.add_parser("collect", help="snapshots on a schedule and syncs, until SIGINT or SIGTERM")
    collect.add_argument("--every", default="15m", help='the time between two snapshots ("15m")')
    collect.add_argument("--sync-every", default="1h", help='between two syncs of events, markets and results ("1h")')
    collect.add_argument("--environment", choices=WHERE, help="prod where none is given, here or in KALSHI_ENVIRONMENT")
    collect.add_argument(
        "--home", type=Path, help="the folder of the store; the user's data folder where none is given"
    )
    collect.add_argument("--series", nargs="+", help="these series alone; the whole exchange where none is given")
    collect.add_argument("--trades", nargs="+", default=(), help="the series whose trades are kept, too")
    collect.add_argument("--keep-bodies", action="store_true", help="keep every answer as received, too")
    collect.add_argument("--once", action="store_true", help="one round, then end; 1 where it failed")
    collect.set_defaults(run=_collect)
    watch = commands.add_parser("watch", help="look after the alerts of a store, until SIGINT or SIGTERM")
    watch.add_argument("--every", default="1m", help='the time between two looks at what no live book shows ("1m")')
    watch.add_argument("--environment", choices=WHERE, help="prod where none is given, here or in KALSHI_ENVIRONMENT")
    watch.add_argument("--home", type=Path, help="the folder of the store; the user's data folder where none is given")
    watch.add_argument("--file", type=Path, help="a file to which a line of JSON is added for each event")
    watch.add_argument(
        "--notify",
        nargs="+",
        default=(),
        metavar="VARIABLE",
        help="environment variables that have addresses of apprise",
    )
    watch.add_argument("--once", action="store_true", help="one look, then end")
    watch.set_defaults(run=_watch)
    one = commands.add_parser("run", help="run one notebook with parameters, and keep it")
    one.add_argument("name", help="05_thesis, for one")
    one.add_argument(
        "-p", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"), help="one of its parameters"
    )
    one.add_argument("--out", type=Path, required=True, help="the folder for what was executed")
    one.add_argument("--html", action="store_true", help="and a page beside it, which needs nothing else")
    one.add_argument("--timeout", help='what one cell may take at most ("30m"); for ever where none is given')
    one.add_argument("--quiet", action="store_true", help="say nothing where it went well, as cron likes it")
    one.add_argument("--log", type=Path, help="a file to which a line is added for each run, however it ended")
    one.set_defaults(run=_one)
    return parser


def _one(chosen: argparse.Namespace) -> int:
    """One notebook and one line; 1 where it failed, 2 where what was asked for cannot be run."""
    try:
        given = runs.read(chosen.name, [(name, value) for name, value in chosen.p])
        ran = runs.run_notebook(
            chosen.name, given, out=chosen.out, html=chosen.html, progress=False, timeout=chosen.timeout
        )
        code, said = 0, f"{ran.path.stem} ran in {ran.seconds:.1f} s: {ran.page or ran.path}"
    except LabError as error:
        code, said = 2 if isinstance(error, UsageError) else 1, str(error)
    except KeyboardInterrupt:
        code, said = 130, f"{chosen.name} was stopped"
    if chosen.log:
        code, said = _logged(chosen.log, code, said)
    if code or not chosen.quiet:
        print(f"kalshi_lab: {said}", file=sys.stderr if code else sys.stdout)
    return code


def _logged(path: Path, code: int, said: str) -> tuple[int, str]:
    """Add a line to the log; a run whose line could not be written has failed."""
    line = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {code} {' '.join(said.split())}\n"
    try:
        with path.expanduser().open("a", encoding="utf-8") as file:
            file.write(line)
    except OSError as error:
        return max(code, 1), f"{said}; the log {path} cannot be written: {error.strerror}"
    return code, said


def _demo(chosen: argparse.Namespace) -> int:
    page = show(chosen.environment, chosen.home, chosen.series)
    if chosen.open:
        webbrowser.open(page.as_uri())
    return 0


def _collect(chosen: argparse.Namespace) -> int:
    """Collect until it is told to stop, a line on stderr for each round; 0, or 1 where it failed."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("kalshi_lab.ingest.collector").setLevel(logging.INFO)
    given = {"environment": chosen.environment, "home": chosen.home, "keep_bodies": chosen.keep_bodies or None}
    settings = Settings(**{name: value for name, value in given.items() if value is not None})
    status = asyncio.run(_collected(settings, chosen))
    return 1 if status.state == "failed" or (chosen.once and status.failed) else 0


async def _collected(settings: Settings, chosen: argparse.Namespace) -> CollectorStatus:
    """How the collector stood when it ended by itself or because of a signal."""
    stopping = _signalled()
    async with AsyncLab(settings=settings) as lab:
        collector = lab.collect(
            chosen.every, sync_every=chosen.sync_every, series=chosen.series, trades=chosen.trades, rounds=1 if chosen.once else None
        )  # fmt: skip
        async with collector:
            ended, told = asyncio.create_task(collector.wait()), asyncio.create_task(stopping.wait())
            await asyncio.wait({ended, told}, return_when=asyncio.FIRST_COMPLETED)
            told.cancel()
            if not ended.done():
                print("kalshi_lab: stopping", file=sys.stderr, flush=True)
        print(f"kalshi_lab: {collector.status}", file=sys.stderr, flush=True)
        return await ended


def _watch(chosen: argparse.Namespace) -> int:
    """Tell on stdout what happens, and wherever it is wanted, until it is told to stop; 0."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    given = {"environment": chosen.environment, "home": chosen.home}
    asyncio.run(_watched(Settings(**{name: one for name, one in given.items() if one is not None}), chosen))
    return 0


async def _watched(settings: Settings, chosen: argparse.Namespace) -> None:
    stopping = _signalled()
    async with AsyncLab(settings=settings) as lab:
        await lab.alerts.send_to(
            ToNotebook(show=partial(print, flush=True)), *([ToFile(chosen.file)] if chosen.file else []),
            *(_notified(variable) for variable in chosen.notify),
        )  # fmt: skip
        if chosen.once:
            await lab.alerts.check()
        else:
            watch = await lab.alerts.start(every=chosen.every)
            print(f"kalshi_lab: watching {settings.folder}", file=sys.stderr, flush=True)
            await stopping.wait()
            await lab.alerts.stop()
            print(f"kalshi_lab: {watch.status}", file=sys.stderr, flush=True)


def _notified(variable: str) -> ToApprise:
    """A sink whose address is in the environment, since a command line is there for everybody to read."""
    address = environment_values(variable).get(variable)
    if not address:
        raise UsageError(
            f"the environment has no variable {variable[:40]!r}",
            hint="It has an address of apprise, slack://... for one",
        )
    return ToApprise(address, name=f"notify {variable}")


def _signalled() -> asyncio.Event:
    """What is set once the process is told to stop; a second signal ends it at once."""
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()

    def told(number: int, _frame: object) -> None:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        loop.call_soon_threadsafe(stopping.set)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, told)
    return stopping


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
