"""The way to object storage: where it is, and the key for it, which is never shown, pickled or repeated in an error."""

from __future__ import annotations

from typing import Any, NoReturn
from urllib.parse import urlsplit

from pydantic import SecretStr

from kalshi_lab.errors import UsageError
from kalshi_lab.settings import environment_values

ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_SHOWN, _LONG_ENOUGH = 4, 12


class S3:
    """Where object storage is and the key for it; what is left out comes from the environment, as AWS's own tools read it.

    endpoint: `https://host[:port]` of a service that is not Amazon's (else AWS_ENDPOINT_URL); region: else AWS_REGION, us-east-1;
    key_id, secret and, for a session's key, token: else AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, else the role
    of the container or machine. Profiles in ~/.aws are not read. Never shown, never pickled. Raises UsageError, which repeats no key.
    """

    __slots__ = ("_key_id", "_secret", "_token", "endpoint", "region")

    def __init__(
        self,
        *,
        endpoint: str | None = None,
        region: str | None = None,
        key_id: str | SecretStr | None = None,
        secret: str | SecretStr | None = None,
        token: str | SecretStr | None = None,
    ) -> None:
        address = _address(endpoint or next(iter(environment_values(*ENDPOINTS).values()), None))
        whole = (key_id is None) == (secret is None) and (token is None or secret is not None)
        self._key_id, self._secret, self._token = _hidden(key_id), _hidden(secret), _hidden(token)
        empty = any(one is not None and not one for one in (self._key_id, self._secret, self._token))
        del endpoint, key_id, secret, token  # a traceback shows what its frames hold
        if isinstance(address, UsageError):
            raise address
        if not whole or empty:
            raise UsageError("key_id and secret go together, and are texts", hint="Give both, or neither")
        self.endpoint, self.region = address, region

    def settings(self) -> dict[str, Any]:
        """What obstore is told; the secrets are plain in it."""
        hidden = {"access_key_id": self._key_id, "secret_access_key": self._secret, "session_token": self._token}
        plain = {"endpoint": self.endpoint, "region": self.region}
        return {name: value for name, value in plain.items() if value} | {
            name: value.get_secret_value() for name, value in hidden.items() if value
        }

    def __repr__(self) -> str:
        if not hasattr(self, "endpoint"):  # as a debugger sees it while it is made
            return "<S3>"
        key = self._key_id.get_secret_value() if self._key_id else ""
        tail = f"key …{key[-_SHOWN:]}" if len(key) >= _LONG_ENOUGH else "a key" if key else "key of the environment"
        return f"<S3 {self.endpoint or 'Amazon'} {self.region or ''}{' ' if self.region else ''}{tail}>"

    def __copy__(self) -> S3:
        return self

    def __deepcopy__(self, memo: object) -> S3:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise UsageError("keys are not pickled, so that none is written anywhere", hint="Make them where they are used")


def _hidden(given: str | SecretStr | None) -> SecretStr | None:
    if given is None or isinstance(given, SecretStr):
        return given
    return SecretStr(given if isinstance(given, str) else "")


def _address(endpoint: str | None) -> str | UsageError | None:
    """An endpoint without a user, a password or a query in it; what is wrong is returned, since a frame here would show it."""
    if endpoint is None:
        return None
    parts = urlsplit(endpoint if isinstance(endpoint, str) else "")
    odd = parts.username or parts.password or parts.query or parts.fragment or parts.path.strip("/")
    if parts.scheme not in {"http", "https"} or not parts.hostname or odd:
        return UsageError("endpoint is no plain address of a service", hint='endpoint="https://s3.example.com:9000"')
    return endpoint.rstrip("/")
