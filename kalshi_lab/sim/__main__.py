"""Run the simulated exchange: `python -m kalshi_lab.sim --port 8765 --markets 5000 --seed 7`."""

from __future__ import annotations

import argparse
import sys
from datetime import datetime

from kalshi_lab.errors import UsageError
from kalshi_lab.sim.process import check_installed


def arguments(given: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m kalshi_lab.sim", description="A simulated Kalshi exchange on this machine."
    )
    parser.add_argument("--port", type=int, default=0, help="0: any free port")
    parser.add_argument("--markets", type=int, default=5000, help="markets open at the start time")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--clock", choices=("live", "frozen"), default="live")
    parser.add_argument("--speed", type=float, default=1.0, help="virtual seconds a second")
    parser.add_argument("--start", type=datetime.fromisoformat, help="virtual start time with zone, ISO 8601")
    parser.add_argument("--history-days", type=int, default=90)
    parser.add_argument("--longshot-bias", type=float, default=0.08)
    parser.add_argument("--maker-edge", type=float, default=0.008)
    parser.add_argument("--maker-noise", type=float, default=0.06)
    parser.add_argument("--correlation", type=float, default=0.0, help="of weather events that begin and end together")
    parser.add_argument("--arbitrages", type=int, default=0, help="open events whose quotes contradict one another")
    parser.add_argument("--read-tokens", type=float, default=12_000.0, help="read tokens a second; a request costs 10")
    parser.add_argument("--delay-ms", type=float, default=0.0, help="pause before each answer")
    parser.add_argument(
        "--prerender", action="store_true", help="make the pages of the market listing before listening"
    )
    parser.add_argument("--squeeze", action="store_true", help="send prerendered pages gzipped, as the exchange does")
    parser.add_argument(
        "--trades", type=int, default=0, help="serve so many computed trades instead of the world's own"
    )
    parser.add_argument("--with-parent", action="store_true", help="end when standard input ends")
    return parser.parse_args(given)


def main(given: list[str]) -> None:
    """Build the world and serve it until told to stop."""
    options = arguments(given)
    check_installed()
    from kalshi_lab.sim.api import Api
    from kalshi_lab.sim.app import Application
    from kalshi_lab.sim.dense import Dense
    from kalshi_lab.sim.pages import Pages
    from kalshi_lab.sim.serving import serve
    from kalshi_lab.sim.virtual import Bucket, VirtualClock
    from kalshi_lab.sim.world import START, World, microseconds

    world = World(
        options.seed, open_markets=options.markets, start=options.start or START, history_days=options.history_days,
        longshot_bias=options.longshot_bias, maker_edge=options.maker_edge, maker_noise=options.maker_noise,
        arbitrages=options.arbitrages, correlation=options.correlation,
    )  # fmt: skip
    clock = VirtualClock(microseconds(world.start), options.clock, options.speed)
    api = Api(world, clock.now)
    pages = Pages(api, squeezed=options.squeeze) if options.prerender else None
    dense = Dense(api, options.trades, options.history_days) if options.trades else None
    serve(
        Application(api, clock, Bucket(options.read_tokens), delay=options.delay_ms / 1000, pages=dense or pages),
        options.port,
        with_parent=options.with_parent,
    )


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except UsageError as error:
        sys.exit(str(error))
