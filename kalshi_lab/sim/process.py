"""The simulated exchange as a process of its own, started and steered from here. Standard library only."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
import threading
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from queue import Empty, Queue
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import urlsplit

from kalshi_lab.errors import UsageError
from kalshi_lab.sim.clock import STALE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from types import TracebackType

PREFIX = "/trade-api/v2"
_GRACE = 5.0


class Controls:
    """What steers the simulated exchange that listens on a port of this machine, whoever started it."""

    def __init__(self, port: int) -> None:
        self.port = port

    @property
    def url(self) -> str:
        """The address up to /trade-api/v2."""
        return f"http://127.0.0.1:{self.port}{PREFIX}"

    def advance(self, seconds: float) -> str:
        """Move the virtual clock forward; gives the new time as text, once every lab on this exchange knows it."""
        now = str(self._control("POST", "/sim/advance", {"seconds": seconds})["now"])
        time.sleep(STALE)  # a lab that asked just before trusts the time before for so long
        return now

    def now(self) -> str:
        """The virtual time as text."""
        return str(self._control("GET", "/sim/clock")["now"])

    def faults(self, path: str | None = None, kind: str = "status", **options: Any) -> None:
        """Make requests to `path` fail ("*" means any path, a trailing "*" a prefix); without a path, end all faults.

        Kinds: status, html, cut, garbled, slow, drip, drop, reset, loop, empty. Options: status (503), times (1), after (0), seconds
        (1.0), headers, body. Raises UsageError for a kind or option that does not exist.
        """
        if path is None:
            self._control("DELETE", "/sim/faults")
        else:
            self._control("POST", "/sim/faults", {"path": path, "kind": kind, **options})

    def requests(self) -> list[dict[str, Any]]:
        """The requests served since the start or the last `reset_log`: method, path, query, status (0 where none was sent).

        With `body` where JSON came along, and with `key`, the key's id, where a signature was there and is right.
        """
        return list(self._control("GET", "/sim/requests")["requests"])

    def reset_log(self) -> None:
        """Forget the requests served so far."""
        self._control("POST", "/sim/reset-log", {})

    def truth(self, ticker: str) -> float:
        """The true probability that a market pays on YES, now; after its close, its payout."""
        return float(self._control("GET", f"/sim/truth/{ticker}")["truth"])

    def planted(self) -> list[dict[str, Any]]:
        """The planted arbitrages, as `sim.World.planted` lists them."""
        return list(self._control("GET", "/sim/planted")["planted"])

    def account(
        self,
        public_key_pem: str,
        *,
        balance: float | str = 10_000,
        tier: str = "basic",
        scopes: Sequence[str] = ("read", "write"),
        direct: bool = False,
        pooled: bool = True,
    ) -> str:
        """Open an account for a public key in PEM, RSA or Ed25519; gives the key id that its requests name.

        `balance` in dollars; `direct` members have balances in $0.0001, others in cents, and may have subaccounts. The shards of a
        `pooled` account lend to one another, otherwise money must be moved to a shard before an order arrives there.
        Raises UsageError for a bad key, tier, scope or balance.
        """
        wanted = {
            "public_key": public_key_pem, "balance": str(balance), "tier": tier, "scopes": list(scopes), "direct": direct, "pooled": pooled,
        }  # fmt: skip
        return str(self._control("POST", "/sim/accounts", wanted)["key_id"])

    def skew(self, seconds: float) -> None:
        """Let the exchange's clock differ from this machine's, in its Date headers and in its check of signatures."""
        self._control("POST", "/sim/skew", {"seconds": seconds})

    @property
    def exa_url(self) -> str:
        """The address of the simulated Exa, which takes any key of eight characters or more."""
        return f"http://127.0.0.1:{self.port}/exa"

    def exa_truth(self, *tickers: str) -> list[dict[str, Any]]:
        """Every page about these markets that is or will be.

        Of each: ticker, url, sentiment (-1 to 1 towards its YES, None for a market that is named in passing), published (Unix seconds),
        broken (why it cannot be read, empty where it can), tickers (all that it concerns).
        """
        return list(self._control("POST", "/sim/exa/truth", {"tickers": tickers})["pages"])

    def exa_billed(self) -> dict[str, Any]:
        """What the simulated Exa has charged: total (dollars as text) and calls, each with operation and dollars."""
        return self._control("GET", "/sim/exa/bill")

    def exa(
        self, *, credit: float | str | None = None, lies: bool = False, fails: bool = False, stream: str = ""
    ) -> None:
        """Leave so many dollars of credit from now on (None: without end), and let things go wrong.

        `lies`: answers quote what no page says. `fails`: agent runs end in failure. `stream`: streams begin with text that they take
        back ("reset"), or break after some text ("error").
        """
        given = {"credit": None if credit is None else str(credit), "lies": lies, "fails": fails, "stream": stream}
        self._control("POST", "/sim/exa", given)

    @property
    def stream_url(self) -> str:
        """The address of the streams."""
        return f"ws://127.0.0.1:{self.port}/trade-api/ws/v2"

    def tick(self) -> None:
        """Bring the streams up to date now; `advance` does so too."""
        self._control("POST", "/sim/tick", {})

    def stir(self, messages_per_second: float, tickers: Sequence[str] | None = None) -> None:
        """Let sizes in the books that streams follow flicker so often (0: no more); REST answers have the same sizes.

        Only in the books of `tickers`, where given. Raises UsageError for an unknown ticker or a rate over 100,000.
        """
        wanted: dict[str, Any] = {"messages_per_second": messages_per_second}
        self._control("POST", "/sim/stir", {**wanted, **({} if tickers is None else {"tickers": list(tickers)})})

    def stream_faults(self, kind: str | None = None, **options: Any) -> None:
        """Let something go wrong on streams; without a kind, end all such faults.

        At once, on all connections: drop (reset=False), silence (seconds: no frames, no pings), error (code=25; channel="" for all;
        the subscriptions end), close (code, such as 1001). For the next `times` after the next `after`: skip, duplicate, swap (numbered
        data frames), command_error (code), refuse (handshakes, status=401). Until ended: random_drop (probability a second, seed),
        delay (seconds), buffer (size: frames that may wait on connections made from now on). Raises UsageError for another kind or option.
        """
        if kind is None:
            self._control("DELETE", "/sim/stream-faults")
        else:
            self._control("POST", "/sim/stream-faults", {"kind": kind, **options})

    def stream_log(self, *, keep: bool | None = None) -> dict[str, Any]:
        """What streams generated since the start or since the last call with `keep`, which begins anew.

        `counts` (connections, generated, sent, dropped, overflows, refused), `open` connections, and after `keep=True` the `frames` with
        data, at most the latest million (`forgotten` came before): connection, sid, seq, type, market, and `sent`, whether it was handed
        to the socket.
        """
        if keep is not None:
            self._control("POST", "/sim/stream-log", {"keep": keep})
        found = self._control("GET", "/sim/stream-log")
        while (after := found["next"]) is not None:
            page = self._control("GET", f"/sim/stream-log?after={after}")
            found = {**page, "frames": found["frames"] + page["frames"]}
        return found

    def publish(self, channel: str, kind: str, msg: dict[str, Any], *, market: str = "", user: str = "") -> None:
        """Send a message of your own on a channel: for messages that the simulated world never has."""
        wanted = {"channel": channel, "kind": kind, "msg": msg, "market": market, "user": user}
        self._control("POST", "/sim/publish", wanted)

    def _control(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(
                method, path, json.dumps(body) if body is not None else None, {"Content-Type": "application/json"}
            )
            response = connection.getresponse()
            answer = json.loads(response.read())
        finally:
            connection.close()
        if response.status != 200:
            raise UsageError(f"the simulated exchange refused {method} {path}", hint=str(answer.get("error", answer)))
        return dict(answer)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"


class Exchange(Controls):
    """A running simulated exchange; leaving its `with` block, or `stop()`, ends it, and so does the end of this process."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        super().__init__(port)
        self._process = process

    def __repr__(self) -> str:
        state = "running" if self.running else "stopped"
        return f"Exchange({self.url!r}, {state})"

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self._process.poll() is None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the process and wait until it is gone."""
        if self._process.stdin and not self._process.stdin.closed:
            self._process.stdin.close()
        if self.running:
            self._process.terminate()
            try:
                self._process.wait(_GRACE)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()


def start(
    *,
    markets: int = 5000,
    seed: int = 7,
    clock: Literal["live", "frozen"] = "live",
    speed: float = 1.0,
    prerender: bool | Literal["gzip"] = False,
    trades: int = 0,
    delay_ms: float = 0,
    read_tokens: float | None = None,
    start: datetime | None = None,
    history_days: int = 90,
    longshot_bias: float = 0.08,
    maker_edge: float = 0.008,
    maker_noise: float = 0.06,
    arbitrages: int = 0,
    correlation: float = 0.0,
    port: int = 0,
    timeout: float = 30,
) -> Exchange:
    """Start a simulated exchange on this machine and wait until it listens.

    `markets` is how many markets are open at its start time, `clock` "live" (runs with the wall clock, times `speed`) or "frozen",
    `read_tokens` the read budget a second (12,000; a request costs 10), `delay_ms` a pause before each answer. `prerender` builds the
    pages of the market listing before it listens, for benchmarks; "gzip" sends them compressed, as the exchange does. `trades` puts so
    many computed ones in place of the world's own, which cost next to nothing to serve. The rest describes the world: see `sim.World`.

    Raises UsageError when starlette or uvicorn is not installed, for a bad parameter, or when it does not listen within `timeout` seconds.
    """
    check_installed()
    options: dict[str, object] = {
        "port": port, "markets": markets, "seed": seed, "clock": clock, "speed": speed, "delay-ms": delay_ms, "read-tokens": read_tokens,
        "trades": trades or None, "start": start and start.isoformat(), "history-days": history_days,
        "longshot-bias": longshot_bias, "maker-edge": maker_edge, "maker-noise": maker_noise, "arbitrages": arbitrages,
        "correlation": correlation,
    }  # fmt: skip
    flags = [f"--{name}={value}" for name, value in options.items() if value is not None]
    return _launched(
        [
            *flags,
            "--with-parent",
            *(["--prerender"] if prerender else []),
            *(["--squeeze"] if prerender == "gzip" else []),
        ],
        timeout,
    )


def join(url: str, public_key_pem: str) -> str:
    """Open an account with practice money at the simulated exchange of an address; its key id, empty where there is no such exchange."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=5)
    try:
        wanted = json.dumps({"public_key": public_key_pem, "tier": "prestige", "direct": True})
        connection.request("POST", "/sim/accounts", wanted, {"Content-Type": "application/json"})
        return str(json.loads(connection.getresponse().read())["key_id"])
    except (OSError, ValueError, KeyError, TypeError, HTTPException):
        return ""
    finally:
        connection.close()


