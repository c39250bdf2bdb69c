"""Makes the README's picture: `python tests/pictures.py`.

A world whose long shots are priced too high on purpose, so that the diagram has something to show.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import kalshi_lab as kl
from kalshi_lab.sim import start

PICTURE = Path(__file__).parents[1] / "notebooks" / "img" / "reliability.png"
CITIES = ("KXHIGHNY", "KXHIGHCHI", "KXHIGHMIA", "KXHIGHAUS")


def main() -> None:
    """Sync four series of settled markets, compare their prices twelve hours before the close, save the diagram."""
    with start(markets=1000, clock="frozen", longshot_bias=0.25) as exchange, tempfile.TemporaryDirectory() as home:
        with kl.Lab("sim", base_url=exchange.url, home=home) as lab:
            for series in CITIES:
                lab.sync("markets", status="settled", series=series)
                lab.sync("candlesticks", status="settled", series=series)
            result = lab.calibration(horizon="12h")
        print(result)
        print(result.plot().save(PICTURE))


if __name__ == "__main__":
    main()
