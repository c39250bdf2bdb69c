"""An S3 server on loopback (moto's), which notes what it is asked, checks keys where it is told to, and fails where a test wants it to."""

from __future__ import annotations

import logging
import os
import threading
import urllib.request
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

import kalshi_lab as kl

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY_ID, SECRET = "canary-of-a-key-id-77a1", "canary+of/a+secret+that+nobody+may+see/0"  # pragma: allowlist secret
Fault = Callable[[str, str], str]


def absent(why: str) -> NoReturn:
    """Skip, but not where everything has to run."""
    if os.environ.get("KALSHI_LAB_S3") == "required":
        pytest.fail(why)
    pytest.skip(why)


class Service:
    """The server; `fault` says for a method and a path `503` (busy), `409` (contended), `echo` (refused,
    with all of the request that AWS repeats then), `cut` (no answer), or nothing.

    `deaf`: conditions of a write are not heard, as by services that do not know them.
    """

    def __init__(self) -> None:
        try:
            import obstore  # noqa: F401
            from moto.server import DomainDispatcherApplication, create_backend_app
            from werkzeug.serving import make_server
        except ImportError as error:
            absent(f"object storage is tried with pip install 'kalshi_lab[test]': {error}")
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._app: Any = DomainDispatcherApplication(create_backend_app)
        self.asked: list[tuple[str, str]] = []
        self.fault: Fault = lambda _method, _path: ""
        self.deaf = False
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def _answer(self, environ: dict[str, Any], start: Callable[..., Any]) -> Any:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        self.asked.append((method, path))
        fault = self.fault(method, path)
        if fault == "cut":
            environ["werkzeug.socket"].shutdown(2)
        if self.deaf:
            environ.pop("HTTP_IF_NONE_MATCH", None)
        if fault:
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            code = "ConditionalRequestConflict" if fault == "409" else "SlowDown"
            status = {"409": 409, "echo": 403}.get(fault, 503)
            if fault == "echo":
                code = f"SignatureDoesNotMatch</Code><StringToSign>{environ.get('HTTP_AUTHORIZATION')}</StringToSign><Code>"
            text = f"<Error><Code>{code}</Code></Error>".encode()
            start(f"{status} {fault}", [("Content-Length", str(len(text)))])
            return [text]
        return self._app(environ, start)

    def post(self, path: str, body: bytes = b"", method: str = "POST") -> None:
        """Ask it something plainly."""
        asked = urllib.request.Request(self.url + path, body, {"Content-Type": "text/plain"}, method=method)  # noqa: S310 - loopback
        urllib.request.urlopen(asked).close()  # noqa: S310

    def bucket(self, name: str) -> str:
        """Make a bucket."""
        self.post(f"/{name}", method="PUT")
        return name

    @contextmanager
    def strict(self) -> Iterator[kl.S3]:
        """Keys are checked meanwhile; gives one that the service knows, and that may do nothing."""
        import boto3

        given = {"aws_access_key_id": "any", "aws_secret_access_key": "any"}  # pragma: allowlist secret
        users = boto3.client("iam", endpoint_url=self.url, region_name="us-east-1", **given)
        users.create_user(UserName="nobody")
        key = users.create_access_key(UserName="nobody")["AccessKey"]
        self.post("/moto-api/reset-auth", b"0")
        try:
            yield kl.S3(endpoint=self.url, key_id=key["AccessKeyId"], secret=key["SecretAccessKey"])
        finally:
            self.post("/moto-api/reset-auth", b"1e9")

    @property
    def keys(self) -> kl.S3:
        """How to reach it."""
        return kl.S3(endpoint=self.url, key_id=KEY_ID, secret=SECRET)

    def count(self, method: str, ending: str) -> int:
        """How many requests of a method there were for names that end like this."""
        return sum(one == method and path.endswith(ending) for one, path in self.asked)

    def stop(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)
