"""S1 and S2: keys stay where they are."""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import stat
from types import SimpleNamespace
from typing import TYPE_CHECKING

import kalshi_lab as kl
from kalshi_lab import keyfile
from kalshi_lab.door import Call, Door, quiet
from kalshi_lab.door.call import Reply
from kalshi_lab.kalshi import connection
from kalshi_lab.kalshi.account import AsyncApiKeys
from kalshi_lab.models.account import NewApiKey
from tests.door.raw_server import STALL, RawServer, reply
from tests.door.sending import settings_for
from tests.security.canary import KEY, NEW, client, every_log, found, pem, raised, told
from tests.security.guards import Guard, attribute, refused, rewritten
from tests.stream.reading import Hasty
from tests.stream.server import StreamServer

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


CUT: list[str] = []  # a damaged key, where no frame of a traceback holds it


def the_repr_is_silent(_: Path) -> None:
    assert found(f"{KEY} {KEY!r} {[KEY]}") == []


def keys_are_not_pickled(_: Path) -> None:
    refused(kl.UsageError, pickle.dumps, {"deep": [KEY]})


def a_stopped_request_holds_nothing(_: Path) -> None:
    async def main(server: RawServer) -> BaseException:
        door = Door(settings_for(server), credentials=KEY)
        task = asyncio.create_task(door.send(Call("get_balance", "/portfolio/balance", auth=True)))
        assert await asyncio.to_thread(server.asked.wait, 10)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError as stopped:
            return stopped
        finally:
            await door.aclose()
        raise AssertionError

    with RawServer([STALL]) as server:
        shown = told(asyncio.run(main(server)))
        assert "_answer" not in str(shown["traceback with locals"])
        assert "httpx" not in str(shown["traceback"])


def libraries_below_log_nothing(_: Path) -> None:
    with every_log() as log, RawServer(reply({}, Set_Cookie=NEW)) as server, client(server.url) as kalshi:
        kalshi.portfolio.balance()
    assert NEW not in log.getvalue()


def handshakes_are_not_logged(_: Path) -> None:
    with StreamServer() as server, every_log() as log:
        with kl.Kalshi(settings=server.settings, credentials=KEY, clock=Hasty()) as kalshi, kalshi.stream("ticker"):
            pass
        signature = {name.lower(): value for name, value in server.headers[0].items()}["kalshi-access-signature"]
    assert signature not in log.getvalue()


def a_new_key_that_cannot_be_read_is_not_shown(_: Path) -> None:
    async def main(url: str) -> BaseException:
        async with kl.AsyncKalshi(environment="sim", base_url=url, credentials=KEY, writable=True) as kalshi:
            try:
                await kalshi.api_keys.generate("mine")
            except kl.BadPayload as error:
                return error
        raise AssertionError

    with RawServer(reply({"private_key": NEW})) as server:
        shown = told(asyncio.run(main(server.url)))
    assert [surface for surface, text in shown.items() if found(text)] == []


def bodies_have_no_repr(_: Path) -> None:
    with RawServer(reply({"private_key": NEW})) as server:
        made: Reply = asyncio.run(_answered(server))
    assert NEW.encode() in made.body
    assert NEW not in repr(made)


async def _answered(server: RawServer) -> Reply:
    door = Door(settings_for(server))
    try:
        return await door.send(Call("get_x", "/x"))
    finally:
        await door.aclose()


def a_new_key_shows_no_pem(_: Path) -> None:
    made = NewApiKey(api_key_id="id", private_key=NEW)
    assert NEW not in f"{made!r} {made}" + made._repr_html_() + repr(list(made.__rich_repr__()))


def a_new_key_is_not_pickled(_: Path) -> None:
    made = NewApiKey(**dict.fromkeys(("api_key_id", "private_key"), NEW))
    refused(kl.UsageError, pickle.dumps, made)


