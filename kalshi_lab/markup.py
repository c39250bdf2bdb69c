"""HTML for notebooks and reports: the only module that writes any, so that every text from outside is escaped once, here."""

from __future__ import annotations

import base64
import html
import re
import unicodedata
from html.parser import HTMLParser
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime
    from decimal import Decimal

_STYLE = (
    "border-collapse:collapse;font-size:13px;line-height:1.45;margin:.3em 0",
    "text-align:left;padding:2px 12px 2px 0;border-bottom:1px solid rgba(128,128,128,.35);font-weight:600",
    "text-align:left;padding:2px 12px 2px 0;vertical-align:top",
)


LONGEST = 20_000  # characters of one text from outside that are shown
FLAT = 0.02  # dollars that a trend spans at least, so that a tick does not look like a fall


class Html(str):
    """Markup that was built here and may be embedded as it is."""

    __slots__ = ()


def esc(value: object) -> Html:
    """Text made safe for element content and attributes; control and direction-changing characters are shown, not obeyed.

    Of a text longer than 20,000 characters the beginning is shown, and how much more there is.
    """
    if isinstance(value, Html):
        return value
    text = "" if value is None else str(value)
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]} \u2026 and {len(text) - LONGEST:,} characters more"
    shown = "".join(
        c if c in "\n\t" or unicodedata.category(c) not in {"Cc", "Cf"} else f"\\u{ord(c):04x}" for c in text
    )
    return Html(html.escape(shown, quote=True).replace("$", "&#36;"))


def tag(name: str, *children: object, **attributes: str) -> Html:
    """One element; children and attribute values are escaped unless they were built here."""
    attrs = "".join(f' {key.rstrip("_").replace("_", "-")}="{esc(value)}"' for key, value in attributes.items())
    return Html(f"<{name}{attrs}>{''.join(esc(child) for child in children)}</{name}>")


def link(text: object, url: str) -> Html:
    """A link, for https addresses only; anything else is shown as text."""
    if not url.startswith("https://"):
        return esc(text)
    return tag("a", text, href=url, rel="noopener noreferrer", target="_blank")


def table(header: Sequence[object], rows: Iterable[Sequence[object]], *, right: Collection[int] = ()) -> Html:
    """A small table; right: the columns, from 0, whose numbers end at the same edge."""
    head = tag("tr", *_row("th", _STYLE[1], header, right))
    body = [tag("tr", *_row("td", _STYLE[2], row, right)) for row in rows]
    return tag("table", *([head] if header else []), *body, style=_STYLE[0])


def _row(name: str, style: str, cells: Sequence[object], right: Collection[int]) -> list[Html]:
    ends = style.replace("text-align:left", "text-align:right")
    return [tag(name, cell, style=ends if place in right else style) for place, cell in enumerate(cells)]


def card(title: object, facts: Mapping[str, object], *below: object) -> Html:
    """A titled list of facts, then whatever belongs below it."""
    heading = tag("div", title, style="font-weight:600;font-size:15px;margin:.2em 0")
    return tag("div", heading, table((), facts.items()), *below, style="max-width:60em")


def warning(text: object) -> Html:
    """A line that must not be overlooked."""
    style = "margin:.3em 0;padding:3px 8px;border-left:4px solid #c0392b;background:rgba(192,57,43,.15);font-weight:600"
    return tag("div", text, role="alert", style=style)


def ladder(bids: Sequence[tuple[Decimal, Decimal]], asks: Sequence[tuple[Decimal, Decimal]]) -> Html:
    """A price ladder of (price, size) levels, best first: asks above bids, the best of both in the middle, bars as long as the sizes."""
    most = max((size for _, size in (*bids, *asks)), default=0)
    rows: list[Sequence[object]] = [
        ("", price, _bar(size, most, "right", "192,57,43")) for price, size in reversed(asks)
    ]
    rows += [(_bar(size, most, "left", "39,134,86"), price, "") for price, size in bids]
    return table(("bid size", "YES price", "ask size"), rows) if rows else tag("div", "no levels")


def _bar(size: Decimal, most: Decimal | int, towards: str, colour: str) -> Html:
    """A size on a bar that grows from the price column outwards."""
    share = round(100 * size / most) if most else 0
    aligned = "right" if towards == "left" else "left"
    fill = f"background:linear-gradient(to {towards},rgba({colour},.3) {share}%,transparent {share}%)"
    return tag("div", size, style=f"min-width:9em;padding:0 4px;text-align:{aligned};{fill}")


