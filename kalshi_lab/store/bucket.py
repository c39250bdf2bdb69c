"""A lake's files in a bucket of object storage that speaks S3: Amazon's, MinIO, R2, Ceph and others.

An object is there whole or not at all. A file of rows is uploaded under another name first, read back and compared, and copied to its
place by the service, which is one step for whoever reads. Reads name the version that they want, so that nobody gets two halves.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, TypeVar

from kalshi_lab.errors import LabError, StoreError, UsageError
from kalshi_lab.store import files
from kalshi_lab.store.access import S3
from kalshi_lab.store.lease import Lease
from kalshi_lab.store.places import FILE, Version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from kalshi_lab.store.connection import Connection

T = TypeVar("T")
_Key = tuple[str, Version, int, int]
CONTENDED = "ConditionalRequestConflict"  # two wrote at the same moment
SCHEME, BEGUN = "s3://", ".part"
EXTRA = 'pip install "kalshi_lab[s3]"'
# a request that met a busy or unreachable service, or lost its connection, is sent again
RETRY: dict[str, Any] = {"max_retries": 6, "retry_timeout": timedelta(seconds=30)}
CLIENT = {"connect_timeout": "5s", "timeout": "60s"}
AT_ONCE, PIECE = 16 * 1024 * 1024, 8 * 1024 * 1024  # bytes: what is larger is uploaded in pieces
SMALL, KEPT = 128 * 1024, 128 * 1024 * 1024  # bytes of a stretch, and of all of them, that are not asked for twice
END, WIDE = (
    16 * 1024,
    16,
)  # bytes at the end of a file that DuckDB reads first, and how many files are asked for them at once
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_CODE, _STATUS = re.compile(r"<Code>(\w{1,60})</Code>"), re.compile(r"status code: (\d{3})")


class State(NamedTuple):
    """An object as it stands: its version, and when the service says that it was written."""

    version: Version
    modified: datetime


class _Kept:
    """Small stretches that were read, the latest of them; a version never changes, so they are never wrong."""

    def __init__(self) -> None:
        self._held, self._bytes, self._turn = OrderedDict[_Key, bytes](), 0, threading.Lock()

    def find(self, key: _Key) -> bytes | None:
        """What was read of a version."""
        with self._turn:
            if key in self._held:
                self._held.move_to_end(key)
            return self._held.get(key)

    def keep(self, key: _Key, data: bytes) -> None:
        """Keep it, and let go of what nobody asked for longest."""
        with self._turn:
            if len(data) > SMALL or key in self._held:
                return
            self._held[key] = data
            self._bytes += len(data)
            while self._bytes > KEPT:
                self._bytes -= len(self._held.popitem(last=False)[1])


class Bucket:
    """A bucket, or what is below a prefix of it. Every failure of the service is a StoreError or a UsageError without its text."""

    at_once = 8  # each waits for the service most of its time

    def __init__(self, url: str, access: S3 | None = None) -> None:
        name, _, prefix = url.removeprefix(SCHEME).partition("/")
        self._name, self._prefix = _checked(name, prefix.strip("/"), url), prefix.strip("/")
        self._access = access or S3()
        self._service = self._access.endpoint or "S3"
        try:
            import fsspec  # noqa: F401 - DuckDB wants a file system of its kind
            import obstore
            from obstore import exceptions, store
        except ImportError:
            raise UsageError("a lake on object storage needs obstore and fsspec", hint=EXTRA) from None
        self._obstore, self._wrong = obstore, exceptions
        self._store = self._opened(store)
        self._leases = dict[str, Lease]()
        self._kept_apart = False
        self._kept = _Kept()

    def _opened(self, kinds: Any) -> Any:
        access = self._access
        plain = {"allow_http": True} if (access.endpoint or "").startswith("http://") else {}
        return self._ask(
            "open",
            "",
            lambda: kinds.S3Store(
                self._name, prefix=self._prefix or None, client_options=CLIENT | plain, retry_config=RETRY, **access.settings()
            ),
        )  # fmt: skip

    @property
    def exists(self) -> bool:
        """Whether anything is there."""
        return self._ask("list", "", lambda: any(self._obstore.list(self._store, chunk_size=1))) is True

    def parts(self, below: str = "") -> dict[str, Version]:
        """The files of rows, by their ETag."""
        return {name: state.version for name, state in self.listed(below).items() if name.split("/")[-1] == FILE}

    def listed(self, below: str = "") -> dict[str, State]:
        """Every object below a name."""

        def work() -> dict[str, State]:
            pages = self._obstore.list(self._store, prefix=f"{below}/" if below else None, chunk_size=1000)
            return {one["path"]: _state(one) for page in pages for one in page}

        return self._ask("list", below, work) or {}

    def state(self, name: str) -> State | None:
        """How an object stands; None where there is none."""
        return self._ask("look at", name, lambda: _state(self._obstore.head(self._store, name)), FileNotFoundError)

    def read(self, name: str) -> bytes | None:
        """What an object holds; None where there is none."""
        return self._ask("read", name, lambda: bytes(self._obstore.get(self._store, name).bytes()), FileNotFoundError)

    def stretch(self, name: str, version: Version, start: int, end: int) -> bytes:
        """Some bytes of one version of an object; small ones are kept. Raises StoreError where there is another version by now."""
        if 0 < version.size <= SMALL and (start, end) != (0, version.size):
            return self.stretch(name, version, 0, version.size)[start:end]
        key = (name, version, start, end)
        found = self._kept.find(key)
        if found is None:
            found = self._asked(*key)
            self._kept.keep(key, found)
        return found

    def warm(self, parts: Sequence[tuple[str, Version]]) -> None:
        """Ask for the ends of many files at once: DuckDB needs them all, and waits for one after another."""
        with ThreadPoolExecutor(WIDE) as several:
            made = [several.submit(self.stretch, *one, max(one[1].size - END, 0), one[1].size) for one in parts]
            try:
                for each in made:
                    each.result()
            finally:
                several.shutdown(cancel_futures=True)

    def _asked(self, name: str, version: Version, start: int, end: int) -> bytes:
        options = {"range": (start, end), "if_match": version.mark}
        found = self._ask("read", name, lambda: bytes(self._obstore.get(self._store, name, options=options).bytes()))
        if found is None or len(found) != end - start:
            raise StoreError(f"{self}/{name} came in part", hint="Ask again")
        return found

    def put(self, name: str, data: bytes) -> None:
        """Write an object, whole or not at all."""
        large: dict[str, Any] = {"use_multipart": len(data) > AT_ONCE, "chunk_size": PIECE, "max_concurrency": 4}
        self._ask("write", name, lambda: self._obstore.put(self._store, name, data, **large))

    def conditional(self, name: str, data: bytes) -> None:
        """Raise StoreError where the service writes over an object that is there although it was told not to."""
        if not self._kept_apart and self.offer(name, data, None) is not None:
            raise self._problem(f"write {self}/{name}", "NotImplemented", "")
        self._kept_apart = True

    def offer(self, name: str, data: bytes, over: str | None) -> str | None:
        """Write a small object where there is none, or over one state of it alone; its ETag, None where somebody else was first."""
        mode = "create" if over is None else {"e_tag": over}
        first = (self._wrong.AlreadyExistsError, self._wrong.PreconditionError)
        made = self._ask("write", name, lambda: self._obstore.put(self._store, name, data, mode=mode), *first)
        return None if made is None else str(made["e_tag"])

    def delete(self, name: str) -> None:
        """Remove an object; one that is gone is no error."""
        self._ask("delete", name, lambda: self._obstore.delete(self._store, name), FileNotFoundError)

    def publish(self, name: str, data: bytes, check: Callable[[str], object] | None = None) -> str:
        """Write an object; with a check under another name first, which is read back, and then copied to its place."""
        if check is None:
            self._hold(name)
            self.put(name, data)
            return f"{self}/{name}"
        folder, _, last = name.rpartition("/")
        begun = f"{folder}/.{last}.{secrets.token_hex(4)}{BEGUN}"
        try:
            self.put(begun, data)
            check(self.source(begun))
            self._hold(name)
            self._ask("copy to", name, lambda: self._obstore.copy(self._store, begun, name))
        finally:
            with suppress(LabError):  # the next export removes it
                self.delete(begun)
        return f"{self}/{name}"

    @contextmanager
    def alone(self, below: str) -> Iterator[None]:
        """Hold the lease of a name; what was left behind by those who were killed is removed."""
        with Lease(self, below) as lease:
            self._leases[below] = lease
            try:
                for left in self.listed(below):
                    if left.endswith(BEGUN):
                        self.delete(left)
                yield
            finally:
                del self._leases[below]

    def _hold(self, name: str) -> None:
        """Raise StoreError where the export that writes is over, or another took over."""
        lease = next((one for below, one in list(self._leases.items()) if _within(name, below)), None)
        if lease is None:
            raise StoreError(f"{self}/{name} was not written: nobody holds its lease", hint="Export again")
        lease.hold()

    def source(self, name: str) -> str:
        """A name as the file system knows it that DuckDB is given."""
        from kalshi_lab.store.ranged import SCHEME as OURS

        return f"{OURS}{name}"

    def open_to(self, connection: Connection) -> None:
        """Give DuckDB a file system that reads this place and nothing else."""
        from kalshi_lab.store.ranged import Ranged

        connection.register_filesystem(Ranged(self))

    def _ask(self, what: str, name: str, work: Callable[[], T], *none: type[Exception]) -> T | None:
        """Do work at the service; None for some failures. What it said stays here: it may repeat the request, signature and all."""
        try:
            return work()
        except Exception as error:  # noqa: BLE001 - each becomes ours, outside of this block, so that it is not the context of ours
            code = _said(error)
            if none and (isinstance(error, none) or code == CONTENDED) and code != "NoSuchBucket":
                return None
            problem = self._problem(f"{what} {self}{'/' if name else ''}{name}", code, str(error))
        raise problem

    def _problem(self, asked: str, code: str, text: str) -> LabError:
        """The service's failure as ours: what happened, to which request, what to do."""
        failed = f"could not {asked}"
        if any(words in text for words in KEYLESS):
            return StoreError(f"{failed}: there is no key for {self._service}", hint=KEY)
        for codes, kind, said, hint in PROBLEMS:
            if code in codes:
                return kind(f"{failed}: {said} ({code})", hint=hint)
        if "HTTP error" in text:
            tries = re.search(r"after (\d+) retries", text)
            again = f", after {int(tries[1]) + 1} attempts" if tries else ""
            return StoreError(f"{failed}: {self._service} could not be reached{again}", hint=REACH)
        return StoreError(f"{failed}: the service said {code or 'nothing that is known'}", hint="Try again later")

    def __str__(self) -> str:
        return f"{SCHEME}{self._name}{'/' if self._prefix else ''}{self._prefix}"

    def __repr__(self) -> str:
        return f"<Bucket {self}>"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise UsageError(
            "a lake on object storage is not pickled, since its key would be", hint="Make it where it is used"
        )


