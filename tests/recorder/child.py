"""Records from a simulated exchange until it is killed, and tells how many rows are stored: `python child.py PORT HOME TICKERS`."""

from __future__ import annotations

import sys
import time
from typing import Any

import kalshi_lab as kl
from kalshi_lab.sim import Exchange


def main(port: str, home: str, tickers: str) -> None:
    nobody: Any = None
    exchange, key = Exchange(nobody, int(port)), kl.Credentials.generate()
    key = key.with_key_id(exchange.account(key.public_pem))
    lab = kl.Lab("sim", base_url=exchange.url, home=home, credentials=key)
    recording = lab.record(tickers=tickers.split(","))
    print(recording.recording, flush=True)
    while recording.state == "recording":
        time.sleep(0.02)
        print(sum(recording.stats.stored.values()), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