def trend(points: Sequence[tuple[datetime, float | None]], label: str) -> Html:
    """A price in dollars over time as a small picture in the colours of the page; what is not known is a gap.

    points: times, which only grow, and prices. label: what it shows, for those who cannot see it.
    """
    known = [price for _, price in points if price is not None]
    if not known:
        return tag("div", "no real quote in this time")
    low, high = min(known), max(known)
    low, high = (low, high) if high - low >= FLAT else ((low + high - FLAT) / 2, (low + high + FLAT) / 2)
    first, last = points[0][0], points[-1][0]
    length = max((last - first).total_seconds(), 1.0)
    runs: list[list[str]] = [[]]
    for time, price in points:
        if price is None:
            runs.append([])
        else:
            across, down = 52 + 380 * (time - first).total_seconds() / length, 128 - 116 * (price - low) / (high - low)
            runs[-1].append(f"{across:.1f},{down:.1f}")
    words = {"fill": "currentColor", "font_size": "11", "opacity": "0.8"}
    grid = [tag("path", d=f"M52 {y}H432", stroke="currentColor", opacity="0.2") for y in (12, 70, 128)]
    levels = zip((16, 74, 132), (high, (low + high) / 2, low), strict=True)
    scale = [tag("text", f"{price:.3f}", x="46", y=str(y), text_anchor="end", **words) for y, price in levels]
    ends = [
        tag("text", f"{time:%b %d %H:%M}", x=x, y="148", text_anchor=anchor, **words)
        for time, x, anchor in ((first, "52", "start"), (last, "432", "end"))
    ]
    style = (
        "fill:none;stroke:var(--jp-brand-color1,#1976d2);stroke-width:1.6;stroke-linecap:round;stroke-linejoin:round"
    )
    lines = [tag("polyline", points=" ".join([*run, run[-1]]), style=style) for run in runs if run]
    return tag(
        "svg", *grid, *scale, *ends, *lines, viewBox="0 0 440 154", width="440", role="img", style="max-width:100%",
        aria_label=f"{label}, from {known[0]:.4g} to {known[-1]:.4g}, lowest {min(known):.4g}, highest {max(known):.4g}",
    )  # fmt: skip


def side_by_side(*parts: object) -> Html:
    """Parts next to each other, in a new line where there is no room."""
    shown = [tag("div", part, style="flex:0 1 auto;min-width:0") for part in parts]
    return tag("div", *shown, style="display:flex;flex-flow:row wrap;gap:8px 32px;align-items:flex-start")


def png(image: bytes, alt: str) -> Html:
    """A picture embedded in the page."""
    source = "data:image/png;base64," + base64.b64encode(image).decode("ascii")
    return Html(f'<img alt="{esc(alt)}" style="max-width:100%" src="{source}">')


def cleaned(text: str) -> Html:
    """Markup from elsewhere, built anew of words, tables and embedded pictures; whatever could act, fetch or cover the page is left out."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    return Html("".join([*reader.parts, *(f"</{name}>" for name in reversed(reader.open))]))


_VOID = {"br", "hr", "img"}
_KEPT = {
    *_VOID, "a", "div", "span", "p", "pre", "code", "b", "strong", "i", "em", "small", "sub", "sup", "h1", "h2", "h3", "h4", "h5", "h6",
    "section", "ul", "ol", "li", "dl", "dt", "dd", "details", "summary", "table", "caption", "thead", "tbody", "tfoot", "tr", "th", "td",
}  # fmt: skip
_DROPPED = {
    "script",
    "style",
    "template",
    "iframe",
    "object",
    "svg",
    "math",
    "noscript",
    "title",
    "textarea",
    "select",
    "head",
}
_WORDS = {"colspan", "rowspan", "title", "alt", "role", "border", "align"}
_PICTURE = re.compile(r"data:image/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/=\s]+")
_UNSAFE = re.compile(r"url|image|position|expression|import|behavior|binding|[\\\\@<>{}]|/\*", re.IGNORECASE)
DEEPEST = 200


class _Reader(HTMLParser):
    """Goes through markup and writes down what may stay; `open` are the elements that are not closed yet."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.open: list[str] = []
        self._within: list[str] = []  # elements whose content is left out with them

    def handle_starttag(self, name: str, attrs: list[tuple[str, str | None]]) -> None:
        if name in _DROPPED:
            self._within.append(name)
        elif name in _KEPT and not self._within and len(self.open) < DEEPEST:
            given = "".join(f' {key}="{esc(value or "")}"' for key, value in attrs if _harmless(key, value or ""))
            self.parts.append(f"<{name}{given}>")
            if name not in _VOID:
                self.open.append(name)

    def handle_endtag(self, name: str) -> None:
        if name in self._within:
            del self._within[self._within.index(name) :]
        elif not self._within and name in self.open:
            last = len(self.open) - self.open[::-1].index(name) - 1
            self.parts += [f"</{one}>" for one in reversed(self.open[last:])]
            del self.open[last:]

    def handle_startendtag(self, name: str, attrs: list[tuple[str, str | None]]) -> None:
        if name not in _DROPPED:
            self.handle_starttag(name, attrs)

    def handle_data(self, data: str) -> None:
        if not self._within:
            self.parts.append(esc(data))


def _harmless(key: str, value: str) -> bool:
    if key == "href":
        return value.startswith("https://")
    if key == "src":
        return _PICTURE.fullmatch(value) is not None
    return key in _WORDS or (key == "style" and _UNSAFE.search(value) is None)


def page(title: str, *sections: object) -> Html:
    """A whole self-contained page: no script, nothing fetched from elsewhere."""
    style = Html(
        "<style>body{font:15px/1.55 system-ui,sans-serif;max-width:62em;margin:2em auto;padding:0 1em;color:#1d2330;"
        "background:#fff}h1{font-size:1.7em}h2{margin-top:2em;border-bottom:1px solid #ccc}pre{white-space:pre-wrap;"
        "font-size:12px}table{font-size:13px;border-collapse:collapse}td,th{padding:2px 10px 2px 0;text-align:left}"
        "@media(prefers-color-scheme:dark){body{background:#14171f;color:#e6e9f0}img{background:#fff}}</style>"
    )
    policy = Html(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        "form-action 'none'; base-uri 'none'\">"
    )
    head = tag("head", Html('<meta charset="utf-8">'), policy, tag("title", title), style)
    return Html("<!doctype html>" + tag("html", head, tag("body", tag("h1", title), *sections), lang="en"))
