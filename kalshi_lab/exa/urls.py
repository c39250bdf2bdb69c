"""One form of an address, so that the same page is known again. It is for comparing only: what is shown and asked for is the original."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

_HOSTS: Final = re.compile(r"^(?:www\d?|m|mobile|amp)\.(?=[^.]+\.)")
_TRACKING: Final = re.compile(
    r"^(?:utm_\w+|gclid|fbclid|msclkid|mc_cid|mc_eid|igshid|cmpid|ref|ref_src|smid)$", re.IGNORECASE
)
_ENDING: Final = re.compile(r"(?:/amp|/index\.html?)?/*$", re.IGNORECASE)
_ARXIV: Final = re.compile(r"^/(?:abs|pdf|html)/([\w.-]+/\d+|\d{4}\.\d{4,5})(?:v\d+)?(?:\.pdf)?$")
_DEFAULT_PORTS: Final = {80, 443}


def canonical(url: str) -> str:
    """The address without what does not identify the page: scheme, www, tracking, fragment, needless escapes, a slash at its end.

    Text that is no address is given back without the white space around it.
    """
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return url.strip()
    if not host:
        return url.strip()
    host = _HOSTS.sub("", _puny(host))
    path = _path(parts.path)
    if host == "arxiv.org" and (paper := _ARXIV.match(path)):
        return f"arxiv.org/{paper[1]}"
    kept = sorted(pair for pair in parse_qsl(parts.query, keep_blank_values=True) if not _TRACKING.match(pair[0]))
    where = host if port is None or port in _DEFAULT_PORTS else f"{host}:{port}"
    return f"{where}{path}" + (f"?{urlencode(kept)}" if kept else "")


def _puny(host: str) -> str:
    try:
        return host.lower().encode("idna").decode("ascii")
    except UnicodeError:
        return host.lower()


def _path(path: str) -> str:
    """Escapes only where they are needed, in upper case, and no page that a folder shows anyhow."""
    return _ENDING.sub("", quote(unquote(path), safe="/:@!$&'()*+,;=-._~"))