def check_installed() -> None:
    """Raise UsageError unless starlette and uvicorn are installed."""
    absent = [name for name in ("starlette", "uvicorn") if importlib.util.find_spec(name) is None]
    if absent:
        raise UsageError(
            f"the simulated exchange needs {' and '.join(absent)}", hint='Install them: pip install "kalshi_lab[demo]"'
        )


def _launched(flags: list[str], timeout: float) -> Exchange:
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        process = subprocess.Popen(  # noqa: S603 - our own module, by this interpreter
            [sys.executable, "-m", "kalshi_lab.sim", *flags],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True, cwd=Path(__file__).parents[2],
        )  # fmt: skip
        line = _first_line(process, timeout)
        if line.startswith("{"):
            return Exchange(process, int(json.loads(line)["port"]))
        Exchange(process, 0).stop()
        said.seek(0)
        reason = said.read().strip().rpartition("\n")[2] or f"it did not listen within {timeout:g} s"
        raise UsageError(f"the simulated exchange did not start: {reason}")


def _first_line(process: subprocess.Popen[str], timeout: float) -> str:
    lines: Queue[str] = Queue()
    threading.Thread(target=lambda: lines.put(process.stdout.readline() if process.stdout else ""), daemon=True).start()
    try:
        return lines.get(timeout=timeout)
    except Empty:
        return ""
