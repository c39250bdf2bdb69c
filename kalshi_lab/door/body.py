"""Reading a body without trusting it: bounded as received and after decompression, and complete or refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
from isal import isal_zlib as zlib  # the same words, four times as fast
from isal.igzip_lib import IsalError

from kalshi_lab.door.trip import Refusal
from kalshi_lab.errors import BadPayload, BrokenResponse, TooLarge

if TYPE_CHECKING:
    from collections.abc import Callable

_STEP = 1024 * 1024
_GZIP = 31  # zlib's word for a gzip header and trailer, which it then checks
ERROR_CAP = 64 * 1024


async def read_body(response: httpx.Response, *, raw_cap: int, body_cap: int) -> bytes:
    """The decoded body; Refusal of TooLarge above a cap (bytes), BrokenResponse for a cut or bad gzip stream."""
    declared = response.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > raw_cap:
        raise _too_large(raw_cap)
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"identity", "gzip"}:
        raise Refusal(BadPayload, "the answer is compressed in a way that was not asked for")
    if encoding == "gzip":
        return await _unzipped(response, raw_cap, body_cap)
    chunks: list[bytes] = []
    await _each_chunk(response, min(raw_cap, body_cap), chunks.append)
    return b"".join(chunks)


async def read_error(response: httpx.Response) -> bytes:
    """The body of an answer whose status already says that it failed; empty where it is long or cannot be read."""
    try:
        return await read_body(response, raw_cap=ERROR_CAP, body_cap=ERROR_CAP)
    except (Refusal, httpx.HTTPError):
        return b""


def _too_large(cap: int) -> Refusal:
    return Refusal(TooLarge, f"the answer is larger than {cap} bytes")


async def _each_chunk(response: httpx.Response, cap: int, take: Callable[[bytes], None]) -> None:
    size = 0
    async for chunk in response.aiter_raw():
        size += len(chunk)
        if size > cap:
            raise _too_large(cap)
        take(chunk)


async def _unzipped(response: httpx.Response, raw_cap: int, body_cap: int) -> bytes:
    inflater = _Inflater(body_cap)
    await _each_chunk(response, raw_cap, inflater.feed)
    # zlib reports no error at the end of a cut stream: only the flag tells
    if inflater.begun and not inflater.ended:
        raise Refusal(BrokenResponse, "the compressed answer stops in the middle")
    return b"".join(inflater.parts)


class _Inflater:
    """Decompresses in steps of at most 1 MiB, so that a bomb is noticed before it has gone off."""

    def __init__(self, cap: int) -> None:
        self._stream = zlib.decompressobj(_GZIP)
        self._cap = cap
        self._size = 0
        self.begun = False
        self.parts: list[bytes] = []

    @property
    def ended(self) -> bool:
        return self._stream.eof

    def feed(self, data: bytes) -> None:
        self.begun = more = True
        while more:
            part = self._step(data)
            self.parts.append(part)
            data = self._stream.unconsumed_tail
            more = bool(data) or (len(part) == _STEP and not self.ended)
        if self._stream.unused_data:
            raise Refusal(BrokenResponse, "the compressed answer goes on after its end")

    def _step(self, data: bytes) -> bytes:
        try:
            part = self._stream.decompress(data, _STEP)
        except IsalError:  # type: ignore[misc]  # its stub takes the class for an instance
            raise Refusal(BrokenResponse, "the compressed answer is damaged") from None
        self._size += len(part)
        if self._size > self._cap:
            raise _too_large(self._cap)
        return part