def a_key_that_is_refused_leaves_its_frames(_: Path) -> None:
    CUT.append(pem().decode().replace("PRIVATE KEY-----\n", "PRIVATE KEY-----\nAAAA", 1))
    error = raised(lambda: kl.Credentials("an id", CUT[-1]))
    assert isinstance(error, kl.UsageError)
    assert found(told(error)["traceback with locals"]) == []


def modes_are_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(pem())
    path.chmod(0o640)
    refused(kl.UsageError, kl.Credentials, "an id", path, match="mode 640")


def repositories_are_refused(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    path = tmp_path / "key.pem"
    path.touch(mode=0o600)
    path.write_bytes(pem())
    refused(kl.UsageError, kl.Credentials, "an id", path, match="git work tree")


def pipes_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "key.pem", 0o600)
    refused(kl.UsageError, kl.Credentials, "an id", tmp_path / "key.pem", match="is no file")


def links_are_judged_by_what_they_lead_to(tmp_path: Path) -> None:
    (tmp_path / "open.pem").write_bytes(pem())
    (tmp_path / "open.pem").chmod(0o644)
    (tmp_path / "link.pem").symlink_to(tmp_path / "open.pem")
    refused(kl.UsageError, kl.Credentials, "an id", tmp_path / "link.pem", match="mode 644")


def loud_libraries(patch: pytest.MonkeyPatch) -> None:
    for name in quiet.LOUD:
        patch.setattr(logging.getLogger(name), "filters", [])


def unlike_fstat(patch: pytest.MonkeyPatch) -> None:
    """Judges the path's own entry, as a check before the opening would, which a link or a race gets round."""
    patch.setattr(keyfile.os, "fstat", lambda _handle: SimpleNamespace(st_mode=stat.S_IFREG | 0o600, st_size=100))


GUARDS = [
    Guard("S1", "repr of a key", the_repr_is_silent, attribute(kl.Credentials, "__repr__", lambda self: self.key_id)),
    Guard("S1", "keys are not pickled", keys_are_not_pickled, attribute(kl.Credentials, "__reduce_ex__", lambda *_: (str, ()))),
    Guard("S1", "frames of a stopped request", a_stopped_request_holds_nothing,
          rewritten(Door, "_exchange", "raise stopped.with_traceback(None) from None", "raise")),
    Guard("S1", "logs of httpx and httpcore", libraries_below_log_nothing, loud_libraries),
    Guard("S1", "logs of handshakes", handshakes_are_not_logged,
          attribute(connection, "_QUIET", logging.getLogger("kalshi_lab.loud"))),
    Guard("S1", "a new key in a traceback", a_new_key_that_cannot_be_read_is_not_shown,
          rewritten(AsyncApiKeys, "generate", "raise unread.with_traceback(None)", "raise unread")),
    Guard("S1", "bodies in a repr", bodies_have_no_repr, attribute(Reply, "__repr__", lambda self: str(self.body))),
    Guard("S1", "HTML of a new key", a_new_key_shows_no_pem, lambda patch: patch.delattr(NewApiKey, "_repr_html_")),
    Guard("S1", "rich repr of a new key", a_new_key_shows_no_pem, lambda patch: patch.delattr(NewApiKey, "__repr_args__")),
    Guard("S1", "pickle of a new key", a_new_key_is_not_pickled, lambda patch: patch.delattr(NewApiKey, "__reduce_ex__")),
    Guard("S1", "frames of a refused key", a_key_that_is_refused_leaves_its_frames,
          rewritten(kl.Credentials, "__init__", "del key_id, private_key, passphrase", "pass")),
    Guard("S2", "file modes", modes_are_looked_at, attribute(keyfile, "_OTHERS", 0)),
    Guard("S2", "git work trees", repositories_are_refused, rewritten(keyfile, "_exposed", '".git"', '".none"')),
    Guard("S2", "pipes", pipes_are_no_files, attribute(keyfile, "stat", SimpleNamespace(S_ISREG=lambda _: True, S_IMODE=stat.S_IMODE))),
    Guard("S2", "the opened file is judged", links_are_judged_by_what_they_lead_to, unlike_fstat),
]  # fmt: skip
