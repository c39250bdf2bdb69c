"""A real kernel, with a lab on an exchange whose answers the tests can hold back."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from jupyter_client.manager import start_new_kernel

from kalshi_lab.sim import Exchange, process

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jupyter_client.blocking.client import BlockingKernelClient
    from jupyter_client.manager import KernelManager

PATIENCE = 30.0


@dataclass
class Cell:
    """What a cell did: its printed text, its display messages, its error, and how long it took after an interrupt."""

    said: str = ""
    error: str = ""
    message: str = ""
    seconds: float = 0.0
    shown: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Notebook:
    """One kernel, a cell at a time."""

    manager: KernelManager
    client: BlockingKernelClient

    def run(self, code: str, *, interrupt_after: float | None = None) -> Cell:
        """Run a cell to its end, or interrupt it as the stop button does."""
        request = self.client.execute(code)
        began = time.monotonic()
        if interrupt_after is not None:
            time.sleep(interrupt_after)
            began = time.monotonic()
            self.manager.interrupt_kernel()
        cell = Cell()
        while not self._idle(request, cell):
            pass
        cell.seconds = time.monotonic() - began
        while self.client.get_shell_msg(timeout=PATIENCE)["parent_header"]["msg_id"] != request:
            pass  # a kernel that was slow to start is asked more than once whether it is ready, and answers each time
        return cell

    def _idle(self, request: str, cell: Cell) -> bool:
        message = self.client.get_iopub_msg(timeout=PATIENCE)
        kind, content = message["msg_type"], message["content"]
        if message["parent_header"].get("msg_id") != request:
            return False
        if kind == "stream":
            cell.said += content["text"]
        elif kind == "error":
            cell.error, cell.message = content["ename"], content["evalue"]
        elif kind in {"display_data", "execute_result"}:
            cell.shown.append(content["data"])
        return bool(kind == "status" and content["execution_state"] == "idle")

    def inspected(self, code: str) -> str:
        """What shift-tab or `?` shows of an expression."""
        self.client.inspect(code, len(code))
        return str(self.client.get_shell_msg(timeout=PATIENCE)["content"]["data"]["text/plain"])


@pytest.fixture(scope="module")
def simulated() -> Iterator[Exchange]:
    with process.start(markets=300, clock="frozen") as running:
        yield running


@pytest.fixture(scope="module")
def kernel(simulated: Exchange, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Notebook]:
    """One kernel with a blocking lab called lab and an awaited one called alab, made in its first cell."""
    manager, client = start_new_kernel(kernel_name="python3", startup_timeout=PATIENCE)
    notebook = Notebook(manager, client)
    home = str(tmp_path_factory.mktemp("home"))
    options = f"environment='sim', base_url={simulated.url!r}, home={home!r}"
    made = notebook.run(
        f"import kalshi_lab as kl, time, asyncio\nlab = kl.Lab({options})\nalab = kl.AsyncLab({options})"
    )
    assert made.error == "", made.message
    yield notebook
    notebook.run("lab.close(); await alab.close()")
    client.stop_channels()
    manager.shutdown_kernel(now=True)
    with contextlib.suppress(AttributeError):
        manager.cleanup_resources()
