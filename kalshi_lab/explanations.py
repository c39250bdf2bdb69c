"""Errors in plain words: what happened, to which request, what was tried, what to do next."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kalshi_lab import errors as e
from kalshi_lab import markup

if TYPE_CHECKING:
    from collections.abc import Callable

NOTHING_SENT = "Nothing was sent and nothing was written."

# what each class means, and what to do about it, in the order in which it pays to try
ADVICE: dict[type[BaseException], tuple[str, tuple[str, ...]]] = {
    e.LabError: (
        "Something in this library's care failed.",
        (
            "Read the message: it names what failed",
            "Turn the log on and try again: logging.basicConfig(level='DEBUG')",
        ),
    ),
    e.RequestError: (
        "A request to the exchange failed.",
        (
            "Look at its attempts: lab.stats('attempt')",
            "Try again; if it stays, ask the exchange, naming the request id",
        ),
    ),
    e.BadRequest: (
        "The exchange understood the request and refused it as wrong; sending it again changes nothing.",
        ("Compare the arguments with the call's docstring (`call?`)", "Read the exchange's own words in the message"),
    ),
    e.Forbidden: (
        "The key is known, and may not do this.",
        (
            "Ask what the key may do: kalshi.check_key()",
            "Writes need a key with the write scope, and some data a higher tier",
            "A key of demo does nothing on prod, and the other way round",
        ),
    ),
    e.AuthFailed: (
        "The exchange did not accept the key, or there was none where one is needed.",
        (
            "Ask what is wrong with it: kalshi.check_key()",
            "Give one: kl.Kalshi(credentials=kl.Credentials.from_env())",
            "Check that key id and private key belong together, and to this environment",
        ),
    ),
    e.ClockSkew: (
        "The signature was refused since this machine's clock is off; it was signed once more in the exchange's time where that is near.",
        (
            "Set this machine's clock, and let it follow a time server (timedatectl set-ntp true; w32tm /resync)",
            "In a container or a machine that slept, restart its time service",
        ),
    ),
    e.NotFound: (
        "The exchange does not know this ticker or id.",
        (
            "Check the spelling: tickers are upper case, as in lab.markets()['ticker']",
            "Check the environment: demo and prod list different markets",
            "Long settled markets are in the archive: kalshi.historical.market(ticker), which lab.market(ticker) asks too",
        ),
    ),
    e.Conflict: (
        "The exchange has this already, or its state does not allow it now.",
        (
            "Look at what is there before you send it again: kalshi.orders.list()",
            "A client_order_id is used once: leave it out to get a new one",
        ),
    ),
    e.RateLimited: (
        "The exchange asked to slow down, and the waits that were allowed are used up.",
        (
            "Wait for `retry_after` seconds, then go on",
            "Look at the budget: lab.stats('host')",
            "Ask for less at once; other programs with the same key share its budget",
            "Tell the library your tier: kl.Settings(tier=...)",
        ),
    ),
    e.Unavailable: (
        "The exchange could not be reached, or said that it is down.",
        (
            "Look at its status and schedule: kalshi.exchange.status(), kalshi.exchange.schedule()",
            "Check this machine's own connection",
            "Try again later: reads that succeeded are kept, and lab.sync goes on where it stopped",
        ),
    ),
    e.TimedOut: (
        "No complete answer came within the deadline.",
        (
            "Try again",
            "Allow more time: kl.Settings(deadline=120, read_timeout=30)",
            "Ask for less at once, with a shorter window or a limit",
        ),
    ),
    e.BrokenResponse: (
        "The answer was cut or garbled on its way, again and again.",
        ("Try again", "If it stays, something between here and the exchange (a proxy, a scanner) changes answers"),
    ),
    e.CircuitOpen: (
        "So many requests in a row failed that the host is left alone for a while; this one was not sent.",
        (
            "Wait until the time in `until`: the next call then tries by itself",
            "See why it is open: lab.stats('attempt'), lab.stats('host')",
        ),
    ),
    e.BadPayload: (
        "An answer came that is not what the exchange's contract says.",
        (
            "Try again later",
            "If it stays, the exchange has changed its format: a newer version of this library may read it",
            "Keep the raw answer for a report: lab.stats(request=...) names the request",
        ),
    ),
    e.CursorLoop: (
        "The exchange's pages lead back to one that was read already, so the listing would never end.",
        ("What came before is kept", "Ask again later, or with a narrower filter"),
    ),
    e.StalledPagination: (
        "Page after page came without a row, though each promised another.",
        ("What came before is kept", "Ask again later, or with a narrower filter"),
    ),
    e.TooLarge: (
        "The answer is larger than what is accepted, and was not read to its end.",
        (
            "Ask for less at once, with a limit or a shorter window",
            "Raise the caps if you trust the answer: kl.Settings(raw_cap=..., body_cap=...)",
        ),
    ),
    e.UnexpectedRedirect: (
        "The answer points elsewhere, or the address could not prove to be the exchange's. Nothing signed was sent there.",
        (
            "Check base_url, or leave it out",
            "A login page of a hotel or company network answers like that: open a browser",
            "A company that inspects TLS shows a certificate of its own, which is refused",
        ),
    ),
    e.StoreError: (
        "The store could not do it; what it kept before is unchanged.",
        ("Read the message: it has the store's own words", "Check that the folder can be written"),
    ),
    e.StoreBusy: (
        "Another process holds the store, and did not let go in time.",
        (
            "See `holder`: close that program, or wait for it",
            "Wait longer: kl.Settings(store_wait=60)",
            "Only programs that open the file by other means hold it for long; several labs share it by themselves",
        ),
    ),
    e.StoreCorrupt: (
        "The store's file cannot be read as what it should be. Nothing was deleted.",
        ("Copy the folder away first", "Restore a backup, or move the file away and sync again", "Check the disk"),
    ),
    e.DiskFull: (
        "There is no room left to write; what was kept before is safe.",
        ("Free some space, then run the same call again: it goes on where it stopped",),
    ),
    e.SchemaDrift: (
        "So many rows could not be read that the exchange must have changed its format. They are kept as they came.",
        ("Look at them: lab.table('quarantine')", "Update this library, then read them again from what was kept"),
    ),
    e.UsageError: (
        "The call was refused before anything happened: an argument does not fit.",
        ("Follow the message: it says what is allowed, and the nearest match", "See the call's docstring (`call?`)"),
    ),
    e.BudgetExceeded: (
        "It would cost more than what is left of the budget that you set; it was not asked.",
        ("Raise the budget if you mean it", "Ask for less, or use what was asked before"),
    ),
    e.TradingError: (
        "An order could not be placed or changed.",
        ("Look at your orders before you try again: kalshi.orders.list()",),
    ),
    e.TradingOff: (
        "Writing was not asked for, so nothing was sent.",
        (
            "Open a client that may write, if you mean it: kl.Kalshi(writable=True, credentials=...)",
            "Practise first: kl.Lab('sim', writable=True)",
        ),
    ),
    e.OrderRejected: (
        "The exchange, or a check before it, refused the order; it is not live.",
        ("Read the reason in the message", "Check price, count, balance and the market's status"),
    ),
    e.OrderUnknown: (
        "The answer to an order was lost and nobody could say whether it is live. Don't place it again before you know.",
        (
            "Look for `client_order_id` in kalshi.orders.list(ticker=...), and in kalshi.portfolio.fills()",
            "Placing it again with the same client_order_id cannot place it twice; with a new one it can",
        ),
    ),
}

FOREIGN: dict[type[BaseException], tuple[str, tuple[str, ...]]] = {
    ModuleNotFoundError: (
        "A package that this call needs is not installed.",
        (
            "Install it in the kernel's own environment: %pip install NAME, then restart the kernel",
            "The extras: pip install 'kalshi_lab[notebook,alerts,analysis,otel]'",
        ),
    ),
    MemoryError: (
        "This machine's memory is used up.",
        (
            "Ask for less at once: filters, limit=, a shorter window",
            "Sum up in the store instead: lab.sql('SELECT ... GROUP BY ...')",
        ),
    ),
    PermissionError: (
        "The operating system does not allow it.",
        ("Check who owns the file or folder, and its mode", "Choose another folder: kl.Lab(home='...')"),
    ),
    FileNotFoundError: ("There is no such file.", ("Check the path and the folder that the notebook runs in: %pwd",)),
    TimeoutError: ("Something took longer than it was allowed to.", ("Try again", "Ask for less at once")),
    ConnectionError: ("A connection was refused or cut.", ("Check this machine's own connection", "Try again")),
    RecursionError: (
        "Something is nested too deeply.",
        ("If a value from outside caused it, leave it out and report it",),
    ),
    TypeError: (
        "An argument has another type, or a name that the call does not know.",
        ("See the call's signature: put the cursor on it and press shift-tab, or run `call?`",),
    ),
    AttributeError: (
        "There is no such name.",
        ("Press tab after the dot to see what there is", "dir(kl) lists the library's public names"),
    ),
    KeyError: ("There is no such key or column.", ("See what there is: frame.columns",)),
}


@dataclass(frozen=True)
class Explanation:
    """An error in plain words: `happened`, the `request` and what was `tried` where it was one, and what to do `next`, best first."""

    kind: str
    happened: str
    said: str
    request: str
    tried: str
    next: tuple[str, ...]

    def __repr__(self) -> str:
        facts = [self.kind, f"  what happened: {self.happened}", f"  it said: {self.said}"]
        facts += [f"  {name}: {value}" for name, value in self._asked().items()]
        return "\n".join([*facts, "  what to do:", *(f"    {n}. {step}" for n, step in enumerate(self.next, 1))])

    def _repr_html_(self) -> str:
        facts = {"what happened": self.happened, "it said": self.said, **self._asked()}
        steps = markup.tag("ol", *(markup.tag("li", step) for step in self.next))
        return markup.card(self.kind, facts, steps)

    def _asked(self) -> dict[str, str]:
        return {name: value for name, value in (("request", self.request), ("tried", self.tried)) if value}


def explain(error: BaseException | None = None) -> Explanation:
    """What an error means and what to do about it, in plain words: of this library's tree, and of Python's own that often come up.

    Takes the error (`except kl.LabError as error: kl.explain(error)`), or without one explains what the last failed cell raised. Says
    only what the error holds. Raises UsageError for what is no error, and where nothing has failed.
    """
    given: object = getattr(sys, "last_value", None) if error is None else error
    if not isinstance(given, BaseException):
        what = "nothing has failed yet" if given is None else f"explain() takes an error, not {type(given).__name__}"
        raise e.UsageError(what, hint="Give the error that was raised, or none for that of the last cell")
    return _explained(given)


def _explained(error: BaseException) -> Explanation:
    happened, steps = _words(error)
    own = getattr(error, "hint", "") if isinstance(error, e.LabError) else ""
    said = error.message if isinstance(error, e.LabError) else f"{type(error).__name__}: {error}"
    advice = tuple(dict.fromkeys(([own] if own else []) + [*_particular(error), *steps, *_attempts(error)]))
    return Explanation(type(error).__name__, happened, said, _request(error), _tried(error), advice)


def _words(error: BaseException) -> tuple[str, tuple[str, ...]]:
    """The nearest class's words."""
    for kind in type(error).__mro__:
        if kind in ADVICE or kind in FOREIGN:
            return (ADVICE if kind in ADVICE else FOREIGN)[kind]
    return "Something outside this library failed.", (
        "Read the last lines of the traceback",
        "If it came out of kalshi_lab, report it: only LabError should",
    )


