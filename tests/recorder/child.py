"""Records from a simulated exchange until it is killed, and tells how many rows are stored: `python child.py URL HOME TICKERS`."""

from __future__ import annotations

import sys
import time

import kalshi_lab as kl


def main(url: str, home: str, tickers: str) -> None:
    lab = kl.Lab("sim", base_url=url, home=home)
    recording = lab.record(tickers=tickers.split(","))
    print(recording.recording, flush=True)
    while recording.state == "recording":
        time.sleep(0.02)
        print(sum(recording.stats.stored.values()), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