KEY = "kl.Lake(..., credentials=kl.S3(key_id=..., secret=...)), or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
KEYLESS = (
    "/latest/api/token",
    "/latest/meta-data",
    "no credentials",
    "No credentials",
)  # asked of the machine itself, in vain
REACH = "Check the network and kl.S3(endpoint=...); what was written before is safe"
PROBLEMS: tuple[tuple[set[str], type[LabError], str, str], ...] = (
    ({"NoSuchBucket"}, UsageError, "there is no such bucket", "Make it first, or check its name, endpoint and region"),
    ({"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken", "401"}, StoreError, "the key is not accepted", KEY),
    ({"AccessDenied", "AllAccessDisabled", "AccountProblem", "403"}, StoreError, "the key may not do this",
     "It needs s3:ListBucket, GetObject, PutObject and DeleteObject; reading needs the first two"),
    ({"RequestTimeTooSkewed"}, StoreError, "this machine's clock is off", "Set the clock"),
    ({"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "301", "307"}, StoreError,
     "the bucket is in another region", "kl.S3(region=...)"),
    ({"PreconditionFailed", "412"}, StoreError, "it was replaced meanwhile", "Ask again"),
    ({"NoSuchKey", "404"}, StoreError, "it is gone", "Ask again"),
    ({"NotImplemented", "501"}, StoreError, "the service has no conditional writes, by which exports keep apart",
     "Export to a folder, and copy that"),
    ({"SlowDown", "ServiceUnavailable", "InternalError", "429", "500", "502", "503", "504"}, StoreError, "the service is too busy",
     "Try again later"),
)  # fmt: skip


def _said(error: Exception) -> str:
    """The code of a failure by the service's documentation, else the HTTP status, else nothing."""
    found = _CODE.search(str(error)) or _STATUS.search(str(error))
    return found[1] if found else ""


def _state(one: Any) -> State:
    return State(Version(one["size"], one["e_tag"] or ""), one["last_modified"])


def _within(name: str, below: str) -> bool:
    return name.startswith(f"{below}/")


def _checked(name: str, prefix: str, url: str) -> str:
    """The name of a bucket. Raises UsageError for one that there cannot be, or an odd prefix."""
    hint = 'kl.Lake("s3://bucket/lake")'
    if not _BUCKET.fullmatch(name):
        raise UsageError(f"{url[:200]!r} names no bucket: {name[:80]!r}", hint=hint)
    for part in prefix.split("/") if prefix else ():
        odd = files.odd(part) if part else "an empty name"
        if odd:
            raise UsageError(f"{url[:200]!r} has {odd} in it", hint=hint)
    return name