def _request(error: BaseException) -> str:
    request_id = getattr(error, "request_id", "")
    if not request_id or not isinstance(error, e.LabError):
        return ""
    where = f"{error.method} {error.path}, " if isinstance(error, e.RequestError) else ""
    return f"{where}request {request_id}"


def _tried(error: BaseException) -> str:
    """How often and how long it was tried, and with which answer."""
    if not isinstance(error, e.RequestError):
        return ""
    if not error.attempts:
        return NOTHING_SENT
    times = "once" if error.attempts == 1 else f"{error.attempts} times"
    status = "without an answer" if error.status is None else f"the last answer had status {error.status}"
    return f"{times} in {error.elapsed:.1f} s, {status}"


def _particular(error: BaseException) -> list[str]:
    """What this very error adds to its class's advice."""
    made: list[str] = []
    for kind, step in _PARTICULAR.items():
        if isinstance(error, kind):
            made.append(step(error))
    if isinstance(error, e.RequestError) and error.may_have_happened:
        made.insert(0, "It may have been carried out all the same: look before you send it again")
    return [step for step in made if step]


def _attempts(error: BaseException) -> list[str]:
    """How to see what was tried, where something was."""
    if isinstance(error, e.RequestError) and error.request_id and error.attempts:
        return [f"See each attempt: lab.stats(request={error.request_id!r})"]
    return []


def _wait(error: e.RateLimited) -> str:
    return "" if error.retry_after is None else f"Wait {error.retry_after:.0f} s"


def _until(error: e.CircuitOpen) -> str:
    return "" if error.until is None else f"Try again after {error.until:%H:%M:%S} UTC"


def _offset(error: e.ClockSkew) -> str:
    return (
        f"This clock is {abs(error.offset):.0f} s {'behind' if error.offset > 0 else 'ahead'}" if error.offset else ""
    )


def _holder(error: e.StoreBusy) -> str:
    return f"The store is held by {error.holder}" if error.holder else ""


def _order(error: e.OrderUnknown) -> str:
    return f"Look for client_order_id {error.client_order_id}" if error.client_order_id else ""


_PARTICULAR: dict[type[BaseException], Callable[..., str]] = {
    e.RateLimited: _wait,
    e.CircuitOpen: _until,
    e.ClockSkew: _offset,
    e.StoreBusy: _holder,
    e.OrderUnknown: _order,
}
